#!/bin/bash
# The proof (docs/PROOF.md).
#   run.sh BUILD --quick   the quick part of every proof; the last line counts them
#   run.sh BUILD           the whole: slices of PROVE_S seconds (240) of each proof in turn until all
#                          are whole or PROVE_TOTAL_S seconds (none) are over; run again it goes on.
#                          The lines of the last slices are kept in docs/prove.log.
# PROVE_PARTS names some of them; SEED is the seed of what begins anew.
set -u
here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$here/../.." && pwd)
build=$1
read -ra parts <<<"${PROVE_PARTS:-bits power faults kill9 forged programs hostile}"
passed=0 failed=0

if [ "${2:-}" = --quick ]; then
	outs=$(mktemp -d)
	trap 'rm -rf "$outs"' EXIT
	# shellcheck disable=SC2016 # the inner shell expands it
	printf '%s\0' "${parts[@]}" | xargs -0 -r -P"$(nproc)" -n1 bash -c \
		'"$0/prove/$2" --quick >"$1/$2" 2>&1; echo $? >"$1/$2.rc"' "$build" "$outs"
	for part in "${parts[@]}"; do
		tail -n 60 "$outs/$part"
		if [ "$(cat "$outs/$part.rc")" = 0 ]; then
			passed=$((passed + 1))
		else
			failed=$((failed + 1))
		fi
	done
	echo "prove: $passed passed, $failed failed"
	[ $failed -eq 0 ]
	exit
fi

# what was proven of another program is not gone on from
key=$(cd "$tree" && git ls-files -s src agents plans restore tests/prove tests/lib | sha256sum |
	cut -c1-12)
state=$tree/build/prove-state/$key
mkdir -p "$state"
write_log() {
	{
		echo "The last run of the proof (docs/PROOF.md), sources $key, $(date -u +%Y-%m-%d)"
		for name in bits power faults kill9 forged programs hostile model malloc fuzz; do
			[ ! -s "$state/$name.line" ] || cat "$state/$name.line"
		done
	} >"$tree/docs/prove.log"
}
slice() { # part: 0 whole, 1 wrong, 2 to be gone on
	local part=$1 rc line
	"$build/prove/$part" --state "$state/$part" >"$state/$part.out" 2>&1
	rc=$?
	grep -v "^prove-$part: seed [0-9]*, from case" "$state/$part.out"
	line=$(grep -a "^prove-$part: seed .* cases, " "$state/$part.out" | tail -n 1)
	[ -z "$line" ] || echo "$line" >"$state/$part.line"
	write_log
	[ $rc -eq 0 ] && [ -n "$line" ] || return 1
	[[ $line != *"to be gone on" ]] || return 2
}
end=$(($(date +%s) + ${PROVE_TOTAL_S:-315360000}))
left=("${parts[@]}")
while [ ${#left[@]} -gt 0 ] && [ "$(date +%s)" -lt "$end" ]; do
	next=()
	for part in "${left[@]}"; do
		slice "$part"
		case $? in
		0) passed=$((passed + 1)) ;;
		1) failed=$((failed + 1)) ;;
		*) next+=("$part") ;;
		esac
	done
	left=("${next[@]}")
done
# other proofs, one command each, with the line that sums them up
other() { # name command...
	local name=$1
	shift
	if "$@" >"$state/$name.out" 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
	tail -n 1 "$state/$name.out" | tee "$state/$name.line"
	write_log
}
if [ -z "${PROVE_PARTS:-}" ] && [ ${#left[@]} -eq 0 ]; then
	other model make --no-print-directory -C "$tree" prove-model
	other malloc make --no-print-directory -C "$tree" prove-malloc
	other fuzz make --no-print-directory -C "$tree" prove-fuzz
fi
echo "prove: $passed passed, $failed failed, ${#left[@]} to be gone on; docs/prove.log has the lines"
[ $failed -eq 0 ]
