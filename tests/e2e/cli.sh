#!/bin/bash
# Every verb from outside: what it does, its exit status, its JSON against docs/schema.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
SCHEMA=$TREE/docs/schema
V=$SCRATCH/vault

# json STATUS WANTED COMMAND...: run it with --json; standard output must fit the schemas and hold
# an object of each of WANTED (words).
json() {
	local status=$1 wanted=$2 got
	shift 2
	"$@" --json >"$SCRATCH/json" 2>"$SCRATCH/json.err" </dev/null
	got=$?
	if [ $got -ne "$status" ]; then
		not_ok "json $*: exit $got instead of $status" "$(cat "$SCRATCH/json.err")"
	else
		ok
	fi
	# shellcheck disable=SC2086
	fits "json $*: does not fit" "$SCRATCH/json" $wanted
}

# fits NAME FILE WANTED...: the objects in FILE fit the schemas and WANTED are there.
fits() {
	local name=$1 file=$2
	shift 2
	if OUT=$(python3 "$TREE/tests/e2e/check_json.py" "$SCHEMA" "$@" <"$file" 2>&1); then
		ok
	else
		not_ok "$name" "$OUT"
	fi
}

# field FILE EXPRESSION: a Python expression over o, the last object of the file.
field() {
	python3 -c '
import json, sys
o = [json.loads(l) for l in open(sys.argv[1]) if l.startswith("{")][-1]
print(eval(sys.argv[2]))' "$1" "$2"
}

is() { # name want got
	if [ "$2" = "$3" ]; then ok; else not_ok "$1: '$3' instead of '$2'"; fi
}

# ---- what is backed up
S=$SCRATCH/src
mkdir -p "$S/sub/cache" "$S/skip"
printf 'one\n' >"$S/one.txt"
printf 'two\n' >"$S/sub/two.xml"
printf 'Signature: 8a477f597d28d172789f06886806bc55\n' >"$S/sub/cache/CACHEDIR.TAG"
printf 'cached\n' >"$S/sub/cache/big"
printf 'x\n' >"$S/skip/.nobackup"
printf 'y\n' >"$S/skip/file"
head -c 900000 /dev/urandom >"$S/large.bin"
printf 'odd\n' >"$S/"$'esc\e[31m\xff\nname'
ln -s one.txt "$S/link"
made=$(date +%s)

# ---- the program itself
expect 0 "version" "$HF" version
expect 0 "--version" "$HF" --version
expect 0 "help" "$HF" help
says "help" "snapshot list"
expect 0 "help of a verb" "$HF" help snapshot list
expect 0 "--help" "$HF" backup --help
says "--help" "--exclude-caches"
says "--help, why the second run reads again" "less than two seconds before that backup is read once more"
expect 2 "no verb" "$HF"
expect 2 "unknown verb" "$HF" bakup
says "unknown verb" "did you mean 'backup'"
expect 2 "family without a verb" "$HF" snapshot
expect 2 "two wrong options" "$HF" backup --exlude x --no-such --vault
says "two wrong options" "did you mean '--exclude'"
says "two wrong options" "unknown option '--no-such'"
says "two wrong options" "--vault wants an argument"
expect 2 "no vault is named" "$HF" snapshot list
says "no vault is named" "HOLDFAST_VAULT"
json 0 version "$HF" version
json 0 help "$HF" help
json 2 error "$HF" snapshot list
"$HF" help --markdown >"$SCRATCH/reference"
sed -n '/^### Options of every verb/,$p' "$TREE/docs/CLI.md" >"$SCRATCH/page"
expect 0 "docs/CLI.md is what the tables say ('holdfast help --markdown')" \
	diff "$SCRATCH/page" "$SCRATCH/reference"

