#!/bin/bash
# The controller under a service manager: what it tells NOTIFY_SOCKET, and when.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=netlib.sh
. "$(dirname "$0")/netlib.sh"
new_vault "$SCRATCH/vault"
new_controller "$SCRATCH/controller" "$SCRATCH/vault"
export PEOPLE_PORT
claims "under a service manager" python3 "$NET_PY/service_manager.py" 1000 \
	"$HF" controller run --config "$CONF"
CLOCK=$(mktemp /tmp/holdfast-clock.XXXXXX) # read by a library that splits at blanks
echo "+0" >"$CLOCK"
export CLOCK_FILE=$CLOCK FAKETIME_TIMESTAMP_FILE=$CLOCK FAKETIME_NO_CACHE=1
export FAKETIME_DONT_FAKE_MONOTONIC=1
# shellcheck disable=SC2016 # the loader's own word
claims "whose clock is set back" python3 "$NET_PY/service_manager.py" 1000 \
	env 'LD_PRELOAD=/usr/$LIB/faketime/libfaketime.so.1' "$HF" controller run --config "$CONF"
rm -f "$CLOCK"
finish
