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
sn=$(newest sn)
rot "$sn"
rm -rf "$SCRATCH/state"
expect 14 "nobody remembers the newest of b: no fork" "$HF" backup --source b "$SCRATCH/src"
says "no fork" "hint:"
expect 3 "a goes on all the same" "$HF" backup --source a "$SCRATCH/src"
rm -rf "$SCRATCH/state"
mv "$SCRATCH/kept" "$SCRATCH/state"
expect 3 "b from the host that remembers" "$HF" backup --source b "$SCRATCH/src"
rot "$sn"
expect 0 "and the object is put back" "$HF" verify

# packs rot in a record of content: verify finds them, the next backup stores anew, all restores
V=$SCRATCH/packs
new_vault "$V"
export HOLDFAST_VAULT=$V
expect 0 "first backup" "$HF" backup --source a "$SCRATCH/src"
find "$V/pk" -type f >"$SCRATCH/packs.txt"
while read -r pack; do rot "$pack"; done <"$SCRATCH/packs.txt"
expect 14 "verify of rotten packs" "$HF" verify
says "verify of rotten packs" "records are missing or damaged"
expect 3 "the next backup heals" "$HF" backup --source a "$SCRATCH/src"
says "the next backup heals" "stored anew"
new=$(newest sn)
expect 14 "verify after it" "$HF" verify
# the first snapshot's root is a record of its own: nothing stores that anew
if [ "$(grep -c "missing or damaged" <<<"$OUT")" -eq 1 ] && ! grep -q "${new##*/}" <<<"$OUT"; then
	ok
else
	not_ok "the new snapshot is damaged, too" "$OUT"
fi
id=$("$HF" snapshot list --json | python3 -c '
import json, sys
print(json.load(sys.stdin)["snapshots"][0]["id"])')
rm -rf "$SCRATCH/back"
expect 0 "the new snapshot restores" "$HF" restore latest --to "$SCRATCH/back"
expect 0 "equal" cmp "$SCRATCH/src/shard.arc" "$SCRATCH/back$SCRATCH/src/shard.arc"
rm -rf "$SCRATCH/back"
expect 0 "and the content of the old one" "$HF" restore "$id" --to "$SCRATCH/back" --include '*.arc'
expect 0 "equal" cmp "$SCRATCH/src/shard.arc" "$SCRATCH/back$SCRATCH/src/shard.arc"
expect 0 "a further backup has nothing to heal" "$HF" backup --source a "$SCRATCH/src"

# the plain texts: any byte, also of the first line
for text in README.txt FORMAT.txt; do
	for at in 0 3 100 -2; do
		cp "$V/$text" "$SCRATCH/text"
		python3 - "$V/$text" $at <<'PY'
import os, sys
os.chmod(sys.argv[1], 0o644)
with open(sys.argv[1], "r+b") as f:
    b = bytearray(f.read())
    b[int(sys.argv[2])] ^= 4
    f.seek(0)
    f.write(b)
PY
		expect 14 "verify, byte $at of $text changed" "$HF" verify
		says "verify, byte $at of $text changed" "FAIL  $text"
		cp "$SCRATCH/text" "$V/$text"
	done
done

# the only header rots, then is gone: everything reads, nothing writes
vh=$(newest vh)
cp "$vh" "$SCRATCH/vh"
for how in rotten gone; do
	if [ $how = rotten ]; then rot "$vh"; else rm -f "$vh"; fi
	expect 14 "verify, header $how" "$HF" verify
	says "verify, header $how" "vh/"
	expect 3 "snapshot list, header $how" "$HF" snapshot list
	says "snapshot list, header $how" "header is lost"
	for keys in writer none; do
		[ $keys = writer ] || export HOLDFAST_CONFIG_DIR=$SCRATCH/nowhere
		rm -rf "$SCRATCH/back"
		expect 3 "restore, header $how, writer key: $keys" "$HF" restore latest --source a --to "$SCRATCH/back"
		expect 0 "equal" cmp "$SCRATCH/src/shard.arc" "$SCRATCH/back$SCRATCH/src/shard.arc"
		expect 3 "ls, header $how" "$HF" snapshot ls latest --source a
		expect 3 "dump, header $how" "$HF" dump latest --source a "$SCRATCH/src/1.evt"
	done
	export HOLDFAST_CONFIG_DIR=$SCRATCH/config
	expect 14 "backup, header $how" "$HF" backup --source a "$SCRATCH/src"
	says "backup, header $how" "hint: put the vh/ object back"
	expect 14 "key drill new, header $how" "$HF" key drill new x --out "$SCRATCH/x"
done
expect 1 "init where the header is gone" "$HF" init --vault "$V"
says "init where the header is gone" "do not remove it"
cp "$SCRATCH/vh" "$vh"

# two vaults in one directory: refused by all that reads or writes, and nothing is changed
expect 0 "another vault" "$HF" init --vault "$SCRATCH/other" --recovery-file "$SCRATCH/other.key"
cp "$SCRATCH"/other/vh/* "$V/vh/"
find "$V" -type f | sort >"$SCRATCH/before"
for verb in "snapshot list" "verify" "gc" "backup --source a $SCRATCH/src" "restore latest --to $SCRATCH/mixed"; do
	# shellcheck disable=SC2086 # words on purpose
	expect 2 "two vaults in one: $verb" "$HF" $verb
	says "two vaults in one: $verb" "holds two vaults"
done
find "$V" -type f | sort >"$SCRATCH/after"
expect 0 "two vaults in one: nothing changed" diff "$SCRATCH/before" "$SCRATCH/after"
rm "$V/vh/$(basename "$SCRATCH"/other/vh/*)"
expect 0 "and one again" "$HF" snapshot list

# a snapshot that somebody removed by hand: nothing is collected until it is given up by name
for i in 1 2 3; do
	echo "$i" >"$SCRATCH/src/1.evt"
	expect 0 "backup $i" "$HF" backup --source gap "$SCRATCH/src"
done
sn=$(find "$V/sn" -type f | sort | tail -n 2 | head -n 1)
mv "$sn" "$SCRATCH/sn"
expect 14 "gc, a snapshot is gone" "$HF" gc
says "gc, a snapshot is gone" "number 2 of source 'gap' is missing"
expect 0 "gc, it is given up" "$HF" gc --give-up-missing
mv "$SCRATCH/sn" "$sn"
expect 0 "gc, it is back" "$HF" gc
finish
