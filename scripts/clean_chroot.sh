#!/bin/bash
# What a stranger sees: a bare Debian 12 with nothing but apt, a clean checkout of HEAD, ./dev demo. Root only.
#
# usage: clean_chroot.sh DIRECTORY [COMMAND...]     DIRECTORY is made anew; COMMAND stands in for ./dev demo
#
# The mirror, apt's Acquire settings (proxies) and the names are this machine's own. Mounts live in a mount namespace that ends
# with the command, so that removing DIRECTORY can never reach what was mounted into it.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 1 ] || { echo "usage: clean_chroot.sh DIRECTORY [COMMAND...]" >&2; exit 2; }
directory=$1
shift
[ $# -gt 0 ] || set -- ./dev demo
[ "$(id -u)" -eq 0 ] || { echo "clean_chroot.sh: chroot needs root" >&2; exit 1; }
if ! command -v debootstrap >/dev/null; then
    DEBIAN_FRONTEND=noninteractive apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends debootstrap
fi

# mirror_in FILE...: the first mirror that serves main of bookworm, in either of apt's two formats
mirror_in() {
    awk '
        FNR == 1 { uri = "" }
        $1 == "URIs:" { uri = $2 }
        $1 == "Suites:" && uri != "" { for (i = 2; i <= NF; i++) if ($i == "bookworm") { print uri; exit } }
        $1 == "deb" {
            at = 2
            if ($2 ~ /^\[/) { while ($at !~ /\]$/) at++; at++ }
            if ($(at + 1) == "bookworm" && $(at + 2) == "main") { print $at; exit }
        }' "$@"
}
shopt -s nullglob
mirror=$(mirror_in /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list /etc/apt/sources.lis[t])
[ -n "$mirror" ] || { echo "clean_chroot.sh: no bookworm main in /etc/apt/sources.list or /etc/apt/sources.list.d" >&2; exit 1; }

if [ -e "$directory" ]; then
    if grep -q " $(realpath "$directory")/" /proc/mounts; then
        echo "clean_chroot.sh: something is mounted below $directory: unmount it first" >&2
        exit 1
    fi
    rm -rf --one-file-system "$directory"
fi
mkdir -p "$directory"
directory=$(realpath "$directory")
debootstrap --variant=minbase bookworm "$directory" "$mirror"

printf 'deb %s bookworm main\n' "$mirror" >"$directory/etc/apt/sources.list"
apt-config dump | grep '^Acquire::' >"$directory/etc/apt/apt.conf.d/01machine" || true
cp /etc/resolv.conf /etc/hosts "$directory/etc/"
if [ -n "${NODE_EXTRA_CA_CERTS-}" ]; then
    # Under a name of its own: installing ca-certificates in there writes its bundle anew.
    cp "$NODE_EXTRA_CA_CERTS" "$directory/etc/machine-ca.pem"
    export NODE_EXTRA_CA_CERTS=/etc/machine-ca.pem
fi
mkdir "$directory/src"
git archive HEAD | tar -x -C "$directory/src"

# shellcheck disable=SC2016 # expanded by the inner shell
unshare --mount --propagation private bash -euc '
    mount -t proc proc "$0/proc"
    mount --rbind /dev "$0/dev"
    cd "$0"
    exec chroot . /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM="${TERM-dumb}" \
        ${NODE_EXTRA_CA_CERTS:+NODE_EXTRA_CA_CERTS="$NODE_EXTRA_CA_CERTS"} \
        ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} ${no_proxy:+no_proxy="$no_proxy"} \
        bash -c "cd /src && \"\$@\"" bash "$@"' "$directory" "$@"
