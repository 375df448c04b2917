#!/bin/bash
# Copies of a vault from outside: begun, killed at many calls and gone on with, pruned and collected
# at either end, restored with nothing but the recovery file.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
V=$SCRATCH/vault
R=$SCRATCH/replica

holds() { # name EXPRESSION over o, the last object of the last json
	local got
	got=$(python3 -c '
import json, sys
o = [json.loads(l) for l in open(sys.argv[1])][-1]
print(eval(sys.argv[2]))' "$SCRATCH/json" "$2")
	if [ "$got" = True ]; then ok; else not_ok "$1 ($2)" "$(cat "$SCRATCH/json")"; fi
}
whole() { # name STORE SNAP WANT: verified, and restored on a host that has nothing else
	expect 0 "$1: verify" "$HF" verify --vault "$2"
	rm -rf "$SCRATCH/back"
	expect 0 "$1: restore" env HOLDFAST_CONFIG_DIR="$SCRATCH/none" HOLDFAST_STATE_DIR="$SCRATCH/none" \
		"$HF" restore "$3" --vault "$2" --to "$SCRATCH/back"
	expect 0 "$1: equal" "$TOOLS/treecmp" "$4" "$SCRATCH/back$S"
}

cd "$SCRATCH" || exit 1
new_vault "$V"
S=$SCRATCH/src
mkdir -p "$S/batch"
head -c 900000 /dev/urandom >"$S/shard.arc"
for i in 1 2 3; do
	printf 'batch %d\n' "$i" >"$S/batch/$i.evt"
	head -c 300000 /dev/urandom >"$S/recipe"
	expect 0 "backup $i" "$HF" backup --vault "$V" --source line3 "$S"
	cp -a "$S" "$SCRATCH/day$i"
done
mapfile -t ids < <("$HF" snapshot list --vault "$V" --json | python3 -c '
import json, sys
for s in json.load(sys.stdin)["snapshots"]:
    print(s["id"])')

# ---- what is refused
expect 2 "no place" "$HF" copy --vault "$V" --all
expect 2 "nothing named" "$HF" copy --vault "$V" --to "$R"
expect 10 "no copy there yet" "$HF" copy --vault "$V" --to "$R" --all
mkdir "$SCRATCH/photos"
: >"$SCRATCH/photos/1.jpg"
expect 1 "other things are there" "$HF" copy --vault "$V" --to "$SCRATCH/photos" --init --all
expect 0 "another vault" "$HF" init --vault "$SCRATCH/other" --recovery-file "$SCRATCH/other.recovery"
expect 12 "into another vault" "$HF" copy --vault "$V" --to "$SCRATCH/other" --all
says "into another vault" "restore and backup"

# ---- the vault itself, by another name
ln -s "$V" "$SCRATCH/alias"
for itself in "$V" "file:$V/" "$SCRATCH/alias" "$SCRATCH/photos/../vault"; do
	expect 2 "the vault itself: $itself" "$HF" copy --vault "$V" --to "$itself" --all
	says "the vault itself: $itself" "the vault itself"
done

# ---- killed at every few calls, each time gone on with by a run that is killed later
take_shim
FAULTSHIM_COUNT=$SCRATCH/count LD_PRELOAD=$SHIM "$HF" copy --vault "$V" --to "$SCRATCH/counted" \
	--init --all >/dev/null 2>&1
calls=$(cat "$SCRATCH/count")
if [ "$calls" -gt 40 ]; then ok; else not_ok "only $calls calls counted"; fi
for ((n = 3; n < calls; n += calls / 12)); do
	FAULTSHIM_AT=$n FAULTSHIM_MODE=kill LD_PRELOAD=$SHIM "$HF" copy --vault "$V" --to "$R" \
		--init --all >"$SCRATCH/out" 2>&1
	rc=$?
	[ $rc -eq 137 ] || [ $rc -eq 0 ] || not_ok "kill at $n: exit $rc" "$(cat "$SCRATCH/out")"
	if compgen -G "$R/vh/*" >/dev/null; then
		expect 0 "kill at call $n: verify" "$HF" verify --vault "$R"
	fi
done 2>/dev/null
json 0 copy "$HF" copy --vault "$V" --to "$R" --init --all
holds "all are there" 'o["snapshots"] + o["there"] == 3 and o["failed"] == 0'
for i in 1 2 3; do
	whole "snapshot $i of the copy" "$R" "${ids[i - 1]}" "$SCRATCH/day$i"
done
json 0 copy "$HF" copy --vault "$V" --to "$R" --all
holds "nothing is sent twice" 'o["there"] == 3 and o["records"] == 0'

# ---- read back, and no faster than it may be
json 0 copy "$HF" copy --vault "$V" --to "$SCRATCH/slow" --init --all --limit-upload 512KiB
holds "all of it was read back" 'o["read_back_objects"] > 3 and o["read_back_bytes"] >= o["bytes"] > 0'
holds "at half a MiB a second" 'o["duration_s"] >= o["bytes"] / 524288 * 0.95'
expect 2 "a limit that nobody means" "$HF" copy --vault "$V" --to "$SCRATCH/slow" --all --limit-upload 9
says "a limit that nobody means" "at least 64KiB"

# ---- a copy of the newest alone: its chain is whole
json 0 copy "$HF" copy --vault "$V" --to "$SCRATCH/one" --init latest --source line3
holds "one and its links" 'o["snapshots"] == 1 and o["chain_records"] == 2'
whole "the newest alone" "$SCRATCH/one" latest "$SCRATCH/day3"

# ---- each end prunes for itself; the copy is behind and has not gone back
keep=(--min-keep 0s --approve "move to line 4")
expect 0 "prune the vault" "$HF" retention apply --vault "$V" --keep-last 1 "${keep[@]}"
expect 0 "collect the vault" "$HF" gc --vault "$V" --grace 0s
whole "the copy keeps what the vault pruned" "$R" "${ids[0]}" "$SCRATCH/day1"
printf 'batch 4\n' >"$S/batch/4.evt"
expect 0 "backup 4" "$HF" backup --vault "$V" --source line3 "$S"
cp -a "$S" "$SCRATCH/day4"
expect 0 "the copy is behind" "$HF" snapshot list --vault "$R"
expect 14 "no backup to it" "$HF" backup --vault "$R" --source line3 "$S"
expect 0 "prune the copy" "$HF" retention apply --vault "$R" --keep-last 1 "${keep[@]}"
expect 0 "collect the copy" "$HF" gc --vault "$R" --grace 0s
json 0 copy "$HF" copy --vault "$V" --to "$R" --source line3
holds "the new one alone" 'o["snapshots"] == 1 and o["there"] == 1 and o["pruned"] == 0'
whole "the newest of the copy" "$R" latest "$SCRATCH/day4"
expect 0 "prune the copy again" "$HF" retention apply --vault "$R" --keep-last 1 "${keep[@]}"
json 0 copy "$HF" copy --vault "$V" --to "$R" --all
holds "what is pruned there stays away" 'o["snapshots"] == 0 and o["pruned"] == 1'
json 0 copy "$HF" copy --vault "$V" --to "$R" "${ids[2]}"
holds "unless it is named" 'o["snapshots"] == 1'
whole "named" "$R" "${ids[2]}" "$SCRATCH/day3"
whole "the vault" "$V" latest "$SCRATCH/day4"

# ---- a copy that lost what it lists is no copy
cp -a "$R" "$SCRATCH/lossy"
cp -a "$R" "$SCRATCH/whole"
one=$(find "$SCRATCH/lossy/pk" -type f | head -n 1)
rm "$one"
expect 3 "a pack of the copy is gone" "$HF" copy --vault "$V" --to "$SCRATCH/lossy" --all
says "a pack of the copy is gone" "lost 1 packs"
whole "what it held is sent again" "$SCRATCH/lossy" "${ids[2]}" "$SCRATCH/day3"
expect 0 "the pack is given up" "$HF" repair --vault "$SCRATCH/lossy"
expect 0 "and the copy says so" "$HF" copy --vault "$V" --to "$SCRATCH/lossy" --source line3
rm -rf "$SCRATCH/lossy/pk"
mv "$V/rf" "$SCRATCH/rf"
json 3 copy "$HF" copy --vault "$V" --to "$SCRATCH/lossy" --all
holds "what cannot be sent again is not there" 'o["there"] == 0 and o["failed"] > 1'
mv "$SCRATCH/rf" "$V/rf"
json 3 copy "$HF" copy --vault "$V" --to "$SCRATCH/lossy" "${ids[2]}"
holds "it is sent again" 'o["there"] == 1 and o["failed"] == 1'
whole "sent again, with what was not named" "$SCRATCH/lossy" "${ids[2]}" "$SCRATCH/day3"
rm -rf "$SCRATCH/lossy/pk" "$SCRATCH/lossy/ix"
for try in first second; do
	expect 14 "$try: without its index" "$HF" copy --vault "$V" --to "$SCRATCH/lossy" --all
	says "$try: without its index" "lost its index: nothing was sent"
done
expect 0 "all of it is brought back" "$HF" repair --vault "$SCRATCH/lossy" --from "$SCRATCH/whole"
whole "a copy that had lost all" "$SCRATCH/lossy" "${ids[2]}" "$SCRATCH/day3"

# ---- a copy that was set back is told
cp -a "$R" "$SCRATCH/aside"
printf 'batch 5\n' >"$S/batch/5.evt"
expect 0 "backup 5" "$HF" backup --vault "$V" --source line3 "$S"
expect 0 "copy 5" "$HF" copy --vault "$V" --to "$R" --all
rm -rf "$R"
mv "$SCRATCH/aside" "$R"
expect 14 "the copy went back" "$HF" copy --vault "$V" --to "$R" --all
expect 3 "accepted" "$HF" copy --vault "$V" --to "$R" --all --accept-rollback
expect 0 "and up to date again" "$HF" copy --vault "$V" --to "$R" --all

# ---- a new epoch of the keys
key=$(echo "$HOLDFAST_CONFIG_DIR"/*/writer.key)
for k in "$HOLDFAST_CONFIG_DIR"/*/writer.key; do # of the two vaults the one that opens this one
	"$HF" key show --vault "$V" --writer-key "$k" >/dev/null 2>&1 && key=$k
done
cp "$key" "$SCRATCH/old.key"
json 0 key-rotate "$HF" key rotate --vault "$V"
holds "the second epoch" 'o["kv_epoch"] == 2'
expect 12 "the old writer key" "$HF" snapshot list --vault "$V" --writer-key "$SCRATCH/old.key"
says "the old writer key" "key writer new"
printf 'batch 6\n' >"$S/batch/6.evt"
expect 0 "backup 6" "$HF" backup --vault "$V" --source line3 "$S"
whole "a snapshot of the new epoch" "$V" latest "$S"
whole "a snapshot of the old epoch" "$V" "${ids[2]}" "$SCRATCH/day3"
expect 14 "a copy that has not the new epoch" "$HF" snapshot list --vault "$R"
expect 0 "copy 6" "$HF" copy --vault "$V" --to "$R" --all
whole "a copy of two epochs" "$R" latest "$S"
whole "its old epoch" "$R" "${ids[2]}" "$SCRATCH/day3"
finish
