#!/bin/bash
# Rotten objects on the store: what is whole stays usable, backups go on, the damage stays named.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
V=$SCRATCH/vault
new_vault "$V"
export HOLDFAST_VAULT=$V
mkdir "$SCRATCH/src"
head -c 700000 /dev/urandom >"$SCRATCH/src/shard.arc"
printf 'batch 1\n' >"$SCRATCH/src/1.evt"

# rot FILE: change one byte in its middle; twice is as before
rot() {
	python3 - "$1" <<'PY'
import os, sys
os.chmod(sys.argv[1], 0o644)
with open(sys.argv[1], "r+b") as f:
    f.seek(0, 2)
    at = f.tell() // 2
    f.seek(at)
    b = f.read(1)
    f.seek(at)
    f.write(bytes([b[0] ^ 0x10]))
PY
}
newest() { find "$V/$1" -type f | sort | tail -n 1; }

# a snapshot object rots
expect 0 "backup of a" "$HF" backup --source a "$SCRATCH/src"
expect 0 "backup of b" "$HF" backup --source b "$SCRATCH/src"
sn=$(newest sn)
rot "$sn"
expect 3 "backup of a beside a rotten snapshot of b" "$HF" backup --source a "$SCRATCH/src"
says "a beside b" "${sn##*/}"
expect 14 "verify of it" "$HF" verify
says "verify of it" "${sn##*/}"
expect 14 "a reader is not given less than it has seen" "$HF" snapshot list
expect 14 "unless that is accepted, and then the damage is named" "$HF" snapshot list --accept-rollback
says "accepted" "; accepted"
expect 3 "the chain of b goes on behind its rotten newest" "$HF" backup --source b "$SCRATCH/src"
rot "$sn"
expect 0 "the object is put back: the chain is whole" "$HF" verify
cp -a "$SCRATCH/state" "$SCRATCH/kept"
rot "$(newest sn)"
rm -rf "$SCRATCH/state"
expect 14 "nobody remembers the newest of b: no fork" "$HF" backup --source b "$SCRATCH/src"
says "no fork" "hint:"
expect 3 "a goes on all the same" "$HF" backup --source a "$SCRATCH/src"
rm -rf "$SCRATCH/state"
mv "$SCRATCH/kept" "$SCRATCH/state"
expect 3 "b from the host that remembers" "$HF" backup --source b "$SCRATCH/src"
finish
