#!/bin/bash
# Does the benchmark measure what it says?  Small, with the peers that are installed, and with
# programs that lie.  Use: check.sh BUILD
# shellcheck source=../e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
BENCH=$TREE/tests/bench/bench.py
CORPUS=$BUILD/bench/corpus
METER=$BUILD/bench/meter
export BENCH_SCALE=0.002 BENCH_SMALL=150 BENCH_RUNS=1 BENCH_DIR=$SCRATCH/bench
unset BENCH_KEEP BENCH_PEERS BENCH_SCENARIOS HOLDFAST
mkdir "$BENCH_DIR"

is_empty() { if [ -z "$(ls -A "$BENCH_DIR")" ]; then ok; else not_ok "$1: left something" "$(ls "$BENCH_DIR")"; fi; }

# the corpus is the same every time, and the second day is another one
for one in a b; do
	expect 0 "plant $one" "$CORPUS" plant -s 0.002 "$SCRATCH/$one"
	expect 0 "small $one" "$CORPUS" small 250 "$SCRATCH/small-$one"
done
expect 0 "plants are equal" "$TOOLS/treecmp" -r "$SCRATCH/a" "$SCRATCH/b"
expect 0 "small files are equal" "$TOOLS/treecmp" -r "$SCRATCH/small-a" "$SCRATCH/small-b"
expect 0 "count" "$CORPUS" warm "$SCRATCH/small-a"
says "250 files of 1 KiB" "250 256000"
expect 0 "day 2" "$CORPUS" day2 -s 0.002 "$SCRATCH/a"
for name in historian/sqlt_data_0000.rec historian/sqlt_data_0005.rec image/system.img; do
	expect 1 "changed: $name" cmp -s "$SCRATCH/a/$name" "$SCRATCH/b/$name"
done
old=$(stat -c %s "$SCRATCH/b/historian/sqlt_data_0000.rec")
expect 0 "a shard grows at its end" cmp -n "$old" "$SCRATCH/a/historian/sqlt_data_0000.rec" "$SCRATCH/b/historian/sqlt_data_0000.rec"
expect 0 "day 2 again" "$CORPUS" day2 -s 0.002 "$SCRATCH/b"
expect 0 "second days are equal" "$TOOLS/treecmp" -r "$SCRATCH/a" "$SCRATCH/b"
expect 2 "a scale that is none" "$CORPUS" plant -s 0 "$SCRATCH/c"

# the meter tells the command's status and waits for what it leaves behind
expect 0 "meter" "$METER" "$SCRATCH/cost" sh -c "(sleep 0.3; echo late >'$SCRATCH/late') & exit 7"
expect 0 "status" grep -q '"status":7,' "$SCRATCH/cost"
expect 0 "waited for" grep -q late "$SCRATCH/late"
# shellcheck disable=SC2016 # the inner shell's own number
expect 0 "meter of a kill" "$METER" "$SCRATCH/cost" sh -c 'kill -9 $$'
expect 0 "signal" grep -q '"status":137,' "$SCRATCH/cost"
expect 0 "memory is seen" "$METER" "$SCRATCH/cost" python3 -c "import time; x = b'x' * 50000000; time.sleep(0.2)"
# shellcheck disable=SC2016 # awk's
expect 0 "50 MB" awk -F'"anon_kib":' '{ exit !($2 + 0 > 48000) }' "$SCRATCH/cost"

# limits are judged, and what failed is never reached
expect 0 "limits" python3 - "$TREE/tests/bench" <<'PY'
import sys
sys.path.insert(0, sys.argv[1])
from bench_table import limit_lines
runs = lambda *walls: [{"run": i, "wall_s": wall} for i, wall in enumerate(walls)]
results = {("verify", "holdfast"): runs(4.9, 5.1, 4.8), ("verify", "restic"): runs(10, 10, 10),
           ("verify", "borg"): runs(20, 20, 20)}
verdict = lambda failed: {line[0]: line for line in limit_lines(results, ["restic", "borg"], failed)}
assert verdict(set())["verify all data: wall"][2:] == ("0.49 x restic (0.48 to 0.51)", "reached")
assert verdict({("verify", "borg")})["verify all data: wall"][3] == "FAILED"
assert verdict(set())["day 2: wall"][3] == "not measured"
results[("verify", "restic")] = runs(9, 9, 9)
assert verdict(set())["verify all data: wall"][3] == "not reached"
PY

