#!/bin/bash
# The keys of a vault change: a second recovery key opens what is there after a rewrap, the first is
# retired; the vault's keys are rotated under a controller that no agent has joined yet.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=netlib.sh
. "$(dirname "$0")/netlib.sh"
V=$SCRATCH/vault
new_vault "$V"
export HOLDFAST_VAULT=$V
first=$V.recovery second=$SCRATCH/second
unset HOLDFAST_RECOVERY_FILE
mkdir "$SCRATCH/src"
printf 'recipe 4711\n' >"$SCRATCH/src/recipe.xml"
head -c 400000 /dev/urandom >"$SCRATCH/src/shard.arc"
expect 0 "backup" "$HF" backup --source a "$SCRATCH/src"
json 0 key-show "$HF" key show
old=$(field 'o["recovery_keys"][0]')

# a second recovery key
printf 'another passphrase\n' >"$SCRATCH/pass2"
# shellcheck disable=SC2317 # json calls them
by_first() { "$HF" "$@" --recovery-file "$first"; }
# shellcheck disable=SC2317
by_second() { HOLDFAST_PASSPHRASE_FILE=$SCRATCH/pass2 "$HF" "$@" --recovery-file "$second"; }
json 0 key-recovery by_first key recovery new --out "$second" \
	--new-passphrase-file "$SCRATCH/pass2"
new=$(field 'o["key_id"]')
json 0 key-show "$HF" key show
is "two keys" "['$old', '$new']" "$(field 'o["recovery_keys"]')"
expect 0 "verify with both" "$HF" verify
expect 12 "it opens no snapshot from before" by_second restore latest --to "$SCRATCH/never"
expect 1 "the first is needed still" by_second key recovery retire "${old:0:8}"
says "the first is needed still" "key rewrap"
json 0 key-rewrap by_first key rewrap --dry-run
is "an envelope is wanted" 1 "$(field 'o["envelopes"]')"
is "and none made" 0 "$(find "$V/rw" -type f 2>/dev/null | wc -l)"
json 0 key-rewrap by_first key rewrap
is "an envelope" 1 "$(field 'o["envelopes"]')"
json 0 key-rewrap by_first key rewrap
is "only once" 0 "$(field 'o["envelopes"]')"
expect 0 "now it opens it" by_second restore latest --to "$SCRATCH/back"
expect 0 "as it was" diff -r "$SCRATCH/src" "$SCRATCH/back$SCRATCH/src"
expect 0 "a copy has it too" "$HF" copy --to "$SCRATCH/copy" --init --all
expect 0 "there as well" by_second verify --data --vault "$SCRATCH/copy"

# everything but the second key is lost: the vault goes on
cp -a "$SCRATCH/config" "$SCRATCH/config.kept"
rm -rf "$SCRATCH/config" "$SCRATCH/state" "$SCRATCH/cache"
expect 0 "a new writer" by_second key writer new
json 0 backup/summary "$HF" backup --source a "$SCRATCH/src"
is "the same chain" 2 "$(field 'o["seq"]')"
is "nothing is stored twice" 0 "$(field 'o["stored_data_records"]')"

# the first is retired
expect 2 "not by itself" by_second key recovery retire "${new:0:8}"
expect 10 "nor one that is none" by_second key recovery retire 0000
json 0 key-recovery by_second key recovery retire "${old:0:8}"
json 0 key-show "$HF" key show
is "one key" "['$new']" "$(field 'o["recovery_keys"]')"
expect 0 "backup after it" "$HF" backup --source a "$SCRATCH/src"
expect 0 "verify keyless" "$HF" verify
expect 0 "verify with data" by_second verify --data
expect 0 "the second opens all" by_second restore latest --to "$SCRATCH/back2"
expect 12 "the first opens nothing new" by_first restore latest --to "$SCRATCH/never"
ids=$("$HF" snapshot list --json | grep -o '"id": *"[0-9a-f]*"' | cut -d'"' -f4)
expect 0 "what was before, it does" by_first restore "$(head -n 1 <<<"$ids")" --to "$SCRATCH/back3"
expect 12 "it signs nothing" by_first key recovery new --out "$SCRATCH/third" \
	--new-passphrase-file "$SCRATCH/pass2"
says "it signs nothing" "retired"
expect 12 "it rotates nothing" by_first key rotate
json 0 key-show "$HF" key show
is "still the first epoch" 1 "$(field 'o["kv_epoch"]')"

# rotated under a controller without agents: it is told, and follows
export HOLDFAST_RECOVERY_FILE=$second HOLDFAST_PASSPHRASE_FILE=$SCRATCH/pass2
new_controller "$SCRATCH/controller" "$V"
start_controller
stop_process "$CONTROLLER" 0 "the controller"
json 0 key-rotate "$HF" key rotate
# shellcheck disable=SC2317 # expect calls it
says_controller() { grep -qF "$1" "$SCRATCH/out"; }
"$HF" controller run --config "$CONF" >"$SCRATCH/out" 2>&1 </dev/null
is "its key file is of the epoch before" 12 $?
expect 0 "it says what to do" says_controller "controller rekey"
json 0 controller-rekey "$HF" controller rekey --config "$CONF"
is "the new epoch" 2 "$(field 'o["kv_epoch"]')"
start_controller
agent_conf line3 capture \
	"sources = ( { name = \"plc3\"; type = \"files\"; paths = [ \"$SCRATCH/src\" ]; } );"
enrol line3 capture
start_agent line3
until_true 10 has_seen line3
json 0 job-run "$HF" job run line3 plc3
# shellcheck disable=SC2317 # until_true calls it
is_done() { [ "$(jobs_in "done")" -eq 1 ]; }
expect 0 "its backup is done" until_true 30 is_done
expect 0 "what the agent sent verifies" "$HF" verify --data
expect 0 "and is restored" "$HF" restore latest --source plc3 --to "$SCRATCH/back4"
expect 0 "as it was" diff -r "$SCRATCH/src" "$SCRATCH/back4$SCRATCH/src"
expect 1 "with an agent it is refused" "$HF" key rotate
says "with an agent it is refused" "agents of a controller"
# the file is lost: made again, and the controller's name in snapshots is new
stop_process "$CONTROLLER" 0 "the controller"
rm "$SCRATCH/controller/keys/controller.key"
expect 0 "made again" "$HF" controller rekey --config "$CONF"
start_controller
stop_process "$AGENT_PID" 0 "the agent"
stop_process "$CONTROLLER" 0 "the controller"
finish
