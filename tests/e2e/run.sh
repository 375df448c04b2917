#!/bin/bash
# Run every end-to-end script on the programs in BUILD (default build/release), three at a time for each
# processor, since they mostly wait; one line each, then the sum.  Scripts: everything beside this one but the
# shared ones (lib.sh, netlib.sh) and smoke.sh.
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${1:-$here/../../build/release}" && pwd)
outs=$(mktemp -d)
trap 'rm -rf "$outs"' EXIT
export HOLDFAST_SCHEMAS_SEEN=$outs/schemas
passed=0 failed=0
# the longest begin first, so that none of them is left alone at the end
scripts=()
for name in demo network_chaos drill network_keys network network_verbs faults; do
	scripts+=("$here/$name.sh")
done
for script in "$here"/*.sh; do
	case $(basename "$script") in
	run.sh | lib.sh | netlib.sh | smoke.sh) continue ;;
	esac
	[[ " ${scripts[*]} " == *"/$(basename "$script") "* ]] && continue
	scripts+=("$script")
done
# Scripts that make clusters by the dozen do it in memory where there is room: half of their CPU
# was ext4 looking for inodes that were not just given back.
shm=$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1)
[ "${shm:-0}" -ge 4194304 ] && [ -w /dev/shm ] && export HOLDFAST_ROOMY_MEMORY=/dev/shm
# shellcheck disable=SC2016 # the inner shell expands it
printf '%s\0' "${scripts[@]}" | xargs -0 -r -P"$((3 * $(nproc)))" -n1 bash -c '
	name=$(basename "$2")
	begin=$(date +%s)
	case $name in
	demo.sh | drill.sh) export TMPDIR=${TMPDIR:-${HOLDFAST_ROOMY_MEMORY:-/tmp}} ;;
	esac
	"$2" "$1" >"$0/$name.out" 2>&1 </dev/null
	echo "$? $(($(date +%s) - begin))" >"$0/$name.rc"' "$outs" "$build"
for script in "${scripts[@]}"; do
	name=$(basename "$script")
	read -r rc took <"$outs/$name.rc" || rc=126
	line=$(grep -aE '^[a-z0-9_-]+: [0-9]+ passed, [0-9]+ failed' "$outs/$name.out" | tail -n 1)
	echo "$name: exit $rc, ${took:-0} s, ${line:-no count}"
	read -r p f <<<"$(sed -nE 's/.*: ([0-9]+) passed, ([0-9]+) failed.*/\1 \2/p' <<<"$line")"
	passed=$((passed + ${p:-0}))
	failed=$((failed + ${f:-0}))
	if [ "$rc" -ne 0 ] || [ -z "$line" ] || [ "${p:-0}" -eq 0 ]; then
		[ "${f:-0}" -gt 0 ] || failed=$((failed + 1))
		grep -a -A 12 -m 5 '^FAIL' "$outs/$name.out"
		echo "---- its end"
		tail -n 40 "$outs/$name.out"
	fi
done
# a schema that nothing was held against promises nothing; reports have test_report_shape, and what
# only an object store with locks says is held against its own in tests/s3/locks.sh
for file in "$here"/../../docs/schema/*.schema.json; do
	name=$(basename "$file" .schema.json)
	# nobody mounts without the device, and mount.sh says so
	[ "$name" = mount ] && [ ! -w /dev/fuse ] && continue
	[[ $name =~ ^(drill-report|vault-lock|vault-undelete)$ ]] || grep -qx "$name" "$HOLDFAST_SCHEMAS_SEEN" || {
		echo "no script saw an object of $name"
		failed=$((failed + 1))
	}
done
echo "e2e: $passed passed, $failed failed"
[ $failed -eq 0 ]
