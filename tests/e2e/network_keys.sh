#!/bin/bash
# Who reads what: two sandboxes of one drill group, one of them shut out, its key struck by the
# officer; a capture agent shut out; a drill that is refused.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=netlib.sh
. "$(dirname "$0")/netlib.sh"
V=$SCRATCH/vault
C=$SCRATCH/controller
S=$SCRATCH/src
mkdir -p "$S"
for i in $(seq 20); do
	printf '<project line="3"><block nr="%d"><net>%d</net></block></project>\n' "$i" $((i * 7)) \
		>"$S/block$i.xml"
done
cat >"$SCRATCH/small.plan" <<'PLAN'
plan = {
  id = "small"; version = 1; title = "controller projects";
  systems = ( {
    id = "plc3"; type = "plc_project"; tier = 1; mtpd = "48h"; rto = "1h"; rpo = "7d";
    source = "source:plc3";
    steps = ( { name = "restore"; do = "restore"; budget = "10m"; } );
    checks = ( { id = "files"; type = "hash_manifest"; mandatory = true; expect = "all"; },
               { id = "xml"; type = "xml"; mandatory = true; expect = "all"; } );
  } );
  sandbox = { must_not_reach = ( { host = "192.0.2.10"; port = 502; } ); };
  cleanup = { on_success = "erase"; on_fail = "erase"; };
};
PLAN

new_vault "$V"
new_controller "$C" "$V"
start_controller
agent_conf line3 capture \
	"sources = ( { name = \"plc3\"; type = \"files\"; truth = \"files\"; prefix = \"plc3\"; paths = [ \"$S\" ]; } );"
enrol line3 capture
start_agent line3
LINE3=$AGENT_PID
for n in 1 2; do
	agent_conf "sandbox$n" sandbox \
		"drill = { work = \"$SCRATCH/work$n\"; reports = \"$SCRATCH/reports$n\"; };"
	mkdir "$SCRATCH/work$n" "$SCRATCH/reports$n"
done
enrol sandbox1 sandbox --group line3
start_agent sandbox1
expect 0 "hello" until_true 10 has_seen line3

# drill_key NAME: the key of a sandbox agent's state as a file, for reading without the controller.
drill_key() {
	python3 - "$SCRATCH/$1.d/identity" <<'P' >"$SCRATCH/$1.key"
import base64, sys
b = open(sys.argv[1], "rb").read()
at = 8
while True:
    tag, n, shift, at = b[at], 0, 0, at + 1
    while True:
        n, shift, at = n | (b[at] & 0x7f) << shift, shift + 7, at + 1
        if b[at - 1] < 0x80:
            break
    if tag == 9:
        print("holdfast-drill-key line3", base64.b64encode(b[at:at + n]).decode())
        break
    at += n
P
	chmod 600 "$SCRATCH/$1.key"
}

