#!/bin/bash
# Everything a Linux host has goes in and comes back equal in content and all metadata; a second
# backup stores no data and reads nothing that is unchanged.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
V=$SCRATCH/vault
new_vault "$V"
export HOLDFAST_VAULT=$V

mkdir "$SCRATCH/nasty"
expect 0 "make the nasty tree" "$TOOLS/nasty" make "$SCRATCH/nasty"
# what an ordinary user made unreadable for himself cannot be backed up by him
[ "$(id -u)" -eq 0 ] || chmod u+rwx "$SCRATCH"/nasty/modes/*-0[0-3]*
expect 0 "backup of the nasty tree" "$HF" backup --source nasty --no-recheck "$SCRATCH/nasty"
expect 0 "restore" "$HF" restore latest --source nasty --to "$SCRATCH/back"
expect 0 "nasty tree is equal" "$TOOLS/treecmp" "$SCRATCH/nasty" "$SCRATCH/back$SCRATCH/nasty"
mkdir "$SCRATCH/sockets"
python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' \
	"$SCRATCH/sockets/plc.sock"
expect 0 "backup of a socket" "$HF" backup --source sockets "$SCRATCH/sockets"
says "backup of a socket names it" "plc.sock"
expect 0 "it is whole" "$HF" snapshot show latest --source sockets --json
says "it is whole" '"partial":false'
expect 3 "a given path that is not there" "$HF" backup --source lacking "$SCRATCH/sockets" \
	"$SCRATCH/not-there"
expect 0 "that one is partial" "$HF" snapshot show latest --source lacking --json
says "that one is partial" '"partial":true'
says "and what it lacks is counted" '"left_out":1'
expect 0 "verify" "$HF" verify
expect 0 "verify --data" "$HF" verify --data

# a real tree: /usr of this machine, as far as the budget goes
src=/usr/share/doc
if [ "$(id -u)" -eq 0 ] && [ "$(du -s --apparent-size /usr | cut -f1)" -lt 3000000 ]; then
	src=/usr
elif [ "$(id -u)" -ne 0 ]; then
	src=$SCRATCH/doc # owned by us
	cp -r /usr/share/doc "$src" 2>/dev/null
	# a file is taken for unchanged only when it is older than two seconds
	made=$(date +%s)
	while [ $(($(date +%s) - made)) -lt 4 ]; do :; done
fi
expect 0 "backup of $src" "$HF" backup --source usr --no-recheck "$src"
expect 0 "second backup" "$HF" backup --source usr --no-recheck --json "$src"
summary=$(grep '"message_type": *"summary"' <<<"$OUT" | tail -n 1)
for field in new_files read_bytes stored_data_records; do
	if python3 -c 'import json,sys; sys.exit(json.loads(sys.argv[1])[sys.argv[2]] != 0)' \
		"$summary" $field; then
		ok
	else
		not_ok "second backup: $field is not 0" "$summary"
	fi
done
expect 0 "restore of $src" "$HF" restore latest --source usr --to "$SCRATCH/usr"
expect 0 "$src is equal" "$TOOLS/treecmp" "$src" "$SCRATCH/usr$src"
rm -rf "${SCRATCH:?}/usr"

# a read-only and a full store still give everything back
if [ "$(id -u)" -eq 0 ] && mkdir "$SCRATCH/ro" && mount --bind "$V" "$SCRATCH/ro" 2>/dev/null; then
	mount -o remount,ro,bind "$SCRATCH/ro"
	expect 0 "restore from a read-only store" "$HF" restore latest --source nasty \
		--vault "$SCRATCH/ro" --to "$SCRATCH/back-ro"
	expect 1 "backup to a read-only store" "$HF" backup --source nasty --vault "$SCRATCH/ro" \
		"$SCRATCH/nasty"
	umount "$SCRATCH/ro"
	expect 0 "equal" "$TOOLS/treecmp" "$SCRATCH/nasty" "$SCRATCH/back-ro$SCRATCH/nasty"
fi
finish
