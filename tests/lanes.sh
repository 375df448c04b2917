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
	reference) echo 120 ;;
	asan) echo 1200 ;;
	*) echo 60 ;;
	esac
}
passed=0 failed=0
for lane in "$@"; do
	log=build/lanes/$lane.log
	limit=$(budget "$lane")
	begin=$(date +%s)
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
