#!/bin/bash
# What kill -9 leaves behind: a restore killed at any call can be repeated into the same directory
# and cleans up after itself; what a killed backup left in the store is named, and removed in time.
# And what an ordinary user gets back.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
take_shim
V=$SCRATCH/vault
new_vault "$V"
export HOLDFAST_VAULT=$V
S=$SCRATCH/src
mkdir -p "$S/sub/deep"
head -c 300000 /dev/urandom >"$S/large"
printf 'two\n' >"$S/sub/two"
ln "$S/sub/two" "$S/sub/twin"
ln -s two "$S/sub/link"
mkfifo "$S/sub/deep/fifo"
printf 'x\n' >"$S/sub/deep/x"
expect 0 "backup" "$HF" backup --source s "$S"

FAULTSHIM_COUNT=$SCRATCH/count LD_PRELOAD=$SHIM "$HF" restore latest --to "$SCRATCH/all" >/dev/null 2>&1
calls=$(cat "$SCRATCH/count")
if [ "$calls" -gt 15 ]; then ok; else not_ok "only $calls calls counted"; fi
swept=0
for ((n = 1; n <= calls; n++)); do
	rm -rf "$SCRATCH/back"
	FAULTSHIM_AT=$n FAULTSHIM_MODE=kill LD_PRELOAD=$SHIM \
		"$HF" restore latest --to "$SCRATCH/back" >"$SCRATCH/out" 2>&1
	left=$(find "$SCRATCH/back" -name '.holdfast-*.new' 2>/dev/null | wc -l)
	expect 0 "killed at $n: again" "$HF" restore latest --to "$SCRATCH/back" --overwrite if-changed
	[ "$left" -eq 0 ] || says "killed at $n" "removed $left temporary file"
	swept=$((swept + left))
	expect 0 "killed at $n: equal, nothing left" "$TOOLS/treecmp" "$S" "$SCRATCH/back$S"
done 2>/dev/null
if [ "$swept" -gt 0 ]; then ok; else not_ok "no kill left anything: the test tests nothing"; fi
L=.holdfast-0123456789abcdef.new
ln -s "$S/large" "$SCRATCH/back$S/$L"
expect 0 "a link of such a name" "$HF" restore latest --to "$SCRATCH/back" --overwrite if-changed --json
says "a link of such a name" '"leftovers":1'
expect 0 "is removed itself" test ! -L "$SCRATCH/back$S/$L" -a -s "$S/large"

# the store
printf 'more\n' >>"$S/sub/two"
for ((n = 1; n < 200; n++)); do
	FAULTSHIM_AT=$n FAULTSHIM_MODE=kill LD_PRELOAD=$SHIM "$HF" backup --source s "$S" >/dev/null 2>&1
	[ -z "$(ls "$V/tmp" 2>/dev/null)" ] || break
done 2>/dev/null
left=$(find "$V/tmp" -type f | wc -l)
if [ "$left" -gt 0 ]; then ok; else not_ok "no kill left a file in tmp/"; fi
expect 0 "verify" "$HF" verify
says "verify" "tmp/ holds $left file"
expect 0 "verify --json" "$HF" verify --json
says "verify --json" "\"tmp_files\":$left"
expect 0 "a backup within a day" "$HF" backup --source s "$S"
expect 0 "leaves them" test "$(find "$V/tmp" -type f | wc -l)" -eq "$left"
find "$V/tmp" -type f -exec touch -d '25 hours ago' {} +
expect 0 "a backup a day later" "$HF" backup --source s "$S"
expect 0 "removes them" test -z "$(ls "$V/tmp")"
expect 0 "verify" "$HF" verify
if grep -q 'tmp/' <<<"$OUT"; then not_ok "verify speaks of what is not there" "$OUT"; else ok; fi

# an ordinary user: owners and what hangs on them are counted, and no warning
if [ "$(id -u)" -eq 0 ]; then
	printf 'suid\n' >"$S/sub/suid"
	chown 1:1 "$S/sub/suid"
	chmod 6755 "$S/sub/suid"
	setfattr -n trusted.x -v y "$S/sub/suid" 2>/dev/null
	expect 0 "backup as root" "$HF" backup --source s "$S"
	mkdir "$SCRATCH/user"
	chown 65534:65534 "$SCRATCH/user"
	cp "$HF" "$V.recovery" "$SCRATCH/pass" "$SCRATCH/user/"
	cp -a "$V" "$SCRATCH/user/v"
	chown -R 65534:65534 "$SCRATCH/user"
	chmod 755 "$SCRATCH"
	expect 0 "restore as an ordinary user" setpriv --reuid 65534 --regid 65534 --clear-groups \
		env HOME="$SCRATCH/user" HOLDFAST_CONFIG_DIR="$SCRATCH/user/c" \
		HOLDFAST_STATE_DIR="$SCRATCH/user/s" HOLDFAST_CACHE_DIR="$SCRATCH/user/k" \
		HOLDFAST_PASSPHRASE_FILE="$SCRATCH/user/pass" \
		"$SCRATCH/user/holdfast" restore latest --vault "$SCRATCH/user/v" \
		--recovery-file "$SCRATCH/user/vault.recovery" --to "$SCRATCH/user/back"
	says "restore as an ordinary user" "only root can set owners"
	expect 0 "one line of it" test "$(grep -c 'only root' <<<"$OUT")" -eq 1
	expect 0 "no set-id bits of somebody else" test "$(stat -c %a "$SCRATCH/user/back$S/sub/suid")" = 755
fi
finish
