#!/bin/bash
# The proof (docs/PROOF.md).
#   run.sh BUILD --quick   the quick part of every proof; the last line counts them
#   run.sh BUILD           the whole: slices of PROVE_S seconds (240) of each proof in turn until all
#                          are whole or PROVE_TOTAL_S seconds (none) are over; run again it goes on.
# BUILD is build/release; another one (build/asan) is run in the same way and not told of.
# docs/prove.log keeps of each part the last whole state (or, as long as there is none, the one that
# went farthest) with its day and the version of the sources, whichever parts a run is of.
# PROVE_PARTS names some of them; SEED is the seed of what begins anew.
set -u
here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$here/../.." && pwd)
build=$1
all=(bits power faults kill9 forged programs hostile malloc)
read -ra parts <<<"${PROVE_PARTS:-${all[*]}}"
passed=0 failed=0
title=prove variant=$(basename "$build")
[ "$variant" = release ] || title=prove-$variant

if [ "${2:-}" = --quick ]; then
	outs=$(mktemp -d)
	trap 'rm -rf "$outs"' EXIT
	[ -n "${PROVE_PARTS:-}" ] || unset 'parts[-1]' # malloc's quick part is in the lane asan
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
	echo "$title: $passed passed, $failed failed"
	[ $failed -eq 0 ]
	exit
fi

mkdir -p "$tree/build/prove-state"
program() { # part
	[ "$1" != malloc ] || { echo "$tree/build/asan/tools/mallocs" && return; }
	echo "$build/prove/$1"
}
state() { # part: what was proven of another program is not gone on from
	echo "$tree/build/prove-state/$1-$(sha256sum <"$(program "$1")" | cut -c1-12)"
}
slice() { # part: 0 whole, 1 wrong, 2 to be gone on
	local part=$1 rc line state
	state=$(state "$part")
	"$(program "$part")" --state "$state" >"$state.out" 2>&1
	rc=$?
	grep -av "^prove-$part: seed [0-9]*, from case" "$state.out"
	line=$(grep -a "^prove-$part: seed .* cases, " "$state.out" | tail -n 1)
	[ -z "$line" ] || [ "$variant" != release ] || "$here/log.sh" "$part" "$line"
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
other() { # name
	local out=$tree/build/prove-state/$1.out
	if make --no-print-directory -C "$tree" "prove-$1" >"$out" 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
	tail -n 1 "$out"
	"$here/log.sh" "$1" "$(tail -n 1 "$out")"
}
if [ -z "${PROVE_PARTS:-}" ] && [ ${#left[@]} -eq 0 ]; then
	other model
	other asan
	other tsan
	other fuzz
fi
echo "prove: $passed passed, $failed failed, ${#left[@]} to be gone on; docs/prove.log has the lines"
[ $failed -eq 0 ]
