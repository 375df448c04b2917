#!/bin/bash
# kill -9 and an I/O error at every file-changing call of a small backup, and a full disk: earlier
# snapshots restore, verify is clean, the next run succeeds.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
V=$SCRATCH/vault
new_vault "$V"
export HOLDFAST_VAULT=$V
take_shim

mkdir -p "$SCRATCH/src/sub"
for i in 1 2 3 4 5; do
	printf 'batch %d\nEnd Of BATCH\n' "$i" >"$SCRATCH/src/sub/$i.evt"
done
head -c 600000 /dev/urandom >"$SCRATCH/src/shard.arc"
cp -a "$SCRATCH/src" "$SCRATCH/first"
expect 0 "first backup" "$HF" backup --source s "$SCRATCH/src"
first=$("$HF" snapshot list --json | python3 -c '
import json, sys
print(json.load(sys.stdin)["snapshots"][0]["id"])')

change() { printf '%s\n' "$1" >>"$SCRATCH/src/sub/1.evt"; }

check_whole() { # name
	expect 0 "$1: verify" "$HF" verify
	rm -rf "$SCRATCH/back"
	expect 0 "$1: the first snapshot restores" "$HF" restore "$first" --to "$SCRATCH/back"
	expect 0 "$1: and is equal" "$TOOLS/treecmp" "$SCRATCH/first" "$SCRATCH/back$SCRATCH/src"
}

change count
FAULTSHIM_COUNT=$SCRATCH/count LD_PRELOAD=$SHIM "$HF" backup --source s "$SCRATCH/src" >/dev/null 2>&1
calls=$(cat "$SCRATCH/count")
if [ "$calls" -gt 20 ]; then ok; else not_ok "only $calls calls counted"; fi

for mode in kill eio; do
	for ((n = 1; n <= calls; n++)); do
		change "$mode $n"
		FAULTSHIM_AT=$n FAULTSHIM_MODE=$mode LD_PRELOAD=$SHIM \
			"$HF" backup --source s "$SCRATCH/src" >"$SCRATCH/out" 2>&1
		rc=$?
		if [ $mode = kill ]; then
			[ $rc -eq 137 ] || [ $rc -eq 0 ] || not_ok "kill at $n: exit $rc" "$(cat "$SCRATCH/out")"
		elif [ $rc -ne 0 ] && ! grep -q 'holdfast: ' "$SCRATCH/out"; then
			not_ok "eio at $n: exit $rc without a word" "$(cat "$SCRATCH/out")"
		fi
		expect 0 "$mode at call $n: verify" "$HF" verify
		if [ $((n % 8)) -eq 0 ]; then
			check_whole "$mode at call $n"
			expect 0 "$mode at call $n: next backup" "$HF" backup --source s "$SCRATCH/src"
		fi
	done
	# (the shell's own "Killed" lines go nowhere, see the redirection of the loop)
	check_whole "after all of $mode"
	expect 0 "after all of $mode: next backup" "$HF" backup --source s "$SCRATCH/src"
done 2>/dev/null
rm -rf "$SCRATCH/now"
expect 0 "restore of the newest" "$HF" restore latest --to "$SCRATCH/now"
expect 0 "newest is equal" "$TOOLS/treecmp" "$SCRATCH/src" "$SCRATCH/now$SCRATCH/src"

# a full disk, from several points on
for n in 3 9 15 21 27; do
	change "full $n"
	FAULTSHIM_AT=$n FAULTSHIM_MODE=enospc LD_PRELOAD=$SHIM \
		"$HF" backup --source s --no-cache "$SCRATCH/src" >"$SCRATCH/out" 2>&1
	rc=$?
	OUT=$(cat "$SCRATCH/out")
	if [ $rc -eq 1 ]; then ok; else not_ok "full disk from call $n: exit $rc" "$OUT"; fi
	says "full disk from call $n" "No space left on device"
	says "full disk from call $n" "hint:"
done
check_whole "after a full disk"

# an object that grew past every limit is damage like any other, and only a lost index costs nothing
for class in vh ks pk ix rf ev sn cf se; do
	rm -rf "$SCRATCH/grown"
	cp -a "$HOLDFAST_VAULT" "$SCRATCH/grown"
	victim=$(find "$SCRATCH/grown/$class" -type f | sort | tail -n 1)
	chmod u+w "$victim"
	truncate -s 70M "$victim"
	expect 14 "verify of a grown $class object" "$HF" verify --vault "$SCRATCH/grown"
	says "verify of a grown $class object" "${victim#"$SCRATCH/grown/"}"
	[ "$class" = ix ] || continue
	rm -rf "$SCRATCH/grown-back"
	expect 0 "restore with a grown index object" "$HF" restore latest --source s \
		--vault "$SCRATCH/grown" --to "$SCRATCH/grown-back"
done

# the real thing: a file system of 3 MiB
if [ "$(id -u)" -eq 0 ] && mkdir "$SCRATCH/tiny" &&
	mount -t tmpfs -o size=3m tmpfs "$SCRATCH/tiny" 2>/dev/null; then
	mkdir "$SCRATCH/tiny/v"
	new_vault "$SCRATCH/tiny/v"
	head -c 1500000 /dev/urandom >"$SCRATCH/a"
	head -c 2500000 /dev/urandom >"$SCRATCH/b"
	expect 0 "backup that fits" "$HF" backup --vault "$SCRATCH/tiny/v" --source t "$SCRATCH/a"
	expect 1 "backup that does not" "$HF" backup --vault "$SCRATCH/tiny/v" --source t "$SCRATCH/b"
	says "real full disk" "No space left on device"
	expect 0 "verify of the full store" "$HF" verify --vault "$SCRATCH/tiny/v"
	expect 0 "restore from the full store" "$HF" restore latest --vault "$SCRATCH/tiny/v" \
		--to "$SCRATCH/tiny-back"
	expect 0 "equal" cmp "$SCRATCH/a" "$SCRATCH/tiny-back$SCRATCH/a"
	umount "$SCRATCH/tiny"
fi
finish
