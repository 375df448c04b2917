#!/bin/bash
# Retention and collection from outside: rules, approvals, gc in loops with kill -9 beside backups
# that run, and after all of it everything that was acknowledged comes back whole.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
V=$SCRATCH/vault
ROUNDS=${COLLECT_ROUNDS:-16}

field() { # field EXPRESSION over o, the object of the last json
	python3 -c '
import json, sys
o = [json.loads(l) for l in open(sys.argv[1])][-1]
print(eval(sys.argv[2]))' "$SCRATCH/json" "$1"
}
is() { # name want got
	if [ "$2" = "$3" ]; then ok; else not_ok "$1: '$3' instead of '$2'"; fi
}
holds() { # name EXPRESSION
	is "$1 ($2)" True "$(field "$2")"
}
files_below() { find "$1" -type f | wc -l; }

cd "$SCRATCH" || exit 1
new_vault "$V"

# ---- retention
S=$SCRATCH/src
mkdir -p "$S"
for i in 1 2 3 4 5; do
	head -c 400000 /dev/urandom >"$S/f"
	[ "$i" -eq 2 ] && tag=(--tag audit) || tag=()
	expect 0 "backup $i" "$HF" backup --vault "$V" --source line3 "${tag[@]}" "$S"
done
cp "$S/f" "$SCRATCH/newest"
expect 2 "no rule" "$HF" retention preview --vault "$V"
expect 2 "a bad number" "$HF" retention preview --vault "$V" --keep-last 0
expect 2 "a bad duration" "$HF" retention preview --vault "$V" --keep-within fortnight
expect 10 "no such source" "$HF" retention preview --vault "$V" --keep-last 1 --source line4
before=$(files_below "$V")
json 0 retention-preview "$HF" retention preview --vault "$V" --keep-last 1
holds "14 days at least" 'o["kept"] == 5 and o["guards"] == ""'
json 0 retention-preview "$HF" retention preview --vault "$V" --keep-last 1 --keep-tag audit \
	--min-keep 0s
holds "the newest and the tagged stay" 'o["kept"] == 2 and o["going"] == 3'
holds "why is said" '[s["why"] for s in o["snapshots"] if s["stays"]] == [["tag"], ["newest", "last"]]'
expect 1 "a large part wants an approval" "$HF" retention apply --vault "$V" --keep-last 1 \
	--keep-tag audit --min-keep 0s
says "a large part wants an approval" "60 %"
is "nothing has changed" "$before" "$(files_below "$V")"
json 0 retention-apply "$HF" retention apply --vault "$V" --keep-last 1 --keep-tag audit \
	--min-keep 0s --approve "shift lead, move to line 4"
holds "three went" 'o["pruned"] == 3'
expect 0 "the list" "$HF" snapshot list --vault "$V"
is "two are listed" 2 "$(grep -c line3 <<<"$OUT")"
expect 0 "verify after apply" "$HF" verify --vault "$V"
expect 0 "apply again" "$HF" retention apply --vault "$V" --keep-last 1 --keep-tag audit \
	--min-keep 0s
says "apply again" "0 were pruned"

# ---- collection
# a directory keeps nothing from whoever may write to it, and says so
json 4 vault-prove "$HF" vault prove-immutability --vault "$V"
# a directory locks nothing and keeps nothing of what is removed, and says so
expect 1 "a directory locks nothing" "$HF" vault lock --vault "$V" --policy compliance:30d
says "a directory locks nothing" "this store (local) does not lock objects"
expect 1 "no policy" "$HF" vault lock --vault "$V"
says "no policy" "nothing in this store (local) is to be locked"
expect 1 "nothing to undelete" "$HF" vault undelete --vault "$V"
says "nothing to undelete" "keeps no older versions"
expect 2 "a lock that is none" "$HF" vault lock --vault "$V" --policy compliance:often
says "a lock that is none" "behind the colon stands a duration"
expect 1 "init with a lock" "$HF" init --vault "$SCRATCH/unlocked" --lock compliance:30d
says "init with a lock" "does not lock objects"
expect 2 "a dry policy" "$HF" vault lock --vault "$V" --policy off --dry-run
json 0 vault-info "$HF" vault info --vault "$V"
holds "waste is seen" 'o["waste_bytes"] > 1000000 and o["snapshots"] == 2'
json 0 gc "$HF" gc --vault "$V" --dry-run
holds "a dry run" 'o["condemned_bytes"] > 1000000 and o["dry_run"]'
json 0 gc "$HF" gc --vault "$V"
holds "dead, not deleted" 'o["dead_bytes"] > 1000000 and o["deleted"] == 0 and o["next"] is not None'
expect 0 "verify in the grace" "$HF" verify --vault "$V"
json 0 gc "$HF" gc --vault "$V" --grace 0s
holds "deleted" 'o["deleted_bytes"] > 1000000 and o["dead"] == 0'
json 0 vault-info "$HF" vault info --vault "$V"
holds "no waste" 'o["waste_bytes"] == 0'
expect 0 "verify --data at the end" "$HF" verify --data --vault "$V"
expect 0 "restore" "$HF" restore latest --source line3 --vault "$V" --to "$SCRATCH/back"
expect 0 "the newest is what it was" cmp "$SCRATCH/newest" "$SCRATCH/back/$S/f"
expect 0 "a backup goes on" "$HF" backup --vault "$V" --source line3 "$S"
expect 2 "a bad grace" "$HF" gc --vault "$V" --grace soon

