#!/bin/bash
# Run every end-to-end script on the programs in BUILD (default build/release); one line each, then
# the sum.  Scripts: everything beside this one but the shared ones (lib.sh, netlib.sh) and smoke.sh.
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${1:-$here/../../build/release}" && pwd)
passed=0 failed=0
for script in "$here"/*.sh; do
	case $(basename "$script") in
	run.sh | lib.sh | netlib.sh | smoke.sh) continue ;;
	esac
	begin=$(date +%s)
	out=$("$script" "$build" 2>&1 </dev/null)
	rc=$?
	line=$(grep -aE '^[a-z0-9_-]+: [0-9]+ passed, [0-9]+ failed' <<<"$out" | tail -n 1)
	echo "$(basename "$script"): exit $rc, $(($(date +%s) - begin)) s, ${line:-no count}"
	read -r p f <<<"$(sed -nE 's/.*: ([0-9]+) passed, ([0-9]+) failed.*/\1 \2/p' <<<"$line")"
	passed=$((passed + ${p:-0}))
	failed=$((failed + ${f:-0}))
	if [ $rc -ne 0 ] || [ -z "$line" ] || [ "${p:-0}" -eq 0 ]; then
		[ "${f:-0}" -gt 0 ] || failed=$((failed + 1))
		printf '%s\n' "$out" | tail -n 60
	fi
done
echo "e2e: $passed passed, $failed failed"
[ $failed -eq 0 ]
