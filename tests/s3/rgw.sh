#!/bin/bash
# rgw.sh start|stop|status|wipe DIR PORT: a real object store of one node on loopback, for tests:
# Ceph RGW with its monitor and one OSD, as processes of ours, without systemd and without root's
# files.  S3 is at http://127.0.0.1:PORT and https://127.0.0.1:PORT+1 (the CA is DIR/ca.pem); PORT+2
# and PORT+10..29 are Ceph's own.  `. DIR/env` sets where it is and the key.
#   STORE=memstore   in memory, starts in 3 s; keeps nothing but at a clean stop (the default)
#   STORE=bluestore  on disk, for kills
#   MORE_GATEWAYS=N  so many gateways more to the same cluster, at PORT+5 .. (at most 4)
#   RGW_EXTRA        further lines of the gateway's configuration
# Packages: PACKAGES_S3 of the Makefile.
set -euo pipefail
usage() {
	echo "usage: rgw.sh start|stop|status|wipe DIR PORT" >&2
	exit 2
}
[ $# -eq 3 ] || usage
VERB=$1
DIR=$(realpath -m "$2")
PORT=$3
HOST=127.0.0.1
STORE=${STORE:-memstore}
MORE_GATEWAYS=${MORE_GATEWAYS:-0}
ACCESS=${ACCESS:-HOLDFASTTESTKEY00000}
SECRET=${SECRET:-holdfast/test+secret000000000000000000000}
CONF=$DIR/ceph.conf

fail() {
	echo "rgw.sh: $*" >&2
	tail -n 5 "$DIR"/log/*.log "$DIR"/log/*.out >&2 2>/dev/null || true
	exit 1
}

# Is the daemon NAME ours and alive?
is_live() {
	local pid
	pid=$(cat "$DIR/$1.pid" 2>/dev/null) && [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null &&
		tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF "$DIR/"
}

# Try a command for so many seconds until it succeeds.
wait_for() {
	local tries=$(($1 * 10)) i
	shift
	for ((i = 0; i < tries; i++)); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.1
	done
	return 1
}

ceph_() {
	ceph -c "$CONF" --connect-timeout 20 "$@"
}

# Start the daemon NAME in the foreground of a session of its own.
spawn() {
	local name=$1
	shift
	is_live "$name" && return 0
	setsid "$@" </dev/null >>"$DIR/log/$name.out" 2>&1 &
	echo $! >"$DIR/$name.pid"
}

halt() {
	local pid
	if is_live "$1"; then
		pid=$(cat "$DIR/$1.pid")
		kill -TERM "$pid"
		kill -CONT "$pid"
		for _ in $(seq 100); do
			is_live "$1" || break
			sleep 0.1
		done
		! is_live "$1" || kill -KILL "$pid"
	fi
	rm -f "$DIR/$1.pid"
}

# What each line is for where it is not plain: one copy and one placement group suffice; memstore
# loses all when its shutdown is "fast"; cephx stays on, because the gateway hangs without it.
configure() {
	cat >"$CONF" <<-END
		[global]
		fsid = $(cat "$DIR/fsid")
		mon host = [v2:$HOST:$((PORT + 2))]
		public addr = $HOST
		cluster addr = $HOST
		ms bind ipv6 = false
		ms bind port min = $((PORT + 10))
		ms bind port max = $((PORT + 29))
		ms async op threads = 1
		auth cluster required = cephx
		auth service required = cephx
		auth client required = cephx
		keyring = $DIR/keyring
		run dir = $DIR/run
		admin socket = $DIR/run/\$name.asok
		log file = $DIR/log/\$name.log
		crash dir = $DIR/crash
		log to stderr = false
		err to stderr = true
		max open files = 0
		osd pool default size = 1
		osd pool default min size = 1
		osd pool default pg num = 1
		osd pool default pgp num = 1
		osd pool default pg autoscale mode = off
		osd crush chooseleaf type = 0
		mon allow pool size one = true
		mon max pg per osd = 1000
		[mon]
		mon data = $DIR/mon
		mon cluster log file = $DIR/log/cluster.log
		auth allow insecure global id reclaim = false
		mon data avail warn = 2
		mon data avail crit = 1
		mon memory autotune = false
		rocksdb cache size = 16777216
		paxos propose interval = 0.05
		paxos min wait = 0.01
		[osd]
		osd data = $DIR/osd
		osd objectstore = $STORE
		memstore device bytes = 8G
		bluestore block size = 8G
		bluestore cache autotune = false
		bluestore cache size = 67108864
		osd memory target = 939524096
		osd op num shards = 1
		osd op num threads per shard = 2
		osd numa auto affinity = false
		osd fast shutdown = false
		osd scrub min interval = 8640000
		osd class load list = *
		osd class default list = *
		[client]
		rgw frontends = beast endpoint=$HOST:$PORT ssl_endpoint=$HOST:$((PORT + 1)) ssl_certificate=$DIR/tls.pem ssl_private_key=$DIR/tls.key
		rgw dns name = s3.localhost
		rgw thread pool size = 64
		rgw override bucket index max shards = 1
		rgw dynamic resharding = false
		rgw gc obj min wait = 5
		rgw run sync thread = false
		rgw enable usage log = false
		rgw data = $DIR/rgw
		${RGW_EXTRA:-}
	END
}

# certificate NAME DAYS-ARGUMENTS...: for 127.0.0.1 and s3.localhost, of the CA in DIR.
certificate() {
	local name=$1
	shift
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
		-keyout "$DIR/$name.key" -out "$DIR/$name.csr" 2>/dev/null
	openssl x509 -req -in "$DIR/$name.csr" -CA "$DIR/ca.pem" -CAkey "$DIR/ca.key" \
		-CAcreateserial "$@" -out "$DIR/$name.pem" -extfile <(
			echo "subjectAltName=DNS:localhost,DNS:s3.localhost,DNS:*.s3.localhost,IP:127.0.0.1"
		) 2>/dev/null
}

make_certificates() {
	[ ! -s "$DIR/tls.pem" ] || return 0
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
		-subj "/CN=test CA" -keyout "$DIR/ca.key" -out "$DIR/ca.pem" \
		-addext basicConstraints=critical,CA:TRUE \
		-addext keyUsage=critical,keyCertSign 2>/dev/null
	certificate tls -days 3650
}

make_keys() {
	[ ! -s "$DIR/keyring" ] || return 0
	local who
	ceph-authtool -C "$DIR/keyring" --gen-key -n mon. --cap mon 'allow *' >/dev/null
	for who in client.admin client.rgw osd.0; do
		ceph-authtool "$DIR/keyring" --gen-key -n $who --cap mon 'allow *' \
			--cap osd 'allow *' --cap mgr 'allow *' >/dev/null
	done
	chmod 600 "$DIR/keyring"
}

start_mon() {
	if [ ! -e "$DIR/mon/keyring" ]; then
		monmaptool --create --clobber --fsid "$(cat "$DIR/fsid")" \
			--addv a "[v2:$HOST:$((PORT + 2))]" "$DIR/monmap" >/dev/null
		ceph-mon -c "$CONF" --mkfs -i a --monmap "$DIR/monmap" --keyring "$DIR/keyring"
	fi
	spawn mon ceph-mon -c "$CONF" -f -i a
	wait_for 20 ceph_ mon stat || fail "the monitor did not come up"
}

osd_is_up() {
	ceph_ osd stat | grep -q '1 up'
}

start_osd() {
	local uuid
	if [ ! -e "$DIR/osd/whoami" ]; then
		uuid=$(cat /proc/sys/kernel/random/uuid)
		ceph_ osd new "$uuid" >/dev/null
		ceph-osd -c "$CONF" -i 0 --mkfs --osd-uuid "$uuid" >>"$DIR/log/osd.out" 2>&1 ||
			fail "the OSD could not be made"
	fi
	spawn osd ceph-osd -c "$CONF" -f -i 0
	wait_for 30 osd_is_up || fail "the OSD did not come up"
}

start_rgw() {
	if [ ! -e "$DIR/user.json" ]; then
		timeout 60 radosgw-admin -c "$CONF" user create --uid=test --display-name=test \
			--access-key="$ACCESS" --secret="$SECRET" >"$DIR/user.new" \
			2>>"$DIR/log/admin.out" || fail "the user could not be made"
		mv "$DIR/user.new" "$DIR/user.json"
	fi
	spawn rgw radosgw -c "$CONF" -f -n client.rgw
	wait_for 60 curl -s -o /dev/null -m 2 "http://$HOST:$PORT/" || fail "no gateway came up"
}

start_more() {
	local n port
	for ((n = 1; n <= MORE_GATEWAYS && n <= 4; n++)); do
		port=$((PORT + 4 + n))
		spawn "rgw-more$n" radosgw -c "$CONF" -f -n client.rgw --rgw-data "$DIR/rgw" \
			--rgw-frontends "beast endpoint=$HOST:$port" --log-file "$DIR/log/more$n.log" \
			--admin-socket "$DIR/run/more$n.asok"
		wait_for 60 curl -s -o /dev/null -m 2 "http://$HOST:$port/" ||
			fail "gateway $n more did not come up"
	done
}

write_env() {
	cat >"$DIR/env" <<-END
		S3_ENDPOINT=http://$HOST:$PORT
		S3_ENDPOINT_TLS=https://$HOST:$((PORT + 1))
		S3_CA='$DIR/ca.pem'
		AWS_ACCESS_KEY_ID=$ACCESS
		AWS_SECRET_ACCESS_KEY=$SECRET
		AWS_EC2_METADATA_DISABLED=true
	END
}

case $VERB in
start)
	mkdir -p "$DIR"/{run,log,crash,mon,osd,rgw}
	[ -s "$DIR/fsid" ] || cat /proc/sys/kernel/random/uuid >"$DIR/fsid"
	configure
	make_certificates
	make_keys
	start_mon
	start_osd
	start_rgw
	start_more
	write_env
	;;
stop | wipe)
	for more in "$DIR"/rgw-more*.pid; do
		[ ! -e "$more" ] || halt "$(basename "$more" .pid)"
	done
	halt rgw
	halt osd
	halt mon
	[ "$VERB" = stop ] || [ ! -e "$CONF" ] || rm -rf -- "$DIR"
	;;
status)
	for name in mon osd rgw; do
		is_live $name || {
			echo "$name is down"
			exit 3
		}
	done
	;;
*)
	usage
	;;
esac
