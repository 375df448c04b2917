#!/bin/bash
# A vault that belongs to one user and is backed up to by another, through a door that knows no way
# to remove or overwrite: the whole way, what is refused, an enemy with a place at the door and the
# writer's key, and what the owner alone can do.  As root with two users; else with one.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
V=$SCRATCH/vault
S=$SCRATCH/src
DOOR=$SCRATCH/door
DOOR_PID=
# shellcheck disable=SC2317 # the trap calls it
end_door() {
	[ -z "$DOOR_PID" ] || kill -KILL "$DOOR_PID" 2>/dev/null
	chmod -R u+rwx "$SCRATCH" 2>/dev/null
	rm -rf "$SCRATCH"
}
trap end_door EXIT
OWNER=() WRITER=() NOBODY=()
ALLOW=$(id -u)
if [ "$(id -u)" -eq 0 ]; then
	OWNER=(setpriv --reuid 64901 --regid 64901 --clear-groups)
	WRITER=(setpriv --reuid 64902 --regid 64902 --clear-groups)
	NOBODY=(setpriv --reuid 64903 --regid 64903 --clear-groups)
	ALLOW=64902
	chmod 711 "$SCRATCH"
fi
give() { # give USER PATH...: to that user, as root
	local who=$1
	shift
	[ "$(id -u)" -ne 0 ] || chown -R "$who:$who" "$@"
}
cd "$SCRATCH" || exit 1
mkdir "$S" "$SCRATCH/owner" "$SCRATCH/writer" "$DOOR"
head -c 3000000 /dev/urandom >"$S/shard.arc"
printf 'batch 1\n' >"$S/1.evt"
printf 'correct horse battery staple\n' >"$SCRATCH/pass"
chmod 644 "$SCRATCH/pass"
mkdir -m 700 "$V"
give 64901 "$V" "$SCRATCH/owner" "$DOOR"
give 64902 "$SCRATCH/writer"
export HOLDFAST_PASSPHRASE_FILE=$SCRATCH/pass
as_owner() { # the directory itself
	HOLDFAST_CONFIG_DIR=$SCRATCH/owner/config HOLDFAST_STATE_DIR=$SCRATCH/owner/state \
		HOLDFAST_CACHE_DIR=$SCRATCH/owner/cache \
		HOLDFAST_RECOVERY_FILE=$SCRATCH/owner/recovery "${OWNER[@]}" "$@"
}
as_writer() {
	HOLDFAST_CONFIG_DIR=$SCRATCH/writer/config HOLDFAST_STATE_DIR=$SCRATCH/writer/state \
		HOLDFAST_CACHE_DIR=$SCRATCH/writer/cache "${WRITER[@]}" "$@"
}
expect 0 "init" as_owner "$HF" init --vault "$V" --recovery-file "$SCRATCH/owner/recovery"
mkdir -p "$SCRATCH/writer/config"
cp -r "$SCRATCH/owner/config/." "$SCRATCH/writer/config/"
give 64902 "$SCRATCH/writer"
U=unix:$DOOR/s

# ---- what does not make a door
expect 2 "no socket" as_owner "$HF" vault serve --vault "$V" --allow 0
expect 2 "nobody" as_owner "$HF" vault serve --vault "$V" --socket "$DOOR/s"
says "nobody" "--allow is needed"
expect 2 "no such user" as_owner "$HF" vault serve --vault "$V" --socket "$DOOR/s" --allow no-such-user
expect 2 "a bucket" as_owner "$HF" vault serve --vault "s3:http://127.0.0.1:9/b" --socket "$DOOR/s" --allow 0
expect 10 "no vault" as_owner "$HF" vault serve --vault "$DOOR" --socket "$DOOR/s" --allow 0
expect 13 "no door yet" as_writer "$HF" backup --vault "$U" --source line3 "$S"
says "no door yet" "vault serve"

open_door() {
	as_owner "$HF" vault serve --vault "$V" --socket "$DOOR/s" --allow "$ALLOW" "$@" \
		>"$SCRATCH/door.out" 2>"$SCRATCH/door.log" </dev/null &
	DOOR_PID=$!
	for _ in $(seq 100); do
		grep -q serving "$SCRATCH/door.out" && return
		sleep 0.05
	done
	not_ok "the door does not open" "$(cat "$SCRATCH/door.log")"
}
close_door() {
	local pid rc
	pid=$(pgrep -P "$DOOR_PID" holdfast || echo "$DOOR_PID")
	kill -TERM "$pid"
	wait "$DOOR_PID"
	rc=$?
	if [ $rc -eq 0 ]; then ok; else not_ok "the door did not close well: exit $rc" "$(cat "$SCRATCH/door.log")"; fi
	DOOR_PID=
}
open_door
expect 1 "a second door" as_owner "$HF" vault serve --vault "$V" --socket "$DOOR/s" --allow 0
if [ "$(id -u)" -eq 0 ]; then
	timeout 2 "$HF" vault serve --vault "$V" --socket "$DOOR/root" --allow 0 \
		--writer-key "$(echo "$SCRATCH"/owner/config/*/writer.key)" >"$SCRATCH/root.out" 2>&1
	OUT=$(cat "$SCRATCH/root.out")
	says "a door of root's" "kept by root"
	says "root at the door" "not append-only"
fi

# ---- the whole way, by a user who cannot even look into the directory
if [ "$(id -u)" -eq 0 ]; then
	expect 2 "the directory is the owner's" as_writer ls "$V"
	expect 12 "a stranger" "${NOBODY[@]}" "$HF" snapshot list --vault "$U"
	says "a stranger" "does not let user 64903 in"
