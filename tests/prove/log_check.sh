#!/bin/bash
# Does log.sh keep what it must?  The last whole line of each part, whatever other parts do.
set -u
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export PROVE_LOG=$dir/log
passed=0 failed=0
claim() { # what, lines of the log without day, version and seconds
	if diff <(sed -E '1d; s/^[0-9-]+ [^ ]+ //' "$PROVE_LOG") <(printf '%s\n' "${@:2}") >"$dir/diff"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL $1"
		cat "$dir/diff"
	fi
}
add() { "$here/log.sh" "$@"; }
line() { echo "prove-$1: seed $2, $3 of 10 cases, ${4:-0} wrong$5"; }
far=$(line power 1 5 0 ', to be gone on') near=$(line power 2 4 0 ', to be gone on')
whole=$(line power 3 10 0 '') bad=$(line power 4 3 1 '') other=$(line forged 5 10 0 '')
add power "$far"
add forged "$other"
claim 'a part is kept when another one is run, in the order of the parts' "$far" "$other"
add power "$near"
claim 'one that went less far does not replace one that went farther' "$far" "$other"
add power "$whole"
add power "$far"
claim 'one that is not whole does not replace a whole one' "$whole" "$other"
add power "$bad"
claim 'what went wrong is told' "$bad" "$other"
add model 'model: 3 passed, 0 failed'
add fuzz 'fuzz: 2 targets, 9 of 600 s each at least, 5 runs, 0 findings, to be gone on'
add fuzz 'fuzz: 2 targets, 8 of 600 s each at least, 5 runs, 0 findings, to be gone on'
claim 'parts with lines of their own are kept too' "$bad" "$other" 'model: 3 passed, 0 failed' \
	'fuzz: 2 targets, 9 of 600 s each at least, 5 runs, 0 findings, to be gone on'
grep -qE '^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9a-f]+\+? prove-forged: ' "$PROVE_LOG" &&
	passed=$((passed + 1)) || failed=$((failed + 1))
echo "prove-log: $passed passed, $failed failed"
[ $failed -eq 0 ]
