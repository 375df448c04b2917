#!/bin/bash
# What house style forbids in C, by name (docs/STYLE.md).  Prints FILE:LINE:TEXT and fails.
set -u
found=0
forbid() { # pattern, why
	if git grep -nE "$1" -- 'src/*.[ch]' 'agents/*.[ch]' 'restore/*.[ch]' 'plans/*.[ch]' |
		grep -vE ':[0-9]+:\s*(/?\*|//)' | grep -v 'lint-ok:'; then
		echo "^^^ $2"
		found=1
	fi
}
forbid '\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|atof)\(' 'unbounded or unchecked: use the bounded form'
forbid '\b(rand|srand|random|drand48)\(' 'use env_random()'
forbid '\b(clock_gettime|gettimeofday|getrandom)\(' 'use env_now_ns(), env_mono_ns(), env_random() (only src/base/env.c may, and says lint-ok)'
forbid '\bsystem\(|\bpopen\(' 'no shell: use child_*'
forbid '\b(alloca|longjmp|setjmp)\(' 'not in this house'
forbid '\bTODO\b|\bFIXME\b|\bXXX\b' 'finish it or write an issue'
# Criterion 2.4.1 says yes to gt(T, a, a)
if git grep -nE '\bgt\(' -- 'tests/*.c'; then
	echo "^^^ gt() passes on equal values: ge(T, a, b + 1)"
	found=1
fi
long=$(git ls-files '*.c' '*.h' | while read -r f; do
	n=$(wc -l <"$f")
	[ "$n" -le 800 ] || echo "$f: $n lines"
done)
[ -z "$long" ] || { echo "$long"; echo "^^^ files past 800 lines: is there a room inside that wants its own door?"; found=1; }
wide=$(git ls-files 'src/*.[ch]' 'agents/*.[ch]' 'restore/*.[ch]' 'plans/*.[ch]' | while read -r f; do
	expand -t8 "$f" | awk -v f="$f" 'length($0) > 100 { print f ":" NR ": " length($0) " columns" }'
done)
[ -z "$wide" ] || { echo "$wide"; echo "^^^ lines past 100 columns"; found=1; }
exit $found