fi
expect 2 "init through the door" as_writer "$HF" init --vault "$U" --recovery-file "$SCRATCH/writer/r"
for i in 1 2 3; do
	printf 'batch %d\n' "$i" >"$S/$i.evt"
	head -c 300000 /dev/urandom >"$S/recipe"
	expect 0 "backup $i" as_writer "$HF" backup --vault "$U" --source line3 "$S"
done
expect 0 "list" as_writer "$HF" snapshot list --vault "$U"
says "list" "3 snapshots"
expect 0 "verify" as_writer "$HF" verify --vault "$U"
expect 0 "info" as_writer "$HF" vault info --vault "$U"
says "info" "append-only"
json 0 vault-info as_writer "$HF" vault info --vault "$U"
cp "$SCRATCH/owner/recovery" "$SCRATCH/recovery"
chmod 644 "$SCRATCH/recovery"
mkdir "$SCRATCH/back"
give 64902 "$SCRATCH/back"
expect 0 "restore" as_writer "$HF" restore latest --vault "$U" --to "$SCRATCH/back/1" \
	--recovery-file "$SCRATCH/recovery"
expect 0 "equal" cmp "$S/recipe" "$SCRATCH/back/1$S/recipe"

# ---- what the writer cannot do, with everything it has
sum() { (cd "$V" && find . -type f -not -path './tmp/*' -exec sha256sum {} + | sort -k2); }
sum >"$SCRATCH/before"
kept() { # name: every object that was there is there, as it was
	sum >"$SCRATCH/after"
	if [ -z "$(comm -23 <(sort "$SCRATCH/before") <(sort "$SCRATCH/after"))" ]; then
		ok
	else
		not_ok "$1: objects went or changed" \
			"$(diff "$SCRATCH/before" "$SCRATCH/after")"
	fi
}
refused() { # name COMMAND...
	local name=$1 rc
	shift
	OUT=$(as_writer "$@" 2>&1 </dev/null)
	rc=$?
	if [ $rc -ne 0 ] && grep -q "nothing that a backup writes\|takes nothing away" <<<"$OUT"; then
		ok
	else
		not_ok "$name: exit $rc" "$OUT"
	fi
	kept "$name"
}
refused "retention" "$HF" retention apply --vault "$U" --keep-last 1 --min-keep 0s --approve me
refused "collection" "$HF" gc --vault "$U" --grace 0s
refused "parity" "$HF" parity --vault "$U"
refused "another writer" env HOLDFAST_CONFIG_DIR="$SCRATCH/writer/other" "$HF" key writer new \
	--vault "$U" --recovery-file "$SCRATCH/recovery"
refused "other keys" "$HF" key rotate --vault "$U" --recovery-file "$SCRATCH/recovery"
mapfile -t names < <(cd "$V" && find . -type f -not -path './tmp/*' -printf '%P\n' | sort)
expect 0 "an enemy at the door" as_writer /usr/bin/python3 "$TREE/tests/e2e/door_enemy.py" "$DOOR/s" "${names[@]}"
says "an enemy at the door" "all was refused"
kept "an enemy"
sleep 0.5
printf 'batch 4\n' >"$S/4.evt"
expect 0 "collect after the enemy" as_owner "$HF" gc --vault "$V"
expect 0 "retention after the enemy" as_owner "$HF" retention preview --vault "$V" --keep-last 1
expect 0 "backup after the enemy" as_writer "$HF" backup --vault "$U" --source line3 "$S"
expect 0 "verify after the enemy" as_owner "$HF" verify --data --vault "$V"
says "verify after the enemy" "4 snapshots"

# ---- killed in the middle: nothing half is seen, and the next one carries on
take_shim
chmod 755 "$SHIMS"
FAULTSHIM_AT=40 FAULTSHIM_MODE=kill LD_PRELOAD=$SHIM as_writer "$HF" backup --vault "$U" --source line3 \
	--reread "$S" >/dev/null 2>&1
expect 0 "backup after a kill" as_writer "$HF" backup --vault "$U" --source line3 "$S"
close_door
open_door --keep-free 100000GiB
head -c 400000 /dev/urandom >"$S/more"
expect 1 "what is kept free" as_writer "$HF" backup --vault "$U" --source line3 "$S"
says "what is kept free" "free for its owner"
close_door
open_door

# ---- the owner's part, while the door is open
expect 0 "the owner prunes" as_owner "$HF" retention apply --vault "$V" --keep-last 1 --min-keep 0s --approve me
expect 0 "the owner collects" as_owner "$HF" gc --vault "$V" --grace 0s
expect 0 "again" as_owner "$HF" gc --vault "$V" --grace 0s
expect 0 "a backup after it" as_writer "$HF" backup --vault "$U" --source line3 "$S"
expect 0 "all of it is whole" as_owner "$HF" verify --data --vault "$V"
says "all of it is whole" "2 snapshots"

# ---- rubbish under names that are taken unseen: the owner's runs go on
expect 0 "rubbish" as_writer /usr/bin/python3 "$TREE/tests/e2e/door_enemy.py" --litter "$DOOR/s"
expect 0 "collect beside rubbish" as_owner "$HF" gc --vault "$V" --grace 0s
expect 0 "retention beside rubbish" as_owner "$HF" retention preview --vault "$V" --keep-last 1
expect 0 "a backup beside rubbish" as_writer "$HF" backup --vault "$U" --source line3 "$S"
expect 14 "verify names it" as_owner "$HF" verify --vault "$V"
says "verify names it" "not a pack"
find "$V" -type f -size 5000c -delete # the owner clears it away
expect 0 "and all is whole" as_owner "$HF" verify --data --vault "$V"
if [ "$(id -u)" -eq 0 ]; then
	found=$(find "$V" -not -user 64901 | head -n 3)
	if [ -z "$found" ]; then ok; else not_ok "not the owner's: $found"; fi
fi
close_door
finish
