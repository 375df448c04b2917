#!/bin/bash
# What a controller refuses: wrong certificates, tokens, sessions, records and messages; and what
# agents in the hands of an enemy cannot do although their keys are real.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=netlib.sh
. "$(dirname "$0")/netlib.sh"
SEED=${SEED:-$RANDOM}
new_vault "$SCRATCH/vault"
new_controller "$SCRATCH/controller" "$SCRATCH/vault"
start_controller
mkdir "$SCRATCH/peers"
claims "the enemies (seed $SEED)" python3 "$NET_PY/hostile.py" "$SCRATCH/peers" "$CONTROLLER" \
	"$SCRATCH/controller/keys/ca.key" "$SEED"
json 0 audit "$HF" audit --limit 500
stop_process "$CONTROLLER" 0 "controller"
expect 0 "verify" "$HF" verify --vault "$SCRATCH/vault"
finish
