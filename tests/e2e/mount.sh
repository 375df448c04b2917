#!/bin/bash
# A mounted vault is what was backed up: content and all metadata; databases run from it; what is
# damaged is an error and nothing else.  Without FUSE the reader under it is tested by dump alone.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
V=$SCRATCH/vault
new_vault "$V"
export HOLDFAST_VAULT=$V
M=$SCRATCH/mnt
CHECK=$TREE/tests/e2e/mount_check.py
mkdir "$M"

MOUNTER=
PG_PID=
# shellcheck disable=SC2317 # the trap runs it
end_all() {
	[ -z "$PG_PID" ] || kill -KILL "$PG_PID" 2>/dev/null
	umount -l "$SCRATCH/merged" 2>/dev/null
	[ -z "$MOUNTER" ] || kill -KILL "$MOUNTER" 2>/dev/null
	umount -l "$M" 2>/dev/null || fusermount3 -u -z "$M" 2>/dev/null
}
trap 'end_all; chmod -R u+rwx "$SCRATCH" 2>/dev/null; rm -rf "$SCRATCH"' EXIT

# mounts NAME OPTION...: mount at $M in the background; MOUNTER is its process.  Waits for its line.
mounts() {
	local name=$1
	shift
	rm -f "$SCRATCH/mount.out"
	# a shell without job control lets its background processes ignore SIGINT
	env --default-signal=INT "$HF" mount "$@" --json "$M" >"$SCRATCH/mount.out" 2>&1 </dev/null &
	MOUNTER=$!
	until grep -qs '"message_type":"mounted"' "$SCRATCH/mount.out"; do
		if ! kill -0 "$MOUNTER" 2>/dev/null; then
			not_ok "$name" "$(cat "$SCRATCH/mount.out")"
			finish
		fi
		sleep 0.05
	done
	ok
}

# ended STATUS NAME: the mount that was told to end is gone with that status.
ended() {
	local got
	wait "$MOUNTER"
	got=$?
	MOUNTER=
	if [ "$got" -eq "$1" ]; then ok; else not_ok "$2: exit $got instead of $1" "$(cat "$SCRATCH/mount.out")"; fi
	if grep -qF " $(realpath "$M" | sed 's/ /\\040/g') " /proc/mounts; then
		not_ok "$2: still mounted"
		umount -l "$M"
	else
		ok
	fi
}

# ---- any range of a file, without FUSE
mkdir "$SCRATCH/big"
"$CHECK" image "$SCRATCH/big/disk.img"
expect 0 "backup of an image" "$HF" backup --source image "$SCRATCH/big"
IMAGE=$SCRATCH/big/disk.img
compare_range() {
	"$HF" dump latest "$IMAGE" --source image --offset "$1" --length "$2" >"$SCRATCH/part" 2>&1 &&
		cmp -s "$SCRATCH/part" <(tail -c +$(($1 + 1)) "$IMAGE" | head -c "$2")
}
for range in "0 10" "5 1000000" "3000000 3000000" "209715190 100" "150000000 65536" "209715200 5"; do
	# shellcheck disable=SC2086 # two words
	if compare_range $range; then ok; else not_ok "range $range of the image"; fi
done
expect 0 "a length alone" "$HF" dump latest "$IMAGE" --source image --length 3
expect 2 "a range of a directory" "$HF" dump latest "$SCRATCH/big" --source image --offset 1
expect 2 "a range of an archive" "$HF" dump latest "$IMAGE" --source image --offset 1 --archive tar

# ---- mistakes are told before anything is mounted
expect 10 "no mount point" "$HF" mount "$SCRATCH/none"
says "no mount point" "there is no directory"
expect 2 "no directory" "$HF" mount "$SCRATCH/pass"
expect 2 "not empty" "$HF" mount "$SCRATCH/big"
says "not empty" "is not empty"
expect 10 "no such source" "$HF" mount --source none "$M"
expect 10 "no such snapshot" "$HF" mount --snapshot ffffffff "$M"
if ! [ -e /dev/fuse ] || ! (exec 3<>/dev/fuse) 2>/dev/null; then
	expect 1 "no FUSE for us" "$HF" mount "$M"
	says "no FUSE for us" "hint:"
	echo "mount: no FUSE here: the rest is not tested"
	finish
fi

