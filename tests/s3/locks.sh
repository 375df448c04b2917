#!/bin/bash
# Object Lock on a real Ceph RGW that this script starts (make test-s3): what is locked, locks kept
# and left to run out, collection by version, and a vault that somebody destroyed with every right
# but time.  BUILD as the argument; PORT (19400) and 29 more.  Takes some minutes: a lock ends when
# it ends.
CLAIMS=${CLAIMS-1} # minutes: say how far it is; CLAIMS= for the sum alone
# shellcheck source=../e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
HERE=$TREE/tests/s3
PORT=${PORT:-19400}
RGW=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-rgw.XXXXXX") # its path stands in places of vaults
# shellcheck disable=SC2317 # the trap calls it
stop_all() {
	"$HERE/rgw.sh" wipe "$RGW" "$PORT" >/dev/null 2>&1
	rm -rf "$SCRATCH" "$RGW"
}
trap stop_all EXIT
"$HERE/rgw.sh" start "$RGW" "$PORT" || exit 1
set -a
# shellcheck disable=SC1091
. "$RGW/env"
set +a
S3=$HERE/s3.py
HTTP=s3:http://127.0.0.1:$PORT
for bucket in kept short weak ordinary; do
	"$S3" --make $bucket lock
done
"$S3" --make bare

DATA=$SCRATCH/data
mkdir "$DATA"
cp -r "$TREE/src" "$DATA/"
head -c 40000000 /dev/urandom >"$DATA/large"
new_vault() { # PLACE OPTION...
	local place=$1
	shift
	printf 'correct horse battery staple\n' >"$SCRATCH/pass"
	export HOLDFAST_PASSPHRASE_FILE=$SCRATCH/pass HOLDFAST_RECOVERY_FILE
	HOLDFAST_RECOVERY_FILE=$SCRATCH/$(printf '%s' "$place" | sha256sum | cut -c1-16).recovery
	expect 0 "init $place" "$HF" init --vault "$place" "$@" \
		--recovery-file "$HOLDFAST_RECOVERY_FILE"
}
restores() { # NAME PLACE SNAPSHOT DIRECTORY: it comes back as the directory is
	rm -rf "$SCRATCH/back"
	expect 0 "$1: restore" "$HF" restore "$3" --to "$SCRATCH/back" --vault "$2"
	expect 0 "$1: equal" diff -r "$4" "$SCRATCH/back$DATA"
}
ids() { # PLACE: the ids of its snapshots, the oldest first
	"$HF" snapshot list --vault "$1" --json |
		python3 -c 'import json, sys
for line in sys.stdin:
	o = json.loads(line)
	for s in o.get("snapshots", [o]):
		if "id" in s: print(s["id"])'
}

# ---- a bucket without locks is refused
expect 2 "init without locks" "$HF" init --vault "$HTTP/bare/x" --lock compliance:1d \
	--recovery-file "$SCRATCH/none"
says "init without locks" "does not lock objects"

# ---- what is locked
V=$HTTP/kept/plant/x
new_vault "$V" --lock compliance:1d
expect 0 "backup" "$HF" backup --vault "$V" --source s "$DATA"
cp -r "$DATA" "$SCRATCH/first"
head -c 3000000 /dev/urandom >"$DATA/more"
rm -r "$DATA/src/cmd"
expect 0 "second backup" "$HF" backup --vault "$V" --source s "$DATA"
cp -r "$DATA" "$SCRATCH/second"
for class in README.txt vh ks cf pk rf ev sn; do
	expect 0 "locks of $class" "$S3" --locks kept "plant/x/$class"
	says "locks of $class" " 0 not"
	says "locks of $class" "COMPLIANCE"
done
for class in ix se; do
	expect 0 "locks of $class" "$S3" --locks kept "plant/x/$class/"
	says "locks of $class" "0 locked"
done
json 0 vault-info "$HF" vault info --vault "$V"
expect 0 "info" "$HF" vault info --vault "$V"
says "info" "lock            compliance:86400s"
says "info" "0 for too short, 0 not"
json 0 vault-lock "$HF" vault lock --vault "$V"
expect 0 "nothing to do" "$HF" vault lock --vault "$V"
says "nothing to do" "0 locked anew"
expect 0 "verify" "$HF" verify --vault "$V"
first=$(ids "$V" | sed -n 1p)
second=$(ids "$V" | sed -n 2p)

