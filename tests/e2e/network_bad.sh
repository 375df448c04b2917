#!/bin/bash
# Bad input and a bad world around controller and agent: each says what and what to do.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=netlib.sh
. "$(dirname "$0")/netlib.sh"
V=$SCRATCH/vault
C=$SCRATCH/controller
mkdir "$SCRATCH/src"
printf 'one\n' >"$SCRATCH/src/one"
new_vault "$V"
new_controller "$C" "$V"
start_controller

# ---- init refuses what run would, and makes nothing
bad_init() { # name says arguments of init...
	local name=$1 text=$2
	shift 2
	expect 2 "init with $name" "$HF" controller init --vault "$V" --dir "$SCRATCH/refused" \
		--name plant2 "$@"
	says "init with $name" "$text"
	expect 1 "nothing made with $name" test -e "$SCRATCH/refused/keys"
}
bad_init "a host that is none" "bad host" --host "bad host"
bad_init "a port that is none" "agents_port" --host 127.0.0.1 --agents-port 99999
bad_init "one port for both" "cannot share" --host 127.0.0.1 --agents-port 7000 --people-port 7000
expect 2 "a state that is none" "$HF" job list --state objective
says "a state that is none" "objective-not-met"
expect 0 "a state" "$HF" job list --state objective-not-met
says "a state" "no jobs"

# ---- a token of another CA, and no token at all
expect 0 "token" "$HF" agent token --role capture -q
printf '%s\n' "$OUT" >"$SCRATCH/token"
python3 -c '
import base64, sys
t = sys.argv[1].strip()
raw = base64.b32decode(t[5:].upper() + "=" * (-len(t[5:]) % 8))
out = base64.b32encode(bytes([raw[0] ^ 1]) + raw[1:]).decode().rstrip("=")
print("hfe1-" + (out if t[5:].isupper() else out.lower()))' "$OUT" >"$SCRATCH/wrong.token"
agent_conf line3 capture "sources = ( { name = \"plant\"; type = \"files\"; paths = [ \"$SCRATCH/src\" ]; } );"
expect 12 "a wrong CA" timeout 60 "$AGENT" enrol --config "$SCRATCH/line3.conf" \
	--token-file "$SCRATCH/wrong.token"
says "a wrong CA" "is not the one of the token"
says "a wrong CA" "hint: "
printf 'hfe1-zzz\n' >"$SCRATCH/bad.token"
expect 2 "no token at all" "$AGENT" enrol --config "$SCRATCH/line3.conf" \
	--token-file "$SCRATCH/bad.token"
: >"$SCRATCH/empty.token"
expect 2 "an empty token file" "$AGENT" enrol --config "$SCRATCH/line3.conf" \
	--token-file "$SCRATCH/empty.token"
says "an empty token file" "empty.token"
# the state directory of the wrong token stays: the next enrolment replaces it

# ---- a clock two days off
enrol line3 capture
faketime -f +2d timeout 8 "$AGENT" run --config "$SCRATCH/line3.conf" >"$SCRATCH/clock" 2>&1
OUT=$(cat "$SCRATCH/clock")
says "a clock two days off" "clock"
OUT=$("$HF" audit --limit 50 2>&1)
says "an alarm" "ahead of"

# ---- ports, catalog
sed "s|^state = .*|state = \"$SCRATCH/state2\";|" "$CONF" >"$SCRATCH/second.conf"
sed -i "s|^keys = .*|keys = \"$C/keys\";|" "$SCRATCH/second.conf"
json 0 catalog-rebuild "$HF" catalog rebuild --config "$SCRATCH/second.conf"
expect 11 "port taken" timeout 20 "$HF" controller run --config "$SCRATCH/second.conf"
says "port taken" "$AGENTS_PORT"
says "port taken" "hint: "
expect 11 "catalog in use" timeout 20 "$HF" controller run --config "$CONF"
says "catalog in use" "hint: "
expect 11 "rebuild of one in use" timeout 20 "$HF" catalog rebuild --config "$CONF"
stop_process "$CONTROLLER" 0 "controller"

# ---- an agent that was away for longer than its certificate is good
# the loader's own words: 'faketime' would stand between us and the process we end
far() { LD_PRELOAD="/usr/\$LIB/faketime/libfaketime.so.1" FAKETIME=+31d "$@"; }
# shellcheck disable=SC2317 # called by name
end_of_certificate() { grep -q "refused our certificate: it has expired" "$SCRATCH/line3.log"; }
far start_controller
far start_agent line3
expect 0 "it is told that its certificate has ended" until_true 20 end_of_certificate
OUT=$(cat "$SCRATCH/line3.log")
says "what to do" "enrol this machine with that server again"
stop_process "$AGENT_PID" 0 "an agent that is not let in"
stop_process "$CONTROLLER" 0 "controller a month later"

