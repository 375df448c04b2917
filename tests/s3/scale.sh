#!/bin/bash
# Several writers, each through a gateway of its own, one bucket, and collection at the same time, on
# a real Ceph RGW with two gateways (make test-s3; docs/SCALE.md): what was acknowledged is there,
# restores, and verifies; one of the gateways is killed meanwhile.  BUILD as the argument; PORT
# (19440) and 29 more; ROUNDS of each writer (8).
CLAIMS=${CLAIMS-1} # minutes: say how far it is; CLAIMS= for the sum alone
# shellcheck source=../e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
HERE=$TREE/tests/s3
PORT=${PORT:-19440}
ROUNDS=${ROUNDS:-8}
KEEP=3
RGW=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-rgw.XXXXXX")
# shellcheck disable=SC2317 # the trap calls it
stop_all() {
	"$HERE/rgw.sh" wipe "$RGW" "$PORT" >/dev/null 2>&1
	rm -rf "$SCRATCH" "$RGW"
}
trap stop_all EXIT
export STORE=bluestore MORE_GATEWAYS=1
"$HERE/rgw.sh" start "$RGW" "$PORT" || exit 1
set -a
# shellcheck disable=SC1091
. "$RGW/env"
set +a
"$HERE/s3.py" --make plain
A=s3:http://127.0.0.1:$PORT/plain/shared
B=s3:http://127.0.0.1:$((PORT + 5))/plain/shared
printf 'correct horse battery staple\n' >"$SCRATCH/pass"
export HOLDFAST_PASSPHRASE_FILE=$SCRATCH/pass HOLDFAST_RECOVERY_FILE=$SCRATCH/recovery
expect 0 "init" "$HF" init --vault "$A" --recovery-file "$HOLDFAST_RECOVERY_FILE"
host() { # host NAME COMMAND...: with a host's own keys, memory and cache
	local dir=$SCRATCH/host-$1
	shift
	HOLDFAST_CONFIG_DIR=$dir/config HOLDFAST_STATE_DIR=$dir/state HOLDFAST_CACHE_DIR=$dir/cache "$@"
}
for one in a b keeper; do
	mkdir -p "$SCRATCH/host-$one/config"
	cp -r "$HOLDFAST_CONFIG_DIR/." "$SCRATCH/host-$one/config/"
done
head -c 6000000 /dev/urandom >"$SCRATCH/common" # both hosts have it: it is stored once, or twice in a race

