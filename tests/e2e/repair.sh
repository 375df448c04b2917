#!/bin/bash
# Parity and repair from outside: what rots comes back from parity, from a copy, as records saved; a
# kill at any moment is carried on; what is lost is named, and healed by a backup from any host.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
V=$SCRATCH/vault
new_vault "$V"
export HOLDFAST_VAULT=$V
mkdir "$SCRATCH/src"
head -c 1000000 /dev/urandom >"$SCRATCH/src/shard 1.arc"
head -c 700000 /dev/urandom >"$SCRATCH/src/shard 2.arc"
printf 'batch 1\n' >"$SCRATCH/src/1.evt"

# rot FILE [OFFSET]: change one byte, in the middle or at OFFSET
rot() {
	python3 - "$@" <<'PY'
import os, sys
os.chmod(sys.argv[1], 0o644)
with open(sys.argv[1], "r+b") as f:
    size = f.seek(0, 2)
    at = int(sys.argv[2]) if len(sys.argv) > 2 else size // 2
    f.seek(at)
    b = f.read(1)
    f.seek(at)
    f.write(bytes([b[0] ^ 0x10]))
PY
}
field() { # field EXPRESSION over o, the summary of the last json
	python3 -c '
import json, sys
o = [o for o in map(json.loads, open(sys.argv[1])) if o.get("message_type") == "summary"][-1]
print(eval(sys.argv[2]))' "$SCRATCH/json" "$1"
}
is() { # name want got
	if [ "$2" = "$3" ]; then ok; else not_ok "$1: '$3' instead of '$2'"; fi
}
largest() { find "$V/$1" -type f -printf '%s %p\n' | sort -rn | sed -n "${2:-1}{s/^[0-9]* //;p}"; }
# same DIR: every object of DIR lies in the vault, with the same bytes
# shellcheck disable=SC2317 # expect calls it
same() {
	local name
	while IFS= read -r name; do
		cmp -s "$1/$name" "$V/$name" || {
			echo "$name"
			return 1
		}
	done < <(cd "$1" && find . -type f ! -path './se/*' ! -path './tmp/*')
}

expect 0 "first backup" "$HF" backup --source a "$SCRATCH/src"
printf 'batch 2\n' >"$SCRATCH/src/2.evt"
expect 0 "second backup" "$HF" backup --source a "$SCRATCH/src"
cp -a "$V" "$SCRATCH/bare" # no parity in it
json 0 parity/summary "$HF" parity --dry-run
is "a dry run makes no parity" 0 "$(find "$V" -path '*/pa/*' | wc -l)"
json 0 parity/summary "$HF" parity
is "three groups" 3 "$(field 'o["made"]')"
expect 0 "verify with parity" "$HF" verify
cp -a "$V" "$SCRATCH/copy"

# parity: one object of each kind rots or is gone
rot "$(largest pk)"
rot "$(largest sn)"
expect 14 "verify of rotten objects" "$HF" verify
is "verify says what parity does" 2 "$(grep -c 'repairable from parity: yes' <<<"$OUT")"
expect 0 "repair of them" "$HF" repair
says "repair of them" "brought back from parity"
expect 0 "they are as they were" same "$SCRATCH/copy"
rot "$(largest vh)"
expect 3 "repair of the header" "$HF" repair
expect 0 "it is as it was" same "$SCRATCH/copy"
expect 0 "verify after it" "$HF" verify
victim=$(largest pk)
rot "$victim" 100
rm "$(largest sn)"
json 0 repair/object "$HF" repair --keyless
is "only what is no snapshot without a key" 1 "$(field 'o["from_parity"]')"
json 0 repair/summary "$HF" repair
is "the lost snapshot with it" 1 "$(field 'o["lost"]')"
expect 0 "as it was" same "$SCRATCH/copy"
rot "$victim" 100
export HOLDFAST_CONFIG_DIR=$SCRATCH/nowhere
expect 0 "a replica without any key" "$HF" repair --keyless
export HOLDFAST_CONFIG_DIR=$SCRATCH/config
expect 0 "as it was" same "$SCRATCH/copy"

# a parity object, an index segment, a text: made anew; a dry run changes nothing
rot "$(largest pa)"
rot "$(largest ix)"
rot "$V/README.txt"
cp -a "$V" "$SCRATCH/rotten"
json 14 verify/repair "$HF" verify
expect 0 "dry run" "$HF" repair --dry-run
says "dry run" "would be"
expect 0 "it changed nothing" same "$SCRATCH/rotten"
expect 0 "repair of what can be made anew" "$HF" repair
expect 0 "verify after it" "$HF" verify

# killed at any moment
rm -rf "$V" && cp -a "$SCRATCH/copy" "$V"
for ms in 15 40 70 110; do
	rot "$(largest pk)" 100
	rot "$(largest sn)" 100
	(timeout -s KILL "0.$(printf %03d $ms)" "$HF" repair; true) >/dev/null 2>&1
	expect 0 "repair after a kill at $ms ms" "$HF" repair
	expect 0 "as it was after a kill at $ms ms" same "$SCRATCH/copy"
done
is "nothing is left over" 0 "$(find "$V/wb" "$V/qr" -type f 2>/dev/null | wc -l)"

