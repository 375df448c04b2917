#!/bin/bash
# No partial snapshot is seen: not in the catalog, not in the store, at no point of a session, of a
# commit, of an agent's death.  SEED.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=netlib.sh
. "$(dirname "$0")/netlib.sh"
SEED=${SEED:-$RANDOM}
V=$SCRATCH/vault
new_vault "$V"
new_controller "$SCRATCH/controller" "$V"
mkdir "$SCRATCH/peers"
claims "step by step (seed $SEED)" python3 "$NET_PY/visible.py" "$SCRATCH/peers" "$CONF" "$V" "$SEED"

# ---- a real agent, killed while it sends
mkdir "$SCRATCH/src"
head -c 8000000 /dev/urandom >"$SCRATCH/src/large"
start_controller
agent_conf line4 capture "sources = ( { name = \"plant\"; type = \"files\"; paths = [ \"$SCRATCH/src\" ]; } ); limits = { bytes_per_s = \"4MiB\"; };"
enrol line4 capture
start_agent line4
expect 0 "hello" until_true 10 has_seen line4
before=$("$HF" snapshot list --vault "$V" --json | grep -o '"short_id"' | wc -l)
json 0 job-run "$HF" job run line4 plant --no-wait
job=$(field 'o["id"]')
# shellcheck disable=SC2317 # until_true calls it
is_in() { "$HF" job show "$job" --json | grep -q "\"state\":\"$1\""; }
# has_written BYTES: the controller wrote so much of packs that are not put yet, since the marker.
# shellcheck disable=SC2317 # until_true calls it
has_written() {
	[ "$(find "$V/tmp" -type f -newer "$SCRATCH/marker" -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }')" -ge "$1" ]
}
for sent in 200000 2500000; do
	touch "$SCRATCH/marker"
	expect 0 "it runs" until_true 20 is_in running
	expect 0 "it sends" until_true 20 has_written $sent
	kill -KILL "$AGENT_PID"
	wait "$AGENT_PID" 2>/dev/null
	expect 0 "it was not at its end" is_in running
	is "killed while it sent: the store" "$before" \
		"$("$HF" snapshot list --vault "$V" --json | grep -o '"short_id"' | wc -l)"
	is "killed while it sent: the API" 0 "$(python3 "$NET_PY/ask.py" GET \
		"/api/v1/snapshots?source=plant" | grep -o '"seq"' | wc -l)"
	expect 0 "killed while it sent: whole" "$HF" verify --vault "$V"
	"$HF" job cancel "$job" >/dev/null 2>&1
	start_agent line4
	# shellcheck disable=SC2317 # until_true calls it
	is_free() { "$HF" job run line4 plant --no-wait --json >"$SCRATCH/json" 2>/dev/null; }
	expect 0 "it is free again" until_true 30 is_free
	job=$(field 'o["id"]')
done
expect 0 "left alone, it ends" until_true 60 is_in "done"
is "one more in the store" $((before + 1)) \
	"$("$HF" snapshot list --vault "$V" --json | grep -o '"short_id"' | wc -l)"
expect 0 "the index of thousands of records is kept, and mapped" \
	test -s "$SCRATCH/controller/state/cache/index"
stop_process "$CONTROLLER" 0 "controller"
expect 0 "verify" "$HF" verify --vault "$V"
finish
