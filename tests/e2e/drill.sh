#!/bin/bash
# Drills from outside: the demonstration, its plan made impossible, its vault damaged, its verbs
# interrupted and killed.  BUILD as the argument.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
D="$SCRATCH/a demo"

# claim NAME TEST...: the command succeeds.
claim() {
	local name=$1
	shift
	if "$@"; then ok; else not_ok "$name"; fi
}

# nothing_left NAME: no process runs in our directory or has it mounted, and we have no mount there.
nothing_left() {
	local left="" dir pid escaped=${SCRATCH// /\\040}
	for dir in /proc/[0-9]*; do
		pid=${dir#/proc/}
		case $(cat "$dir/comm" 2>/dev/null) in
		bwrap | holdfast | postgres) ;;
		*) continue ;;
		esac
		if tr '\0' ' ' <"$dir/cmdline" 2>/dev/null | grep -qF "$SCRATCH" ||
			grep -qsF "$escaped" "$dir/mountinfo"; then
			left+="$pid $(tr '\0' ' ' <"$dir/cmdline" 2>/dev/null)"$'\n'
		fi
	done
	if [ -z "$left" ]; then ok; else not_ok "$1: processes are left" "$left"; fi
	if grep -qF "$escaped" /proc/self/mountinfo; then not_ok "$1: a mount is left"; else ok; fi
}

# ---- the demonstration ----
expect 0 "demo" "$HF" demo --in-process --dir "$D"
says "demo tells the verdict" "verdict        Passed"
says "demo tells how to verify" "report verify"
nothing_left "demo"
for name in conf keys vault pg batch plc reports logs README keys/DEMO-ONLY; do
	claim "demo made $name" [ -e "$D/$name" ]
done
claim "demo left no sandbox" [ -z "$(find "$D" -maxdepth 1 -name 'holdfast-drill-*')" ]
first_is_there=$(date -u +%FT%TZ) # the backups of the first run are, those of the second are not
"$HF" demo --in-process --dir "$D" --json >"$SCRATCH/again.json" 2>"$SCRATCH/again.err"
claim "demo, a second time in the same place" [ $? -eq 0 ]
claim "its JSON fits the schema" "$TREE/tests/e2e/check_json.py" "$TREE/docs/schema" demo \
	<"$SCRATCH/again.json"
