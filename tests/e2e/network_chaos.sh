#!/bin/bash
# Controller and agents are killed and stopped at random, connections are cut: nothing that was
# acknowledged is lost, nothing runs twice.  CHAOS_ROUNDS (25), SEED.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=netlib.sh
. "$(dirname "$0")/netlib.sh"
ROUNDS=${CHAOS_ROUNDS:-25}
SEED=${SEED:-$$}
RANDOM=$SEED
echo "seed $SEED, $ROUNDS rounds"
V=$SCRATCH/vault
S=$SCRATCH/src
mkdir -p "$S"
for i in $(seq 60); do head -c $((i * 9973)) /dev/urandom >"$S/$i.bin"; done
new_vault "$V"
new_controller "$SCRATCH/controller" "$V"
PROXY_PORT=$(free_ports 1)
sed -i "s/^agents_address = .*/agents_address = \"127.0.0.1:$PROXY_PORT\";/" "$CONF"
python3 "$NET_PY/cutting_proxy.py" "$PROXY_PORT" "$AGENTS_PORT" "$SEED" 2>/dev/null &
PROCESSES+=($!)
start_controller
for a in one two; do
	agent_conf $a capture "sources = ( { name = \"src-$a\"; type = \"files\"; paths = [ \"$S\" ]; } );"
	enrol $a capture
	schedule_add "{ name = \"often-$a\"; agent = \"$a\"; source = \"src-$a\"; at = \"*-*-* *:*:*\"; retries = 20; retry_after = \"1s\"; }"
done
kill -HUP "$CONTROLLER"
start_agent one
one=$AGENT_PID
start_agent two
two=$AGENT_PID
# end_it PID: at once, and the next one begins when the kernel has done so, as systemd does it.
end_it() {
	kill -KILL "$1"
	wait "$1"
}
commits() { grep -c 'controller[.]commit job=' "$SCRATCH/controller.log"; }
# shellcheck disable=SC2317 # until_true calls it
has_commit() { [ "$(commits)" -gt "$before" ]; }
for round in $(seq "$ROUNDS"); do
	before=$(commits)
	head -c $((RANDOM * 20)) /dev/urandom >"$S/$((round % 7)).new"
	# every other time something was acknowledged since the last blow; then it hits anywhere
	[ $((round % 2)) -eq 0 ] && until_true 10 has_commit
	sleep "0.$((RANDOM % 10))"
	kill -HUP "$CONTROLLER" # a reload at any time changes nothing
	case $((RANDOM % 5)) in
	0)
		end_it "$CONTROLLER"
		start_controller
		;;
	1)
		end_it "$one"
		start_agent one
		one=$AGENT_PID
		;;
	2)
		end_it "$two"
		start_agent two
		two=$AGENT_PID
		;;
	3)
		kill -STOP "$one"
		sleep "0.$((RANDOM % 5))"
		kill -CONT "$one"
		;;
	4)
		kill -STOP "$CONTROLLER"
		sleep "0.$((RANDOM % 5))"
		kill -CONT "$CONTROLLER"
		;;
	esac
done 2>/dev/null
# done_of SOURCE: how many of its jobs are.  Each must go on: one source's luck is not the other's.
done_of() {
	"$HF" job list --limit 1000 --state "done" --json 2>/dev/null | grep -o "\"src-$1\"" | wc -l
}
# shellcheck disable=SC2317 # until_true calls it
has_more() { [ "$(done_of "$1")" -gt "$2" ]; }
for a in one two; do
	expect 0 "$a goes on (seed $SEED)" until_true 120 has_more $a "$(done_of $a)"
done
kill -TERM "$one" "$two"
wait "$one" "$two"
python3 "$NET_PY/chain_check.py" "$V" >"$SCRATCH/claims"
while read -r verdict text; do
	case $verdict in
	PASS) ok ;;
	FAIL) not_ok "$text (seed $SEED)" ;;
	*) echo "$text" ;;
	esac
done <"$SCRATCH/claims"
json 0 audit "$HF" audit --limit 1000
"$HF" job list --limit 1000 >"$SCRATCH/jobs"
stop_process "$CONTROLLER" 0 "controller"
expect 0 "verify (seed $SEED)" "$HF" verify --data --vault "$V"
for a in one two; do
	expect 0 "restore of $a" "$HF" restore latest --source "src-$a" --vault "$V" --to "$SCRATCH/$a.back"
	differ=0
	for i in $(seq 60); do
		cmp -s "$S/$i.bin" "$SCRATCH/$a.back$S/$i.bin" || differ=$((differ + 1))
	done
	is "$a: files that differ (seed $SEED)" 0 $differ
done
if [ $FAILED -gt 0 ]; then
	for log in controller one two; do
		echo "---- the end of $log.log"
		tail -n 30 "$SCRATCH/$log.log"
	done
	tail -n 100 "$SCRATCH/jobs"
fi
finish
