#!/bin/bash
# The network scripts and the demo under a sanitizer: a claim that fails, or any report, fails.
# CHAOS_ROUNDS (15), SEED, KEEP (a directory for the reports, made if absent).
# Use: sanitizers.sh BUILD..., such as build/tsan build/asan; the last word of it names the flags.
set -u
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-sanitizers.XXXXXX") # no blank: options end at one
trap 'rm -rf "$scratch"' EXIT
reports=${KEEP:-$scratch}
export CHAOS_ROUNDS=${CHAOS_ROUNDS:-15} CLAIMS_S=1200 SANITIZED=1
failed=0

# watched LOGS COMMAND...: run it so that reports go to LOGS/report.PID; its output to LOGS/output.
watched() {
	local logs=$1 options=log_path=$1/report:exitcode=66
	shift
	rm -rf "$logs"
	mkdir -p "$logs"
	TSAN_OPTIONS=$options:second_deadlock_stack=1 \
		ASAN_OPTIONS=$options:detect_leaks=1:detect_stack_use_after_return=1 \
		UBSAN_OPTIONS=$options:print_stacktrace=1 \
		"$@" >"$logs/output" 2>&1 </dev/null
}

found_in() { find "$1" -name 'report*' -size +0 | wc -l; }

# A program that races and leaks must be reported: else silence would mean nothing.
canary() {
	local flags
	case $1 in
	tsan) flags=-fsanitize=thread ;;
	asan) flags=-fsanitize=address,undefined ;;
	*) echo "$1: neither tsan nor asan" && return 1 ;;
	esac
	cat >"$scratch/canary.c" <<'C'
#include <pthread.h>
#include <stdlib.h>
static int shared;
static void *volatile lost;
static void *add(void *arg)
{
	shared++;
	return arg;
}
int main(void)
{
	pthread_t other;
	pthread_create(&other, NULL, add, NULL);
	add(NULL);
	pthread_join(other, NULL);
	lost = malloc(100);
	lost = NULL;
	return 0;
}
C
	"${CC:-gcc}" $flags -o "$scratch/canary" "$scratch/canary.c" -lpthread || return 1
	watched "$scratch/canary.$1" "$scratch/canary"
	[ "$(found_in "$scratch/canary.$1")" -gt 0 ] && return
	echo "$1: a fault made on purpose is not reported"
	return 1
}

# judge NAME COMMAND...: it must succeed without a report.
judge() {
	local name=$1 logs=$reports/$1 rc found
	shift
	watched "$logs" "$@"
	rc=$?
	found=$(found_in "$logs")
	echo "$name: exit $rc, $found reports, $(tail -n 1 "$logs/output")"
	[ $rc -eq 0 ] && [ "$found" -eq 0 ] && return
	failed=1
	tail -n 40 "$logs/output"
	find "$logs" -name 'report*' -exec head -n 60 {} +
}

for build in "$@"; do
	variant=$(basename "$build")
	canary "$variant" || failed=1
	for script in network network_refused network_load network_chaos; do
		judge "$variant.$script" "$here/e2e/$script.sh" "$build"
	done
	# drills and databases; not under TSan, whose own thread forbids a new user namespace
	[ "$variant" = tsan ] ||
		judge "$variant.demo" "$build/holdfast" demo --dir "$scratch/demo.$variant"
done
exit $failed
