#!/bin/bash
# The s3 driver on a real Ceph RGW that this script starts (make test-s3): the contract, the whole
# way with --vault s3:.., mistakes, and faults.  BUILD as the argument; PORT (19400) and 29 more.
CLAIMS=${CLAIMS-1} # minutes: say how far it is; CLAIMS= for the sum alone
# shellcheck source=../e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
HERE=$TREE/tests/s3
PORT=${PORT:-19400}
PROXY=$((PORT + 3))
RGW=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-rgw.XXXXXX") # its path stands in places of vaults
PROXY_PID=
TLS_PID=
# shellcheck disable=SC2317 # the trap calls it
stop_all() {
	[ -z "$PROXY_PID" ] || kill "$PROXY_PID" 2>/dev/null
	[ -z "$TLS_PID" ] || kill "$TLS_PID" 2>/dev/null
	"$HERE/rgw.sh" wipe "$RGW" "$PORT" >/dev/null 2>&1
	rm -rf "$SCRATCH" "$RGW"
}
trap stop_all EXIT
STORE=bluestore RGW_EXTRA="rgw gc max objs = 7" "$HERE/rgw.sh" start "$RGW" "$PORT" || exit 1
set -a
# shellcheck disable=SC1091
. "$RGW/env"
set +a
"$HERE/s3.py" --make plain
"$HERE/s3.py" --make locked lock
HTTP=s3:http://127.0.0.1:$PORT

