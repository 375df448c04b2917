#!/bin/bash
# What more writers and more gateways bring (make bench-s3-scale; docs/SCALE.md): the same bytes to a
# directory, then to one bucket by one, two and three hosts at once, through one gateway and through
# two, on a Ceph RGW that this script starts.  Measured, not judged.  BUILD as the argument; PORT
# (19540) and 29 more; SCALE_MB (150) of each host, half of it noise; STORE=memstore or bluestore.
# shellcheck source=../e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
HERE=$TREE/tests/s3
PORT=${PORT:-19540}
MB=${SCALE_MB:-150}
RGW=$(mktemp -d "${BENCH_DIR:-${TMPDIR:-/tmp}}/holdfast-rgw.XXXXXX")
# shellcheck disable=SC2317 # the trap calls it
stop_all() {
	"$HERE/rgw.sh" wipe "$RGW" "$PORT" >/dev/null 2>&1
	rm -rf "$SCRATCH" "$RGW"
}
trap stop_all EXIT
export STORE=${STORE:-memstore} MORE_GATEWAYS=1
"$HERE/rgw.sh" start "$RGW" "$PORT" || exit 1
set -a
# shellcheck disable=SC1091
. "$RGW/env"
set +a
"$HERE/s3.py" --make bench
printf 'correct horse battery staple\n' >"$SCRATCH/pass"
export HOLDFAST_PASSPHRASE_FILE=$SCRATCH/pass
for n in 1 2 3; do
	mkdir "$SCRATCH/src$n"
	head -c "$((MB / 2))000000" /dev/urandom >"$SCRATCH/src$n/noise"
	head -c "$((MB / 2))000000" /dev/urandom | base64 -w 100 | head -c "$((MB / 2))000000" >"$SCRATCH/src$n/text"
done
cat "$SCRATCH"/src*/* >/dev/null # in memory, for all alike
now() { date +%s%N; }
cpu() { # of this script's children that ended, in ms
	awk -v hz="$(getconf CLK_TCK)" '{ print int(($16 + $17) * 1000 / hz) }' "/proc/$$/stat"
}
gateways() { # CPU of the gateways so far, in ms
	local file sum=0
	for file in "$RGW"/rgw*.pid "$RGW/osd.pid"; do
		sum=$((sum + $(awk -v hz="$(getconf CLK_TCK)" '{ print int(($14 + $15) * 1000 / hz) }' "/proc/$(cat "$file")/stat")))
	done
	echo "$sum"
}
run() { # run WHAT PLACE...: a host for each place, all of one vault, at once
	local what=$1 n=0 place begin wall own served
	shift
	HOLDFAST_RECOVERY_FILE=$SCRATCH/$RUNS.recovery
	export HOLDFAST_RECOVERY_FILE
	"$HF" init --vault "$1" --recovery-file "$HOLDFAST_RECOVERY_FILE" >/dev/null 2>&1 || exit 1
	begin=$(now)
	own=$(cpu)
	served=$(gateways)
	PIDS=()
	for place in "$@"; do
		n=$((n + 1))
		HOLDFAST_CACHE_DIR=$SCRATCH/cache$n "$HF" backup --vault "$place" --source "s$n" "$SCRATCH/src$n" >/dev/null 2>&1 &
		PIDS+=($!)
	done
	for pid in "${PIDS[@]}"; do
		wait "$pid" || { not_ok "$what"; return; }
	done
	wall=$((($(now) - begin) / 1000000))
	expect 0 "$what: verify" "$HF" verify --vault "$1"
	printf '%-34s %7d ms %6d MB/s of input together, CPU %6d ms of hosts and %6d of the cluster\n' "$what" \
		"$wall" $((MB * n * 1000 / wall)) $(($(cpu) - own)) $(($(gateways) - served))
	RUNS=$((RUNS + 1))
	rm -rf "$SCRATCH"/cache*
}
RUNS=0
ONE=s3:http://127.0.0.1:$PORT/bench
TWO=s3:http://127.0.0.1:$((PORT + 5))/bench
echo "$(nproc) processors, $STORE, $MB MB of each host, load $(cut -d' ' -f1 /proc/loadavg)"
run "a directory, one host" "$SCRATCH/d1"
run "a directory, two hosts" "$SCRATCH/d2" "$SCRATCH/d2"
run "one gateway, one host" "$ONE/a"
run "one gateway, two hosts" "$ONE/b" "$ONE/b"
run "one gateway, three hosts" "$ONE/c" "$ONE/c" "$ONE/c"
run "two gateways, two hosts" "$ONE/d" "$TWO/d"
run "two gateways, three hosts" "$ONE/e" "$TWO/e" "$ONE/e"
finish
