#!/bin/bash
# What a controller does with its vault by itself: retention by its rules, collection, scrub; the
# preview, approvals, jobs with reasons, alarms, schedules.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=netlib.sh
. "$(dirname "$0")/netlib.sh"
V=$SCRATCH/vault
S=$SCRATCH/src
mkdir "$S"
new_vault "$V"
back_up() { # back_up NAME
	head -c 400000 /dev/urandom >"$S/f"
	expect 0 "backup $1" "$HF" backup --vault "$V" --source "$1" "$S"
}
for _ in 1 2 3 4; do back_up line3; done
back_up line4
new_controller "$SCRATCH/controller" "$V"
listed() { "$HF" snapshot list --vault "$V" --json | grep -o '"short_id"' | wc -l; }
task() { # task STATUS STATE TASK [OPTION...]: its end
	local status=$1 state=$2
	shift 2
	json "$status" maintenance-run "$HF" maintenance run "$@"
	is "$1 is $state" "$state" "$(field 'o["state"]')"
}
holds() { # name EXPRESSION
	is "$1 ($2)" True "$(field "$2")"
}
audit_says() { # name ACTION TEXT
	json 0 audit "$HF" audit --limit 20
	holds "$1" "any(a['action'] == '$2' and '$3' in a['detail'] for a in o['audit'])"
}

# ---- a configuration that would drop everything, or means nothing
cp "$CONF" "$SCRATCH/conf"
refuses() { # name TEXT WHY
	cp "$SCRATCH/conf" "$CONF"
	eval "$2"
	expect 2 "$1" timeout 20 "$HF" controller run --config "$CONF"
	says "$1" "$3"
}
# shellcheck disable=SC2016 # for eval
refuses "a rule that keeps nothing" 'echo "retention = ( { keep_daily = 0; } );" >>"$CONF"' \
	"keeps nothing but the newest"
refuses "retention without rules" \
	'schedule_add "{ name = \"r\"; task = \"retention\"; at = \"daily\"; }"' "needs rules"
refuses "a task of an agent" \
	'schedule_add "{ name = \"c\"; task = \"collect\"; agent = \"line3\"; at = \"daily\"; }"' \
	"has no 'agent'"
refuses "a grace that is none's" \
	'schedule_add "{ name = \"s\"; task = \"scrub\"; grace = \"1d\"; at = \"daily\"; }"' \
	"goes with the task collect"
cp "$SCRATCH/conf" "$CONF"

# ---- by hand
start_controller
json 2 error/usage "$HF" maintenance run retention
stop_process "$CONTROLLER" 0 "the controller"
printf 'retention = ( { source = "line3"; keep_last = 1; min_keep = "0s"; } );\n' |
	cat - "$SCRATCH/conf" >"$CONF"
start_controller
json 0 maintenance-preview "$HF" maintenance preview
holds "three would go" 'o["kept"] == 2 and o["going"] == 3 and "75 %" in o["guards"]'
holds "why is said" \
	'sorted(set(w for s in o["snapshots"] for w in s["why"])) == ["last", "newest", "no-rule"]'
is "a preview changes nothing" 5 "$(listed)"
task 1 failed retention
holds "it wants an approval" '"approval is wanted" in o["reason"]'
audit_says "that is an alarm" alarm "approval is wanted"
is "nothing went" 5 "$(listed)"
expect 0 "an operator" "$HF" token new op --role operator --out "$SCRATCH/op.token"
json 12 error/auth "$HF" maintenance run retention --approve me --token-file "$SCRATCH/op.token"
json 2 error/usage "$HF" maintenance run collect --approve me
json 2 error/usage "$HF" maintenance run everything
task 0 "done" retention --approve "shift lead: line 3 was rebuilt"
holds "it says what went" '"3 were pruned" in o["reason"]'
is "three went" 2 "$(listed)"
audit_says "it is on record" maintenance.retention "3 were pruned"
json 0 maintenance-preview "$HF" maintenance preview
holds "none would go" 'o["kept"] == 2 and o["going"] == 0 and o["guards"] == ""'
back_up line3
task 0 "done" retention # as many as came since
is "one came, one went" 2 "$(listed)"
task 0 "done" scrub
holds "all of it was read" '"left 0" in o["reason"] and "0 problems" in o["reason"]'
task 0 "done" scrub
holds "and is left for a while" '"read 0 packs" in o["reason"]'
task 0 "done" collect
holds "objects wait for their grace" '"deleted 0" in o["reason"] and "wait" in o["reason"]'
json 0 job-list "$HF" job list
holds "all of it are jobs of the controller" \
	'set(j["verb"] for j in o["jobs"]) == {"retention", "collect", "scrub"} and all(j["agent"] == "controller" for j in o["jobs"])'
expect 0 "verify" "$HF" verify --vault "$V"

# ---- by schedule: a grace that is over, a pack that is damaged
stop_process "$CONTROLLER" 0 "the controller"
schedule_add "{ name = \"space\"; task = \"collect\"; grace = \"1s\"; at = \"*-*-* *:*:0/2\"; }"
schedule_add "{ name = \"proof\"; task = \"scrub\"; older_than = \"1s\"; at = \"*-*-* *:*:0/2\"; }"
dead=$(find "$V/dd" -type f | wc -l)
is "something is dead" 1 "$dead"
pack=$(find "$V/pk" -type f -size +300k -newer "$SCRATCH/op.token" | head -n 1) # of the newest
python3 - "$pack" <<'P'
import os, sys
os.chmod(sys.argv[1], 0o600)
with open(sys.argv[1], "r+b") as f:
    f.seek(5000)
    b = f.read(1)
    f.seek(5000)
    f.write(bytes([b[0] ^ 1]))
P
start_controller
json 0 schedule-next "$HF" schedule next --next 2
holds "tasks are due" 'all(d["agent"] == "controller" and d["task"] in ("collect", "scrub") for d in o["due"])'
# shellcheck disable=SC2317 # until_true calls it
is_deleted() { [ "$(find "$V/dd" -type f | wc -l)" -eq 0 ]; }
expect 0 "the grace is over" until_true 30 is_deleted
# shellcheck disable=SC2317 # as above
has_found() { "$HF" job list --state failed --json | grep -q 'the vault has [0-9]* problem'; }
expect 0 "damage is found" until_true 30 has_found
audit_says "that is an alarm" alarm "problems, the first: pk/"
stop_process "$CONTROLLER" 0 "the controller"
expect 14 "verify finds it, too" "$HF" verify --vault "$V"
finish
