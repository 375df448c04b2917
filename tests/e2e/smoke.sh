#!/bin/bash
# The shortest way through the programs, for builds with sanitizers: BUILD as the argument.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
export ASAN_OPTIONS="log_path='$SCRATCH/asan':detect_leaks=1"
export UBSAN_OPTIONS="log_path='$SCRATCH/ubsan':print_stacktrace=1"
new_vault "$SCRATCH/vault"
export HOLDFAST_VAULT=$SCRATCH/vault
expect 0 "backup" "$HF" backup --source s "$TREE/docs" "$TREE/src"
expect 0 "second backup" "$HF" backup --source s "$TREE/docs" "$TREE/src"
expect 0 "list" "$HF" snapshot list
expect 0 "ls" "$HF" snapshot ls latest
expect 0 "verify" "$HF" verify --data
expect 0 "restore" "$HF" restore latest --to "$SCRATCH/back"
expect 0 "equal" diff -r "$TREE/src" "$SCRATCH/back$TREE/src"
expect 2 "usage" "$HF" backup --no-such-option
for log in "$SCRATCH"/asan* "$SCRATCH"/ubsan*; do
	[ ! -s "$log" ] || not_ok "sanitizer" "$(cat "$log")"
done
finish
