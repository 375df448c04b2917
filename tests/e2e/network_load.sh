#!/bin/bash
# More arrives at once than the controller may hold: what does not fit waits, and all is taken.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=netlib.sh
. "$(dirname "$0")/netlib.sh"
new_vault "$SCRATCH/vault"
new_controller "$SCRATCH/controller" "$SCRATCH/vault"
start_controller
mkdir "$SCRATCH/peers"
PYTHONDONTWRITEBYTECODE=1 timeout 300 python3 "$NET_PY/load.py" "$SCRATCH/peers" "$CONTROLLER" 64 \
	>"$SCRATCH/claims" 2>"$SCRATCH/load.err"
is "the senders came to their end" 0 $?
[ -s "$SCRATCH/load.err" ] && tail -n 8 "$SCRATCH/load.err"
while read -r verdict text; do
	case $verdict in
	PASS) ok ;;
	FAIL) not_ok "$text" ;;
	*) echo "$verdict $text" ;;
	esac
done <"$SCRATCH/claims"
stop_process "$CONTROLLER" 0 "controller"
expect 0 "verify" "$HF" verify --vault "$SCRATCH/vault"
finish
