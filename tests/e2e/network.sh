#!/bin/bash
# The main job across processes: a controller and agents on 127.0.0.1, the schedule, restarts of
# everything, and the controller's machine lost.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=netlib.sh
. "$(dirname "$0")/netlib.sh"
V=$SCRATCH/vault
C=$SCRATCH/controller
S=$SCRATCH/src
mkdir -p "$S/sub"
for i in $(seq 40); do head -c $((i * 997)) /dev/urandom >"$S/sub/$i.bin"; done
head -c 9000000 /dev/urandom >"$S/large.bin"
printf 'one\n' >"$S/one.txt"
ln -s one.txt "$S/link"

# ---- a controller, an agent
new_vault "$V"
new_controller "$C" "$V"
start_controller
expect 1 "init again" "$HF" controller init --vault "$V" --dir "$C"
says "init again" "there is a controller"
for wanted in agent-list job-list token-list audit schedule-next; do
	read -r a b <<<"${wanted/-/ }"
	# shellcheck disable=SC2086
	json 0 "$wanted" "$HF" $a $b
done
json 0 agent-token "$HF" agent token --role capture --name nobody
agent_conf line3 capture "sources = ( { name = \"plant\"; type = \"files\"; paths = [ \"$S\" ]; } );"
enrol line3 capture
start_agent line3
line3=$AGENT_PID
expect 0 "hello" until_true 10 has_seen line3
json 0 agent-list "$HF" agent list
json 0 agent-show "$HF" agent show line3
is "its source" plant "$(field 'o["sources"][0]["name"]')"
line3_id=$(field 'o["id"]')
expect 1 "the key of an agent that works" "$HF" agent strike "$line3_id"
says "the key of an agent that works" "holdfast agent revoke line3"

# ---- ordered and by itself
json 0 job-run "$HF" job run line3 plant
json 0 job-list "$HF" job list
job=$(field 'o["jobs"][0]["id"]')
json 0 job-show "$HF" job show "$job"
is "done" "done" "$(field 'o["state"]')"
first=$(field 'o["result"]["snapshot"]')
expect 0 "the vault lists it" "$HF" snapshot list --vault "$V"
says "the vault lists it" "${first:0:8}"
expect 10 "no such agent" "$HF" job run nobody plant
expect 10 "no such source" "$HF" job run line3 nothing

# ---- signals do not wait for a poll of up to 50 s
agent_conf line3 capture "sources = ( { name = \"plant\"; type = \"files\"; paths = [ \"$S\" ]; },
	{ name = \"more\"; type = \"files\"; paths = [ \"$S/sub\" ]; } );"
# shellcheck disable=SC2317 # until_true calls them
has_more() { "$HF" agent show line3 --json | grep -q '"more"'; }
# shellcheck disable=SC2317
is_ended() { ! kill -0 "$line3"; }
kill -HUP "$line3"
expect 0 "SIGHUP is heard at once" until_true 5 has_more
kill -TERM "$line3"
expect 0 "SIGTERM is heard at once" until_true 5 is_ended
wait "$line3"
is "the agent ends" 0 $?

# ---- SIGTERM in the middle of a transfer that would take half a minute
cp "$SCRATCH/line3.conf" "$SCRATCH/line3.full"
head -c 9000000 /dev/urandom >"$S/late.bin"
echo 'limits = { bytes_per_s = "256KiB"; };' >>"$SCRATCH/line3.conf"
start_agent line3
line3=$AGENT_PID
python3 "$NET_PY/ask.py" POST /api/v1/jobs '{"agent": "line3", "source": "plant"}' >"$SCRATCH/slow"
slow=$(grep -oE '"id": ?"[0-9a-f]{32}"' "$SCRATCH/slow" | head -n 1 | grep -oE '[0-9a-f]{32}')
# shellcheck disable=SC2317 # until_true calls it
is_sending() { "$HF" job show "$slow" --json | grep -qE '"sent_bytes": ?[1-9]'; }
expect 0 "the transfer has begun" until_true 34 is_sending
kill -TERM "$line3"
expect 0 "SIGTERM is heard in a transfer" until_true 9 is_ended
wait "$line3"
is "the agent ends" 0 $?
json 0 job-show "$HF" job show "$slow"
is "the job knows" failed "$(field 'o["state"]')"
is "and why" "the agent was asked to end" "$(field 'o["reason"]')"
rm "$S/late.bin"
mv "$SCRATCH/line3.full" "$SCRATCH/line3.conf"
start_agent line3
line3=$AGENT_PID
schedule_add "{ name = \"often\"; agent = \"line3\"; source = \"plant\"; at = \"*-*-* *:*:00/2\"; retry_after = \"1s\"; }"
json 0 schedule-next "$HF" schedule next
kill -HUP "$CONTROLLER"
# shellcheck disable=SC2317 # until_true calls it
has_jobs() { [ "$("$HF" job list --limit 100 --state "done" --json | grep -o '"often"' | wc -l)" -ge 2 ]; }
expect 0 "the schedule fires by itself" until_true 30 has_jobs
json 0 schedule-next "$HF" schedule next --next 3
is "next three" 3 "$(field 'len(o["due"])')"

# ---- the agent is stopped, the controller is stopped: both go on
stop_process "$line3" 0 "agent"
start_agent line3
line3=$AGENT_PID
before=$(jobs_in "done")
# shellcheck disable=SC2317 # until_true calls it
more_jobs() { [ "$(jobs_in "done")" -gt "$before" ]; }
expect 0 "the agent goes on after a restart" until_true 30 more_jobs
stop_process "$CONTROLLER" 0 "controller"
start_controller
before=$(jobs_in "done")
expect 0 "and after one of the controller" until_true 40 more_jobs
json 0 audit "$HF" audit
stop_process "$CONTROLLER" 0 "controller"

# ---- the controller's machine lost: the store and the recovery file alone
mkdir "$SCRATCH/elsewhere"
expect 0 "restore" env HOLDFAST_CONFIG_DIR="$SCRATCH/elsewhere" HOLDFAST_STATE_DIR="$SCRATCH/elsewhere" \
	HOLDFAST_CACHE_DIR="$SCRATCH/elsewhere" "$HF" restore "$first" --vault "$V" --to "$SCRATCH/back"
expect 0 "bit for bit" "$TOOLS/treecmp" "$S" "$SCRATCH/back$S"
expect 0 "verify" "$HF" verify --data --vault "$V"
count=$("$HF" snapshot list --vault "$V" --json | grep -o '"short_id"' | wc -l)
json 0 catalog-rebuild "$HF" catalog rebuild --config "$CONF"
is "a good catalog rebuilt" "$count" "$(field 'o["snapshots"]')"
dd if=/dev/urandom of="$C/state/catalog.db" bs=4096 count=3 conv=notrunc status=none
rm -f "$C"/state/catalog.db-*
expect 14 "a damaged catalog" "$HF" controller run --config "$CONF"
says "a damaged catalog" "catalog rebuild"
json 0 catalog-rebuild "$HF" catalog rebuild --config "$CONF"
is "a damaged catalog rebuilt" "$count" "$(field 'o["snapshots"]')"
rm -f "$C"/state/catalog.db*
OUT=$("$HF" catalog rebuild --config "$CONF" 2>&1)
says "a lost catalog" "$count snapshots"
sed -nE 's/.*new officer token: *//p' <<<"$OUT" >"$SCRATCH/new.token"
chmod 600 "$SCRATCH/new.token"
export HOLDFAST_TOKEN_FILE=$SCRATCH/new.token
start_controller
json 0 agent-list "$HF" agent list
is "agents are not in the vault" 0 "$(field 'len(o["agents"])')"
is "but snapshots are" "$count" "$(python3 "$NET_PY/ask.py" GET "/api/v1/snapshots?limit=1000" |
	grep -o '"seq"' | wc -l)"