# ---- init
cd "$SCRATCH" || exit 1
expect 10 "no vault" "$HF" verify --vault "$SCRATCH/nowhere"
printf x >"$SCRATCH/file"
for verb in "backup /dev/null" "restore latest --to x" "snapshot list" "dump latest x" verify parity repair \
	"repair --keyless" "retention preview --keep-last 1" gc "copy --all --to x" "vault info" "vault lock --all" \
	"vault prove-immutability" "key show" "key writer new"; do
	# shellcheck disable=SC2086 # words
	expect 10 "a file for a vault: $verb" "$HF" $verb --vault "$SCRATCH/file"
	says "a file for a vault: $verb" "'$SCRATCH/file' is no directory"
	says "a file for a vault: $verb" "hint: name the directory itself, not a file"
done
expect 1 "init upon a file" "$HF" init --vault "$SCRATCH/file"
says "init upon a file" "'$SCRATCH/file' is no directory"
says "init upon a file" "hint: name a directory that is new or empty"
is "the file is as it was" x "$(cat "$SCRATCH/file")"
mkdir "$SCRATCH/g"
(cd "$SCRATCH/g" && "$HF" init --vault "$SCRATCH/g/v" --json >"$SCRATCH/g/out")
is "init --json" 0 $?
fits "init's object" "$SCRATCH/g/out" init
expect 0 "the recovery file has the vault's id" \
	test -f "$SCRATCH/g/holdfast-recovery-$(field "$SCRATCH/g/out" 'o["vault_id"]')"
is "modes" "600 600" "$(stat -c %a "$(field "$SCRATCH/g/out" 'o["writer_key"]')") $(stat -c %a \
	"$(field "$SCRATCH/g/out" 'o["recovery_file"]')")"
expect 1 "init again" "$HF" init --vault "$SCRATCH/g/v"
says "init again" "there is a vault here already"
field "$SCRATCH/g/out" 'o["passphrase"]' >"$SCRATCH/g/pass"
expect 0 "backup" "$HF" backup --vault "$SCRATCH/g/v" --source g "$TREE/docs/STYLE.md"
expect 0 "the passphrase alone restores" "$HF" restore latest --vault "$SCRATCH/g/v" \
	--passphrase-file "$SCRATCH/g/pass" --to "$SCRATCH/g/back"
tr 'A-Z-' 'a-z ' <"$SCRATCH/g/pass" >"$SCRATCH/g/typed"
expect 0 "in other writing too" "$HF" restore latest --vault "$SCRATCH/g/v" \
	--passphrase-file "$SCRATCH/g/typed" --to "$SCRATCH/g/back2"
mkdir -p "$SCRATCH/half/ks"
cp "$SCRATCH/g/v/README.txt" "$SCRATCH/half/"
expect 1 "init where one broke off" "$HF" init --vault "$SCRATCH/half"
says "init where one broke off" "interrupted"
expect 10 "verify where init broke off" "$HF" verify --vault "$SCRATCH/half"
says "verify where init broke off" "only the beginning of one"
printf 'own passphrase\n' >"$SCRATCH/pass"
export HOLDFAST_PASSPHRASE_FILE=$SCRATCH/pass HOLDFAST_RECOVERY_FILE=$SCRATCH/recovery
expect 0 "init with everything" "$HF" init --vault "$V" --recovery-file "$SCRATCH/recovery" \
	--drill-group line3 --drill-key-out "$SCRATCH/drill.key"
expect 1 "a key file is never replaced" "$HF" init --vault "$SCRATCH/v2" \
	--recovery-file "$SCRATCH/recovery"
expect 2 "half of a drill group" "$HF" init --vault "$SCRATCH/v2" --drill-group x
mkdir "$SCRATCH/ro" && chmod 500 "$SCRATCH/ro"
expect 1 "init that cannot write its key" "$HF" init --vault "$SCRATCH/v2" \
	--recovery-file /proc/none/recovery
expect 0 "and leaves no vault behind" test -z "$(find "$SCRATCH/v2" -type f)"
export HOLDFAST_VAULT=$V