expect 0 "prove" "$HF" vault prove-immutability --vault "$V"
says "prove" "kept: the store withstood our own key"

# ---- only the snapshots are taken: collection stops, and they come back
expect 0 "hide" "$S3" --destroy kept plant/x/sn/
expect 14 "gc stops" "$HF" gc --vault "$V" --accept-rollback
says "gc stops" "nobody pruned it"
says "gc stops" "removed or replaced by somebody" # the locks were seen to all the same
expect 3 "hidden locks" "$HF" vault lock --vault "$V" --accept-rollback
json 0 vault-undelete/summary "$HF" vault undelete --vault "$V"
restores "snapshots back" "$V" "$second" "$SCRATCH/second"
expect 0 "gc goes on" "$HF" gc --vault "$V"

# ---- somebody with every right: deletes all versions that he can, shortens locks, overwrites and
# deletes all that is left
expect 0 "by force" "$S3" --force kept plant/
says "by force" "versions gone"
kept=$(sed -n 's/.*gone, \([0-9]*\) kept/\1/p' <<<"$OUT")
if [ "${kept:-0}" -gt 15 ]; then ok; else not_ok "by force: only '$kept' were kept" "$OUT"; fi
expect 0 "shorten" "$S3" --shorten kept plant/x/pk/
says "shorten" "0 shortened"
expect 0 "destroy" "$S3" --destroy kept plant/
expect 10 "the vault is gone" "$HF" snapshot list --vault "$V"
restores "behind it, the first" "$V?view=oldest" "$first" "$SCRATCH/first"
restores "behind it, the second" "$V?view=oldest" "$second" "$SCRATCH/second"
printf 'holdfast s3 1\nversioning=yes\nlock=governance:60s\n' |
	"$S3" PUT /kept/plant/x/tmp/s3 >/dev/null
expect 3 "locks without a key" "$HF" vault lock --all --vault "$V"
says "locks without a key" "goes on with compliance:86400s"
expect 3 "locks without a key, by the owner's word" "$HF" vault lock --all --policy compliance:1d --vault "$V"
expect 0 "undelete, dry" "$HF" vault undelete --dry-run --vault "$V"
says "undelete, dry" "2 snapshots"
expect 10 "nothing was changed" "$HF" snapshot list --vault "$V"
json 0 vault-undelete/summary "$HF" vault undelete --vault "$V"
expect 0 "undelete again" "$HF" vault undelete --vault "$V"
says "undelete again" "0 objects (0 B) are back"
expect 0 "repair" "$HF" repair --vault "$V"
expect 0 "healed: verify" "$HF" verify --data --vault "$V"
restores "healed, the first" "$V" "$first" "$SCRATCH/first"
restores "healed, the second" "$V" "$second" "$SCRATCH/second"
expect 0 "healed: backup" "$HF" backup --vault "$V" --source s "$DATA"
expect 0 "healed: gc" "$HF" gc --vault "$V"
expect 0 "healed: lock" "$HF" vault lock --vault "$V"
expect 0 "healed: verify again" "$HF" verify --vault "$V"

# ---- an ordinary key, which may not delete versions: it collects and heals what it can
O=$HTTP/ordinary/x
new_vault "$O" --lock compliance:1d
expect 0 "ordinary: policy" "$S3" --ordinary ordinary
expect 0 "ordinary: backup" "$HF" backup --vault "$O" --source s "$DATA/src"
expect 0 "ordinary: gc" "$HF" gc --vault "$O" --grace 0s
says "ordinary: gc" "this key may not delete versions"
expect 0 "ordinary: destroy" "$S3" --destroy ordinary x/
expect 0 "ordinary: by force" "$S3" --force ordinary x/
says "ordinary: by force" "0 versions gone"
expect 10 "ordinary: gone" "$HF" snapshot list --vault "$O"
expect 0 "ordinary: undelete" "$HF" vault undelete --vault "$O"
expect 0 "ordinary: repair" "$HF" repair --vault "$O"
expect 0 "ordinary: verify" "$HF" verify --data --vault "$O"
expect 0 "ordinary: backup again" "$HF" backup --vault "$O" --source s "$DATA/src"
expect 0 "ordinary: locks" "$S3" --locks ordinary x/pk/
says "ordinary: locks" " 0 not"