# ---- the nasty tree, and its newest snapshot as the mount point
mkdir "$SCRATCH/nasty"
expect 0 "make the nasty tree" "$TOOLS/nasty" make -t "$SCRATCH/nasty"
[ "$(id -u)" -eq 0 ] || chmod u+rwx "$SCRATCH"/nasty/modes/*-0[0-3]*
expect 0 "backup of it" "$HF" backup --source nasty --no-recheck "$SCRATCH/nasty"
cp -a /usr/lib/python3 "$SCRATCH/lib"
expect 0 "backup of programs" "$HF" backup --source "lib/a %" --no-recheck "$SCRATCH/lib"
mounts "mount"
readers() { "$HF" vault info --json 2>/dev/null | grep -o '"restores":[0-9]*'; }
if [ "$(readers)" = '"restores":1' ]; then ok; else not_ok "a mount holds collection back: $(readers)"; fi
expect 0 "nasty tree is equal" \
	"$TOOLS/treecmp" "$SCRATCH/nasty" "$M/sources/nasty/latest$SCRATCH/nasty"
expect 0 "a source with a blank, a slash and a percent sign" \
	"$TOOLS/treecmp" "$SCRATCH/lib" "$M/sources/lib%2Fa %25/latest$SCRATCH/lib"
expect 0 "latest of all" test "$M/snapshots/latest$SCRATCH/lib" -ef \
	"$M/sources/lib%2Fa %25/latest$SCRATCH/lib"
expect 1 "writing is refused" touch "$M/snapshots/latest$SCRATCH/x"
says "writing is refused" "Read-only"
expect 1 "so at the top" mkdir "$M/x"
expect 0 "hard links have their number of names" \
	"$CHECK" links "$SCRATCH/nasty" "$M/sources/nasty/latest$SCRATCH/nasty"
expect 0 "holes are holes" "$CHECK" holes "$IMAGE" "$M/sources/image/latest$IMAGE"
expect 0 "content of the image" cmp "$IMAGE" "$M/sources/image/latest$IMAGE"

# ---- a snapshot made meanwhile appears
before=$(find "$M/sources/nasty" -maxdepth 1 | wc -l)
expect 0 "another backup" "$HF" backup --source nasty --no-recheck "$SCRATCH/nasty"
sleep 1.1
after=$(find "$M/sources/nasty" -maxdepth 1 | wc -l)
expect 0 "a new snapshot appears" test "$after" -eq $((before + 1))
expect 0 "and its files" \
	"$TOOLS/treecmp" "$SCRATCH/nasty" "$M/sources/nasty/latest$SCRATCH/nasty"

# ---- many readers at a time
expect 0 "readers at a time" "$CHECK" readers "$IMAGE" "$M/sources/image/latest$IMAGE"
kill -INT "$MOUNTER"
ended 0 "SIGINT"
if [ "$(readers)" = '"restores":0' ]; then ok; else not_ok "until it ends: $(readers)"; fi
if OUT=$(python3 "$TREE/tests/e2e/check_json.py" "$TREE/docs/schema" mount/mounted mount/summary \
	<"$SCRATCH/mount.out"); then ok; else not_ok "JSON fits its schema" "$OUT"; fi

# ---- one snapshot; ends by unmounting, by SIGTERM while it is in use
mounts "mount one snapshot" --snapshot latest --source image
expect 0 "its files are at the mount point" cmp "$IMAGE" "$M$IMAGE"
expect 0 "unmount" umount "$M"
ended 0 "unmounted"
mounts "mount again" --source image --cache 2MiB
expect 0 "only this source" test "$(ls "$M/sources")" = image
exec 3<"$M/sources/image/latest$IMAGE"
kill "$MOUNTER"
ended 0 "SIGTERM in use"
exec 3<&-
if python3 - "$SCRATCH/mount.out" <<'EOF'
import json, sys
last = json.loads(open(sys.argv[1]).read().splitlines()[-1])
sys.exit(last["cache_peak_bytes"] > (2 << 20) + 16 * (4 << 20))
EOF
then ok; else not_ok "the cache kept its bound" "$(cat "$SCRATCH/mount.out")"; fi

# ---- SQLite reads a database in the mount
if command -v sqlite3 >/dev/null; then
	mkdir "$SCRATCH/db"
	sqlite3 "$SCRATCH/db/batch.db" "CREATE TABLE r(i INTEGER PRIMARY KEY, v TEXT);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
		INSERT INTO r SELECT i, hex(i * 7919) || i FROM n; CREATE INDEX v ON r(v);"
	expect 0 "backup of a database" "$HF" backup --source db --no-recheck "$SCRATCH/db"
	mounts "mount it" --snapshot latest --source db
	DB="file:$M$SCRATCH/db/batch.db?mode=ro&immutable=1"
	expect 0 "SQLite checks it" sqlite3 "${DB// /%20}" "PRAGMA integrity_check;
		SELECT count(*) FROM r WHERE v = hex(4711 * 7919) || 4711;"
	expect 0 "it says ok and 1" test "$OUT" = "ok
1"
	kill "$MOUNTER"
	ended 0 "after SQLite"
fi

# ---- PostgreSQL starts from the mount on top of an overlay
PG=/usr/lib/postgresql/15/bin
as_pg=(unshare --user --map-user=1000 --map-group=1000) # it does not run as root
# starts NAME DIR: start a server and wait until it answers; PG_PID is its process.
starts() {
	"${as_pg[@]}" env --default-signal=INT "$PG/postgres" -D "$2" -k "$SOCK" -c listen_addresses= -c fsync=off \
		-c shared_buffers=16MB >"$SCRATCH/pg.log" 2>&1 &
	PG_PID=$!
	until "$PG/pg_isready" -q -h "$SOCK"; do
		if ! kill -0 "$PG_PID" 2>/dev/null; then
			not_ok "$1" "$(cat "$SCRATCH/pg.log")"
			finish
		fi
		sleep 0.1
	done
	ok
}
stops() {
	kill -INT "$PG_PID"
	if wait "$PG_PID"; then ok; else not_ok "$1" "$(cat "$SCRATCH/pg.log")"; fi
	PG_PID=
}
SUM="SELECT count(*), sum(v), max(t) FROM hist"
ask() { "$PG/psql" -X -A -t -h "$SOCK" -U backup -d historian -c "$1" 2>&1; }
if [ -x "$PG/postgres" ] && [ "$(id -u)" -eq 0 ] && "${as_pg[@]}" true 2>/dev/null; then
	SOCK=$(mktemp -d /tmp/holdfast-pg.XXXXXX) # a socket's path must be short
	mkdir -m 700 "$SCRATCH/pg"
	expect 0 "initdb" "${as_pg[@]}" "$PG/initdb" -D "$SCRATCH/pg" -U backup --data-checksums --no-sync \
		--auth=trust --locale=C.UTF-8 --encoding=UTF8
	starts "start the historian" "$SCRATCH/pg"
	"$PG/createdb" -h "$SOCK" -U backup historian
	ask "CREATE TABLE hist(t timestamptz, tag int, v float8);
		INSERT INTO hist SELECT now() - i * interval '1 s', i % 50, i * 0.25
		FROM generate_series(1, 400000) i; CREATE INDEX ON hist(tag, t);" >/dev/null
	want=$(ask "$SUM")
	printf 'sources = ( { name = "hist3"; type = "postgres"; truth = "none"; conninfo = "%s"; } );\n' \
		"host=$SOCK user=backup dbname=historian" >"$SCRATCH/sources.conf"
	expect 0 "backup of the historian" "$HF" backup --config "$SCRATCH/sources.conf" --source hist3
	stops "stop it"
	mounts "mount its snapshot" --snapshot latest --source hist3
	expect 0 "the base backup is whole" "$PG/pg_verifybackup" "$M/pgdata"
	mkdir "$SCRATCH/up" "$SCRATCH/work" "$SCRATCH/merged"
	if mount -t overlay overlay -o \
		"lowerdir=$M/pgdata,upperdir=$SCRATCH/up,workdir=$SCRATCH/work" "$SCRATCH/merged"; then
		chmod 700 "$SCRATCH/merged" # the backup gives it no mode of its own
		starts "start it from the mount" "$SCRATCH/merged"
		expect 0 "it answers" ask "$SUM"
		expect 0 "as the historian did" test "$OUT" = "$want"
		expect 0 "its index, too" ask "SELECT count(*) FROM hist WHERE tag = 7"
		expect 0 "and it can be written" ask "INSERT INTO hist VALUES (now(), 1, 1)"
		stops "stop that"
		expect 0 "unmount the overlay" umount "$SCRATCH/merged"
	else
		echo "mount: no overlay file system here: the server is not started"
	fi
	kill "$MOUNTER"
	ended 0 "after PostgreSQL"
	rm -rf "$SOCK"
fi

# ---- an ordinary user, through fusermount3 and a device that he may open
if [ "$(id -u)" -eq 0 ] && command -v fusermount3 >/dev/null && unshare -m true 2>/dev/null; then
	cp "$HF" "$SCRATCH/holdfast"
	mkdir "$SCRATCH/user" "$SCRATCH/user/mnt"
	chmod 755 "$SCRATCH"
	chmod -R a+rX "$V" "$SCRATCH/pass" "$V.recovery"
	chown -R 65534:65534 "$SCRATCH/user"
	# shellcheck disable=SC2016 # the inner shells expand it
	expect 0 "mount as an ordinary user" unshare -m sh -c '
		mount -t tmpfs dev "$1/user" -o mode=755 && mkdir -p "$1/user/mnt" "$1/user/home" &&
		chown 65534:65534 "$1/user/mnt" "$1/user/home" &&
		mknod -m 666 "$1/user/fuse" c 10 229 && mount --bind "$1/user/fuse" /dev/fuse &&
		exec setpriv --reuid 65534 --regid 65534 --clear-groups sh -c '\''
			cd "$1/user/home"
			HOLDFAST_CONFIG_DIR=$PWD HOLDFAST_STATE_DIR=$PWD \
				"$1/holdfast" mount --snapshot latest --source image "$1/user/mnt" >out 2>&1 &
			p=$!
			while kill -0 $p 2>/dev/null && ! grep -q "mounted at" out; do sleep 0.05; done
			cmp "$2" "$1/user/mnt$2"; rc=$?
			fusermount3 -u "$1/user/mnt" || rc=9
			wait $p || rc=8
			cat out
			exit $rc'\'' sh "$1" "$2"' sh "$SCRATCH" "$IMAGE"
	# shellcheck disable=SC2016 # the inner shell expands it
	expect 1 "a device that he may not open" unshare -m sh -c '
		mount -t tmpfs dev "$1/user" -o mode=755 && mkdir -p "$1/user/mnt" "$1/user/home" &&
		chown 65534:65534 "$1/user/mnt" "$1/user/home" &&
		mknod -m 600 "$1/user/fuse" c 10 229 && mount --bind "$1/user/fuse" /dev/fuse &&
		HOLDFAST_CONFIG_DIR=$1/user/home HOLDFAST_STATE_DIR=$1/user/home exec timeout 60 \
			setpriv --reuid 65534 --regid 65534 --clear-groups \
			"$1/holdfast" mount "$1/user/mnt"' sh "$SCRATCH"
	says "a device that he may not open" "hint:"
	# with --allow-other the kernel enforces what is shown
	install -d -m 755 "$SCRATCH/rights"
	install -m 644 /dev/null "$SCRATCH/rights/open"
	install -m 600 /dev/null "$SCRATCH/rights/closed"
	setfacl -m u:65534:r "$SCRATCH/rights/closed"
	install -m 600 /dev/null "$SCRATCH/rights/shut"
	expect 0 "backup of rights" "$HF" backup --source rights --no-recheck "$SCRATCH/rights"
	mounts "mount for others" --snapshot latest --source rights --allow-other
	as_other=(setpriv --reuid 65534 --regid 65534 --clear-groups)
	expect 0 "others read what is open" "${as_other[@]}" cat "$M$SCRATCH/rights/open"
	expect 0 "others read what an ACL opens" "${as_other[@]}" cat "$M$SCRATCH/rights/closed"
	expect 1 "others read nothing else" "${as_other[@]}" cat "$M$SCRATCH/rights/shut"
	says "others read nothing else" "Permission denied"
	kill "$MOUNTER"
	ended 0 "for others"
	mounts "mount for one" --snapshot latest --source rights
	expect 2 "others see nothing of it" "${as_other[@]}" ls "$M"
	kill "$MOUNTER"
	ended 0 "for one"
fi

# ---- damage: an error for who reads there, and a line that names the pack
expect 0 "a vault to damage" cp -r "$V" "$SCRATCH/hurt"
python3 - "$SCRATCH/hurt/pk" <<'EOF'
import os, sys
packs = [os.path.join(t, f) for t, _, fs in os.walk(sys.argv[1]) for f in fs]
biggest = max(packs, key=os.path.getsize)
os.chmod(biggest, 0o600)
with open(biggest, "r+b") as f:
    f.seek(os.path.getsize(biggest) // 2); b = f.read(1)
    f.seek(-1, 1); f.write(bytes([b[0] ^ 1]))
EOF
mounts "mount the damaged vault" --snapshot latest --source image --vault "$SCRATCH/hurt"
expect 0 "wrong bytes are never given" "$CHECK" damage "$IMAGE" "$M$IMAGE"
kill "$MOUNTER"
ended 3 "after damage"
OUT=$(cat "$SCRATCH/mount.out")
says "the damage is told" "pk/"
says "the damage is told" "disk.img"
finish
