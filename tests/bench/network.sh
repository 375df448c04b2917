#!/bin/bash
# Measured, not judged: a backup through the gateway on loopback beside the same one in-process.
# BENCH_DIR: what is backed up (default /usr/lib).  Use: network.sh BUILD
# shellcheck source=../e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
# shellcheck source=../e2e/netlib.sh
. "$(dirname "$0")/../e2e/netlib.sh"
DATA=${BENCH_DIR:-/usr/lib}
value() { awk -v k="$2:" '$1 == k { print $2 }' "/proc/$1/status"; }
cpu_s() { awk -v hz="$(getconf CLK_TCK)" '{ print ($14 + $15) / hz }' "/proc/$1/stat"; }
now() { date +%s.%N; }
find "$DATA" -type f -exec cat {} + >/dev/null 2>&1 # both runs find it in memory
new_vault "$SCRATCH/near"
t=$(now)
"$HF" backup --vault "$SCRATCH/near" --source x "$DATA" >/dev/null 2>&1
near=$(echo "$(now) - $t" | bc)
new_vault "$SCRATCH/far"
new_controller "$SCRATCH/controller" "$SCRATCH/far"
start_controller
agent_conf a capture "limits = { nice = 0; }; sources = ( { name = \"x\"; type = \"files\"; paths = [ \"$DATA\" ]; } );"
enrol a capture
start_agent a
until_true 10 has_seen a
echo "controller VmRSS with one idle agent: $(value "$CONTROLLER" VmRSS) kB"
t=$(now)
"$HF" job run a x >/dev/null 2>&1
far=$(echo "$(now) - $t" | bc)
echo "in-process $near s, gateway $far s, speed ratio $(echo "scale=2; $near / $far" | bc)"
echo "agent VmHWM $(value "$AGENT_PID" VmHWM) kB, CPU $(cpu_s "$AGENT_PID") s"
echo "controller VmHWM $(value "$CONTROLLER" VmHWM) kB, CPU $(cpu_s "$CONTROLLER") s"
strip -o "$SCRATCH/stripped" "$AGENT" && echo "agent stripped: $(stat -c %s "$SCRATCH/stripped") bytes"
du -sh --apparent-size "$DATA" 2>/dev/null
finish
