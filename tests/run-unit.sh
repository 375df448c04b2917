#!/bin/bash
# Run Criterion programs, as many at a time as there are processors; print one closing line that
# counts every test.
# A leak is a failure: Criterion lets it pass, so sanitizer logs are collected and must be empty.
set -u
logs=$(mktemp -d)
outs=$(mktemp -d)
trap 'rm -rf "$logs" "$outs"' EXIT
export ASAN_OPTIONS="log_path=$logs/asan:detect_leaks=1"
# what the test framework itself leaves (its assertion nodes) is not ours
echo 'leak:libcriterion' >"$outs/lsan.supp"
export LSAN_OPTIONS="suppressions=$outs/lsan.supp:print_suppressions=0"
export UBSAN_OPTIONS="log_path=$logs/ubsan:print_stacktrace=1"
passed=0 failed=0 programs=0
# the longest begin first, so that none of them is left alone at the end
long='/test_(drill|postgres|restore_writer|files_walk|demo_plant|copy|repair|db_sqlite)$'
ordered=()
for program in "$@"; do [[ $program =~ $long ]] && ordered+=("$program"); done
for program in "$@"; do [[ $program =~ $long ]] || ordered+=("$program"); done
# shellcheck disable=SC2016 # the inner shell expands it
printf '%s\0' "${ordered[@]}" | xargs -0 -r -P"$(nproc)" -n1 bash -c '
	name=$(tr / _ <<<"$1")
	begin=$EPOCHREALTIME
	"$1" --color=never -j1 >"$0/$name.out" 2>&1 </dev/null
	echo $? >"$0/$name.rc"
	echo "$(((${EPOCHREALTIME/./} - ${begin/./}) / 1000)) ms ${1##*/}" >"$0/$name.time"' "$outs"
for program in "$@"; do
	programs=$((programs + 1))
	name=$(tr / _ <<<"$program")
	rc=$(cat "$outs/$name.rc" 2>/dev/null || echo 126)
	line=$(grep -a 'Synthesis:' "$outs/$name.out" | tail -n 1)
	read -r t p <<<"$(sed -nE 's/.*Tested: ([0-9]+) \| Passing: ([0-9]+).*/\1 \2/p' <<<"$line")"
	t=${t:-0} p=${p:-0}
	passed=$((passed + p)) failed=$((failed + t - p))
	if [ "$rc" -ne 0 ] || [ "$t" -eq 0 ] || [ "$t" -ne "$p" ]; then
		echo "FAIL $program (exit $rc)"
		grep -a '^\[' "$outs/$name.out" | head -n 60 # what Criterion says
		tail -n 20 "$outs/$name.out"
		[ "$t" -ne "$p" ] || failed=$((failed + 1))
	fi
done
# A child forked from Criterion's worker, which has threads, cannot stop them when it looks for leaks,
# and says so; nothing is found by that.
for log in "$logs"/*; do
	[ -f "$log" ] && ! grep -qv 'was not suspended. False leaks are possible' "$log" && rm "$log"
done
if compgen -G "$logs/*" >/dev/null; then
	echo "FAIL sanitizer findings:"
	cat "$logs"/* | head -n 200
	failed=$((failed + 1))
fi
[ $programs -gt 0 ] || { echo "FAIL no test program given"; failed=1; }
[ $programs -lt 20 ] || cat "$outs"/*.time | sort -rn | head -n 12 | sed 's/^/slow: /'
echo "unit: $passed passed, $failed failed"
[ $failed -eq 0 ]
