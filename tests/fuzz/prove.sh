#!/bin/bash
# Every fuzz target under libFuzzer from the committed corpus and what earlier runs grew, until each
# has run for FUZZ_SECONDS (600) in all: what is missing, or FUZZ_SLICE_S of it at a time; called
# again it goes on.  Of another program nothing counts.  FUZZ_JOBS at a time (the processors);
# FUZZ_TARGETS names some.  What is found lies in <build>/fuzz/found.
set -u
build=${1:-build/fuzz}
export goal=${FUZZ_SECONDS:-600} slice=${FUZZ_SLICE_S:-315360000}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$build/fuzz/found" "$build/fuzz/grown"
program=$(sha256sum <"$build/fuzz/fuzz_libfuzzer" | cut -c1-12)
export program
all=$("$build/fuzz/fuzz_replay" --list | tr '\n' ' ')
read -ra targets <<<"${FUZZ_TARGETS:-$all}"
one() { # build, corpus, target
	local log=$1/fuzz/grown/$3.log sum=$1/fuzz/grown/$3.sum was=0 runs=0 key=
	mkdir -p "$1/fuzz/grown/$3"
	[ ! -s "$sum" ] || read -r key was runs <"$sum"
	[ "$key" = "$program" ] || was=0 runs=0
	local now=$((goal - was < slice ? goal - was : slice))
	[ "$now" -gt 0 ] || return 0
	FUZZ_TARGET=$3 ASAN_OPTIONS=allocator_may_return_null=1 "$1/fuzz/fuzz_libfuzzer" \
		-max_total_time="$now" -timeout=20 -rss_limit_mb=4096 -malloc_limit_mb=2048 \
		-max_len=16384 -print_final_stats=1 -seed="${SEED:-0}" \
		-artifact_prefix="$1/fuzz/found/$3-" "$1/fuzz/grown/$3" "$2/$3" >"$log" 2>&1
	local rc=$? made cov
	made=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
	cov=$(grep -oE 'cov: [0-9]+' "$log" | tail -n 1)
	[ $rc -ne 0 ] || echo "$program $((was + now)) $((runs + ${made:-0}))" >"$sum"
	printf 'fuzz %-16s %-7s %s runs in %d s, %s\n' "$3" \
		"$([ $rc -eq 0 ] && echo ok || echo FOUND)" "${made:-?}" "$now" "$cov"
	return $rc
}
export -f one
printf '%s\0' "${targets[@]}" | xargs -0 -P"${FUZZ_JOBS:-$(nproc)}" -I{} bash -c 'one "$@"' one \
	"$build" "$here/corpus" {}
rc=$?
found=$(find "$build/fuzz/found" -type f | wc -l)
least=$goal total=0 count=0
for target in $all; do
	key='' was=0 runs=0
	[ ! -s "$build/fuzz/grown/$target.sum" ] || read -r key was runs <"$build/fuzz/grown/$target.sum"
	[ "$key" = "$program" ] || was=0 runs=0
	[ "$was" -ge "$least" ] || least=$was
	total=$((total + runs)) count=$((count + 1))
done
open=
[ "$least" -ge "$goal" ] || [ $rc -ne 0 ] || open=', to be gone on'
echo "fuzz: $count targets, $least of $goal s each at least, $total runs, $found findings$open"
[ $rc -eq 0 ] && [ "$found" -eq 0 ]
