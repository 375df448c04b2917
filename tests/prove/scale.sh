#!/bin/bash
# scale.sh BUILD: the programs at the sizes that the issue of scale names: a directory of SCALE_FILES
# files of 1 KiB, and a file of SCALE_TIB TiB with holes and a few islands, each backed up, listed,
# restored, verified and backed up unchanged; then an index of SCALE_RECORDS records. Anonymous
# memory of every step stays within SCALE_MIB (96). Prints one line a step; nothing is left in
# SCALE_DIR (a new directory below TMPDIR or /var/tmp).
set -eu -o pipefail

BUILD=$(cd "$1" && pwd)
HF=$BUILD/holdfast
METER=$BUILD/bench/meter
FILES=${SCALE_FILES:-1000000}
TIB=${SCALE_TIB:-1}
RECORDS=${SCALE_RECORDS:-10000000}
LIMIT_MIB=${SCALE_MIB:-96}
DIR=${SCALE_DIR:-$(mktemp -d "${TMPDIR:-/var/tmp}/holdfast scale XXXXXX")}
FAILED=0

mkdir -p "$DIR"
trap 'rm -rf "$DIR"' EXIT
export HOLDFAST_CONFIG_DIR=$DIR/conf HOLDFAST_STATE_DIR=$DIR/state HOLDFAST_CACHE_DIR=$DIR/cache
export HOLDFAST_PASSPHRASE_FILE=$DIR/pass
(umask 077 && printf 'the passphrase of the proof' >"$DIR/pass")

# step NAME COUNT COMMAND..: run it, print what it took; COUNT files for the CPU of each, 0: none
step() {
	local name=$1 count=$2
	shift 2
	"$METER" "$DIR/cost" "$@" >"$DIR/out" 2>"$DIR/said" || true
	python3 - "$DIR/cost" "$name" "$count" "$LIMIT_MIB" <<'PY' || FAILED=1
import json, sys
cost = json.load(open(sys.argv[1]))
cpu, mib, count = cost["user_s"] + cost["sys_s"], cost["anon_kib"] / 1024, int(sys.argv[3])
each = f", {cpu / count * 1e6:.1f} us a file" if count else ""
print(f"prove-scale: {sys.argv[2]:32} anonymous {mib:6.1f} MiB, {cpu:8.2f} CPU-s{each}", flush=True)
sys.exit(cost["status"] != 0 or mib > float(sys.argv[4]))
PY
	if [ "$FAILED" = 1 ]; then
		echo "prove-scale: FAILED: $name" && cat "$DIR/said"
		exit 1
	fi
}

# content is opened with a drill key: a passphrase costs the 128 MiB of its scrypt
"$HF" init --vault "$DIR/vault" --recovery-file "$DIR/recovery" --drill-group proof \
	--drill-key-out "$DIR/drill.key" >/dev/null 2>&1

echo "prove-scale: a directory of $FILES files"
python3 - "$DIR/many" "$FILES" <<'PY'
import os, sys
os.makedirs(sys.argv[1])
top = os.open(sys.argv[1], os.O_RDONLY)
for i in range(int(sys.argv[2])):
    fd = os.open(f"batch-{i:07d}.csv", os.O_WRONLY | os.O_CREAT, 0o640, dir_fd=top)
    os.write(fd, (b"%07d;a line of a batch record;%09d\n" % (i, i * 7919)) * 24)
    os.close(fd)
PY
sleep 3 # what was written a moment ago is not remembered as unchanged
V=(--vault "$DIR/vault" --drill-key "$DIR/drill.key")
step "first backup" "$FILES" "$HF" backup --vault "$DIR/vault" --source many "$DIR/many"
step "unchanged" "$FILES" "$HF" backup --vault "$DIR/vault" --source many "$DIR/many"
step "unchanged again" "$FILES" "$HF" backup --vault "$DIR/vault" --source many "$DIR/many"
step "list" "$FILES" "$HF" snapshot ls -R "${V[@]}" --source many latest
[ "$(grep -c 'batch-' "$DIR/out")" = "$FILES" ] || { echo "prove-scale: FAILED: the list is short" && exit 1; }
step "verify" 0 "$HF" verify --vault "$DIR/vault"
step "verify --data" 0 "$HF" verify "${V[@]}" --data
step "restore" "$FILES" "$HF" restore "${V[@]}" --source many --to "$DIR/back" latest
"$BUILD/tools/treecmp" "$DIR/many" "$DIR/back$DIR/many" >"$DIR/out" || { head "$DIR/out"; echo "prove-scale: FAILED: the restored files differ"; exit 1; }
rm -rf "$DIR/back" "$DIR/many"

echo "prove-scale: a file of $TIB TiB with holes"
mkdir "$DIR/sparse"
python3 - "$DIR/sparse/image" "$TIB" <<'PY'
import sys
size = int(float(sys.argv[2]) * (1 << 40))
with open(sys.argv[1], "wb") as f:
    f.truncate(size)
    for i in range(64):
        f.seek(size // 64 * i + 4096 * i)
        f.write(b"island %02d " % i * 50000)
PY
sleep 3
step "sparse: first backup" 0 "$HF" backup --vault "$DIR/vault" --source sparse "$DIR/sparse"
step "sparse: unchanged" 0 "$HF" backup --vault "$DIR/vault" --source sparse "$DIR/sparse"
step "sparse: list" 0 "$HF" snapshot ls "${V[@]}" --source sparse latest
step "sparse: verify --data" 0 "$HF" verify "${V[@]}" --data
step "sparse: restore" 0 "$HF" restore "${V[@]}" --source sparse --to "$DIR/back" latest
python3 - "$DIR/sparse/image" "$DIR/back$DIR/sparse/image" <<'PY'
import os, sys
a, b = (os.open(p, os.O_RDONLY) for p in sys.argv[1:])
size = os.fstat(a).st_size
assert os.fstat(b).st_size == size, "another size"
assert os.fstat(b).st_blocks <= os.fstat(a).st_blocks + 64 * 2048, "holes were filled"
at = 0
while at < size:
    try:
        at = min(os.lseek(f, at, os.SEEK_DATA) for f in (a, b))
    except OSError:
        break
    assert os.pread(a, 1 << 20, at) == os.pread(b, 1 << 20, at), f"differs at {at}"
    at += 1 << 20
print("prove-scale: the sparse file is the same, its holes are holes")
PY
rm -rf "$DIR/back" "$DIR/sparse" "$DIR/vault"

echo "prove-scale: an index of $RECORDS records"
TMPDIR=$DIR "$BUILD/prove/scale_index" "$RECORDS" "$DIR/index" "$LIMIT_MIB"
echo "prove-scale: all within $LIMIT_MIB MiB of anonymous memory"