wait_for_port() {
	for _ in $(seq 100); do
		(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
		sleep 0.1
	done
}

# ---- the contract, on both kinds of bucket
for bucket in plain locked; do
	expect 0 "contract on $bucket" env HOLDFAST_TEST_S3="$S3_ENDPOINT/$bucket" \
		"$TREE/tests/run-unit.sh" "$BUILD/tests/contract/test_store_contract"
done

# ---- the whole way
DATA=$SCRATCH/data
mkdir "$DATA"
cp -r "$TREE/src" "$TREE/docs" "$DATA/"
head -c 120000000 /dev/urandom >"$DATA/large"
way() { # NAME PLACE: init, two backups, verify, restore
	new_vault "$2"
	expect 0 "$1: backup" "$HF" backup --vault "$2" --source s "$DATA"
	expect 0 "$1: again" "$HF" backup --vault "$2" --source s "$DATA"
	says "$1: again" "unchanged"
	expect 0 "$1: verify" "$HF" verify --data --vault "$2"
	says "$1: verify" "2 snapshots"
	rm -rf "$SCRATCH/back"
	expect 0 "$1: restore" "$HF" restore latest --to "$SCRATCH/back" --vault "$2"
	expect 0 "$1: equal" diff -r "$DATA" "$SCRATCH/back$DATA"
}
new_vault() {
	printf 'correct horse battery staple\n' >"$SCRATCH/pass"
	export HOLDFAST_PASSPHRASE_FILE=$SCRATCH/pass HOLDFAST_RECOVERY_FILE
	HOLDFAST_RECOVERY_FILE=$SCRATCH/$(printf '%s' "$1" | sha256sum | cut -c1-16).recovery
	expect 0 "init $1" "$HF" init --vault "$1" --recovery-file "$HOLDFAST_RECOVERY_FILE"
}
AWKWARD="plain/a%20b+c=d&e!()'*@\$,;:~%C3%BC%3F%25//x/./y/../z"
way "plain" "$HTTP/$AWKWARD"
expect 0 "info" "$HF" vault info --vault "$HTTP/$AWKWARD"
says "info" "conditional-put yes"
way "tls, a lock bucket" "s3:$S3_ENDPOINT_TLS/locked/x?ca=$S3_CA"
expect 0 "info of locked" "$HF" vault info --vault "$HTTP/locked/x"
says "info of locked" "object-lock     yes, and kept"
says "info of locked" "conditional-put no"
# a bucket whose default retention locks everything, and a stolen key of its owner: every key
# overwritten and deleted, then every version by its id
K=$HTTP/kept/x
"$HERE/s3.py" --make kept lock
"$HERE/s3.py" --retain kept 1
new_vault "$K"
expect 0 "kept: prove" "$HF" vault prove-immutability --vault "$K"
says "kept: prove" "kept: the store withstood our own key"
says "kept: prove" "COMPLIANCE until"
expect 4 "plain: prove" "$HF" vault prove-immutability --vault "$HTTP/$AWKWARD"
says "plain: prove" "not kept"
expect 0 "kept: backup" "$HF" backup --vault "$K" --source s "$DATA"
expect 0 "kept: destroy" "$HERE/s3.py" --destroy kept x/
expect 0 "kept: by force" "$HERE/s3.py" --force kept x/pk/
says "kept: by force" "0 versions gone"
expect 10 "kept: destroyed" "$HF" snapshot list --vault "$K"
expect 0 "kept: list" "$HF" snapshot list --vault "$K?view=oldest"
says "kept: list" "1 snapshot"
rm -rf "$SCRATCH/back"
expect 0 "kept: restore" "$HF" restore latest --to "$SCRATCH/back" --vault "$K?view=oldest"
expect 0 "kept: equal" diff -r "$DATA" "$SCRATCH/back$DATA"
expect 1 "kept: nothing is written" "$HF" backup --vault "$K?view=oldest" "$DATA/docs"

# copied from a directory and back to another
new_vault "$SCRATCH/local"
expect 0 "copy: backup" "$HF" backup --vault "$SCRATCH/local" --source s "$DATA"
expect 0 "copy: there" "$HF" copy --vault "$SCRATCH/local" --to "$HTTP/plain/copy" --init --all
expect 0 "copy: verify" "$HF" verify --data --vault "$HTTP/plain/copy" --accept-rollback
expect 0 "gc" "$HF" gc --vault "$HTTP/plain/copy" --grace 0s
new_vault "s3:https://s3.localhost:$((PORT + 1))/plain/v?style=virtual&ca=$S3_CA"

# ---- the demonstration: a running database captured into the bucket, and drilled out of it
printf '[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n' \
	"$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" >"$RGW/credentials"
chmod 600 "$RGW/credentials"
D="$HTTP/plain/demo?credentials=$RGW/credentials"
expect 0 "demo" "$HF" demo --in-process --dir "$SCRATCH/demo" --vault "$D"
says "demo" "Passed. 3 of 3 systems recovered"
expect 0 "demo: it is in the bucket" "$HF" verify --vault "$D" \
	--writer-key "$SCRATCH/demo/keys/writer.key"
says "demo: it is in the bucket" "6 snapshots"
expect 1 "demo: and not in the directory" test -e "$SCRATCH/demo/vault"

# ---- mistakes: each has words of its own, within seconds
mistake() { # WORDS PLACE
	expect "$1" "mistake: $2" timeout 20 "$HF" snapshot list --vault "$3"
	says "mistake" "$2"
}
AWS_SECRET_ACCESS_KEY=wrong mistake 12 "the secret key is wrong" "$HTTP/plain/a"
AWS_ACCESS_KEY_ID=wrong mistake 12 "does not know our access key" "$HTTP/plain/a"
mistake 2 "there is no bucket 'nosuch'" "$HTTP/nosuch/a"
mistake 2 "speaks TLS, and we do not" "s3:http://127.0.0.1:$((PORT + 1))/plain/a"
mistake 13 "does not speak TLS with us" "s3:https://127.0.0.1:$PORT/plain/a"
mistake 12 "is not trusted" "s3:$S3_ENDPOINT_TLS/plain/a"
mistake 13 "nobody answers" "s3:http://127.0.0.1:$((PORT + 9))/plain/a"

faketime -f -40d openssl x509 -req -in "$RGW/tls.csr" -CA "$RGW/ca.pem" -CAkey "$RGW/ca.key" \
	-days 30 -out "$RGW/expired.pem" -extfile <(echo subjectAltName=IP:127.0.0.1) 2>/dev/null
openssl s_server -accept "$((PORT + 4))" -cert "$RGW/expired.pem" -key "$RGW/tls.key" -quiet \
	</dev/null >/dev/null 2>&1 &
TLS_PID=$!
wait_for_port "$((PORT + 4))"
mistake 12 "has expired" "s3:https://127.0.0.1:$((PORT + 4))/plain/a?ca=$S3_CA"

# ---- faults on the way
echo '{}' >"$SCRATCH/rules"
"$HERE/fault_proxy.py" "$PROXY" "$PORT" "$SCRATCH/rules" 2>"$SCRATCH/proxy.log" &
PROXY_PID=$!
wait_for_port "$PROXY"
under() { # NAME RULES: a backup and a restore with faults, verified without
	local place=s3:http://127.0.0.1:$PROXY/plain/$1
	echo '{}' >"$SCRATCH/rules"
	new_vault "$place"
	echo "$2" >"$SCRATCH/rules"
	expect 0 "$1: backup" "$HF" backup --vault "$place" --source s "$DATA"
	rm -rf "$SCRATCH/back"
	expect 0 "$1: restore" "$HF" restore latest --to "$SCRATCH/back" --vault "$place"
	expect 0 "$1: equal" diff -r "$DATA" "$SCRATCH/back$DATA"
	echo '{}' >"$SCRATCH/rules"
	expect 0 "$1: verify" "$HF" verify --data --vault "$HTTP/plain/$1"
}
under busy '{"p503": 0.3}'
under broken '{"p500": 0.1, "p_reset": 0.1}'
under lost '{"p_lose": 0.3}'
under cut '{"p_cut": 0.3}'
under trickle '{"reset_get_at": 65536}'

# ---- the server's own troubles
V=$HTTP/plain/troubles
new_vault "$V"
kill_and_restart() { # DAEMON
	(
		sleep 1
		kill -KILL "$(cat "$RGW/$1.pid")"
		sleep 1
		STORE=bluestore "$HERE/rgw.sh" start "$RGW" "$PORT"
	) >/dev/null 2>&1 &
	expect 0 "$1 killed" "$HF" backup --vault "$V" --source "$1" "$DATA"
	wait $!
	expect 0 "$1 killed: verify" "$HF" verify --data --vault "$V"
}
kill_and_restart rgw
kill_and_restart osd
kill -STOP "$(cat "$RGW/rgw.pid")"
(
	sleep 60
	kill -CONT "$(cat "$RGW/rgw.pid")"
) &
expect 0 "a hang of 60 s" "$HF" backup --vault "$V" --source hang "$DATA/docs"
wait $!
radosgw-admin -c "$RGW/ceph.conf" quota set --uid=test --quota-scope=user --max-objects=1 >/dev/null
radosgw-admin -c "$RGW/ceph.conf" quota enable --uid=test --quota-scope=user >/dev/null
head -c 3000000 /dev/urandom >"$DATA/new"
expect 1 "quota" "$HF" backup --vault "$V" --source full "$DATA"
says "quota" "the object store is full"
radosgw-admin -c "$RGW/ceph.conf" quota disable --uid=test --quota-scope=user >/dev/null
expect 0 "after the quota" "$HF" verify --data --vault "$V"

# ---- fewer requests at once than we would send
"$HERE/rgw.sh" stop "$RGW" "$PORT"
STORE=bluestore RGW_EXTRA=$'rgw scheduler type = throttler\nrgw max concurrent requests = 2' \
	"$HERE/rgw.sh" start "$RGW" "$PORT"
expect 0 "throttled" "$HF" backup --vault "$V" --source throttled "$DATA"
expect 0 "throttled: verify" "$HF" verify --vault "$V"

# ---- the clock of this host is wrong
expect 0 "20 minutes of skew" faketime -f -20m "$HF" backup --vault "$V" --source skew "$DATA/docs"
rm -rf "$SCRATCH/back"
expect 0 "20 minutes of skew: restore" faketime -f -20m "$HF" restore latest --source skew \
	--to "$SCRATCH/back" --vault "$V"
expect 0 "20 minutes of skew: equal" diff -r "$DATA/docs" "$SCRATCH/back$DATA/docs"
finish