# ---- backup
# a file is taken for unchanged only when it is older than two seconds
while [ $(($(date +%s) - made)) -lt 3 ]; do :; done
json 0 "backup backup/summary" "$HF" backup --source s --tag first --host plant1 "$S"
first=$(field "$SCRATCH/json" 'o["snapshot_id"]')
is "seq" 1 "$(field "$SCRATCH/json" 'o["seq"]')"
json 0 backup "$HF" backup --dry-run --source s "$S"
is "dry run" "True 0 True" \
	"$(field "$SCRATCH/json" '"%s %d %s" % (o["dry_run"], o["new_files"], "seq" not in o)')"
all=$(field "$SCRATCH/json" 'o["bytes"]')
json 0 backup "$HF" backup -n --reread --source s "$S"
is "a dry run that reads again: files, unchanged, bytes" "True 0 $all" \
	"$(field "$SCRATCH/json" '"%s %d %d" % (o["new_files"] == o["files"] > 0, o["unchanged_files"], o["read_bytes"])')"
expect 0 "the same in words" "$HF" backup -n --reread --source s "$S"
says "it says how much" " to read, 0 unchanged"
says "it says how much" "KiB to read"
json 0 backup "$HF" backup --reread --source s "$S"
is "what it said is read" "$all" "$(field "$SCRATCH/json" 'o["read_bytes"]')"
printf 'more\n' >>"$S/one.txt"
rm "$S/sub/two.xml"
mkdir "$S/link.d"
chmod 700 "$S/sub"
json 0 backup "$HF" backup --source s --tag second --tag daily "$S" --no-recheck
second=$(field "$SCRATCH/json" 'o["snapshot_id"]')
is "new files" 1 "$(field "$SCRATCH/json" 'o["new_files"]')"
json 0 backup "$HF" backup --source filtered --exclude '*.bin' --exclude-caches \
	--exclude-if-present .nobackup "$S"
expect 0 "ls of filtered" "$HF" snapshot ls -R latest --source filtered
says "the tag stays" "CACHEDIR.TAG"
if grep -qE 'large.bin|cache/big|skip/file' <<<"$OUT"; then
	not_ok "filters" "$OUT"
else
	ok
fi
json 0 backup "$HF" backup --source larger --exclude-larger-than 1K "$S"
is "larger" 0 "$(field "$SCRATCH/json" 'int(o["bytes"] > 60000)')"
printf '%s\0' "$S/one.txt" "$S/large.bin" >"$SCRATCH/list"
json 0 backup "$HF" backup --source listed --files-from "$SCRATCH/list"
is "files-from" 2 "$(field "$SCRATCH/json" 'o["files"]')"
if seq 100000 | "$HF" backup --stdin --stdin-name dump.sql --source in >/dev/null 2>&1; then
	ok
else
	not_ok "stdin"
fi
is "stdin comes back" "$(seq 100000 | sha256sum)" \
	"$("$HF" dump latest --source in dump.sql 2>&1 | sha256sum)"
expect 3 "one path of two" "$HF" backup --source part "$S/one.txt" "$S/not-there"
says "one path of two" "not-there"
expect 2 "no path of two" "$HF" backup --source part "$S/no" "$S/not-there"
expect 2 "nothing to back up" "$HF" backup
expect 2 "two kinds at once" "$HF" backup --stdin "$S"
expect 2 "a bad pattern" "$HF" backup --exclude '[a' "$S"
says "what to write instead" "write '[[]' for the character"
mkdir "$SCRATCH/odd"
printf x >"$SCRATCH/odd/[a"
printf y >"$SCRATCH/odd/b"
expect 0 "a pattern made as it says" "$HF" backup --source odd --exclude '[[]a' "$SCRATCH/odd"
is "leaves that file out" "1 $SCRATCH/odd/b" "$("$HF" snapshot ls -R latest --source odd --json |
	python3 -c 'import json, sys
