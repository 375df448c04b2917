#!/bin/bash
# The controller's catalog held by somebody else, for a moment and for long, and damaged in several
# ways: what is said, that nothing is lost, that what is left is not touched, that a rebuild helps.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=netlib.sh
. "$(dirname "$0")/netlib.sh"
V=$SCRATCH/vault
C=$SCRATCH/controller
DB=$C/state/catalog.db
S=$SCRATCH/src
mkdir "$S"
printf 'one\n' >"$S/one"
new_vault "$V"
for source in a b c; do expect 0 "backup" "$HF" backup --vault "$V" --source "$source" "$S"; done
new_controller "$C" "$V"
start_controller
expect 0 "a token" "$HF" token new watcher --role viewer -q
stop_process "$CONTROLLER" 0 "controller"

# hold KIND SECONDS: another program has the catalog, to write or to read, for so long.
hold() {
	rm -f "$SCRATCH/held"
	python3 - "$DB" "$1" "$2" "$SCRATCH/held" <<'P' &
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
if sys.argv[2] == "write":
    db.execute("BEGIN EXCLUSIVE")
    db.execute("UPDATE person SET name = name || 'x'")
else:
    rows = db.execute("SELECT * FROM person")
    rows.fetchone()
open(sys.argv[4], "w").close()
time.sleep(float(sys.argv[3]))
P
	HOLDER=$!
	PROCESSES+=("$HOLDER")
	until_true 10 test -e "$SCRATCH/held" || not_ok "nobody holds the catalog"
}

release() {
	kill -KILL "$HOLDER" 2>/dev/null
	wait "$HOLDER" 2>/dev/null
}

is_as_before() { # NAME
	json 0 token-list "$HF" token list
	is "$1: nothing is lost" "['officer', 'watcher']" "$(field 'sorted(t["name"] for t in o["tokens"])')"
	is "$1: snapshots" 3 "$(python3 "$NET_PY/ask.py" GET /api/v1/snapshots | grep -o '"seq"' | wc -l)"
}

# ---- held
for kind in write read; do
	hold $kind 0.7
	start_controller
	is_as_before "held to $kind for a moment"
	stop_process "$CONTROLLER" 0 "controller"
	release
	hold $kind 60
	expect 11 "held to $kind for long" timeout 20 "$HF" controller run --config "$CONF"
	says "held to $kind for long" "in use by another process"
	says "held to $kind for long" "hint: "
	expect 11 "a rebuild of one held" timeout 20 "$HF" catalog rebuild --config "$CONF"
	is "nothing is set aside" "" "$(find "$C/state" -name '*damaged*')"
	release
	start_controller
	is_as_before "held to $kind for long, then free"
	OUT=$(python3 -c '
import sqlite3, sys
try:
    sqlite3.connect(sys.argv[1], timeout=0.2).execute("SELECT * FROM person").fetchall()
except sqlite3.OperationalError as e:
    print(e)' "$DB" 2>&1)
	says "nobody else gets in while the controller runs" "locked"
	json 0 job-list "$HF" job list
	stop_process "$CONTROLLER" 0 "controller"
done

# ---- damaged: WANT-STATUS TEXT HINT, after something was done to it
cp -a "$C/state" "$SCRATCH/good"
damaged() {
	local name=$1 status=$2 text=$3 hint=$4 before
	before=$(find "$C/state" -maxdepth 1 -name 'catalog.db' -type f -exec sha256sum {} +)
	expect "$status" "$name" timeout 20 "$HF" controller run --config "$CONF"
	says "$name" "$text"
	says "$name" "$hint"
	is "$name: it is left as it was" "$before" \
		"$(find "$C/state" -maxdepth 1 -name 'catalog.db' -type f -exec sha256sum {} +)"
	json 0 catalog-rebuild "$HF" catalog rebuild --config "$CONF"
	is "$name: rebuilt" "3 0" "$(field '"%d %d" % (o["snapshots"], o["damaged"])')"
	start_controller
	stop_process "$CONTROLLER" 0 "$name: controller"
	rm -rf "$C/state"
	cp -a "$SCRATCH/good" "$C/state"
}
size=$(stat -c %s "$DB")
dd if=/dev/urandom of="$DB" bs=1 count=100 conv=notrunc status=none
damaged "another head" 14 "is damaged" "catalog rebuild"
dd if=/dev/urandom of="$DB" bs=4096 seek=2 count=$((size / 4096 - 2)) conv=notrunc status=none
damaged "pages of noise" 14 "is damaged" "catalog rebuild"
truncate -s $((size / 2)) "$DB"
damaged "half of it" 14 "is damaged" "catalog rebuild"
echo "this is no catalog" >"$DB"
damaged "a text" 14 "is damaged" "catalog rebuild"
: >"$DB"
damaged "nothing in it" 14 "is empty" "catalog rebuild"
rm -f "$DB"
damaged "not there" 10 "there is no catalog" "catalog rebuild"
python3 -c '
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("DROP TABLE job")
db.commit()' "$DB"
damaged "a table gone" 14 "is damaged" "catalog rebuild"

# ---- what a check of the file cannot see: an audit record that was changed
python3 -c '
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
print(db.execute("UPDATE audit SET who = ? WHERE number = 1", ("somebody",)).rowcount)
db.commit()' "$DB" >/dev/null
start_controller
json 14 "error/corrupt" "$HF" audit
json 0 token-list "$HF" token list
stop_process "$CONTROLLER" 0 "controller"
finish
