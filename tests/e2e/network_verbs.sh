#!/bin/bash
# Every verb that asks a controller, with --json, in every state its objects can have: each answer
# fits its schema, each refusal is an error object with its id.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=netlib.sh
. "$(dirname "$0")/netlib.sh"
S=$SCRATCH/src
mkdir "$S" "$S.hurt"
printf 'one\n' >"$S/one"
head -c 24000000 /dev/urandom >"$S/large" # more than is sent before it is canceled
printf 'two\n' >"$S.hurt/two"
new_vault "$SCRATCH/vault"
new_controller "$SCRATCH/controller" "$SCRATCH/vault"
schedule_add "{ name = \"nightly\"; agent = \"line3\"; source = \"plant\"; at = \"02:30\"; paused = true; }"
start_controller

# refused STATUS ID COMMAND...: the last object is an error with this id.
refused() {
	local status=$1 id=$2
	shift 2
	json "$status" "error/$id" "$@"
}

# ---- agents: pending, active, revoked
json 0 agent-list "$HF" agent list
is "nobody" 0 "$(field 'len(o["agents"])')"
json 0 agent-token "$HF" agent token --role sandbox --group line3 --name box --ttl 1h
refused 2 usage "$HF" agent token
refused 2 usage "$HF" agent token --role boss
agent_conf line3 capture "sources = ( { name = \"plant\"; type = \"files\"; paths = [ \"$S\" ]; },
{ name = \"hurt\"; type = \"files\"; paths = [ \"$S.hurt\" ]; } ); limits = { bytes_per_s = \"256KiB\"; };"
agent_conf box sandbox
ask_in line3 capture
json 0 agent-show "$HF" agent show line3
is "it waits" pending "$(field 'o["state"]')"
json 0 agent-list "$HF" agent list
refused 2 usage "$HF" agent approve line3
refused 12 auth "$HF" agent approve line3 --fingerprint AAAA-BBBB-CCCC-DDDD
refused 10 not-found "$HF" agent approve nobody --fingerprint "$PRINT"
line3=$ENROLLING

# ---- another officer comes first: here, and on a host with a memory of its own
# officer_waits NAME: approve it as somebody who has not typed the fingerprint yet.
officer_waits() {
	rm -f "$SCRATCH/officer.asked" "$SCRATCH/officer.go"
	python3 "$NET_PY/at_prompt.py" "$SCRATCH/officer" "Type it as" "$PRINT" \
		"$HF" agent approve "$1" >"$SCRATCH/officer.out" 2>&1 &
	OFFICER=$!
	PROCESSES+=("$OFFICER")
	expect 0 "approve $1 asks" until_true 20 test -e "$SCRATCH/officer.asked"
}
officer_goes_on() { # NAME
	: >"$SCRATCH/officer.go"
	wait "$OFFICER"
	is "$1" 0 $?
	OUT=$(cat "$SCRATCH/officer.out")
}
officer_waits line3
enrol box sandbox --group line3
officer_goes_on "approve line3 after another officer's change"
says "signed upon it" "config 3 is signed"
json 0 agent-show "$HF" agent show line3
is "it is in" "line3 active" "$(field 'o["name"] + " " + o["state"]')"
wait "$line3"
is "line3 is enrolled" 0 $?
json 0 agent-show "$HF" agent show box
is "its group" line3 "$(field 'o["group"]')"
refused 10 not-found "$HF" agent show nobody
refused 2 usage "$HF" agent show 'no/body'

# ---- jobs: waiting, running, canceled, done, failed
start_agent line3
expect 0 "hello" until_true 10 has_seen line3
kill -KILL "$AGENT_PID"
wait "$AGENT_PID" 2>/dev/null
json 0 job-run "$HF" job run line3 plant --no-wait
job=$(field 'o["id"]')
is "it waits" waiting "$(field 'o["state"]')"
json 0 job-list "$HF" job list --state waiting
refused 1 exists "$HF" job run line3 plant --no-wait
json 0 job-cancel "$HF" job cancel "$job"
is "it is canceled" "canceled by officer" "$(field 'o["reason"]')"
refused 1 interrupted "$HF" job cancel "$job"
refused 10 not-found "$HF" job cancel 00000000000000000000000000000000
refused 10 not-found "$HF" job show 00000000000000000000000000000000
start_agent line3
json 0 job-run "$HF" job run line3 plant --no-wait
job=$(field 'o["id"]')
# shellcheck disable=SC2317 # until_true calls it
is_in() { "$HF" job show "$job" --json | grep -q "\"state\":\"$1\""; }
expect 0 "it runs" until_true 10 is_in running
json 0 job-show "$HF" job show "$job"
is "its progress" running "$(field 'o["state"]')"
json 0 job-list "$HF" job list --state running
json 0 job-cancel "$HF" job cancel "$job"
is "it is to stop" "running 0" "$(field 'o["state"] + " " + str(o["retries_left"])')"
expect 0 "it stops" until_true 40 is_in canceled
json 0 job-show "$HF" job show "$job"
is "one try" 1 "$(field 'len(o["attempts"])')"
is "no snapshot of it" 0 "$("$HF" snapshot list --vault "$SCRATCH/vault" --json | grep -c short_id)"
json 0 job-run "$HF" job run line3 hurt
is "done" "done" "$(field 'o["state"]')"
mv "$S.hurt" "$S.away"
json 1 job-run "$HF" job run line3 hurt
is "failed" failed "$(field 'o["state"]')"
refused 10 not-found "$HF" job run nobody plant
refused 10 not-found "$HF" job run line3 nothing
refused 2 usage "$HF" job run box plant
refused 2 usage "$HF" job list --state undone
json 0 job-list "$HF" job list
json 0 audit "$HF" audit
json 0 schedule-next "$HF" schedule next --name nightly --next 2
is "it is paused" "[True, True]" "$(field '[d["paused"] for d in o["due"]]')"
json 0 drill-catalog "$HF" drill list --server "$HOLDFAST_SERVER"
refused 10 not-found "$HF" report get 00000000-0000-4000-8000-000000000000
OUT=$("$HF" report get nope 2>&1)
says "what is no id of an exercise has a hint" "drill list --server"
OUT=$("$HF" job run lin3 plant 2>&1)
says "an unknown agent has a way to the known" "there is no agent 'lin3': 'holdfast agent list' shows"
sed 's/^./X/;2s/^./X/' "$HOLDFAST_CA" >"$SCRATCH/bad.pem"
OUT=$("$HF" agent list --ca "$SCRATCH/bad.pem" 2>&1)
says "a bad CA is named" "our copy of the CA in '$SCRATCH/bad.pem' is no good"

# ---- tokens, and who has none or too little
json 0 token-new "$HF" token new watcher --role viewer --ttl 1h --out "$SCRATCH/watcher.token"
json 0 token-new "$HF" token new printed --role auditor
refused 1 exists "$HF" token new watcher --role viewer
refused 2 usage "$HF" token new boss --role boss
refused 2 usage "$HF" token new endless --role viewer --ttl 0s
refused 2 usage "$HF" agent token --role capture --ttl 0s
json 0 token-list "$HF" token list
W=(env HOLDFAST_TOKEN_FILE="$SCRATCH/watcher.token" "$HF")
json 0 job-list "${W[@]}" job list
refused 12 auth "${W[@]}" token list
refused 12 auth "${W[@]}" job cancel "$job"
refused 12 auth "${W[@]}" agent revoke line3
refused 12 auth "${W[@]}" audit
json 0 token-revoke "$HF" token revoke watcher
refused 12 auth "${W[@]}" job list
json 0 token-list "$HF" token list
agent_conf late capture "sources = ( { name = \"late\"; type = \"files\"; paths = [ \"$S\" ]; } );"
ask_in late capture
mkdir "$SCRATCH/host2"
cp "$HOLDFAST_OFFICER_KEY" "$HOLDFAST_OFFICER_KEY.seen" "$SCRATCH/host2/"
HOLDFAST_OFFICER_KEY=$SCRATCH/host2/officer.key officer_waits late
json 0 agent-revoke "$HF" agent revoke line3
id=$(field 'o["id"]')
is "it is out" revoked "$(field 'o["state"]')"
officer_goes_on "approve late on another host"
says "signed upon it" "config 5 is signed"
wait "$ENROLLING"
is "late is enrolled" 0 $?
is "the other host remembers what counts" 5 \
	"$(awk 'NR == 2 { print $2 }' "$SCRATCH/host2/officer.key.seen")"
json 0 agent-list "$HF" agent list
is "nothing came back" "False True" "$(field \
	'" ".join(str(a["in_config"]) for a in sorted(o["agents"], key=lambda a: a["name"] != "line3") if a["name"] in ("line3", "late"))')"
json 0 agent-list "$HF" agent list
is "the list says so" revoked "$(field '[a["state"] for a in o["agents"] if a["name"] == "line3"][0]')"
json 0 agent-revoke "$HF" agent revoke line3
json 0 agent-show "$HF" agent show "$id"
refused 10 not-found "$HF" agent revoke nobody
stop_process "$CONTROLLER" 0 "controller"
refused 13 unreachable timeout 60 "$HF" job list
finish