# ---- a silent session
mkfifo "$SCRATCH/fifo"
exec 9<>"$SCRATCH/fifo" # nobody writes, nobody ends it
"$HF" backup --vault "$V" --source slow --stdin <"$SCRATCH/fifo" >/dev/null 2>&1 9<&- &
slow=$!
for _ in $(seq 40); do
	json 0 vault-info "$HF" vault info --vault "$V"
	[ "$(field 'o["sessions"]')" = 1 ] && break
	sleep 0.2
done
kill -9 $slow
wait $slow 2>/dev/null
exec 9<&-
json 0 vault-info "$HF" vault info --vault "$V"
holds "the killed session is open" 'o["sessions"] == 1'
head -c 400000 /dev/urandom >"$S/f"
expect 0 "backup" "$HF" backup --vault "$V" --source line3 "$S"
expect 0 "apply" "$HF" retention apply --vault "$V" --keep-last 1 --min-keep 0s --approve x
json 0 gc "$HF" gc --vault "$V" --grace 0s
holds "it is waited for" 'o["waits"] == 1 and o["deleted"] == 0'
json 0 gc "$HF" gc --vault "$V" --grace 0s --fence-after 1s --wait 20s
holds "and given up" 'o["fenced"] == 1 and o["waits"] == 0 and o["deleted"] > 0'
expect 0 "verify" "$HF" verify --data --vault "$V"