l = [o["path"] for o in map(json.loads, sys.stdin) if o.get("type") == "file"]
print(len(l), *l)')"
# shellcheck disable=SC1003 # a backslash is meant
expect 2 "a pattern that ends too soon" "$HF" backup --exclude 'a\' "$S"
says "its end" "a backslash stands before nothing"
expect 0 "default source name" "$HF" backup --host h1 "$S/one.txt"
expect 0 "and again" "$HF" backup --host h1 "$S/one.txt"
says "is the same chain" "h1:$S/one.txt"
is "chain of two" 2 "$("$HF" snapshot list --source "h1:$S/one.txt" --json |
	python3 -c 'import json,sys; print(json.load(sys.stdin)["snapshots"][-1]["seq"])')"
cat >"$SCRATCH/sources.conf" <<END
sources = (
  { name = "conf-a"; type = "files"; paths = [ "$S" ]; prefix = "plant"; truth = "files"; tags = [ "c" ]; },
  { name = "conf-b"; type = "files"; paths = [ "$S/one.txt" ]; consistency = "quiesced"; }
);
END
expect 2 "which source" "$HF" backup --config "$SCRATCH/sources.conf"
json 0 backup "$HF" backup --config "$SCRATCH/sources.conf" --source conf-a
expect 0 "prefix" "$HF" snapshot ls latest --source conf-a /plant
says "prefix" "/plant/one.txt"
expect 0 "conf-b" "$HF" backup --config "$SCRATCH/sources.conf" --source conf-b
printf 'sources = ( { name = "x"; type = "files"; pahts = [ "a" ]; } );\n' >"$SCRATCH/bad.conf"
expect 2 "bad configuration" "$HF" backup --config "$SCRATCH/bad.conf"
says "bad configuration" "bad.conf:1"
says "bad configuration" "paths"
expect 2 "a source the file lacks" "$HF" backup --config "$SCRATCH/sources.conf" --source nope

# a database: complete or refused, one run at a time, no password in the file, no copy left behind
DB='sources = ( { name = "db"; type = "postgres"; truth = "none"; conninfo = "%s"; } );\n'
# shellcheck disable=SC2059
printf "$DB" 'host=127.0.0.1 port=1 user=x' >"$SCRATCH/db.conf"
for option in --exclude=x --exclude-file=/dev/null --exclude-larger-than=1K --exclude-caches --exclude-if-present=x -x -n; do
	expect 2 "a database with $option" "$HF" backup --config "$SCRATCH/db.conf" "$option"
	says "a database with $option" "a database has no"
done
mkdir "$SCRATCH/staging"
expect 13 "a database that is not there" \
	"$HF" backup --config "$SCRATCH/db.conf" --staging "$SCRATCH/staging"
LEFT=$(find "$SCRATCH/staging" -mindepth 1 ! -name '*.lock')
if [ -z "$LEFT" ]; then ok; else not_ok "its copy is removed" "$LEFT"; fi
LOCK=$(find "$SCRATCH/staging" -name '*.lock')
expect 11 "a staging directory in use" flock "$LOCK" \
	env HOLDFAST_CACHE_DIR="$SCRATCH/cache2" "$HF" backup --config "$SCRATCH/db.conf" \
	--staging "$SCRATCH/staging"
# PostgreSQL's client library is asked for by a database alone
for program in holdfast holdfast-agent; do
	if ldd "$BUILD/$program" | grep libpq; then not_ok "$program starts without libpq"; else ok; fi
done
mkdir "$SCRATCH/nolib"
: >"$SCRATCH/nolib/libpq.so.5"
expect 10 "a database without libpq" env LD_LIBRARY_PATH="$SCRATCH/nolib" \
	"$HF" backup --config "$SCRATCH/db.conf"
