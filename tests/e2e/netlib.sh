# Shared by the network scripts, behind lib.sh: a controller and agents on 127.0.0.1.
# Every process that is started here is ended at the end, by its own number.
# shellcheck shell=bash
AGENT=$BUILD/holdfast-agent
PROCESSES=()
# shellcheck disable=SC2034 # of the scripts
NET_PY=$TREE/tests/e2e

end_processes() {
	local pid
	for pid in "${PROCESSES[@]}"; do
		kill -CONT "$pid" 2>/dev/null
		kill -KILL "$pid" 2>/dev/null
	done
	wait
} 2>/dev/null
trap 'end_processes; chmod -R u+rwx "$SCRATCH" 2>/dev/null; rm -rf "$SCRATCH"' EXIT

# free_ports N: N ports of 127.0.0.1 that nobody uses now.
free_ports() {
	python3 -c '
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in held:
    s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in held])' "$1"
}

# SANITIZED (tests/sanitizers.sh sets it): the programs are slow, and larger than they are otherwise.
PATIENCE=${SANITIZED:+6}

# until_true SECONDS COMMAND...: run it again until it succeeds.
until_true() {
	local end=$((SECONDS + $1 * ${PATIENCE:-1}))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

is() { # name want got
	if [ "$2" = "$3" ]; then ok; else not_ok "$1: '$3' instead of '$2'"; fi
}

# json STATUS WANTED COMMAND...: as in cli.sh; the objects stay in $SCRATCH/json.  Whether they fit
# their schemas is looked at by finish, for all at once.
json() {
	local status=$1 wanted=$2 got
	shift 2
	"$@" --json >"$SCRATCH/json" 2>"$SCRATCH/json.err" </dev/null
	got=$?
	if [ $got -eq "$status" ]; then
		ok
	else
		not_ok "json $*: exit $got instead of $status" "$(cat "$SCRATCH/json.err")"
	fi
	JSON_COUNT=$((JSON_COUNT + 1))
	{
		printf '@ %s\n' "$wanted"
		cat "$SCRATCH/json"
	} >>"$SCRATCH/json.all"
}
JSON_COUNT=0

# check_schemas: a claim for each json.
check_schemas() {
	local verdict text checked=0
	[ "$JSON_COUNT" -gt 0 ] || return
	python3 "$TREE/tests/e2e/check_json.py" "$TREE/docs/schema" --groups <"$SCRATCH/json.all" \
		>"$SCRATCH/json.checked" 2>&1
	while read -r verdict text; do
		case $verdict in
		PASS) ok ;;
		FAIL) not_ok "$text" ;;
		*) echo "$verdict $text" ;;
		esac
		checked=$((checked + 1))
	done <"$SCRATCH/json.checked"
	is "every object was held against its schema" $JSON_COUNT $checked
}

finish() {
	check_schemas
	echo "$(basename "$0" .sh): $PASSED passed, $FAILED failed"
	[ "$FAILED" -eq 0 ]
	exit
}

# field EXPRESSION: a Python expression over o, the last object that json left.
field() {
	python3 -c '
import json, sys
o = [json.loads(l) for l in open(sys.argv[1]) if l.startswith("{")][-1]
print(eval(sys.argv[2]))' "$SCRATCH/json" "$1"
}

# new_controller DIR VAULT: make one on free ports; $AGENTS_PORT and $PEOPLE_PORT are told, and the
# command line talks to it as officer.
new_controller() {
	read -r AGENTS_PORT PEOPLE_PORT < <(free_ports 2)
	json 0 controller-init "$HF" controller init --vault "$2" --dir "$1" --name plant1 \
		--host 127.0.0.1 --agents-port "$AGENTS_PORT" --people-port "$PEOPLE_PORT"
	CONF=$1/controller.conf
	sed -i 's/^\(agents_host\|people_host\) = "0.0.0.0"/\1 = "127.0.0.1"/' "$CONF"
	export HOLDFAST_SERVER=127.0.0.1:$PEOPLE_PORT HOLDFAST_CA=$1/keys/ca.pem
	export HOLDFAST_TOKEN_FILE=$1/keys/officer.token HOLDFAST_OFFICER_KEY=$1/keys/officer.key
}