# ---- readers: what they are at is not taken away under them
head -c 3000000 /dev/urandom >"$S/f" # more than a pipe holds
expect 0 "a backup that goes" "$HF" backup --vault "$V" --source line3 "$S"
cp "$S/f" "$SCRATCH/going"
gone=$("$HF" snapshot list --vault "$V" --json | python3 -c '
import json, sys
print(json.load(sys.stdin)["snapshots"][-1]["id"])')
mkfifo "$SCRATCH/dump"
"$HF" dump --vault "$V" "$gone" "$S/f" >"$SCRATCH/dump" 2>"$SCRATCH/dump.err" &
dump=$!
exec 8<"$SCRATCH/dump"
for _ in $(seq 100); do # it stands in front of a full pipe
	json 0 vault-info "$HF" vault info --vault "$V"
	[ "$(field 'o["restores"]')" = 1 ] && break
	sleep 0.1
done
holds "a dump is a reader" 'o["restores"] == 1'
head -c 1000000 <&8 >"$SCRATCH/dumped" # it has begun to read
head -c 1000 /dev/urandom >"$S/f"
expect 0 "a backup that stays" "$HF" backup --vault "$V" --source line3 "$S"
expect 0 "apply" "$HF" retention apply --vault "$V" --keep-last 1 --min-keep 0s --approve x
json 0 gc "$HF" gc --vault "$V" --grace 0s
holds "collection waits for the dump" 'o["waits"] == 1 and o["deleted"] == 0'
cat <&8 >>"$SCRATCH/dumped"
exec 8<&-
wait $dump
is "the dump ends well" 0 $?
expect 0 "what was dumped is whole" cmp "$SCRATCH/going" "$SCRATCH/dumped"
json 0 gc "$HF" gc --vault "$V" --grace 0s
holds "then it goes on" 'o["waits"] == 0 and o["deleted_bytes"] > 3000000'
marks=$(files_below "$V/se")
expect 0 "verify" "$HF" verify --vault "$V"
is "a verify marks its begin and its end" $((marks + 2)) "$(files_below "$V/se")"

# ---- backups beside collections that are killed
pids=()
for n in 1 2; do
	mkdir -p "$SCRATCH/live$n"
	(
		for i in $(seq "$ROUNDS"); do
			head -c 300000 /dev/urandom >"$SCRATCH/live$n/f$((i % 3))"
			printf '%s\n' "$i" >"$SCRATCH/live$n/round"
			rm -rf "$SCRATCH/acked$n.new"
			cp -r "$SCRATCH/live$n" "$SCRATCH/acked$n.new"
			if "$HF" backup --vault "$V" --source "live$n" "$SCRATCH/live$n" \
				>>"$SCRATCH/backup$n.out" 2>&1; then
				rm -rf "$SCRATCH/acked$n"
				mv "$SCRATCH/acked$n.new" "$SCRATCH/acked$n"
				echo "$i" >>"$SCRATCH/acks$n"
			fi
		done
	) &
	pids+=($!)
done
(
	i=0
	while kill -0 "${pids[0]}" 2>/dev/null || kill -0 "${pids[1]}" 2>/dev/null; do
		i=$((i + 1))
		"$HF" retention apply --vault "$V" --keep-last 2 --min-keep 0s --approve loop \
			>>"$SCRATCH/apply.out" 2>&1 &
		one=$!
		"$HF" gc --vault "$V" --grace 0s >>"$SCRATCH/gc.out" 2>&1 &
		two=$!
		if [ $((i % 3)) -ne 0 ]; then
			sleep "0.0$((RANDOM % 10))"
			kill -9 $((i % 3 == 1 ? one : two)) 2>/dev/null && echo x >>"$SCRATCH/kills"
		fi
		wait $one $two 2>/dev/null
	done
) 2>/dev/null &
loop=$!
wait "${pids[@]}" $loop
is "every backup was acknowledged" "$ROUNDS $ROUNDS" \
	"$(wc -l <"$SCRATCH/acks1") $(wc -l <"$SCRATCH/acks2")"
[ "$(cat "$SCRATCH"/acks? | wc -l)" -eq $((2 * ROUNDS)) ] || grep -h holdfast: "$SCRATCH"/backup?.out
expect 0 "collections were killed" test -s "$SCRATCH/kills"
expect 0 "verify --data after the loop" "$HF" verify --data --vault "$V"
for n in 1 2; do
	expect 0 "restore live$n" "$HF" restore latest --source "live$n" --vault "$V" \
		--to "$SCRATCH/back$n"
	expect 0 "live$n is what was acknowledged" diff -r "$SCRATCH/acked$n" \
		"$SCRATCH/back$n/$SCRATCH/live$n"
done
expect 0 "apply at the end" "$HF" retention apply --vault "$V" --keep-last 1 --min-keep 0s \
	--approve end
json 0 gc "$HF" gc --vault "$V" --grace 0s --fence-after 1s --wait 20s
json 0 gc "$HF" gc --vault "$V" --grace 0s
holds "nothing is left" 'o["waits"] == 0 and o["condemned"] == 0 and o["dead"] == 0'
json 0 vault-info "$HF" vault info --vault "$V"
holds "little waste is left" 'o["waste_bytes"] * 2 <= o["live_bytes"]'
expect 0 "verify --data at the very end" "$HF" verify --data --vault "$V"
json 0 verify "$HF" verify --vault "$V" --older-than 1h
holds "what was read a moment ago is left" 'o["packs"] == 0 and o["left_packs"] > 1 and o["problems"] == 0'
json 0 verify "$HF" verify --vault "$V" --sample 1
holds "a sample of the packs" 'o["packs"] >= 1 and o["left_packs"] > 0'
json 0 verify "$HF" verify --data --vault "$V" --older-than 1h
holds "contents, too" 'o["left_snapshots"] == o["snapshots"] and o["files"] == 0'
json 0 verify "$HF" verify --vault "$V"
holds "without a rule all are read" 'o["left_packs"] == 0'
expect 2 "a bad part" "$HF" verify --vault "$V" --sample 101
expect 2 "two budgets" "$HF" verify --vault "$V" --sample 10 --budget 1MiB
echo "collect: $(wc -l <"$SCRATCH/kills") kills"
finish