says "a database without libpq" "unable to load PostgreSQL's client library"
says "a database without libpq" "apt-get install libpq5"
printf 'sources = ( { name = "db"; type = "postgres"; conninfo = "host=h"; },
 { name = "conf-c"; type = "files"; paths = [ "%s" ]; } );\n' "$S/one.txt" >"$SCRATCH/both.conf"
expect 0 "files without libpq" env LD_LIBRARY_PATH="$SCRATCH/nolib" \
	"$HF" backup --config "$SCRATCH/both.conf" --source conf-c
says "files without libpq" "both.conf:1: warning: this source cannot be backed up"
for info in 'postgresql://x:secret@h/d' 'postgresql://h/d?pass%77ord=secret' 'password=secret'; do
	# shellcheck disable=SC2059
	printf "$DB" "$info" >"$SCRATCH/db.conf"
	expect 2 "a password in '$info'" "$HF" backup --config "$SCRATCH/db.conf"
	says "a password in '$info'" "passfile"
	if grep -q secret <<<"$OUT"; then not_ok "the password is not shown" "$OUT"; else ok; fi
done
# two at once: the first one waits for its input
mkfifo "$SCRATCH/fifo"
"$HF" backup --stdin --source busy <"$SCRATCH/fifo" >"$SCRATCH/busy" 2>&1 &
one=$!
exec 7>"$SCRATCH/fifo"
until grep -q "FLOCK .* $one " /proc/locks || ! kill -0 $one; do :; done
expect 11 "two backups of one source" "$HF" backup --source busy "$S/one.txt"
kill -TERM $one
exec 7>&-
wait $one
is "SIGTERM" 143 $?
expect 0 "nothing of it is visible" test -z "$("$HF" snapshot list -q | grep busy)"

# ---- listing
json 0 snapshot-list "$HF" snapshot list
expect 0 "list" "$HF" snapshot list
is "every SIZE ends in the column of its head" "" "$(awk '
	/^ID / { end = index($0, "SIZE") + 3; next }
	/^[0-9a-f]{8}  / && substr($0, end - 1, 3) !~ /B $/' <<<"$OUT")"
expect 0 "list of one" "$HF" snapshot list --source s --latest 1
says "list of one" "1 snapshot"
if grep -q "1 snapshots" <<<"$OUT"; then not_ok "one is not many" "$OUT"; else ok; fi
is "tags" 1 "$("$HF" snapshot list --tag second --tag daily --json | grep -o '"short_id"' | wc -l)"
is "latest 1" 1 "$("$HF" snapshot list --source s --latest 1 --json | grep -o '"short_id"' | wc -l)"
is "host" 1 "$("$HF" snapshot list --host plant1 --json | grep -o '"short_id"' | wc -l)"
json 10 "snapshot-list error" "$HF" snapshot list --source $'s\e[31m'
is "an empty list, then the error" "[] not-found" "$(python3 -c '
import json, sys
l = [json.loads(l) for l in open(sys.argv[1])]
print(l[0]["snapshots"], l[1]["id"])' "$SCRATCH/json")"
mkdir "$SCRATCH/w"
(cd "$SCRATCH/w" && "$HF" init --vault "$SCRATCH/w/v" --recovery-file "$SCRATCH/w/rec" -q >/dev/null)
for name in plc3 hist3 $'e\e[31m'; do
	expect 0 "backup of $name" "$HF" backup --vault "$SCRATCH/w/v" --source "$name" "$S/one.txt"
done
expect 10 "list of a mistyped source" "$HF" snapshot list --vault "$SCRATCH/w/v" --source 'plc'
says "it says so" "there is no snapshot of source 'plc'"
says "it names those there are, escaped" "hint: there are snapshots of 'e\x1b[31m', 'hist3' and 'plc3'"
for verb in "snapshot find x" "copy --to none" "snapshot ls latest"; do
	# shellcheck disable=SC2086 # words
	expect 10 "$verb of a mistyped source" "$HF" $verb --vault "$SCRATCH/w/v" --source plc \
		--recovery-file "$SCRATCH/w/rec"
	says "$verb names those there are" "'hist3' and 'plc3'"
