#!/bin/bash
# Run the lanes named as arguments, one summary line each: name, verdict, seconds of its budget.
# A lane over its budget fails.  The log of a failed lane is shown; all logs are in build/lanes/.
# The last line counts lanes in the plain form "N passed, N failed".
set -u
cd "$(dirname "$0")/.." || exit 1
mkdir -p build/lanes
budget() { # seconds on 2 cores
	case $1 in
	build) echo 240 ;;
	fmt) echo 30 ;;
	lint) echo 720 ;;
	rooms) echo 30 ;;
	unit) echo 600 ;;
	e2e) echo 900 ;;
	reference) echo 240 ;;
	asan) echo 1200 ;;
	*) echo 60 ;;
	esac
}
# The end-to-end scripts mostly wait: what the processors have left meanwhile builds for asan, last
# in line.  The lane itself makes what is missing and tells what does not compile.
ahead=
end_ahead() {
	[ -z "$ahead" ] || { kill "$ahead" && wait "$ahead"; } 2>/dev/null
	ahead=
}
trap end_ahead EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
passed=0 failed=0
for lane in "$@"; do
	log=build/lanes/$lane.log
	limit=$(budget "$lane")
	begin=$(date +%s)
	if [ "$lane" = e2e ] && [[ " $* " == *" asan "* ]]; then
		nice -n 19 make --no-print-directory -j"$(nproc)" V=asan all unit-programs \
			>build/lanes/asan-ahead.log 2>&1 </dev/null &
		ahead=$!
	elif [ "$lane" = asan ] && [ -n "$ahead" ]; then
		wait "$ahead"
		ahead=
	fi
	timeout --foreground --kill-after=10 $((limit * 2)) make --no-print-directory "lane-$lane" \
		>"$log" 2>&1 </dev/null
	rc=$?
	took=$(($(date +%s) - begin))
	verdict=ok
	[ $rc -eq 0 ] || verdict="FAILED (exit $rc)"
	if [ $rc -eq 0 ] && [ $took -gt "$limit" ]; then
		verdict="FAILED (over its budget)"
		rc=1
	fi
	note=$(grep -aE '^[a-z0-9-]+: [0-9]+ passed' "$log" | tail -n 1)
	printf 'lane %-10s %-8s %4d s of %d  %s\n' "$lane" "$verdict" "$took" "$limit" "$note"
	if [ $rc -eq 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "---- the end of $log"
		tail -n 80 "$log"
		echo "----"
	fi
done
echo "lanes: $passed passed, $failed failed"
[ $failed -eq 0 ]