claim "the evidence is where it says" [ -s "$(python3 -c 'import json, sys
print(json.load(sys.stdin)["evidence"])' <"$SCRATCH/again.json")/drill.log" ]
claim "it goes on with what is there" grep -qF 'used again' "$D/README"
claim "the README still tells the first run" grep -qE "holdfast'? init" "$D/README"
mkdir "$SCRATCH/full" && echo mine >"$SCRATCH/full/file"
expect 1 "demo in a directory of somebody's" "$HF" demo --in-process --dir "$SCRATCH/full"
says "it says why" "it is not empty"
expect 2 "demo without a directory" "$HF" demo

# the command that the demonstration told, taken from its README
line=$(grep -F 'report verify' "$D/README" | tail -n 1)
expect 0 "the README's own command" bash -c "$line"
says "it says valid" "valid"

# ---- reports ----
report=$(find "$D/reports" -maxdepth 1 -name '*.json' | head -n 1)
page=${report%.json}.html
claim "the page has a picture" grep -q '<svg' "$page"
if grep -q '<script' "$page"; then not_ok "the page has a script"; else ok; fi
expect 0 "verify with the key" "$HF" report verify "$report" --key "$D/keys/report.key.pub"
expect 3 "verify without a key" "$HF" report verify "$report"
expect 0 "holdfast-verify agrees" "$VERIFY" "$report" --key "$D/keys/report.key.pub"
expect 2 "holdfast-verify on the page" "$VERIFY" "$page" --key "$D/keys/report.key.pub"
says "it names what is signed" "$report"
expect 2 "report verify on the page" "$HF" report verify "$page" --key "$D/keys/report.key.pub"
says "it names what is signed" "$report"
# the recipe of docs/REPORT.md for whoever has nothing of ours, as it is written there
mkdir "$SCRATCH/stock"
recipe() { # PATTERN: the indented lines that follow it
	awk -v from="$1" 'index($0, from) { on = 1 } on && /^    / { print; was = 1 }
		on && was && !/^    / { exit }' "$TREE/docs/REPORT.md"
}
recipe "### With stock tools" >"$SCRATCH/stock/recipe"
{ echo 'f=report.json' && recipe "Of an agent's key"; } >"$SCRATCH/stock/recipe2"
stock() { # STATUS NAME REPORT KEY [RECIPE]
	cp "$3" "$SCRATCH/stock/report.json"
	cp "$4" "$SCRATCH/stock/report.key.pub"
	expect "$1" "stock tools: $2" env -C "$SCRATCH/stock" sh -eu "./${5:-recipe}"
}
stock 0 "the right key" "$report" "$D/keys/report.key.pub"
says "openssl says so" "Signature Verified Successfully"
claim "the page shows the SHA-256 that they print" grep -qF "$(cut -d' ' -f1 <<<"$OUT" | head -n 1)" "$page"
expect 0 "payload.json is the report" grep -qF bcp-line3 "$SCRATCH/stock/payload.json"
stock 0 "the fingerprint of the key inside" "$report" "$D/keys/report.key.pub" recipe2
says "is what signed" "$("$HF" report verify "$report" 2>/dev/null | sed -n 's/^signed by  //p')  -"
expect 0 "another key" "$HF" report key new --out "$SCRATCH/other.key"
expect 1 "a key is never replaced" "$HF" report key new --out "$SCRATCH/other.key"
expect 14 "verify with another key" "$HF" report verify "$report" --key "$SCRATCH/other.key.pub"
sed 's/\("payload":"....................\)./\1x/' "$report" >"$SCRATCH/changed.json"
stock 1 "another key" "$report" "$SCRATCH/other.key.pub"
stock 1 "a changed report" "$SCRATCH/changed.json" "$D/keys/report.key.pub"
expect 14 "a changed report" "$HF" report verify "$SCRATCH/changed.json" --key "$D/keys/report.key.pub"
expect 0 "report list" "$HF" report list "$D/reports"
mkdir "$SCRATCH/shelf"
cp "$report" "$SCRATCH/changed.json" "$SCRATCH/shelf/"
for list in "report list" "drill list --reports"; do
	# shellcheck disable=SC2086 # words
	expect 14 "$list with a broken report" "$HF" $list "$SCRATCH/shelf"
	says "$list shows the good one" "bcp-line3 version"
	says "$list says what is broken" "'changed.json': "
	says "$list says so at the end" "1 file in '$SCRATCH/shelf' is no intact report"
	# shellcheck disable=SC2086 # words
	"$HF" $list "$SCRATCH/shelf" --json 2>/dev/null >"$SCRATCH/shelf.json"
	claim "$list as JSON: report, warning, error" "$TREE/tests/e2e/check_json.py" \
		"$TREE/docs/schema" "${list%% *}-list" warning error <"$SCRATCH/shelf.json"
done
expect 0 "drill list" "$HF" drill list --reports "$D/reports"
says "it lists every system" "plc3"
while read -r file sum; do
	claim "evidence $file is what the report says" \
		[ "$(sha256sum <"$D/reports/$file" | cut -d' ' -f1)" = "$sum" ]
done < <(python3 - "$report" <<'PY'
import base64, json, sys
s = json.loads(base64.b64decode(json.load(open(sys.argv[1]))["payload"]))
for e in s["predicate"]["evidence"]:
    print(e["ref"], e["sha256"])
PY
)

# ---- drills of our own on the demonstration's vault ----
export HOLDFAST_STATE_DIR=$D/conf/state HOLDFAST_CONFIG_DIR=$D/keys
mkdir "$SCRATCH/work" "$SCRATCH/reports"
drill() {
	${EXEC:-} "$HF" drill run --vault "${VAULT:-$D/vault}" --writer-key "$D/keys/writer.key" --plan "$1" \
		--drill-key "${DRILL_KEY:-$D/keys/drill.key}" --report-key "$D/keys/report.key" \
		--reports "$SCRATCH/reports" --work "$SCRATCH/work" "${@:2}"
}
work_is_empty() {
	claim "$1: nothing is in the work directory" [ -z "$(ls -A "$SCRATCH/work")" ]
}
sed 's/on_fail = "keep"/on_fail = "erase"/' "$D/conf/line3.plan" >"$SCRATCH/plan"

for i in 1 2 3; do
	expect 0 "clean drill $i" drill "$SCRATCH/plan"
	says "clean drill $i has no finding" "verdict  Passed. 3 of 3"
done
work_is_empty "clean drills"
nothing_left "clean drills"

{
	drill "$SCRATCH/plan" --json 2>/dev/null
	"$HF" drill list --reports "$SCRATCH/reports" --json
	"$HF" report list "$SCRATCH/reports" --json
	"$HF" report verify "$report" --key "$D/keys/report.key.pub" --json
	"$HF" report key new --out "$SCRATCH/third.key" --json
} >"$SCRATCH/json"
# shellcheck disable=SC2317 # called by name
fits_schemas() {
	"$TREE/tests/e2e/check_json.py" "$TREE/docs/schema" drill-run drill-list report-list \
		report-verify report-key <"$SCRATCH/json"
}
claim "JSON fits its schemas" fits_schemas

# one small system, for what does not depend on which
cat >"$SCRATCH/small.plan" <<'PLAN'
plan = {
  id = "small"; version = 1; title = "controller projects";
  systems = ( {
    id = "plc3"; type = "plc_project"; tier = 1; mtpd = "48h"; rto = "1h"; rpo = "7d";
    source = "source:plc3";
    steps = ( { name = "restore"; do = "restore"; budget = "10m"; } );
    checks = ( { id = "files"; type = "hash_manifest"; mandatory = true; expect = "all"; },
               { id = "xml"; type = "xml"; mandatory = true; expect = "all"; } );
  } );
  sandbox = { must_not_reach = ( { host = "192.0.2.10"; port = 502; } ); };
  cleanup = { on_success = "erase"; on_fail = "erase"; };
};
PLAN
expect 0 "a small plan" drill "$SCRATCH/small.plan"

sed -E 's/rto = "[^"]*"/rto = "1s"/; s/ budget = "[^"]*";//' "$SCRATCH/plan" >"$SCRATCH/fast.plan"
expect 4 "an impossible recovery time" drill "$SCRATCH/fast.plan"
says "it names the objective" "the objective (RTO) is 1"
says "it says missed" "missed"

sed 's/object = "sqlt_data_\*"/object = "no_such_*"/' "$SCRATCH/plan" >"$SCRATCH/nothing.plan"
expect 4 "checks that examine nothing" drill "$SCRATCH/nothing.plan"
says "it is not demonstrated" "not demonstrated"

sed 's/source:plc3/source:plc4/' "$SCRATCH/small.plan" >"$SCRATCH/lost.plan"
expect 2 "a source without a backup" drill "$SCRATCH/lost.plan"
says "it names the line" "lost.plan:5: error: there is no snapshot of source 'plc4'"
says "it knows a source of a similar name" "did you mean 'plc3'"

# what lint says and what only the vault knows are told at once
sed 's/title = /titel = /' "$SCRATCH/lost.plan" >"$SCRATCH/worse.plan"
for verb in drill "lint"; do
	if [ $verb = drill ]; then
		expect 2 "a plan with two kinds of errors: $verb" drill "$SCRATCH/worse.plan"
	else
		expect 2 "a plan with two kinds of errors: $verb" "$HF" plan lint \
			"$SCRATCH/worse.plan" --vault "$D/vault" --writer-key "$D/keys/writer.key"
	fi
	says "$verb tells what is wrong with it" "did you mean 'title'"
	says "$verb tells of the source" "worse.plan:5: error: there is no snapshot of source 'plc4'"
done
expect 0 "lint without a vault knows of no source" "$HF" plan lint "$SCRATCH/lost.plan"

if getent ahosts nowhere.invalid >/dev/null; then
	echo "drill: the resolver here answers for every name: one that is none is not tried"
else
	sed 's/host = "192.0.2.10"/host = "nowhere.invalid"/' "$SCRATCH/small.plan" >"$SCRATCH/name.plan"
	expect 4 "a target that cannot be tried" drill "$SCRATCH/name.plan"
	says "it was not tried" "nowhere.invalid:502 was not tried"
fi

newest_report() {
	find "$SCRATCH/reports" -maxdepth 1 -name '*.json' -printf '%T@ %p\n' | sort -n | tail -n 1 |
		cut -d' ' -f2-
}
# of_report EXPRESSION: its value in Python, r being the newest report.
of_report() {
	python3 - "$(newest_report)" "$1" <<'PY'
import base64, json, sys
r = json.loads(base64.b64decode(json.load(open(sys.argv[1]))["payload"]))["predicate"]
print(eval(sys.argv[2], {"r": r}))
PY
}
seq='r["systems"][0]["recovery_point"]["seq"]'
expect 0 "declared now" drill "$SCRATCH/small.plan"
newest=$(of_report "$seq")
expect 0 "declared before the second backup" drill "$SCRATCH/small.plan" --declared "$first_is_there"
claim "the point there was then is chosen" [ "$(of_report "$seq")" -lt "$newest" ]
claim "its data has an age" [ "$(of_report 'r["systems"][0]["result"]["rpa_ms"] >= 0')" = True ]
expect 4 "declared before the first backup" drill "$SCRATCH/small.plan" --declared 2026-01-01T00:00:00Z
says "there was none" "the vault held none yet when the disruption was declared"

sed 's/host = "192.0.2.10"/host = "localhost"/' "$SCRATCH/small.plan" >"$SCRATCH/homes.plan"
expect 0 "a name with its addresses" drill "$SCRATCH/homes.plan"
homes=$(getent ahosts localhost | awk '{ print $1 }' | sort -u | wc -l)
listed='[c["target"] for c in r["environment"]["isolation_checks"]]'
claim "every address is listed" \
	[ "$(of_report "sum('localhost:502 at ' in t for t in $listed)")" -eq "$homes" ]

expect 2 "declared in the future" drill "$SCRATCH/small.plan" --declared 2099-01-01T00:00:00Z
expect 4 "declared an hour ago" drill "$SCRATCH/small.plan" --declared "$(date -u -d '-2 hours' +%FT%TZ)"
says "the recovery time is over" "the objective (RTO) is"

# a damaged pack: what cannot be restored is a failed step, and 4 beats 14
cp -a "$D/vault" "$SCRATCH/bad vault"
find "$SCRATCH/bad vault/pk" -type f -size +100k | while read -r pack; do
	chmod u+w "$pack"
	printf 'XXXXXXXX' | dd of="$pack" bs=1 seek=50000 conv=notrunc status=none
done
VAULT="$SCRATCH/bad vault" expect 4 "damaged packs" drill "$SCRATCH/plan"
says "the step names it" "damaged in the vault"
work_is_empty "failed drills"
nothing_left "failed drills"

expect 2 "no plan is named" "$HF" drill run --vault "$D/vault"
sed -e 's/^\(holdfast-drill-key [^ ]* \)Z/\1A/;t' -e 's/^\(holdfast-drill-key [^ ]* \)./\1Z/' \
	"$D/keys/drill.key" >"$SCRATCH/wrong.key" # another one, whatever it begins with
chmod 600 "$SCRATCH/wrong.key"
DRILL_KEY=$SCRATCH/wrong.key expect 4 "a wrong drill key" drill "$SCRATCH/small.plan"
says "it says that no snapshot opens" "no recovery point"

# ---- interrupted and killed ----
# interrupt SIGNAL WANTED TEXT [AGAIN]: a drill whose whole process group, as a terminal does it, gets
# the signal as soon as it has said TEXT, and once more as soon as it has said AGAIN.
interrupt() {
	local sig=$1 want=$2 text=$3 again=${4:-} pid rc
	set -m # a process group of its own, and no shell in it that ends before the drill
	EXEC="exec" drill "$SCRATCH/plan" >"$SCRATCH/out" 2>&1 &
	pid=$!
	set +m
	for _ in $(seq 6000); do
		grep -qF -- "$text" "$SCRATCH/out" && break
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.01
	done
	kill "-$sig" -- "-$pid"
	if [ -n "$again" ]; then
		until grep -qF -- "$again" "$SCRATCH/out" || ! kill -0 "$pid" 2>/dev/null; do :; done
		kill "-$sig" -- "-$pid"
	fi
	wait "$pid"
	rc=$?
	if [ "$rc" -eq "$want" ]; then ok; else
		not_ok "signal $sig at '$text': exit $rc instead of $want" "$(cat "$SCRATCH/out")"
	fi
}
# aborted SIGNAL WANTED TEXT: interrupted there, it says so, is signed, and nothing is left.
aborted() {
	interrupt "$@"
	if grep -qF "stopping the drill, cleaning the sandbox" "$SCRATCH/out" &&
		grep -qF "the drill was interrupted; everything was cleaned up" "$SCRATCH/out"; then
		ok
	else
		not_ok "$1 at '$3': it says at once what it does, and what came of it" \
			"$(cat "$SCRATCH/out")"
	fi
	work_is_empty "$1 at '$3'"
	nothing_left "$1 at '$3'"
	expect 0 "$1 at '$3': its report is signed" "$HF" report verify "$(newest_report)" \
		--key "$D/keys/report.key.pub"
	says "$1 at '$3': it says aborted" "Aborted"
}
# the kernel ends what ran inside; that takes a moment
sandbox_is_gone() {
	for _ in $(seq 100); do
		grep -qsF "${SCRATCH// /\\040}/work" /proc/[0-9]*/mountinfo || break
		sleep 0.1
	done
}
aborted TERM 143 " begins"                          # selecting
aborted INT 130 "opened with the drill key"        # the last of it, and the sandbox
aborted INT 130 "from inside: unreachable"         # restoring the database
aborted TERM 143 "check files: passed"             # starting it
aborted INT 130 "check samples: passed"            # its checks
aborted TERM 143 "hist3: recovered"                # restoring the batches
aborted INT 130 "negative control: hist3: one bit" # checks of the damaged copy
aborted TERM 143 "negative control: batch3"
# a second Ctrl-C does not wait for the cleaning: it says what is left and where
left="in holdfast-drill-* in '$SCRATCH/work': remove that; none of its processes is left"
interrupt INT 130 "check files: passed" "stopping the drill"
claim "a second Ctrl-C says what it leaves" grep -qF "$left" "$SCRATCH/out"
claim "and is the last line" [ "$(tail -n 1 "$SCRATCH/out" | grep -cF "$left")" -eq 1 ]
claim "it is there" [ -n "$(find "$SCRATCH/work" -maxdepth 1 -name 'holdfast-drill-*')" ]
sandbox_is_gone
nothing_left "a second Ctrl-C"
find "$SCRATCH/work" -maxdepth 1 -name 'holdfast-drill-*' -exec rm -rf {} +
work_is_empty "a second Ctrl-C, then what it said"
interrupt KILL 137 "restore the database files"
sandbox_is_gone
nothing_left "killed drill"
finish
