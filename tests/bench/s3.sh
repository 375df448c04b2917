#!/bin/bash
# Holdfast beside restic on a Ceph RGW that this script starts on loopback: what bench.py measures,
# with every repository in a bucket (make bench-s3; docs/BENCH.md).  BUILD as the argument; PORT
# (19500) and 29 more; STORE=memstore (in memory, the default) or bluestore.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${1:?usage: s3.sh BUILD}" && pwd)
port=${PORT:-19500}
rgw=$(mktemp -d "${BENCH_DIR:-${TMPDIR:-/tmp}}/holdfast-rgw.XXXXXX")
stop() {
	"$here/../s3/rgw.sh" wipe "$rgw" "$port" >/dev/null 2>&1 || true
	rm -rf "$rgw"
}
trap stop EXIT
trap 'exit 130' INT TERM
STORE=${STORE:-memstore} "$here/../s3/rgw.sh" start "$rgw" "$port"
set -a
# shellcheck disable=SC1091
. "$rgw/env"
set +a
"$here/../s3/s3.py" --make bench
export BENCH_S3=$S3_ENDPOINT/bench
export BENCH_PEERS=${BENCH_PEERS-restic} BENCH_SCALE=${BENCH_SCALE:-0.1}
export BENCH_SCENARIOS=${BENCH_SCENARIOS:-full nochange restore verify} BENCH_RUNS=${BENCH_RUNS:-3}
"$here/bench.py" "$build"
