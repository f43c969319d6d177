#!/usr/bin/env bash
# Runs ./dev on a fresh system: a minimal Debian or Ubuntu that has git and bash, in a folder.
#
# Usage: scripts/fresh.sh [--again] RELEASE [COMMAND...]
#
#   RELEASE   bookworm, trixie, jammy, noble, ...
#   COMMAND   what to run in a clone of this repository; by default: ./dev test
#   --again   keep the system and the clone of the last run, and only update the clone; to see that a second run
#             installs nothing
#   --cut     with no network inside
#
# Needs root, debootstrap and, for Ubuntu, its keyring (FERRULE_KEYRING=FILE). The systems are kept in
# FERRULE_FRESH, by default /var/tmp/ferrule-fresh. What this machine uses to reach apt, PyPI and npm (certificates,
# proxies) is carried over.
set -euo pipefail

SOURCE=$(cd "$(dirname "$0")/.." && pwd)
WORK=${FERRULE_FRESH:-/var/tmp/ferrule-fresh}
AGAIN=0
CUT=0

while [ "${1:-}" = --again ] || [ "${1:-}" = --cut ]; do
    if [ "$1" = --again ]; then AGAIN=1; else CUT=1; fi
    shift
done
if [ $# -eq 0 ]; then
    sed -n '2,/^set /s/^# \{0,1\}//p' "$0"
    exit 2
fi
RELEASE=$1
shift
if [ $# -eq 0 ]; then set -- ./dev test; fi

BASE=$WORK/$RELEASE.base
RUN=$WORK/$RELEASE

make_base() {
    local options=()
    case $RELEASE in
    bookworm | trixie | bullseye | sid) ;;
    *) options+=("--components=main,universe") ;;
    esac
    if [ -n "${FERRULE_KEYRING:-}" ]; then options+=("--keyring=$FERRULE_KEYRING"); fi
    mkdir -p "$WORK"
    debootstrap --variant=minbase --include=git,bash,ca-certificates "${options[@]}" "$RELEASE" "$BASE.new"
    mv "$BASE.new" "$BASE"
}

# How this machine reaches the registries.
carry_over() {
    local file
    apt-config dump Acquire >"$RUN/etc/apt/apt.conf.d/99carried-over"
    for file in /etc/resolv.conf /etc/ssl/certs/ca-certificates.crt /etc/pip.conf; do
        if [ -f "$file" ]; then cp -L "$file" "$RUN$file"; fi
    done
    if [ -f "$HOME/.npmrc" ]; then grep -v nodedir "$HOME/.npmrc" >"$RUN/root/.npmrc" || true; fi
    if npm config get cafile >/dev/null 2>&1; then
        echo "cafile=$(npm config get cafile 2>/dev/null)" >>"$RUN/root/.npmrc"
    fi
}

variables() {
    env | grep -E '^([A-Z_]*(CERT|CERTS|CA_BUNDLE|CERT_FILE|CERT_DIR)|[A-Za-z]*_(proxy|PROXY)|PIP_(CERT|INDEX_URL|TRUSTED_HOST)|npm_config_[a-z]*)=' || true
    printf '%s\n' "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" "HOME=/root" "TERM=${TERM:-dumb}" "LANG=C.UTF-8"
    env | grep -E '^FERRULE_(NO_INSTALL|JOBS|TEST_LONG)=' || true
}

if [ ! -d "$BASE" ]; then make_base; fi
if [ "$AGAIN" -eq 0 ] || [ ! -d "$RUN" ]; then
    rm -rf "$RUN"
    cp -a --reflink=auto "$BASE" "$RUN"
    carry_over
fi
if [ -d "$RUN/root/ferrule" ]; then
    git -C "$RUN/root/ferrule" -c safe.directory='*' pull -q "$SOURCE" HEAD
else
    git clone -q "$SOURCE" "$RUN/root/ferrule"
fi

NAMESPACES=(--mount --pid --fork --kill-child)
if [ "$CUT" -eq 1 ]; then NAMESPACES+=(--net); fi
mapfile -t VARIABLES < <(variables)
# The mounts end with the namespace; the processes too.
# shellcheck disable=SC2016
exec unshare "${NAMESPACES[@]}" bash -c '
    set -e
    root=$1
    shift
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys" || true
    mount --rbind /dev "$root/dev"
    if [ "$1" = 1 ]; then ip link set lo up; fi
    shift
    exec chroot "$root" env -i "$@"
' fresh "$RUN" "$CUT" "${VARIABLES[@]}" bash -c 'cd /root/ferrule && exec "$@"' fresh "$@"