# all of it, with whom it finds
expect 0 "a run" "$BENCH" "$BUILD"
for scenario in full nochange reread day2 restore verify small-full small-nochange small-restore; do
	if grep -q "^$scenario  *holdfast  *wall_s=" <<<"$OUT"; then ok; else not_ok "$scenario" "$OUT"; fi
done
says "limits are printed" "<= 1.80 x zstd"
if "$HF" help | grep -q '^  gc '; then
	if grep -q "^retain  *holdfast  *wall_s=" <<<"$OUT"; then ok; else not_ok "retain" "$OUT"; fi
else
	says "what is left out" "note: retention, collection:"
fi
is_empty "a run"
for peer in restic borg; do
	if ! command -v "$peer" >/dev/null; then
		echo "$peer is not installed: not compared (make setup-bench)"
		says "told" "note: $peer is not installed"
	elif grep -q "^verify  *$peer  *wall_s=" <<<"$OUT"; then ok; else not_ok "$peer" "$OUT"; fi
done

# programs that lie do not win
export BENCH_PEERS='' BENCH_SCENARIOS='full restore verify'
liar() { # TEXT: a program that does what Holdfast does, and TEXT after it
	printf '#!/bin/bash\n"%s" "$@" || exit\n%s\n' "$HF" "$1" >"$SCRATCH/liar"
	chmod +x "$SCRATCH/liar"
}
# shellcheck disable=SC2016 # these are the liar's
liar '[ "$1" != restore ] || find "${@: -1}" -name "*_0001.rec" -exec sh -c "echo x >>\"\$0\"" {} \;'
HOLDFAST=$SCRATCH/liar expect 1 "a changed file" "$BENCH" "$BUILD"
says "a changed file" "FAILED: the restored tree differs"
is_empty "a changed file"
# shellcheck disable=SC2016
liar '[ "$1" != backup ] || rm -r "$HOLDFAST_VAULT"/sn'
HOLDFAST=$SCRATCH/liar expect 1 "no snapshot" "$BENCH" "$BUILD"
says "no snapshot" "FAILED: $SCRATCH/liar snapshot list"
# shellcheck disable=SC2016
liar '[ "$1" != verify ] || exit 14'
HOLDFAST=$SCRATCH/liar expect 1 "a failing verify" "$BENCH" "$BUILD"
says "a failing verify" "exit 14"
printf '#!/bin/sh\n' >"$SCRATCH/idle" && chmod +x "$SCRATCH/idle"
BENCH_PEERS=restic RESTIC=$SCRATCH/idle expect 1 "a peer that does nothing" "$BENCH" "$BUILD"
says "a peer that does nothing" "FAILED"

# what cannot begin says why and leaves nothing
HOLDFAST=$SCRATCH/nobody expect 2 "no program" "$BENCH" "$BUILD"
says "no program" "no such program"
BENCH_SCALE=100 BENCH_SMALL=1000000000000 BENCH_SCENARIOS='' expect 2 "no room" "$BENCH" "$BUILD"
says "no room" "GiB are needed"
BENCH_SCENARIOS=everything expect 2 "no such scenario" "$BENCH" "$BUILD"
BENCH_RUNS=none expect 2 "no number" "$BENCH" "$BUILD"
is_empty "what cannot begin"

# an interrupt ends the program under measurement and cleans up
# shellcheck disable=SC2016
liar '[ "$1" != backup ] || { echo $$ >'"'$SCRATCH/pid'"'; exec sleep 600; }'
HOLDFAST=$SCRATCH/liar "$BENCH" "$BUILD" >"$SCRATCH/log" 2>&1 &
bench=$!
for _ in $(seq 200); do
	[ ! -s "$SCRATCH/pid" ] || break
	sleep 0.1
done
kill -INT $bench
wait $bench
got=$?
if [ $got -eq 130 ]; then ok; else not_ok "interrupted: exit $got" "$(cat "$SCRATCH/log")"; fi
state=$(cut -d' ' -f3 "/proc/$(cat "$SCRATCH/pid")/stat" 2>/dev/null)
case $state in '' | Z) ok ;; *) not_ok "it still runs: $state" ;; esac
is_empty "interrupted"
finish
