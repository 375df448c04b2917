#!/bin/bash
# log.sh PART LINE: keep the line that sums up a part of the proof in docs/prove.log, with the day and
# the version of the sources; the lines of all other parts stay as they are.
# A whole state goes in always, and so does one with anything wrong.  One that is still to be gone on
# goes in when there is none of its part or it went at least as far as one that was not whole either.
set -u
tree=$(cd "$(dirname "$0")/../.." && pwd)
log=${PROVE_LOG:-$tree/docs/prove.log}
order=(bits power faults kill9 forged programs hostile malloc model asan tsan fuzz)
part=$1 line=$2
head='The last whole state of each part of the proof (docs/PROOF.md): day, sources, seed, counts.'

version=$(git -C "$tree" rev-parse --short HEAD 2>/dev/null || echo unknown)
git -C "$tree" diff --quiet HEAD -- src agents plans restore tests 2>/dev/null || version=$version+
of() { # part: its line in the log
	[ ! -f "$log" ] || grep -aE "^[0-9-]+ [^ ]+ (prove-)?$1[:s ]" "$log" | tail -n 1
}
cases() { # line
	local n
	n=$(grep -oE '[0-9]+ of [0-9]+ (cases|s each)' <<<"$1" | cut -d' ' -f1)
	echo "${n:-0}"
}
old=$(of "$part")
is_open='to be gone on$'
if [[ $line =~ $is_open && -n $old ]]; then
	[[ $old =~ $is_open ]] || exit 0
	[ "$(cases "$line")" -ge "$(cases "$old")" ] || exit 0
fi
new=$(mktemp "$log.XXXXXX") || exit 1
{
	echo "$head"
	for name in "${order[@]}"; do
		if [ "$name" = "$part" ]; then
			echo "$(date -u +%Y-%m-%d) $version $line"
		else
			of "$name"
		fi
	done
} >"$new"
chmod 0644 "$new"
mv "$new" "$log"
