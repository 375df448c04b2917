#!/bin/bash
# Everything is lost but the store and the recovery file: a new host restores, a new writer
# continues the same chain with dedup intact.  And: the writer key alone opens nothing.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
V=$SCRATCH/vault
new_vault "$V"
export HOLDFAST_VAULT=$V
mkdir "$SCRATCH/src"
head -c 900000 /dev/urandom >"$SCRATCH/src/shard.arc"
printf 'secret recipe 4711\n' >"$SCRATCH/src/recipe.xml"
expect 0 "first backup" "$HF" backup --source hist --no-recheck "$SCRATCH/src"

# the writer key alone: lists, verifies; opens no content
mv "$V.recovery" "$SCRATCH/away"
unset HOLDFAST_PASSPHRASE_FILE
expect 0 "list without a passphrase" "$HF" snapshot list
expect 0 "verify without a passphrase" "$HF" verify
for verb in "restore latest --to $SCRATCH/never" "snapshot ls latest" "verify --data" \
	"dump latest $SCRATCH/src/recipe.xml"; do
	# shellcheck disable=SC2086
	OUT=$("$HF" $verb 2>&1 </dev/null)
	rc=$?
	if [ $rc -eq 0 ]; then not_ok "$verb worked without a recovery key" "$OUT"; else ok; fi
	grep -q '4711' <<<"$OUT" && not_ok "$verb showed content" "$OUT"
done
writer=$(find "$SCRATCH/config" -name writer.key | head -n 1)
if grep -rqa 'secret recipe' "$V" "$SCRATCH/config" "$SCRATCH/cache" "$SCRATCH/state"; then
	not_ok "plaintext lies about"
else
	ok
fi
if [ -n "$writer" ]; then
	expect 0 "an attacker with the store and the writer key" \
		python3 "$TREE/tests/reference/attack_writer_key.py" "$V" "$writer"
else
	not_ok "there is no writer key"
fi

# the new host
rm -rf "$SCRATCH/config" "$SCRATCH/state" "$SCRATCH/cache"
export HOLDFAST_PASSPHRASE_FILE=$SCRATCH/pass
expect 0 "restore on a new host" "$HF" restore latest --recovery-file "$SCRATCH/away" \
	--to "$SCRATCH/back"
expect 0 "equal" "$TOOLS/treecmp" "$SCRATCH/src" "$SCRATCH/back$SCRATCH/src"
expect 0 "key writer new" "$HF" key writer new --recovery-file "$SCRATCH/away"
expect 0 "backup by the new writer" "$HF" backup --source hist --no-recheck --json "$SCRATCH/src"
summary=$(grep '"message_type": *"summary"' <<<"$OUT" | tail -n 1)
for pair in stored_data_records=0 seq=2; do
	if python3 -c '
import json, sys
name, want = sys.argv[2].split("=")
sys.exit(json.loads(sys.argv[1])[name] != int(want))' "$summary" "$pair"; then
		ok
	else
		not_ok "the new writer: $pair does not hold" "$summary"
	fi
done
expect 0 "verify of the whole chain" "$HF" verify --data --recovery-file "$SCRATCH/away"
printf 'wrong\n' >"$SCRATCH/wrong"
expect 12 "wrong passphrase" "$HF" restore latest --recovery-file "$SCRATCH/away" \
	--passphrase-file "$SCRATCH/wrong" --to "$SCRATCH/never"
finish
