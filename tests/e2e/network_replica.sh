#!/bin/bash
# A controller that brings its vault to replicas by itself: configured, begun by a person, by
# schedule, killed in the middle, away at its time, with alarms, records and a bandwidth limit; and a restore
# from the replica when the vault is gone.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=netlib.sh
. "$(dirname "$0")/netlib.sh"
V=$SCRATCH/vault
R=$SCRATCH/cellar
S=$SCRATCH/src
mkdir "$S"
new_vault "$V"
back_up() { # back_up NAME BYTES
	head -c "$2" /dev/urandom >"$S/f"
	expect 0 "backup $1" "$HF" backup --vault "$V" --source "$1" "$S"
}
back_up line3 400000
back_up line3 400000
back_up line4 300000
new_controller "$SCRATCH/controller" "$V"
holds() { # name EXPRESSION
	is "$1 ($2)" True "$(field "$2")"
}
cp "$CONF" "$SCRATCH/conf"
replicas() { # replicas TEXT...: into $CONF
	printf 'replicas = ( %s );\n' "$*" | cat - "$SCRATCH/conf" >"$CONF"
}
refuses() { # name WHY
	expect 2 "$1" timeout 20 "$HF" controller run --config "$CONF"
	says "$1" "$2"
}
copy() { # copy STATUS STATE [OPTION...]
	local status=$1 state=$2
	shift 2
	json "$status" maintenance-run "$HF" maintenance run copy --replica cellar "$@"
	is "the copy is $state" "$state" "$(field 'o["state"]')"
}
listed() { "$HF" snapshot list --vault "$R" --json --accept-rollback | grep -o '"short_id"' | wc -l; }

# ---- a configuration that means nothing
replicas "{ name = \"cellar\"; place = \"$V\"; }"
refuses "the vault itself" "is the vault itself"
replicas "{ name = \"cellar\"; place = \"$R\"; bytes_per_s = \"9\"; }"
refuses "no such limit" "bytes_per_s"
cp "$SCRATCH/conf" "$CONF"
schedule_add '{ name = "c"; task = "copy"; at = "daily"; }'
refuses "a copy to nowhere" "needs a 'replica'"
cp "$SCRATCH/conf" "$CONF"
schedule_add '{ name = "c"; task = "copy"; replica = "attic"; at = "daily"; }'
refuses "a replica that is not there" "there is no replica 'attic'"
cp "$SCRATCH/conf" "$CONF"
schedule_add '{ name = "c"; task = "scrub"; replica = "cellar"; at = "daily"; }'
refuses "a replica that is none's" "goes with the task copy"

# ---- by hand: never begun by itself, and the places of a mount that is away stay empty
replicas "{ name = \"cellar\"; place = \"$R\"; sources = [ \"line3\" ]; newest = 1; }"
start_controller
json 2 error/usage "$HF" maintenance run copy
json 2 error/usage "$HF" maintenance run copy --replica attic
json 2 error/usage "$HF" maintenance run scrub --replica cellar
mkdir "$R"
copy 1 failed
holds "it says what to do" '"there is no vault at the other store yet" in o["reason"]'
is "nothing was begun" 0 "$(find "$R" -mindepth 1 | wc -l)"
json 0 audit "$HF" audit --limit 20
holds "that is an alarm" "any(a['action'] == 'alarm' and 'copy cellar failed' in a['detail'] for a in o['audit'])"
copy 0 "done" --begin
holds "the newest of line3" '"brought 1 snapshots" in o["reason"] and "read back" in o["reason"]'
holds "it is of the controller" 'o["agent"] == "controller" and o["source"] == "cellar" and o["verb"] == "copy"'
is "one is there" 1 "$(listed)"
json 0 job-list "$HF" job list
holds "in the list" 'o["jobs"][0]["verb"] == "copy"'
json 0 audit "$HF" audit --limit 5
holds "on record" "any(a['action'] == 'maintenance.copy' and 'brought 1' in a['detail'] for a in o['audit'])"
stop_process "$CONTROLLER" 0 "the controller"

# ---- killed in the middle of a slow copy, gone on with after the restart; the limit holds
back_up line4 3000000
replicas "{ name = \"cellar\"; place = \"$R\"; bytes_per_s = \"512KiB\"; }"
start_controller
begin=$(date +%s%N)
expect 0 "ordered" "$HF" maintenance run copy --replica cellar --no-wait
# shellcheck disable=SC2317 # until_true calls it
is_at_it() { "$HF" job list --state running --json | grep -q '"text": *"[0-9]* of [0-9]* records"'; }
expect 0 "its progress is seen" until_true 20 is_at_it
kill -KILL "$CONTROLLER"
wait "$CONTROLLER" 2>/dev/null
start_controller
copy 0 "done"
took=$((($(date +%s%N) - begin) / 1000000))
holds "the others are there now" \
	'sum(map(int, __import__("re").findall(r"(\d+)(?= snapshots \(| were there)", o["reason"]))) == 4'
is "all are there" 4 "$(listed)"
# 3.4 MB there and as much back, each at half a MiB a second
if [ "$took" -ge 8000 ]; then ok; else not_ok "the limit did not hold: $took ms"; fi
stop_process "$CONTROLLER" 0 "the controller"

# ---- by schedule, behind a restart too
replicas "{ name = \"cellar\"; place = \"$R\"; }"
cp "$CONF" "$SCRATCH/with"
schedule_add '{ name = "nightly"; task = "copy"; replica = "cellar"; retries = 0; at = "*-*-* *:*:0/2"; }'
start_controller
json 0 schedule-next "$HF" schedule next --next 2
holds "it is due" 'all(d["task"] == "copy" and d["replica"] == "cellar" for d in o["due"])'
back_up line3 200000
# shellcheck disable=SC2317 # as above
has_copied() { "$HF" job list --state "done" --json | grep -q 'brought 1 snapshots'; }
expect 0 "the schedule brings it" until_true 30 has_copied
# a copy that lies somewhere else meanwhile: an alarm at each due time, and nothing is begun
mv "$R" "$SCRATCH/away"
# shellcheck disable=SC2317 # as above
has_failed() { "$HF" audit --limit 50 --json | grep -q "copy cellar failed"; }
expect 0 "a missing replica is an alarm" until_true 30 has_failed
if [ -e "$R" ]; then not_ok "a replica was begun by itself"; else ok; fi
mv "$SCRATCH/away" "$R"
stop_process "$CONTROLLER" 0 "the controller"
done_jobs() { "$HF" job list --state "done" --limit 500 --json | grep -o '"verb": *"copy"' | wc -l; }
start_controller
before=$(done_jobs)
# shellcheck disable=SC2317 # as above
goes_on() { [ "$(done_jobs)" -gt "$before" ]; }
expect 0 "the schedule goes on behind a restart" until_true 30 goes_on
stop_process "$CONTROLLER" 0 "the controller"

# ---- the vault is gone: the replica restores, with the recovery file alone
rm -rf "$V"
expect 0 "verify the replica" "$HF" verify --vault "$R" --accept-rollback
expect 0 "restore from it" env HOLDFAST_CONFIG_DIR="$SCRATCH/none" HOLDFAST_STATE_DIR="$SCRATCH/none" \
	"$HF" restore latest --source line3 --vault "$R" --to "$SCRATCH/back"
expect 0 "equal" cmp "$S/f" "$SCRATCH/back$S/f"
finish
