#!/bin/bash
# Measured, not judged: a backup through the gateway on loopback beside the same one in-process.
# BENCH_SCALE: of the benchmark's corpus; without it BENCH_DIR is backed up (default /usr/lib).
# On a busy machine the ratio of CPU is the one to believe.  Use: network.sh BUILD
# shellcheck source=../e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
# shellcheck source=../e2e/netlib.sh
. "$(dirname "$0")/../e2e/netlib.sh"
DATA=${BENCH_DIR:-/usr/lib}
value() { awk -v k="$2:" '$1 == k { print $2 }' "/proc/$1/status"; }
cpu_s() { awk -v hz="$(getconf CLK_TCK)" '{ print ($14 + $15) / hz }' "/proc/$1/stat"; }
now() { date +%s.%N; }
reckon() { echo "scale=2; $1" | bc; }
if [ -n "${BENCH_SCALE:-}" ]; then
	DATA=$SCRATCH/corpus
	"$BUILD/bench/corpus" plant -s "$BENCH_SCALE" "$DATA" || exit
fi
find "$DATA" -type f -exec cat {} + >/dev/null 2>&1 # both runs find it in memory
TIMEFORMAT='%R %U %S'
new_vault "$SCRATCH/near"
read -r near user system < <({ time "$HF" backup --vault "$SCRATCH/near" --source x "$DATA" \
	>/dev/null 2>&1; } 2>&1)
near_cpu=$(reckon "$user + $system")
rm -rf "$SCRATCH/near"
new_vault "$SCRATCH/far"
new_controller "$SCRATCH/controller" "$SCRATCH/far"
start_controller
agent_conf a capture "limits = { nice = 0; }; sources = ( { name = \"x\"; type = \"files\"; paths = [ \"$DATA\" ]; } );"
enrol a capture
start_agent a
until_true 10 has_seen a
echo "controller VmRSS with one idle agent: $(value "$CONTROLLER" VmRSS) kB"
agent_before=$(cpu_s "$AGENT_PID")
controller_before=$(cpu_s "$CONTROLLER")
# the command line looks after a job every half second only: the agent's threads tell its end
threads() { local all=("/proc/$AGENT_PID/task/"*); ((${#all[@]} > 1)); }
began=$(now)
"$HF" job run a x >"$SCRATCH/job" 2>&1 &
JOB=$!
until threads; do sleep 0.01; done
while threads; do sleep 0.01; done
far=$(reckon "$(now) - $began")
wait "$JOB"
is "the job is done" 0 $?
agent_cpu=$(reckon "$(cpu_s "$AGENT_PID") - $agent_before")
controller_cpu=$(reckon "$(cpu_s "$CONTROLLER") - $controller_before")
echo "wall: in-process $near s, gateway $far s, speed ratio $(reckon "$near / $far")"
echo "CPU: in-process $near_cpu s, agent $agent_cpu s and controller $controller_cpu s," \
	"ratio $(reckon "$near_cpu / ($agent_cpu + $controller_cpu)")"
echo "agent VmHWM $(value "$AGENT_PID" VmHWM) kB, of files at the end $(value "$AGENT_PID" RssFile) kB"
echo "controller VmHWM $(value "$CONTROLLER" VmHWM) kB"
strip -o "$SCRATCH/stripped" "$AGENT" && echo "agent stripped: $(stat -c %s "$SCRATCH/stripped") bytes"
du -sh --apparent-size "$DATA" 2>/dev/null
finish