# its key is in the vault, and it has no name any more
json 0 agent-strike "$HF" agent strike "$line3_id"
is "struck by its id" "$line3_id" "$(field 'o["agent_id"]')"
expect 0 "struck already" "$HF" agent strike "${line3_id:0:8}"
says "struck already" "is struck already"
expect 10 "no such key" "$HF" agent strike 0123456789abcdef
expect 2 "no key" "$HF" agent strike line3
OUT=$("$HF" key show --vault "$V")
says "the vault lists it as revoked" "(revoked)"
OUT=$("$HF" audit --limit 100) # the agent goes on asking, and is refused
says "the audit tells it" "the identity key of agent $line3_id"
stop_process "$CONTROLLER" 0 "controller"

# ---- a new controller for the same vault: agents enrol again, the store hardly grows
kill -KILL "$line3"
wait "$line3"
rm -rf "$C"
size=$(du -sb "$V" | cut -f1)
new_controller "$SCRATCH/controller2" "$V"
start_controller
mv "$SCRATCH/line3.d" "$SCRATCH/line3.old"
enrol line3 capture
start_agent line3
expect 0 "hello" until_true 10 has_seen line3
json 0 job-run "$HF" job run line3 plant
json 0 job-list "$HF" job list --limit 1
json 0 job-show "$HF" job show "$(field 'o["jobs"][0]["id"]')"
second=$(field 'o["result"]["snapshot"]')
grown=$(($(du -sb "$V" | cut -f1) - size))
if [ $grown -lt 300000 ]; then ok; else not_ok "the store grew by $grown bytes"; fi
expect 0 "restore of the new chain" "$HF" restore "$second" --vault "$V" --to "$SCRATCH/back2"
expect 0 "bit for bit" "$TOOLS/treecmp" "$S" "$SCRATCH/back2$S"
expect 0 "restore of the old chain" "$HF" restore "$first" --vault "$V" --to "$SCRATCH/back3"
expect 0 "bit for bit" "$TOOLS/treecmp" "$S" "$SCRATCH/back3$S"
expect 0 "verify" "$HF" verify --data --vault "$V"
json 0 token-new "$HF" token new watcher --role viewer --out "$SCRATCH/watcher.token"
json 0 token-revoke "$HF" token revoke watcher
json 0 agent-revoke "$HF" agent revoke line3
finish