# schedule_add TEXT: put a schedule into $CONF.
schedule_add() {
	python3 - "$CONF" "$1" <<'P'
import re, sys
text = open(sys.argv[1]).read()
held = re.search(r"^schedules = \((.*)\);", text, re.M | re.S).group(1).strip()
text = re.sub(r"^schedules = \(.*\);", "", text, flags=re.M | re.S)
items = ",\n".join(x for x in (held, sys.argv[2]) if x)
open(sys.argv[1], "w").write(text + "schedules = (\n" + items + "\n);\n")
P
}

is_listening() {
	grep -q "agents port" "$SCRATCH/controller.out"
}

# start_controller: run $CONF and wait until it listens; $CONTROLLER is its number.
start_controller() {
	: >"$SCRATCH/controller.out"
	"$HF" controller run --config "$CONF" >"$SCRATCH/controller.out" \
		2>>"$SCRATCH/controller.log" </dev/null &
	CONTROLLER=$!
	PROCESSES+=("$CONTROLLER")
	if until_true 20 is_listening; then
		ok
	else
		not_ok "the controller does not listen" "$(cat "$SCRATCH/controller.log")"
	fi
}

# stop_process PID STATUS NAME
stop_process() {
	kill -TERM "$1" 2>/dev/null
	wait "$1"
	is "$3 ends" "$2" $?
}

# agent_conf NAME ROLE [TEXT]: $SCRATCH/NAME.conf with its state directory beside it.
agent_conf() {
	printf 'state = "%s/%s.d";\nname = "%s";\nrole = "%s";\n%s\n' "$SCRATCH" "$1" "$1" "$2" \
		"${3:-}" >"$SCRATCH/$1.conf"
}

has_fingerprint() {
	grep -qE '[A-Z2-7]{4}(-[A-Z2-7]{4}){3}' "$1"
}

# ask_in NAME ROLE [OPTION...]: token and enrolment, in the background as $ENROLLING; the
# fingerprint it shows is in $PRINT.  Options are those of 'agent token'.
ask_in() {
	local name=$1 role=$2
	shift 2
	expect 0 "token for $name" "$HF" agent token --role "$role" -q "$@"
	printf '%s\n' "$OUT" >"$SCRATCH/$name.token"
	rm -f "$SCRATCH/$name.enrol"
	timeout $((60 * ${PATIENCE:-1})) "$AGENT" enrol --config "$SCRATCH/$name.conf" <"$SCRATCH/$name.token" \
		>"$SCRATCH/$name.enrol" 2>&1 &
	ENROLLING=$!
	PROCESSES+=("$ENROLLING")
	if until_true 10 has_fingerprint "$SCRATCH/$name.enrol"; then
		PRINT=$(grep -oE '[A-Z2-7]{4}(-[A-Z2-7]{4}){3}' "$SCRATCH/$name.enrol" | head -n 1)
	else
		not_ok "$name does not enrol" "$(cat "$SCRATCH/$name.enrol")"
		return 1
	fi
}

# enrol NAME ROLE [OPTION...]: ask_in, and approval.
enrol() {
	ask_in "$@" || return
	json 0 agent-approve "$HF" agent approve "$1" --fingerprint "$PRINT"
	wait "$ENROLLING"
	is "$1 is enrolled" 0 $?
}

# start_agent NAME: run it; its number is in $AGENT_PID.
start_agent() {
	"$AGENT" run --config "$SCRATCH/$1.conf" >>"$SCRATCH/$1.log" 2>&1 </dev/null &
	AGENT_PID=$!
	PROCESSES+=("$AGENT_PID")
}

# jobs_in STATE [QUERY]: how many.
jobs_in() {
	"$HF" job list --limit 1000 --state "$1" --json 2>/dev/null | grep -o '"id"' | wc -l
}

# claims NAME COMMAND...: run it; every line "PASS ..", "FAIL .." it prints is a claim, others are
# passed on.
claims() {
	local name=$1 verdict text
	shift
	PYTHONDONTWRITEBYTECODE=1 timeout "${CLAIMS_S:-300}" "$@" >"$SCRATCH/claims" \
		2>"$SCRATCH/claims.err" </dev/null
	is "$name: it came to its end" 0 $?
	[ -s "$SCRATCH/claims.err" ] && tail -n 8 "$SCRATCH/claims.err"
	while read -r verdict text; do
		case $verdict in
		PASS) ok ;;
		FAIL) not_ok "$text" ;;
		*) echo "$text" ;;
		esac
	done <"$SCRATCH/claims"
}

has_seen() {
	"$HF" agent show "$1" --json | grep -q '"seen"'
}