# ---- the vault gone
mv "$V" "$V.away"
expect 10 "vault gone" timeout 20 "$HF" controller run --config "$CONF"
says "vault gone" "$V"
says "vault gone" "hint: "
# its mount is not there: what is left is the empty directory that it is mounted on
mkdir "$V"
for verb in "controller run" "catalog rebuild"; do
	# shellcheck disable=SC2086 # two words
	expect 10 "an empty mount point: $verb" timeout 20 "$HF" $verb --config "$CONF"
	says "an empty mount point: $verb" "vault '$V': there is no vault here"
	says "an empty mount point: $verb" "is mounted"
	is "nothing is made in it" "" "$(ls -A "$V")"
done
rmdir "$V"
mv "$V.away" "$V"
mv "$C/state" "$C/state.away"
mkdir "$C/state"
expect 10 "an empty mount point of the state" timeout 20 "$HF" controller run --config "$CONF"
says "an empty mount point of the state" "there is no catalog $C/state/catalog.db"
is "nothing is made in it" "" "$(ls -A "$C/state")"
rmdir "$C/state"
mv "$C/state.away" "$C/state"

# ---- a reload: what it changes, what counts from the next start on, what is no good
reload() { # TEXT in the log
	kill -HUP "$CONTROLLER"
	expect 0 "a reload tells: $1" until_true 10 grep -q "$1" "$SCRATCH/controller.log"
}
# shellcheck disable=SC2317 # until_true calls it
is_in_certificate() {
	python3 -c '
import ssl, sys
from cryptography import x509
pem = ssl.get_server_certificate(("127.0.0.1", int(sys.argv[1]))).encode()
names = x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(
    x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
sys.exit(sys.argv[2] not in names)' "$PEOPLE_PORT" "$1"
}
start_controller
cp "$CONF" "$SCRATCH/good.conf"
sed -i 's/^hosts = \[ /&"backup.plant", /' "$CONF"
printf 'body_memory = "128MiB";\nschedules = ( { name = "s"; task = "collect"; at = "2020-01-01"; } );\n' >"$SCRATCH/more"
sed -i '/^schedules/,$d' "$CONF"
cat "$SCRATCH/more" >>"$CONF"
expect 1 "before" is_in_certificate backup.plant
reload "'body_memory' was changed: it counts from the next start on"
reload "is over: it is never due again"
expect 0 "a new name is in the certificate" until_true 10 is_in_certificate backup.plant
echo 'people_port = 99999;' >>"$CONF"
reload "the configuration before stays in force"
cp "$SCRATCH/good.conf" "$CONF"
sed -i "s|^vault = .*|vault = \"$V.other\";|" "$CONF"
reload "vault, state and keys cannot change"
cp "$SCRATCH/good.conf" "$CONF"

# ---- the vault goes away while the controller runs
start_agent line3
# shellcheck disable=SC2317 # until_true calls it
is_back() { "$HF" job run line3 plant; }
expect 0 "a backup" until_true 30 is_back
mv "$V" "$V.away"
mkdir "$V"
expect 1 "a backup into an empty mount point" "$HF" job run line3 plant
says "a backup into an empty mount point" "the vault is away on the controller's host"
is "nothing is made in it" "" "$(ls -A "$V")"
rmdir "$V"
mv "$V.away" "$V"
expect 0 "and when it is back" "$HF" job run line3 plant
stop_process "$AGENT_PID" 0 "agent"
stop_process "$CONTROLLER" 0 "controller"

# ---- a configuration with several errors
sed -e 's/^people_port = .*/people_port = 99999;/' -e 's/^name = .*/nmae = "x";/' "$CONF" \
	>"$SCRATCH/bad.conf"
expect 2 "bad configuration" timeout 20 "$HF" controller run --config "$SCRATCH/bad.conf"
says "bad configuration" "nmae"
says "bad configuration" "people_port"
says "bad configuration" "bad.conf:"
expect 10 "no configuration" "$HF" controller run --config "$SCRATCH/none.conf"
expect 2 "no --config" "$HF" controller run
expect 13 "no controller" timeout 60 "$HF" agent list
says "no controller" "$PEOPLE_PORT"
finish
