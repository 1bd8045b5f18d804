#!/bin/sh
# A second Docker engine beside the machine's own, from another Debian suite:
# unpacked, never installed, in a network namespace of its own, gone afterwards.
#
#   sh tests/bring-engine.sh SET fetch           unpack it under target/engines
#   sh tests/bring-engine.sh SET run COMMAND...  start it, run that beside it, stop it
#   sh tests/bring-engine.sh SET start           start it; prints what reaches it
#   sh tests/bring-engine.sh SET stop            stop it, leave only what was unpacked
#
# SET is a Debian suite: trixie (engine 26.1, Compose 2.26), sid (engine 28.5,
# Compose 2.40, or what that suite has by now). Exit code 69: cannot be had here.
set -eu

say() { printf '%s\n' "bring-engine: $*" >&2; }
cannot() { say "$*"; exit 69; }

suite=${1:?SET is missing: trixie or sid}
what=${2:?what to do is missing: fetch, run, start or stop}
shift 2
case "$suite" in trixie | sid) ;; *) say "no set is called $suite: trixie, sid"; exit 2 ;; esac

here=$(cd "$(dirname "$0")/.." && pwd)
home=${CARGO_TARGET_DIR:-$here/target}/engines/$suite
root=$home/root
# What was started is written here, so that another call can stop it.
started=$home/started

# --- fetching ---------------------------------------------------------------
# The machine's own package sources are copied with their suite changed; they
# and what is installed stay as they are.
fetch() {
    [ ! -x "$root/usr/sbin/dockerd" ] || return 0
    [ "$(id -u)" = 0 ] || cannot "an engine is started by root only"
    command -v apt-get >/dev/null 2>&1 || cannot "engines are unpacked from Debian's packages, and apt-get is not here"
    rm -rf "$home"
    mkdir -p "$home/apt/lists/partial" "$home/apt/cache/archives/partial" "$home/debs"
    list=$home/apt/list.sources
    if [ -f /etc/apt/sources.list.d/debian.sources ]; then
        sed -n '1,/^$/p' /etc/apt/sources.list.d/debian.sources | sed "s/^Suites:.*/Suites: $suite/" >"$list"
    elif [ -f /etc/apt/sources.list ]; then
        list=$home/apt/list.list
        grep '^deb .*debian' /etc/apt/sources.list | head -n 1 |
            awk -v suite="$suite" '{ for (i = 2; i <= NF; i++) if ($i ~ /:\/\//) { $(i + 1) = suite; break } print }' >"$list"
    else
        cannot "no package source of Debian is configured"
    fi
    from="-qq -o Dir::Etc::SourceList=$list -o Dir::Etc::SourceParts=/dev/null
        -o Dir::State::Lists=$home/apt/lists -o Dir::Cache=$home/apt/cache -o APT::Sandbox::User=root"
    # shellcheck disable=SC2086 # a list of words
    apt-get $from update >/dev/null 2>&1 || cannot "the packages of $suite cannot be listed"
    # shellcheck disable=SC2086
    (cd "$home/debs" && apt-get $from download docker.io containerd docker-cli docker-compose >/dev/null 2>&1) ||
        cannot "the engine's packages of $suite cannot be fetched"
    for package in "$home"/debs/*.deb; do
        dpkg -x "$package" "$root.part"
    done
    mkdir -p "$root.part/config/cli-plugins"
    mv "$root.part/usr/libexec/docker/cli-plugins/docker-compose" "$root.part/config/cli-plugins/"
    rm -rf "$home/apt" "$home/debs"
    mv "$root.part" "$root"
}

# --- starting and stopping --------------------------------------------------
# `runc` is the machine's own: the newer ones need a newer C library.
environment() {
    cat <<END
PATH=$root/usr/sbin:$root/usr/bin:$PATH
DOCKER_CONFIG=$root/config
DOCKER_HOST=unix://$folder/docker.sock
END
}

start() {
    fetch
    [ ! -e "$started" ] || { say "$suite runs already, or was left: sh tests/bring-engine.sh $suite stop"; exit 1; }
    for tool in ip nsenter iptables runc; do
        command -v "$tool" >/dev/null 2>&1 || cannot "$tool is missing"
    done
    # Short: the path of a socket has some 100 letters at most.
    folder=$(mktemp -d /tmp/rbengine-XXXXXX)
    space=$(basename "$folder")
    mkdir -p "$home"
    printf '%s\n' "$folder" >"$started"
    # The settings of the machine's own engine are not this one's.
    echo '{}' >"$folder/daemon.json"
    ip netns add "$space" || { stop; cannot "no network namespace can be made"; }
    ip -n "$space" link set lo up
    # Not `ip netns exec`: that hides the control groups.
    env $(environment | sed '/^DOCKER_/d') setsid nsenter --net="/var/run/netns/$space" dockerd \
        --config-file "$folder/daemon.json" -H "unix://$folder/docker.sock" -p "$folder/pid" --exec-root "$folder/exec" \
        --data-root "$home/data" --bip 172.39.0.1/16 >"$home/log" 2>&1 </dev/null &
    tries=0
    until answer=$(env $(environment) docker version --format '{{.Server.Version}}, API {{.Server.APIVersion}}' 2>/dev/null); do
        tries=$((tries + 1))
        [ "$tries" -lt 150 ] || { tail -n 5 "$home/log" >&2; stop; cannot "the engine of $suite does not answer after 30 s"; }
        sleep 0.2
    done
    say "$suite: engine $answer, Compose $(env $(environment) docker compose version --short)"
}

stop() {
    [ -e "$started" ] || return 0
    folder=$(cat "$started")
    space=$(basename "$folder")
    if pid=$(cat "$folder/pid" 2>/dev/null) && kill "$pid" 2>/dev/null; then
        # It stops every container first.
        tries=0
        while kill -0 "$pid" 2>/dev/null; do
            tries=$((tries + 1))
            [ "$tries" -lt 300 ] || { say "the engine of $suite does not stop: killed"; kill -9 "$pid"; break; }
            sleep 0.1
        done
    fi
    for mount in $(awk -v a="$folder/" -v b="$home/" 'index($2, a) == 1 || index($2, b) == 1 { print $2 }' /proc/mounts | sort -r); do
        umount -l "$mount" || true
    done
    ip netns del "$space" 2>/dev/null || true
    rm -rf "$folder" "$home/data" "$started"
}

case "$what" in
fetch) fetch ;;
start)
    start
    environment
    say "run its clients as: nsenter --net=/var/run/netns/$space env ... COMMAND"
    ;;
stop) stop ;;
run)
    start
    trap 'stop' EXIT
    trap 'exit 130' INT TERM
    code=0
    env $(environment) nsenter --net="/var/run/netns/$space" "$@" || code=$?
    exit "$code"
    ;;
*) say "unknown: $what; fetch, run, start or stop"; exit 2 ;;
esac
