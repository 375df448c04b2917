#!/bin/bash
# Read a file from a mounted vault and from its restored copy, in order and at random, in one run:
# the ratios are the result.  Needs FUSE.  BENCH_MIB (default 512): size of the file, half of it
# text that compresses.
set -eu
build=$(cd "$1" && pwd)
check=$(cd "$(dirname "$0")/../e2e" && pwd)/mount_check.py
mib=${BENCH_MIB:-512}
scratch=$(mktemp -d)
end_all() {
	[ -z "${mounter:-}" ] || kill "$mounter" 2>/dev/null || true
	wait 2>/dev/null || true
	rm -rf "$scratch"
}
trap end_all EXIT
export HOLDFAST_CONFIG_DIR=$scratch/config HOLDFAST_STATE_DIR=$scratch/state
export HOLDFAST_CACHE_DIR=$scratch/cache HOLDFAST_PASSPHRASE_FILE=$scratch/pass
export HOLDFAST_RECOVERY_FILE=$scratch/recovery HOLDFAST_VAULT=$scratch/vault
echo 'correct horse battery staple' >"$scratch/pass"
mkdir "$scratch/data" "$scratch/mnt"
{
	openssl enc -aes-128-ctr -pass pass:bench -nosalt -pbkdf2 -in /dev/zero 2>/dev/null |
		head -c "$((mib / 2))M" || true
	seq -f 'tag %.0f value 230.1 V quality good' 1 100000000 | head -c "$((mib / 2))M" || true
} >"$scratch/data/disk.img"
"$build/holdfast" init --vault "$scratch/vault" --recovery-file "$scratch/recovery" >/dev/null
"$build/holdfast" backup -q --source bench "$scratch/data" >/dev/null
"$build/holdfast" restore -q latest --to "$scratch/back" >/dev/null
"$build/holdfast" mount --snapshot latest "$scratch/mnt" >"$scratch/out" &
mounter=$!
until grep -q 'mounted at' "$scratch/out"; do
	kill -0 "$mounter" || exit 1
	sleep 0.05
done
begin=$(awk '{ print $14 + $15 }' "/proc/$mounter/stat")
"$check" bench "$scratch/back$scratch/data/disk.img" "$scratch/mnt$scratch/data/disk.img"
end=$(awk '{ print $14 + $15 }' "/proc/$mounter/stat")
echo "CPU of the mount $((end - begin)) ticks of $(getconf CLK_TCK) a second;" \
	"$(grep RssAnon "/proc/$mounter/status" | tr -s '[:space:]' ' ')"