done
expect 0 "list of a source by its host" "$HF" snapshot list --vault "$SCRATCH/w/v" --source "$(hostname)/plc3"
says "list of a source by its host" "1 snapshot"
json 0 snapshot-show "$HF" snapshot show "${first:0:8}"
expect 0 "show" "$HF" snapshot show "${first:0:6}"
says "show" "plant1"
expect 2 "latest of many" "$HF" snapshot show latest
expect 10 "no such snapshot" "$HF" snapshot show 00000000
expect 2 "no id at all" "$HF" snapshot show xyz

# ---- looking inside
json 0 "snapshot-ls/entry snapshot-ls/summary" "$HF" snapshot ls "$first" "$S"
json 0 "snapshot-ls" "$HF" snapshot ls -R "$first"
expect 0 "ls -l" "$HF" snapshot ls -l "$first" "$S"
says "ls -l" "link -> one.txt"
if grep -qF $'\e' <<<"$OUT"; then not_ok "an escape reached the terminal"; else ok; fi
says "escaped" 'esc\x1b[31m\xff\nname'
expect 3 "ls of one path of two" "$HF" snapshot ls "$first" "$S/one.txt" /nope
expect 2 "ls of no path" "$HF" snapshot ls "$first" /nope
json 0 "snapshot-find/match" "$HF" snapshot find 'one.*'
expect 0 "find in one" "$HF" snapshot find --snapshot "$first" -i 'TWO.*' "$S/sub/cache/*"
says "find" "/sub/two.xml"
says "find by path" "/sub/cache/big"
json 0 "snapshot-diff/change snapshot-diff/summary" "$HF" snapshot diff "$first" "$second"
expect 0 "diff" "$HF" snapshot diff "$first" "$second" --path "$S"
says "diff" "M $S/one.txt"
says "diff" "- $S/sub/two.xml"
says "diff" "+ $S/link.d"
says "diff" "U $S/sub"
expect 0 "dump of a file" "$HF" dump "$first" "$S/one.txt"
is "dump" one "$OUT"
mkdir "$SCRATCH/untar"
if "$HF" dump "$first" "$S" | tar -C "$SCRATCH/untar" --xattrs --xattrs-include='*' --acls -xpf - \
	2>"$SCRATCH/tar"; then
	ok
else
	not_ok "dump of a directory"
fi
expect 0 "first state" "$HF" restore "$first" --to "$SCRATCH/state1"
expect 0 "tar stream is equal" "$TOOLS/treecmp" "$SCRATCH/state1$S" "$SCRATCH/untar$S"
expect 2 "dump of nothing" "$HF" dump "$first" /nope
expect 2 "dump of a link" "$HF" dump "$first" "$S/link"
"$HF" dump "$first" "$S/one.txt" --json 2>"$SCRATCH/json" >/dev/null
fits "dump --json" "$SCRATCH/json" dump
"$HF" dump "$first" "$S/large.bin" 2>"$SCRATCH/pipe" | head -c 1 >/dev/null
rc=${PIPESTATUS[0]}
if [ "$rc" -eq 141 ] || [ "$rc" -eq 0 ]; then ok; else not_ok "broken pipe: exit $rc"; fi
is "without a word" "" "$(cat "$SCRATCH/pipe")"

