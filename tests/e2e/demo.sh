#!/bin/bash
# The demonstration with a controller and three agents: passes, leaves nothing running, goes on in
# the same place, ends at a signal.  BUILD as the argument.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
D="$SCRATCH/a plant"

claim() { # name test...
	local name=$1
	shift
	if "$@"; then ok; else not_ok "$name"; fi
}

# nothing_left NAME: no process of ours runs, and nobody is on a host of the demonstration's network.
nothing_left() {
	local left="" dir
	for dir in /proc/[0-9]*; do
		[ -r "$dir/cmdline" ] || continue
		if { tr '\0' ' ' 2>/dev/null <"$dir/cmdline"; } 2>/dev/null | grep -qF "$D"; then
			left+="$dir $(tr '\0' ' ' 2>/dev/null <"$dir/cmdline")"$'\n'
		fi
	done
	if [ -z "$left" ]; then ok; else not_ok "$1: processes are left" "$left"; fi
	claim "$1: no mount is left" [ -z "$(grep -F "${D// /\\040}" /proc/self/mountinfo)" ]
	claim "$1: no sandbox is left" [ -z "$(find "$D" -name 'holdfast-drill-*')" ]
}

# interrupt SIGNAL PATTERN [AGAIN]: start it, send SIGNAL when it says that, and once more when it says
# AGAIN, keep its status in GOT.  What a drill says of itself is asked for now and then: any of its lines
# will do.
interrupt() {
	local pid left=1200
	# a job of the shell in the background would ignore SIGINT
	python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$HF" demo --dir "$D" >"$SCRATCH/out" 2>&1 </dev/null &
	pid=$!
	until grep -qE -- "$2" "$SCRATCH/out" || [ $left -eq 0 ]; do
		sleep 0.1
		left=$((left - 1))
	done
	kill "-$1" "$pid"
	if [ -n "${3:-}" ]; then
		until grep -qF -- "$3" "$SCRATCH/out" || ! kill -0 "$pid" 2>/dev/null; do :; done
		kill "-$1" "$pid"
	fi
	wait "$pid"
	GOT=$?
}

# ---- interrupted where it hurts: half enrolled, and in the drill
interrupt INT 'historian shows'
claim "SIGINT while agents enrol: 130" [ "$GOT" -eq 130 ]
nothing_left "SIGINT while agents enrol"
interrupt INT 'historian shows' 'stopping everything'
claim "a second SIGINT: 130" [ "$GOT" -eq 130 ]
claim "it says what may be left, and where" [ "$(tail -n 1 "$SCRATCH/out" |
	grep -cF "ended at once: what it started stops by itself within a minute; what a drill restored may be left in holdfast-drill-* below '$D': remove that")" -eq 1 ]
for _ in $(seq 600); do
	grep -qsF "$D" /proc/[0-9]*/cmdline || break
	sleep 0.1
done
nothing_left "a second SIGINT, within a minute"
interrupt TERM 'drill: [a-z]'
claim "SIGTERM in the drill: 143" [ "$GOT" -eq 143 ]
nothing_left "SIGTERM in the drill"
claim "it said what it did" grep -qF 'stopping the drill, cleaning the sandbox' "$SCRATCH/out"
claim "and how that ended" [ "$(tail -n 1 "$SCRATCH/out")" = \
	"holdfast: the demonstration was interrupted; nothing of it runs any more" ]
claim "nobody is sent to a controller that is gone" [ "$(grep -cF 'job cancel' "$SCRATCH/out")" -eq 0 ]
claim "the half enrolment was done again" [ "$(grep -c 'agent approve sandbox1' "$D/README")" -eq 1 ]

# evidence_of REPORT DIR: each file that REPORT lists as evidence lies in DIR and has its SHA-256.
# shellcheck disable=SC2317 # called by name
evidence_of() {
	python3 - "$1" "$2" <<'PY'
import base64, hashlib, json, os, sys
s = json.loads(base64.b64decode(json.load(open(sys.argv[1]))["payload"]))["predicate"]["evidence"]
assert s
for e in s:
    with open(os.path.join(sys.argv[2], os.path.basename(e["ref"])), "rb") as f:
        assert hashlib.sha256(f.read()).hexdigest() == e["sha256"], e["ref"]
PY
}

# ---- it goes on, and passes
expect 0 "demo" "$HF" demo --dir "$D"
says "the verdict" "verdict        Passed"
says "made before" "Enrolled before; they go on"
told() { sed -n "s/^$1  *//p" <<<"$OUT"; }
claim "the evidence is where it says" evidence_of "$(told 'signed report')" "$(told 'its evidence')"
claim "the README says where, too" grep -qF "SHA-256: $(told 'its evidence')" "$D/README"
nothing_left "demo"
line=$(grep -F 'report verify' "$D/README" | tail -n 1)
claim "two keys are asked for" [ "$(grep -o -- '--key' <<<"$line" | wc -l)" -eq 2 ]
expect 0 "the README's own command" bash -c "$line"
says "it says valid" "valid"
expect 14 "another key" bash -c "${line% --key *} --key $(printf '0%.0s' {1..64})"
expect 1 "the other form in the same place" "$HF" demo --in-process --dir "$D"
says "it says why" "with a controller"

# ---- where network namespaces are not allowed: plainly on 127.0.0.1
E="$SCRATCH/plain"
python3 "$TREE/tests/e2e/deny_netns.py" "$HF" demo --dir "$E" --json >"$SCRATCH/plain.json" \
	2>"$SCRATCH/plain.err" </dev/null
claim "demo without namespaces" [ $? -eq 0 ]
claim "it chose 127.0.0.1 by itself" grep -q '^127\.0\.0\.1 ' "$E/conf/network"
claim "and says so" grep -qF 'which is 127.0.0.1 as all others' "$E/README"
OUT=$(cd "$SCRATCH" && timeout 60 python3 "$TREE/tests/e2e/deny_netns.py" "$HF" demo --dir "$D" 2>&1)
claim "one that had a network does not go on without" [ $? -eq 1 ]
says "why" "unable to make a network namespace"
says "what to do" "name a new directory"
claim "its JSON fits the schema" "$TREE/tests/e2e/check_json.py" "$TREE/docs/schema" demo \
	<"$SCRATCH/plain.json"
claim "and names the evidence" evidence_of "$(python3 -c 'import json, sys
print(json.load(sys.stdin)["report"])' <"$SCRATCH/plain.json")" "$(python3 -c 'import json, sys
print(json.load(sys.stdin)["evidence"])' <"$SCRATCH/plain.json")"

# ---- the verbs, against what it left: the controller is asked on 127.0.0.1
"$HF" controller run --config "$E/controller/controller.conf" >"$SCRATCH/ctl" 2>&1 </dev/null &
controller=$!
left=100
until grep -qs 'people port' "$SCRATCH/ctl" || [ $left -eq 0 ]; do
	sleep 0.1
	left=$((left - 1))
done
export HOLDFAST_SERVER HOLDFAST_TOKEN_FILE=$E/controller/keys/officer.token
HOLDFAST_SERVER=127.0.0.1:$(sed -n 's/.*people port //p' "$SCRATCH/ctl")
export HOLDFAST_CA=$E/controller/keys/ca.pem
report=$(find "$E/reports" -maxdepth 1 -name '*.json' | head -n 1)
exercise=$(basename "$report" .json)
expect 0 "report get" "$HF" report get "$exercise" --reports "$SCRATCH/got"
claim "byte for byte" cmp -s "$report" "$SCRATCH/got/$exercise.json"
"$HF" report get "$exercise" --reports "$SCRATCH/got" --json >"$SCRATCH/get.json"
claim "report get fits its schema" "$TREE/tests/e2e/check_json.py" "$TREE/docs/schema" drill-run \
	<"$SCRATCH/get.json"
expect 0 "report get again" "$HF" report get "$exercise" --reports "$SCRATCH/got"
echo changed >"$SCRATCH/got/$exercise.json"
expect 1 "another file is not replaced" "$HF" report get "$exercise" --reports "$SCRATCH/got"
expect 10 "no such report" "$HF" report get 00000000-0000-4000-8000-000000000000
"$HF" drill list --server "$HOLDFAST_SERVER" --json >"$SCRATCH/list.json"
claim "drill list fits its schema" "$TREE/tests/e2e/check_json.py" "$TREE/docs/schema" \
	drill-catalog <"$SCRATCH/list.json"
claim "and has the drill" grep -qF "$exercise" "$SCRATCH/list.json"
expect 2 "drill run without an agent" "$HF" drill run --server "$HOLDFAST_SERVER" --plan x
says "it says so" "--agent NAME is needed"
expect 2 "a key that is not needed" "$HF" drill run --server "$HOLDFAST_SERVER" --agent sandbox1 \
	--plan "$E/conf/line3.plan" --drill-key x
says "it says so" "--drill-key is for a drill of this host"
expect 10 "an agent that does not exist" "$HF" drill run --server "$HOLDFAST_SERVER" \
	--agent nobody --plan "$E/conf/line3.plan"
kill "$controller"
wait "$controller"
finish
