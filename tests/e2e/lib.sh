# Shared by the end-to-end scripts: a scratch directory that goes away, a private configuration,
# counting of claims.  Use: . "$(dirname "$0")/lib.sh" BUILD-DIRECTORY
# shellcheck shell=bash
set -u
BUILD=$(cd "$1" && pwd)
TREE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
HF=$BUILD/holdfast
VERIFY=$BUILD/holdfast-verify
TOOLS=$BUILD/tools
export HF VERIFY TOOLS TREE
SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/holdfast e2e.XXXXXX") # a blank in it on purpose
SHIMS=
trap 'chmod -R u+rwx "$SCRATCH" 2>/dev/null; rm -rf "$SCRATCH"; [ -z "$SHIMS" ] || rm -rf "$SHIMS"' EXIT
trap 'exit 130' INT TERM
export HOLDFAST_CONFIG_DIR=$SCRATCH/config HOLDFAST_STATE_DIR=$SCRATCH/state
export HOLDFAST_CACHE_DIR=$SCRATCH/cache
unset HOLDFAST_VAULT HOLDFAST_PASSPHRASE_FILE HOLDFAST_PASSPHRASE_COMMAND HOLDFAST_WRITER_KEY
unset HOLDFAST_RECOVERY_FILE
PASSED=0
FAILED=0

# ok [NAME]: count a claim that held, and with CLAIMS set say so, with the seconds since the script
# began; not_ok NAME TEXT: one that did not.
ok() {
	PASSED=$((PASSED + 1))
	[ -z "${CLAIMS:-}" ] || [ -z "${1:-}" ] || printf '%4d %5ds  %s\n' "$PASSED" "$SECONDS" "$1"
}
not_ok() {
	FAILED=$((FAILED + 1))
	echo "FAIL: $1"
	[ -z "${2:-}" ] || printf '%s\n' "$2" | tail -n 20 | sed 's/^/    /'
}

# expect STATUS NAME COMMAND...: run it, keep its output in $OUT, compare the exit status.
expect() {
	local want=$1 name=$2 got
	shift 2
	OUT=$("$@" 2>&1 </dev/null)
	got=$?
	if [ "$got" -eq "$want" ]; then
		ok "$name"
	else
		not_ok "$name: exit $got instead of $want" "$OUT"
	fi
}

# says NAME TEXT: the last expect's output holds TEXT.
says() {
	if grep -qF -- "$2" <<<"$OUT"; then ok "$1: says '$2'"; else not_ok "$1: does not say '$2'" "$OUT"; fi
}

# new_vault DIR: a vault with its recovery file beside it, passphrase in $SCRATCH/pass.
new_vault() {
	printf 'correct horse battery staple\n' >"$SCRATCH/pass"
	export HOLDFAST_PASSPHRASE_FILE=$SCRATCH/pass HOLDFAST_RECOVERY_FILE=$1.recovery
	expect 0 "init $1" "$HF" init --vault "$1" --recovery-file "$1.recovery"
}

finish() {
	echo "$(basename "$0" .sh): $PASSED passed, $FAILED failed"
	[ $FAILED -eq 0 ]
	exit
}

# take_shim: the fault shim as SHIM, from a path that LD_PRELOAD can take: it splits at blanks.
take_shim() {
	SHIMS=$(mktemp -d /tmp/holdfast-shim.XXXXXX)
	SHIM=$SHIMS/faultshim.so
	cp "$TOOLS/faultshim.so" "$SHIM"
}

# json STATUS SCHEMA COMMAND...: each line it prints fits the schema; kept in $SCRATCH/json
json() {
	local status=$1 schema=$2 got
	shift 2
	"$@" --json >"$SCRATCH/json" 2>"$SCRATCH/json.err" </dev/null
	got=$?
	if [ $got -ne "$status" ]; then
		not_ok "json $*: exit $got instead of $status" "$(cat "$SCRATCH/json.err")"
	elif OUT=$(python3 "$TREE/tests/e2e/check_json.py" "$TREE/docs/schema" "$schema" \
		<"$SCRATCH/json" 2>&1); then
		ok "$schema fits its schema"
	else
		not_ok "json $*" "$OUT"
	fi
}