# ---- restore
json 0 "restore restore/summary" "$HF" restore "$second" --to "$SCRATCH/r1"
expect 0 "equal" "$TOOLS/treecmp" "$S" "$SCRATCH/r1$S"
expect 2 "restore without --to" "$HF" restore "$second"
expect 1 "a directory that is not empty" "$HF" restore "$second" --to "$SCRATCH/r1"
says "a directory that is not empty" "--overwrite"
printf 'mine\n' >"$SCRATCH/r1$S/one.txt"
printf 'extra\n' >"$SCRATCH/r1$S/extra"
expect 0 "keep" "$HF" restore "$second" --to "$SCRATCH/r1" --overwrite keep
is "keep" mine "$(cat "$SCRATCH/r1$S/one.txt")"
expect 0 "if-changed" "$HF" restore "$second" --to "$SCRATCH/r1" --overwrite if-changed
is "if-changed" more "$(tail -n 1 "$SCRATCH/r1$S/one.txt")"
expect 0 "always" "$HF" restore "$first" --to "$SCRATCH/r1" --overwrite always
is "always" one "$(cat "$SCRATCH/r1$S/one.txt")"
is "extra files stay" extra "$(cat "$SCRATCH/r1$S/extra")"
expect 2 "no such rule" "$HF" restore "$first" --to "$SCRATCH/r2" --overwrite sometimes
expect 0 "one path" "$HF" restore "$first" --to "$SCRATCH/r2" "$S/sub"
is "only that path" "sub" "$(ls "$SCRATCH/r2$S")"
expect 3 "one path of two" "$HF" restore "$first" --to "$SCRATCH/r3" "$S/sub" /nope
expect 2 "no path of two" "$HF" restore "$first" --to "$SCRATCH/r4" /no /nope
expect 0 "include" "$HF" restore "$first" --to "$SCRATCH/r5" --include '*.xml'
is "include" "$SCRATCH/r5$S/sub/two.xml" "$(find "$SCRATCH/r5" -type f)"
expect 0 "exclude" "$HF" restore "$first" --to "$SCRATCH/r6" --exclude sub --exclude '*.bin'
expect 0 "exclude" test ! -e "$SCRATCH/r6$S/sub" -a ! -e "$SCRATCH/r6$S/large.bin"
json 0 restore "$HF" restore "$first" --dry-run
expect 12 "wrong passphrase" "$HF" restore "$first" --to "$SCRATCH/r7" \
	--passphrase-file "$SCRATCH/g/pass"
says "wrong passphrase" "hint: it was tried on the recovery file $SCRATCH/recovery"
expect 0 "nothing was made" test ! -e "$SCRATCH/r7"
json 12 error "$HF" snapshot ls "$first" --passphrase-file "$SCRATCH/g/pass"
OUT=$(env -u HOLDFAST_PASSPHRASE_FILE HOLDFAST_PASSPHRASE_COMMAND="sh -c 'echo own passphrase'" \
	"$HF" snapshot ls "$first" 2>&1)
is "passphrase command" 0 $?
OUT=$(env -u HOLDFAST_PASSPHRASE_FILE setsid "$HF" snapshot ls "$first" 2>&1 </dev/null)
is "nobody to ask" 2 $?
says "nobody to ask" "HOLDFAST_PASSPHRASE_COMMAND"

# ---- verify, keys, drill key
json 0 "verify verify/summary" "$HF" verify
json 0 "verify/summary" "$HF" verify --data
json 0 key-show "$HF" key show
expect 0 "key show" "$HF" key show
says "key show" "line3"
expect 0 "drill key opens" env -u HOLDFAST_PASSPHRASE_FILE "$HF" snapshot ls "$second" \
	--drill-key "$SCRATCH/drill.key"
expect 0 "drill key verifies" env -u HOLDFAST_PASSPHRASE_FILE "$HF" verify --data \
	--drill-key "$SCRATCH/drill.key"
chmod 644 "$SCRATCH/drill.key"
expect 12 "a drill key that others may read" "$HF" snapshot ls "$second" \
	--drill-key "$SCRATCH/drill.key"
