#!/bin/bash
# Measured: what a controller takes with one idle agent and with many of them, all long-polling.
# BENCH_AGENTS: how many (default 100); BENCH_S: for how long each number is taken (default 75).
# Fails when a goal is missed: 2 % of one core with all, 40 MiB with one.  Use: agents.sh BUILD
# shellcheck source=../e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
# shellcheck source=../e2e/netlib.sh
. "$(dirname "$0")/../e2e/netlib.sh"
AGENTS=${BENCH_AGENTS:-100}
new_vault "$SCRATCH/vault"
new_controller "$SCRATCH/controller" "$SCRATCH/vault"
comma=
month=$(((10#$(date +%m) + 5) % 12 + 1)) # schedules as a plant has them, far from now
schedule_add "$(for ((i = 0; i < AGENTS; i++)); do
	printf '%s{ name = "yearly%d"; agent = "agent%d"; source = "plant"; at = "*-%02d-01 02:30"; }' \
		"$comma" $i $i $month
	comma=,
done)"
start_controller
mkdir "$SCRATCH/peers"
PYTHONDONTWRITEBYTECODE=1 python3 "$(dirname "$0")/agents.py" "$SCRATCH/peers" "$CONTROLLER" \
	"$AGENTS" "${BENCH_S:-75}"
is "the goals are met" 0 $?
stop_process "$CONTROLLER" 0 "controller"
finish