back_up() {
	json 0 job-run "$HF" job run line3 plc3
	SNAPSHOT=$("$HF" snapshot list --vault "$V" --json | python3 -c '
import json, sys
last = [json.loads(l) for l in sys.stdin][-1]
print(max(last["snapshots"], key=lambda s: s["seq"])["short_id"])')
}

# opens STATUS NAME SNAPSHOT: what a sandbox's key does to a snapshot, with no controller between.
opens() {
	expect "$1" "$2 reads $3" "$HF" snapshot ls "$3" --vault "$V" --drill-key "$SCRATCH/$2.key"
}

# shellcheck disable=SC2317 # expect calls it
drill() {
	"$HF" drill run --agent "$1" --plan "$SCRATCH/small.plan" --reports "$SCRATCH"
}

drills() {
	python3 "$NET_PY/ask.py" GET "/api/v1/drills?limit=100" | grep -o '"declared"' | wc -l
}

# order_drill: of the second, not waited for; $job is its job.
order_drill() {
	python3 "$NET_PY/ask.py" POST /api/v1/drills "$(python3 -c '
import base64, json, sys
plan = open(sys.argv[1], "rb").read()
print(json.dumps({"agent": "sandbox2", "plan_name": "small.plan",
                  "plan": base64.b64encode(plan).decode()}))' "$SCRATCH/small.plan")" >"$SCRATCH/ordered"
	job=$(grep -oE '"id": ?"[0-9a-f]{32}"' "$SCRATCH/ordered" | head -n 1 | grep -oE '[0-9a-f]{32}')
}

# ---- two sandboxes of one group
back_up
first=$SNAPSHOT
expect 0 "a drill by the first" drill sandbox1
sed -e 's/source:plc3/source:plc4/' -e 's/mtpd = "48h"/mtpd = "some"/' "$SCRATCH/small.plan" \
	>"$SCRATCH/wrong.plan"
expect 2 "a plan that is wrong in two ways" "$HF" drill run --agent sandbox1 \
	--plan "$SCRATCH/wrong.plan" --reports "$SCRATCH"
says "what lint finds" "mtpd"
says "and what only the controller knows" "no snapshot of source 'plc4'; did you mean 'plc3'?"
enrol sandbox2 sandbox --group line3
start_agent sandbox2
SANDBOX2=$AGENT_PID
drill_key sandbox1
drill_key sandbox2
opens 0 sandbox1 "$first"
opens 12 sandbox2 "$first"
expect 4 "the second and a snapshot from before it" drill sandbox2
says "the second and a snapshot from before it" "from before this sandbox was approved"
back_up
second=$SNAPSHOT
expect 0 "a drill by the first" drill sandbox1
expect 0 "a drill by the second" drill sandbox2
opens 0 sandbox1 "$second"
opens 0 sandbox2 "$second"

# ---- a drill that is refused leaves nothing
kill -STOP "$AGENT_PID"
drills_before=$(drills)
files_before=$(find "$C/state/reports" -mindepth 1 -maxdepth 1 | wc -l)
order_drill
expect 1 "the same drill once more" drill sandbox2
says "the same drill once more" "of the same plan is"
is "one exercise more" $((drills_before + 1)) "$(drills)"
is "one directory more" $((files_before + 1)) \
	"$(find "$C/state/reports" -mindepth 1 -maxdepth 1 | wc -l)"
expect 0 "cancel" "$HF" job cancel "$job"
kill -CONT "$AGENT_PID"

# ---- the first is shut out: at once, then its key is struck
expect 3 "revoke without the officer's key" env -u HOLDFAST_OFFICER_KEY "$HF" agent revoke sandbox1
says "revoke without the officer's key" "new snapshots are sealed to it"
json 0 agent-list "$HF" agent list
is "its key is still listed" True \
	"$(field '[a["in_config"] for a in o["agents"] if a["name"] == "sandbox1"][0]')"
back_up
opens 0 sandbox1 "$SNAPSHOT"
printf 'holdfast-officer-key ed25519 %s\n' "$(head -c 32 /dev/urandom | base64)" >"$SCRATCH/wrong.key"
chmod 600 "$SCRATCH/wrong.key"
expect 12 "another officer" "$HF" agent revoke sandbox1 --officer-key "$SCRATCH/wrong.key"
says "another officer" "is shut out, but its key is not struck"
expect 12 "another fingerprint" "$HF" agent revoke sandbox1 --fingerprint AAAA-BBBB-CCCC-DDDD
# a controller that shows what is older than the officer has signed gets no signature
mv "$HOLDFAST_OFFICER_KEY.seen" "$SCRATCH/seen"
awk 'NR > 1 { $2++ } { print }' "$SCRATCH/seen" >"$HOLDFAST_OFFICER_KEY.seen"
chmod 600 "$HOLDFAST_OFFICER_KEY.seen"
expect 14 "a config older than what was signed" "$HF" agent revoke sandbox1
says "a config older than what was signed" "was signed or seen here"
mv "$SCRATCH/seen" "$HOLDFAST_OFFICER_KEY.seen"
json 0 agent-revoke "$HF" agent revoke sandbox1
is "struck" False "$(field 'o["in_config"]')"
expect 0 "struck already" "$HF" agent revoke sandbox1
says "struck already" "no key of it is in the vault's configuration"
OUT=$("$HF" audit --limit 5)
says "the audit tells it" "drill key of group 'line3' with 1 others left"
back_up
opens 12 sandbox1 "$SNAPSHOT"
opens 0 sandbox2 "$SNAPSHOT"
opens 0 sandbox1 "$second"
expect 0 "the recovery file reads all of it" "$HF" verify --data --vault "$V"
expect 0 "restore" "$HF" restore "$SNAPSHOT" --vault "$V" --to "$SCRATCH/back"
json 0 drill-run "$HF" drill run --server "$HOLDFAST_SERVER" --agent sandbox2 \
	--plan "$SCRATCH/small.plan" --reports "$SCRATCH"
is "the second of the group goes on" "pass small" "$(field 'o["verdict"][:4] + " " + o["plan_id"]')"
expect 2 "the first does not" drill sandbox1

# ---- a capture agent enrols anew: two agents have a source of one name
# drilled: the snapshot of the last drill's report.
drilled() {
	python3 - "$SCRATCH" <<'P'
import base64, glob, json, os, sys
last = max(glob.glob(os.path.join(sys.argv[1], "*-*.json")), key=os.path.getmtime)
report = json.loads(base64.b64decode(json.load(open(last))["payload"]))
print(report["predicate"]["systems"][0]["recovery_point"]["snapshot_id"][:8])
P
}
old_id=$("$HF" agent show line3 --json | grep -oE '"id": ?"[0-9a-f]{32}"' | grep -oE '[0-9a-f]{32}')
kill -TERM "$LINE3"
wait "$LINE3"
mv "$SCRATCH/line3.d" "$SCRATCH/line3.old"
expect 3 "line3 is shut out" env -u HOLDFAST_OFFICER_KEY "$HF" agent revoke line3
says "line3 is shut out" "who reads the vault without this controller must say whose"
enrol line3 capture
start_agent line3
expect 0 "hello" until_true 10 has_seen line3
json 0 job-run "$HF" job run line3 plc3
new=$(field 'o["result"]["snapshot"][:8]')
expect 0 "the controller knows who is shut out" drill sandbox2
is "the drill is of the new agent's snapshot" "$new" "$(drilled)"
expect 2 "the vault alone does not" "$HF" restore latest --source plc3 --vault "$V" --to "$SCRATCH/no"
says "the vault alone does not" "two agents have a source named 'plc3'"
says "the vault alone does not" "with the officer's key"

# ---- its signature counts no more at the vault either
json 0 agent-revoke "$HF" agent revoke "$old_id"
is "struck" False "$(field 'o["in_config"]')"
OUT=$("$HF" key show --vault "$V")
says "the vault lists it as revoked" "(revoked)"
expect 0 "now the vault alone does" "$HF" restore latest --source plc3 --vault "$V" --to "$SCRATCH/yes"
expect 0 "a drill by the same name" drill sandbox2
is "of the new agent's snapshot" "$new" "$(drilled)"
expect 0 "its snapshots stay" "$HF" verify --data --vault "$V"

# ---- the controller dies between a drill's files and its job: as it is found then
kill -TERM "$SANDBOX2" # so that nobody takes the order
wait "$SANDBOX2"
drills_before=$(drills)
files_before=$(find "$C/state/reports" -mindepth 1 -maxdepth 1 | wc -l)
order_drill
kill -KILL "$CONTROLLER"
wait "$CONTROLLER" 2>/dev/null
exercise=$(python3 -c '
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
print(*db.execute("SELECT drill FROM job WHERE id = ?", (sys.argv[2],)).fetchone())
db.execute("DELETE FROM job WHERE id = ?", (sys.argv[2],))
db.commit()' "$C/state/catalog.db" "$job")
mkdir "$C/state/reports/01234567-89ab-4def-8123-456789abcdef"
expect 0 "its files are there" test -e "$C/state/reports/$exercise/plan"
start_controller
is "no exercise more" "$drills_before" "$(drills)"
is "no directory more" "$files_before" "$(find "$C/state/reports" -mindepth 1 -maxdepth 1 | wc -l)"
OUT=$("$HF" audit --limit 20)
says "the audit tells it" "$exercise"
says "and why" "the controller ended before its job was recorded"
start_agent sandbox2
expect 0 "the same plan is free" drill sandbox2
stop_process "$CONTROLLER" 0 "controller"
finish
