#!/bin/bash
# What an agent's limits hold over a long run: CPU seconds by /proc, bytes on the wire by a proxy in
# between, each over wall time: within 10 % of what is configured, above and below.  Below is judged
# only when the machine had time left that the agent could have used.
# BENCH_S: for how long (default 60); BENCH_DIR: what is backed up under a limit of CPU (default
# /usr; more than it takes in that time).  Use: limits.sh BUILD
# shellcheck source=../e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
# shellcheck source=../e2e/netlib.sh
. "$(dirname "$0")/../e2e/netlib.sh"
LONG=${BENCH_S:-60}
DATA=${BENCH_DIR:-/usr}
RATES="1048576 8388608" # bytes a second
SHARES="10 50" # percent of one processor
find "$DATA" -type f -exec cat {} + >/dev/null 2>&1 # it waits for no disk
new_vault "$SCRATCH/vault"
new_controller "$SCRATCH/controller" "$SCRATCH/vault"
PROXY_PORT=$(free_ports 1)
sed -i "s/^agents_address = .*/agents_address = \"127.0.0.1:$PROXY_PORT\";/" "$CONF"
python3 "$(dirname "$0")/counting_proxy.py" "$PROXY_PORT" "$AGENTS_PORT" "$SCRATCH/wire" &
PROCESSES+=($!)
start_controller

# shellcheck disable=SC2317 # held and until_true call them
cpu_s() { awk -v hz="$(getconf CLK_TCK)" '{ print ($14 + $15) / hz }' "/proc/$AGENT_PID/stat"; }
wire_bytes() { cat "$SCRATCH/wire"; }
# Ticks of all processors so far, and those of them with nothing to do.
all_ticks() { awk '$1 == "cpu" { for (i = 2; i <= 9; i++) sum += $i; print sum, $5 }' /proc/stat; }
# shellcheck disable=SC2317
is_moving() { [ "$(wire_bytes)" -gt "$1" ]; }

# held NAME UNIT LIMIT PATH LIMITS COUNTER: an agent under LIMITS backs up PATH; COUNTER, which is in
# UNIT, grows by LIMIT a second.
held() {
	local name=$1 begun from before got ticks idle ticks_after idle_after
	agent_conf "$name" capture "limits = { nice = 0; $5 };
sources = ( { name = \"data\"; type = \"files\"; paths = [ \"$4\" ]; } );"
	enrol "$name" capture
	start_agent "$name"
	expect 0 "$name says hello" until_true 10 has_seen "$name"
	before=$(wire_bytes)
	expect 0 "a backup by $name" "$HF" job run "$name" data --no-wait
	expect 0 "$name sends" until_true 30 is_moving $((before + 1000000))
	read -r ticks idle < <(all_ticks)
	begun=$(date +%s.%N) from=$($6)
	sleep "$LONG"
	got=$(echo "scale=4; ($($6) - $from) / ($(date +%s.%N) - $begun) / $3" | bc)
	read -r ticks_after idle_after < <(all_ticks)
	idle=$((100 * (idle_after - idle) / (ticks_after - ticks)))
	expect 0 "$name is still at it" has_running "$name"
	echo "$name: $got of $3 $2 a second, $idle % of the machine idle"
	is "$name takes no more" 1 "$(echo "$got <= 1.1" | bc)"
	if [ $idle -ge 10 ]; then
		is "$name takes what it may" 1 "$(echo "$got >= 0.9" | bc)"
	else
		echo "$name: the machine is too busy to judge whether it takes what it may"
	fi
	stop_process "$AGENT_PID" 0 "$name"
}
# shellcheck disable=SC2317
has_running() { "$HF" job list --state running --json | grep -q "\"$1\""; }

for share in $SHARES; do
	held "cpu$share" "s of CPU" "$(echo "scale=2; $share / 100" | bc)" "$DATA" \
		"cpu_percent = $share;" cpu_s
done
for rate in $RATES; do
	mkdir "$SCRATCH/$rate"
	head -c $((rate * (LONG + 30))) /dev/urandom >"$SCRATCH/$rate/random"
	held "rate$rate" bytes "$rate" "$SCRATCH/$rate" "bytes_per_s = \"$rate\";" wire_bytes
done
finish
