#!/bin/bash
# Mutated messages to every route of a controller, from agents that were let in, with open sessions
# and grants.  FUZZ_S (8) seconds, SEED.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=netlib.sh
. "$(dirname "$0")/netlib.sh"
SEED=${SEED:-$RANDOM}
new_vault "$SCRATCH/vault"
new_controller "$SCRATCH/controller" "$SCRATCH/vault"
start_controller
mkdir "$SCRATCH/peers"
claims "mutated messages (seed $SEED)" python3 "$NET_PY/mutate.py" "$SCRATCH/peers" "$CONTROLLER" \
	"$SEED" "${FUZZ_S:-8}"
stop_process "$CONTROLLER" 0 "controller"
expect 0 "verify (seed $SEED)" "$HF" verify --vault "$SCRATCH/vault"
start_controller
json 0 audit "$HF" audit --limit 1000
stop_process "$CONTROLLER" 0 "controller"
finish