# writer NAME PLACE: ROUNDS backups, each kept beside its acknowledged id
writer() {
	local name=$1 place=$2 round id rc
	mkdir -p "$SCRATCH/src-$name"
	cp "$SCRATCH/common" "$SCRATCH/src-$name/common"
	for ((round = 1; round <= ROUNDS; round++)); do
		head -c 3000000 /dev/urandom >"$SCRATCH/src-$name/shard"
		printf 'batch %s %d\n' "$name" "$round" >"$SCRATCH/src-$name/batch-$((round % 4))"
		# busy: a session that collection gave up; unreachable: its gateway was just killed.  Both
		# say that nothing was acknowledged, and the backup is repeated.
		for _ in $(seq 20); do
			host "$name" "$HF" backup --vault "$place" --source "$name" --json \
				"$SCRATCH/src-$name" >"$SCRATCH/$name.out" 2>"$SCRATCH/$name.err"
			rc=$?
			[ $rc -eq 11 ] || [ $rc -eq 13 ] || break
			sleep 0.5
		done
		if [ $rc -ne 0 ]; then
			echo "round $round: exit $rc: $(cat "$SCRATCH/$name.err")" >>"$SCRATCH/$name.failed"
			continue
		fi
		id=$(python3 -c '
import json, sys
print([json.loads(l) for l in open(sys.argv[1]) if "\"summary\"" in l][-1]["snapshot_id"])' "$SCRATCH/$name.out")
		cp -r "$SCRATCH/src-$name" "$SCRATCH/seen-$name-$round"
		echo "$round $id" >>"$SCRATCH/$name.acknowledged"
	done
}
# the keeper prunes, collects and looks, all the time
keeper() {
	local n=0
	while [ ! -e "$SCRATCH/over" ]; do
		host keeper "$HF" retention apply --vault "$A" --keep-last "$KEEP" --min-keep 0s \
			--approve "a test" >"$SCRATCH/keeper.out" 2>&1 ||
			echo "retention: exit $?: $(cat "$SCRATCH/keeper.out")" >>"$SCRATCH/keeper.failed"
		host keeper "$HF" gc --vault "$A" --grace 0s >"$SCRATCH/keeper.out" 2>&1 ||
			echo "gc: exit $?: $(cat "$SCRATCH/keeper.out")" >>"$SCRATCH/keeper.failed"
		n=$((n + 1))
		echo "$n" >"$SCRATCH/keeper.rounds"
	done
}
writer a "$A" &
PID_A=$!
writer b "$B" &
PID_B=$!
keeper &
KEEPER=$!
sleep 4
kill -KILL "$(cat "$RGW/rgw-more1.pid")" # b's gateway, in the middle of what it does
sleep 1
"$HERE/rgw.sh" start "$RGW" "$PORT" >/dev/null 2>&1
wait "$PID_A" "$PID_B"
: >"$SCRATCH/over"
wait "$KEEPER"
for one in a b keeper; do
	if [ -e "$SCRATCH/$one.failed" ]; then not_ok "$one failed" "$(cat "$SCRATCH/$one.failed")"; else ok; fi
done
for one in a b; do
	count=$(wc -l <"$SCRATCH/$one.acknowledged")
	if [ "$count" -eq "$ROUNDS" ]; then ok; else not_ok "$one: $count of $ROUNDS acknowledged"; fi
done
echo "collections beside the writers: $(cat "$SCRATCH/keeper.rounds")"
if [ "$(cat "$SCRATCH/keeper.rounds")" -ge 3 ]; then ok; else not_ok "collection hardly ran beside them"; fi

# ---- nothing that was acknowledged is lost: of each source the newest, read through either gateway
expect 0 "the last prune" host keeper "$HF" retention apply --vault "$A" --keep-last "$KEEP" \
	--min-keep 0s --approve "a test"
for _ in 1 2 3; do
	expect 0 "the last collection" host keeper "$HF" gc --vault "$A" --grace 0s
done
for place in "$A" "$B"; do
	expect 0 "verify" host keeper "$HF" verify --data --vault "$place"
	says "verify" "$((2 * KEEP)) snapshots"
done
for one in a b; do
	while read -r round id; do
		rm -rf "$SCRATCH/back"
		expect 0 "$one $round" host keeper "$HF" restore "$id" --vault "$B" --to "$SCRATCH/back"
		expect 0 "$one $round is equal" diff -r "$SCRATCH/seen-$one-$round" \
			"$SCRATCH/back$SCRATCH/src-$one"
	done < <(tail -n "$KEEP" "$SCRATCH/$one.acknowledged")
done

# ---- a copy to another bucket, killed again and again, carries on and sends little twice
"$HERE/s3.py" --make second
C=s3:http://127.0.0.1:$((PORT + 5))/second/replica
kills=0
for ((n = 1; n <= 12; n++)); do
	host keeper timeout -s KILL "0.$((2 + n * 5 % 8))" "$HF" copy --vault "$A" --to "$C" --init --all \
		--json --limit-upload 8MiB >"$SCRATCH/copy.out" 2>&1 && break
	[ $? -ne 137 ] || kills=$((kills + 1))
done
if [ "$kills" -ge 2 ]; then ok; else not_ok "the copy was killed $kills times" "$(cat "$SCRATCH/copy.out")"; fi
expect 0 "the copy that ends" host keeper "$HF" copy --vault "$A" --to "$C" --init --all --json
if python3 -c '
import json, sys
o = [json.loads(l) for l in sys.argv[1].splitlines() if "\"summary\"" in l][-1]
assert o["failed"] == 0 and o["snapshots"] + o["there"] == 6, o
assert o["snapshots"] == 0 or o["read_back_bytes"] >= o["bytes"] > 0, o' "$OUT"; then
	ok
else
	not_ok "the copy" "$OUT"
fi
expect 0 "the copy again" host keeper "$HF" copy --vault "$A" --to "$C" --all --json
says "the copy again" '"records":0'
expect 0 "verify the copy" host keeper "$HF" verify --data --vault "$C" --accept-rollback
# a limit holds on the way there
expect 0 "slowly" host keeper "$HF" copy --vault "$A" --to "s3:http://127.0.0.1:$PORT/second/slow" \
	--init latest --source a --limit-upload 3MiB --json
if python3 -c '
import json, sys
o = [json.loads(l) for l in sys.argv[1].splitlines() if "\"summary\"" in l][-1]
assert o["bytes"] > 8000000 and o["duration_s"] >= o["bytes"] / 3145728 * 0.9, o' "$OUT"; then
	ok
else
	not_ok "the limit did not hold" "$OUT"
fi
# back to a directory, and repair in both directions: what one store lost the other gives
expect 0 "to a directory" host keeper "$HF" copy --vault "$C" --to "$SCRATCH/local" --init --all --accept-rollback
expect 0 "verify the directory" host keeper "$HF" verify --data --vault "$SCRATCH/local" --accept-rollback
expect 0 "a directory's own copy" cp -r "$SCRATCH/local" "$SCRATCH/whole"
"$HERE/s3.py" --make third
# shellcheck disable=SC2317 # expect calls it
mirror() { # mirror DIR BUCKET/PREFIX: the same objects
	local name
	(cd "$1" && find . -type f -not -path './tmp/*' -printf '%P\n') | while read -r name; do
		"$HERE/s3.py" PUT "/$2/$name" <"$1/$name" >/dev/null || return 1
	done
}
expect 0 "the same objects in a bucket" mirror "$SCRATCH/whole" third/same
D=s3:http://127.0.0.1:$PORT/third/same
pack=$(cd "$SCRATCH/local" && find pk -type f -size +1M | sort | head -n 1)
python3 - "$SCRATCH/local/$pack" <<'P'
import os, sys
os.chmod(sys.argv[1], 0o600)
with open(sys.argv[1], "r+b") as f:
    f.seek(9000)
    f.write(b"rotten")
P
other=$(cd "$SCRATCH/local" && find pk -type f | sort | tail -n 1)
rm -f "$SCRATCH/local/$other"
expect 14 "damaged" host keeper "$HF" verify --vault "$SCRATCH/local" --accept-rollback
expect 0 "repaired from the bucket" host keeper "$HF" repair --vault "$SCRATCH/local" --from "$D"
says "repaired from the bucket" "brought back from the copy"
expect 0 "whole again" host keeper "$HF" verify --data --vault "$SCRATCH/local" --accept-rollback
"$HERE/s3.py" DELETE "/third/same/$pack" </dev/null >/dev/null
expect 14 "the bucket lost one" host keeper "$HF" verify --vault "$D" --accept-rollback
expect 0 "repaired from a directory" host keeper "$HF" repair --vault "$D" --from "$SCRATCH/whole"
expect 0 "the bucket is whole" host keeper "$HF" verify --data --vault "$D" --accept-rollback
rm -rf "$SCRATCH/back"
expect 0 "restore names any copy" env HOLDFAST_CONFIG_DIR="$SCRATCH/none" HOLDFAST_STATE_DIR="$SCRATCH/none" \
	"$HF" restore latest --source a --vault "$C" --to "$SCRATCH/back"
expect 0 "and is equal" diff -r "$SCRATCH/src-a" "$SCRATCH/back$SCRATCH/src-a"
finish
