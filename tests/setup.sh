#!/bin/bash
# Install the Debian packages named as arguments that are not installed yet; say which.  Uses sudo
# when not root.  PostgreSQL's package would make and start a cluster: a file of ours prevents it
# while it is being installed, and goes away again.
set -eu
missing=()
# at least these versions: what was before has holes that a server on a network must not have
declare -A least=([libevent-dev]=2.1.12-stable-8+deb12u1)
for package in "$@"; do
	dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' ||
		missing+=("$package")
	version=$(dpkg-query -W -f='${Version}' "$package" 2>/dev/null) || continue
	if [ -n "${least[$package]:-}" ] &&
		dpkg --compare-versions "$version" lt "${least[$package]}"; then
		missing+=("$package")
	fi
done
[ ${#missing[@]} -gt 0 ] || exit 0

echo "set-up: installing ${missing[*]}"
if ! command -v apt-get >/dev/null; then
	echo "set-up: this machine has no apt-get; install the packages above by hand" >&2
	exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "set-up: not root and no sudo here; as root: apt-get install ${missing[*]}" >&2
		exit 1
	fi
	as_root=(sudo)
fi
no_cluster=/etc/postgresql-common/createcluster.d/holdfast-setup.conf
"${as_root[@]}" mkdir -p "$(dirname "$no_cluster")"
echo 'create_main_cluster = false' | "${as_root[@]}" tee "$no_cluster" >/dev/null
trap '"${as_root[@]}" rm -f "$no_cluster"' EXIT
export DEBIAN_FRONTEND=noninteractive
install() {
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
if ! install 2>/dev/null; then
	"${as_root[@]}" apt-get update -qq
	install
fi
