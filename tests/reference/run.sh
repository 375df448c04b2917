#!/bin/bash
# The independent Python reader against the C program: known answers, then a real vault with the
# nasty tree and this source tree in it, every file of it read and its digest compared.
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${1:-$here/../../build/release}" && pwd)
tree=$(cd "$here/../.." && pwd)
scratch=$(mktemp -d "${TMPDIR:-/tmp}/holdfast reference.XXXXXX")
trap 'chmod -R u+rwx "$scratch" 2>/dev/null; rm -rf "$scratch"' EXIT
export HOLDFAST_CONFIG_DIR=$scratch/config HOLDFAST_STATE_DIR=$scratch/state
export HOLDFAST_CACHE_DIR=$scratch/cache HOLDFAST_PASSPHRASE_FILE=$scratch/pass
export PYTHONDONTWRITEBYTECODE=1
passed=0 failed=0
step() { # name command...
	local name=$1 out
	shift
	if out=$("$@" 2>&1 </dev/null); then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL: $name"
		printf '%s\n' "$out" | tail -n 30
	fi
}
step "known answers" python3 "$here/test_hf1.py"
[ ! -e "$here/test_hf1_tree.py" ] || step "known answers of the tree" python3 "$here/test_hf1_tree.py"
if command -v systemd-analyze >/dev/null; then
	step "due times as systemd has them" python3 "$here/duetimes.py" "$build/tools/duetimes"
else
	echo "reference: no systemd-analyze here, due times are not compared"
fi
echo 'correct horse' >"$scratch/pass"
mkdir "$scratch/src"
cp -r "$tree/src" "$tree/docs" "$scratch/src"
head -c 20000000 /dev/urandom >"$scratch/src/noise.bin"
python3 - "$scratch/src/records.bin" <<'PY'
import struct, sys
with open(sys.argv[1], "wb") as f:
    for i in range(120000):
        f.write(struct.pack("<QdQ", 1700000000000 + 1000 * i, 20 + (i % 37) / 8, 192))
PY
truncate -s 50M "$scratch/src/hole.img"
vault=$scratch/vault
step "init" "$build/holdfast" init --vault "$vault" --recovery-file "$scratch/recovery" \
	--drill-group line3 --drill-key-out "$scratch/drill.key"
step "backup" "$build/holdfast" backup --vault "$vault" --source s --tag t "$scratch/src"
echo changed >>"$scratch/src/docs/FORMAT.md"
rm "$scratch/src/noise.bin"
step "second backup" "$build/holdfast" backup --vault "$vault" --source s "$scratch/src"
step "python reads the whole vault" python3 "$here/hf1.py" open-store "$vault" \
	--recovery-file "$scratch/recovery" --passphrase-file "$scratch/pass" --tree
step "parity" "$build/holdfast" parity --vault "$vault" --rows 2
step "python checks the parity" python3 "$here/hf1_parity.py" "$vault"
# what retention and collection leave: an order's records, dead packs in their grace, a verdict
count() { find "$vault/$1" -type f 2>/dev/null | wc -l; }
python_reads() {
	step "python reads $1" python3 "$here/hf1.py" open-store "$vault" \
		--recovery-file "$scratch/recovery" --passphrase-file "$scratch/pass" --tree
}
step "third backup" "$build/holdfast" backup --vault "$vault" --source s "$scratch/src"
step "copy" "$build/holdfast" copy --vault "$vault" --to "$scratch/replica" --init latest --source s
step "retention" "$build/holdfast" retention apply --vault "$vault" --keep-last 1 --min-keep 0s \
	--approve test
step "there are pruned records" test "$(count hs)" -eq 1
python_reads "a pruned vault"
mkfifo "$scratch/fifo"
exec 9<>"$scratch/fifo"
"$build/holdfast" backup --vault "$vault" --source slow --stdin <"$scratch/fifo" 9<&- &
slow=$!
for _ in $(seq 100); do
	"$build/holdfast" vault info --vault "$vault" | grep -q '1 backups' && break
	sleep 0.1
done
kill -9 $slow
wait $slow 2>/dev/null
exec 9<&-
step "collection waits" "$build/holdfast" gc --vault "$vault"
step "there are a condemned list and waits" test "$(count gc)" -eq 2
python_reads "a vault with condemned packs"
step "collection fences" "$build/holdfast" gc --vault "$vault" --fence-after 0s
step "there is a verdict" test "$(count gc)" -eq 1
step "there are dead packs" test "$(count dd)" -ge 1
python_reads "a vault with dead packs"
step "collection deletes" "$build/holdfast" gc --vault "$vault" --grace 0s
step "nothing is dead" test "$(count dd)" -eq 0
python_reads "a collected vault"
step "parity after it" "$build/holdfast" parity --vault "$vault" --rows 2
step "python checks that parity" python3 "$here/hf1_parity.py" "$vault"
step "rotation" "$build/holdfast" key rotate --vault "$vault" --recovery-file "$scratch/recovery"
step "backup in the new epoch" "$build/holdfast" backup --vault "$vault" --source s "$scratch/src"
python_reads "a vault of two epochs"
printf 'another\n' >"$scratch/pass2"
step "second recovery key" "$build/holdfast" key recovery new --vault "$vault" \
	--recovery-file "$scratch/recovery" --out "$scratch/second" --new-passphrase-file "$scratch/pass2"
step "rewrap" "$build/holdfast" key rewrap --vault "$vault" --recovery-file "$scratch/recovery"
step "there is one object of envelopes" test "$(count rw)" -eq 1
step "python reads it by the second key alone" python3 "$here/hf1.py" open-store "$vault" \
	--recovery-file "$scratch/second" --passphrase-file "$scratch/pass2" --tree
python_reads "a vault of two recovery keys"
step "copy of it" "$build/holdfast" copy --vault "$vault" --to "$scratch/replica" --all
vault=$scratch/replica
python_reads "a replica with links of a chain"
echo "reference: $passed passed, $failed failed"
[ $failed -eq 0 ]