# without parity: another copy; without both: records are saved, losses named, a backup heals
rm -rf "$V" && cp -a "$SCRATCH/bare" "$V"
rot "$(largest pk)" 100
rm "$(largest rf)"
expect 14 "nothing helps a lost reference list" "$HF" repair --dry-run
expect 0 "from a copy" "$HF" repair --from "$SCRATCH/copy"
says "from a copy" "brought back from the copy"
expect 0 "as it was" same "$SCRATCH/bare"
rot "$(largest pk)" 100
json 14 repair/loss "$HF" repair --data
is "one record is lost" 1 "$(field 'o["records_lost"]')"
is "both snapshots are hurt" 2 "$(field 'o["snapshots_hurt"]')"
is "the file is named in each" 2 "$(field 'o["files_hurt"]')"
if grep -q '"path":"/.*shard [12].arc"' "$SCRATCH/json"; then ok; else not_ok "no file named" "$(cat "$SCRATCH/json")"; fi
rm -rf "$SCRATCH/state" "$SCRATCH/cache" # as a host that knows nothing of the damage
expect 3 "the next backup stores it anew" "$HF" backup --source a "$SCRATCH/src"
expect 0 "what was set aside goes" "$HF" repair --discard
says "what was set aside goes" "set aside was deleted"
expect 0 "restore" "$HF" restore latest --to "$SCRATCH/back"
expect 0 "equal" diff -r "$SCRATCH/src" "$SCRATCH/back$SCRATCH/src"

# with collection: parity follows what goes, and is not let go of while it may be needed
rm -rf "$V" && cp -a "$SCRATCH/copy" "$V"
rm -rf "$SCRATCH/state"
head -c 1000000 /dev/urandom >"$SCRATCH/src/shard 1.arc" # most of the first pack is waste now
expect 0 "third backup" "$HF" backup --source a "$SCRATCH/src"
expect 0 "parity of it" "$HF" parity --rows 2
expect 0 "retention" "$HF" retention apply --keep-last 1 --min-keep 0s --approve test
expect 0 "collection" "$HF" gc
rm -rf "$SCRATCH/before" && cp -a "$V" "$SCRATCH/before"
# the repacked pack, in no group yet: what it holds is in the one that goes
rot "$(largest pk 3)" 100
expect 14 "collection deletes nothing beside damage" "$HF" gc --grace 0s
says "collection deletes nothing beside damage" "holdfast repair"
rm -rf "$V" && cp -a "$SCRATCH/before" "$V"
# the third backup's, in a group with the one that goes
rot "$(largest pk 2)" 100
expect 14 "collection deletes nothing beside damage" "$HF" gc --grace 0s
says "collection deletes nothing beside damage" "holdfast repair"
expect 0 "repair" "$HF" repair
expect 0 "collection deletes" "$HF" gc --grace 0s
json 0 parity/summary "$HF" parity
is "two rows stay two" 2 "$(field 'o["rows"]')"
expect 2 "no rows" "$HF" parity --rows 0
rot "$(largest pk 1)" 100
rot "$(largest pk 2)" 100
expect 0 "two packs of a group" "$HF" repair
expect 0 "verify with data" "$HF" verify --data
expect 2 "keyless and data" "$HF" repair --keyless --data

# what snapshots need is in a pack alone that collection is about to delete: it is taken over
rm -rf "$V" && cp -a "$SCRATCH/bare" "$V"
rm -rf "$SCRATCH/state"
expect 0 "fourth backup" "$HF" backup --source a "$SCRATCH/src"
expect 0 "retention" "$HF" retention apply --keep-last 1 --min-keep 0s --approve test
find "$V/pk" -type f | sort >"$SCRATCH/packs"
expect 0 "collection repacks" "$HF" gc
repacked=$(find "$V/pk" -type f -size +500k | sort | comm -13 "$SCRATCH/packs" -)
is "one repacked pack" 1 "$(grep -c . <<<"$repacked")"
rm "$repacked"
expect 14 "verify misses its records" "$HF" verify
expect 14 "collection deletes nothing" "$HF" gc --grace 0s
json 0 repair/summary "$HF" repair
is "the records came out of the dead pack" True "$(field 'o["records_taken"] > 0')"
# collection took it out of the index already: nothing but its records was left to miss
is "the lost pack is nobody's any more" 0 "$(field 'o["replaced"] + o["open"]')"
expect 0 "verify" "$HF" verify --data
expect 0 "collection goes on" "$HF" gc --grace 0s
expect 0 "verify after it" "$HF" verify --data
json 0 repair/summary "$HF" repair
is "nothing is left to do" 0 "$(field 'o["lost"] + o["damaged"] + o["records_taken"]')"

# without any config nothing is backed up, and it is damage; a copy has it
rm "$V"/cf/*
expect 14 "verify without a config" "$HF" verify
says "verify without a config" "no readable config"
expect 14 "repair without a copy" "$HF" repair
expect 14 "nor is a new one begun" "$HF" key drill new line9 --out "$SCRATCH/line9"
expect 0 "repair from a copy" "$HF" repair --from "$SCRATCH/bare"
expect 0 "verify with it" "$HF" verify
finish