# ---- GOVERNANCE keeps from whoever has no right to end it, and from nobody else
W=$HTTP/weak/x
new_vault "$W" --lock governance:1h
expect 0 "governance: backup" "$HF" backup --vault "$W" --source s "$DATA/src"
expect 0 "governance: by force" "$S3" --force weak x/pk/
says "governance: by force" "0 versions gone"
expect 0 "to compliance" "$HF" vault lock --policy compliance:1h --vault "$W"
expect 0 "to compliance: locks" "$S3" --locks weak x/pk/
says "to compliance: locks" "COMPLIANCE"
expect 0 "compliance: bypass" "$S3" --bypass weak x/pk/
says "compliance: bypass" "0 versions gone"

# ---- somebody shortens what is noted: this host goes on with what it saw, until the owner speaks
goes_on() { # NAME COMMAND...
	expect 3 "note: $1" "${@:2}" --vault "$W"
	says "note: $1" "goes on with compliance:3600s"
}
printf 'holdfast s3 1\nversioning=no\nlock=governance:60s\n' |
	"$S3" PUT /weak/x/tmp/s3 >/dev/null
head -c 100000 /dev/urandom >"$DATA/src/noise"
goes_on backup "$HF" backup --source s "$DATA/src"
goes_on verify "$HF" verify
goes_on gc "$HF" gc
goes_on "lock --all" "$HF" vault lock --all
expect 3 "note: repair --keyless" "$HF" repair --keyless --vault "$W"
says "note: repair --keyless" "goes on with compliance:3600s"
for class in pk rf ev sn; do
	expect 0 "note: $class" "$S3" --force weak x/$class/
	says "note: $class" "0 versions gone"
	expect 0 "note: bypass $class" "$S3" --bypass weak x/$class/
	says "note: bypass $class" "0 versions gone"
done
printf 'holdfast s3 1\nversioning=yes\nobject-lock=yes\nobject-lock-kept=yes\nlock=compliance:3153600000s\n' |
	"$S3" PUT /weak/x/tmp/s3 >/dev/null
goes_on "a hundred years" "$HF" verify
expect 0 "note: the owner's word" "$HF" vault lock --policy compliance:1h --vault "$W"
expect 0 "note: over" "$HF" verify --vault "$W"

# ---- time: locks of what is needed are made anew, those of what is not run out, and it goes
T=$HTTP/short/x
new_vault "$T" --lock compliance:1m
began=$(date +%s)
until_s() { # SECONDS since it began
	local left=$((began + $1 - $(date +%s)))
	[ $left -le 0 ] || sleep $left
}
expect 0 "short: backup" "$HF" backup --vault "$T" --source s "$SCRATCH/first"
expect 0 "short: another" "$HF" backup --vault "$T" --source s "$SCRATCH/second"
expect 0 "short: prune" "$HF" retention apply --vault "$T" --keep-last 1 --min-keep 0s \
	--approve "the test"
for _ in 1 2 3; do
	expect 0 "short: gc" "$HF" gc --vault "$T" --grace 0s
done
says "short: gc" "as long as they are locked, the last until"
json 0 gc "$HF" gc --vault "$T" --grace 0s
until_s 75
expect 3 "short: ends soon" "$HF" verify --vault "$T"
says "short: ends soon" "for too short"
expect 0 "short: lock" "$HF" vault lock --vault "$T"
expect 0 "short: locked anew" "$HF" vault lock --vault "$T"
says "short: locked anew" "0 locked anew"
until_s 150
key=$("$S3" GET "/short/?list-type=2&prefix=x/sn/" </dev/null | grep -o 'x/sn/[0-9a-f][^<]*')
expect 0 "short: what is needed" "$S3" --force short "$key"
says "short: what is needed" "0 versions gone, 1 kept"
expect 0 "short: gc at the end" "$HF" gc --vault "$T" --grace 0s
says "short: gc at the end" "old versions"
expect 0 "short: all that is left is read" "$S3" --versions short x/
says "short: all that is left is read" "0 hidden"
expect 0 "short: the pruned one is gone for good" "$HF" snapshot list --vault "$T?view=oldest"
says "short: the pruned one is gone for good" "1 snapshot"
expect 0 "short: verify" "$HF" verify --data --vault "$T"
finish
