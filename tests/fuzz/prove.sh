#!/bin/bash
# Every fuzz target under libFuzzer for FUZZ_SECONDS each (600), FUZZ_JOBS at a time (1), from the
# committed corpus; FUZZ_TARGETS names some.  What is found lies in <build>/fuzz/found.
set -u
build=${1:-build/fuzz}
seconds=${FUZZ_SECONDS:-600}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$build/fuzz/found" "$build/fuzz/grown"
read -ra targets <<<"${FUZZ_TARGETS:-$("$build/fuzz/fuzz_replay" --list | tr '\n' ' ')}"
one() { # build, corpus, seconds, target
	local log=$1/fuzz/grown/$4.log
	mkdir -p "$1/fuzz/grown/$4"
	FUZZ_TARGET=$4 ASAN_OPTIONS=allocator_may_return_null=1 "$1/fuzz/fuzz_libfuzzer" \
		-max_total_time="$3" -timeout=20 -rss_limit_mb=4096 -malloc_limit_mb=2048 -max_len=16384 \
		-print_final_stats=1 -seed="${SEED:-0}" -artifact_prefix="$1/fuzz/found/$4-" \
		"$1/fuzz/grown/$4" "$2/$4" >"$log" 2>&1
	local rc=$? runs cov
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
	cov=$(grep -oE 'cov: [0-9]+' "$log" | tail -n 1)
	printf 'fuzz %-10s %-7s %s runs, %s\n' "$4" "$([ $rc -eq 0 ] && echo ok || echo FOUND)" \
		"${runs:-?}" "$cov"
	return $rc
}
export -f one
printf '%s\0' "${targets[@]}" | xargs -0 -P"${FUZZ_JOBS:-1}" -I{} bash -c 'one "$@"' one \
	"$build" "$here/corpus" "$seconds" {}
rc=$?
found=$(find "$build/fuzz/found" -type f | wc -l)
echo "fuzz: ${#targets[@]} targets, $seconds s each, $found findings"
[ $rc -eq 0 ] && [ "$found" -eq 0 ]