json 0 key-drill "$HF" key drill new line4 --out "$SCRATCH/drill4.key"
expect 1 "the same group again" "$HF" key drill new line4 --out "$SCRATCH/drill5.key"
expect 2 "no group name" "$HF" key drill new 'Line 4' --out "$SCRATCH/drill5.key"
expect 12 "not for snapshots before" "$HF" snapshot ls "$second" --drill-key "$SCRATCH/drill4.key"
expect 0 "backup" "$HF" backup --source s "$S"
expect 0 "for those after" env -u HOLDFAST_PASSPHRASE_FILE "$HF" snapshot ls latest --source s \
	--drill-key "$SCRATCH/drill4.key"
printf 'new words\n' >"$SCRATCH/newpass"
json 0 key-passwd "$HF" key passwd --new-passphrase-file "$SCRATCH/newpass" \
	--out "$SCRATCH/recovery2"
expect 0 "the new recovery file" "$HF" snapshot ls "$second" --recovery-file "$SCRATCH/recovery2" \
	--passphrase-file "$SCRATCH/newpass"
expect 0 "the old one stays valid" "$HF" snapshot ls "$second"
expect 12 "but not crosswise" "$HF" snapshot ls "$second" --recovery-file "$SCRATCH/recovery2"
expect 1 "there is a writer key" "$HF" key writer new
json 0 key-writer env HOLDFAST_CONFIG_DIR="$SCRATCH/newhost" "$HF" key writer new
expect 0 "on a new host" env HOLDFAST_CONFIG_DIR="$SCRATCH/config2" "$HF" key writer new --json
expect 0 "its backup" env HOLDFAST_CONFIG_DIR="$SCRATCH/config2" "$HF" backup --source s "$S"
expect 10 "backup without a writer key" env HOLDFAST_CONFIG_DIR="$SCRATCH/config3" "$HF" backup "$S"
expect 0 "list with the recovery file alone" env HOLDFAST_CONFIG_DIR="$SCRATCH/config3" \
	"$HF" snapshot list
expect 0 "verify" "$HF" verify --data

# ---- plans
json 0 plan-lint "$HF" plan lint "$TREE/plans/examples/line3.plan"
json 0 plan-show "$HF" plan show "$TREE/plans/examples/line3.plan"
expect 0 "plan show" "$HF" plan show "$TREE/plans/examples/line3.plan"
printf 'plan = { id = "x" };\n' >"$SCRATCH/bad.plan"
json 2 plan-lint "$HF" plan lint "$SCRATCH/bad.plan"
expect 2 "plan show of a bad plan" "$HF" plan show "$SCRATCH/bad.plan"
expect 10 "no such plan" "$HF" plan lint "$SCRATCH/no.plan"

# ---- damage and rollback
cp -a "$V" "$SCRATCH/copy"
printf 'later\n' >>"$S/one.txt"
expect 0 "a later backup" "$HF" backup --source s "$S"
expect 14 "an older copy of the store" "$HF" snapshot list --vault "$SCRATCH/copy"
says "an older copy of the store" "went back"
json 14 error "$HF" backup --source s "$S" --vault "$SCRATCH/copy"
json 14 "verify/finding verify/summary error" "$HF" verify --vault "$SCRATCH/copy"
expect 3 "accepted" "$HF" snapshot list --vault "$SCRATCH/copy" --accept-rollback
expect 0 "and remembered" "$HF" snapshot list --vault "$SCRATCH/copy"
expect 0 "the newer one is fine" "$HF" snapshot list
pack=$(find "$V/pk" -type f -size +800k | head -n 1)
chmod u+w "$pack"
printf '\377\000\377' | dd of="$pack" bs=1 seek=500000 conv=notrunc status=none
json 14 "verify/finding verify/summary error" "$HF" verify
json 14 "warning restore/summary error" "$HF" restore "$first" --to "$SCRATCH/hurt"
expect 0 "the others came back" test "$(cat "$SCRATCH/hurt$S/one.txt")" = one
expect 0 "the damaged one did not" test ! -e "$SCRATCH/hurt$S/large.bin"
expect 14 "dump of the damaged one" "$HF" dump "$first" "$S/large.bin"
finish
