#!/bin/sh
# Sees to it that a Docker engine answers and that Compose v2 is there: for the
# demo, the tests and the continuous integration. What is there is left as it
# is; what is missing is installed by apt where this is root on Debian or
# Ubuntu; elsewhere one line says what to install. Prints nothing when nothing
# had to be done.
set -eu

say() { printf '%s\n' "bring-docker: $*" >&2; }
fail() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

can_install() { [ "$(id -u)" = 0 ] && have apt-get; }

updated=
install() {
    if [ -z "$updated" ]; then
        apt-get update -qq >/dev/null || say "apt-get update failed; going on with the lists that are there"
        updated=yes
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# --- the engine -----------------------------------------------------------
bring_engine() {
    if ! have docker; then
        can_install || fail "Docker is missing: install Docker Engine and Compose v2, see https://docs.docker.com/engine/install/"
        say "installing Docker"
        install docker.io iptables ca-certificates
    fi
    docker version >/dev/null 2>&1 && return
    have dockerd && [ "$(id -u)" = 0 ] ||
        fail "the Docker engine does not answer: start it, or let this user reach its socket (group docker)"
    if [ -d /run/systemd/system ]; then
        say "starting the Docker service"
        systemctl start docker
    else
        say "starting dockerd (no init runs here); its log is /var/log/dockerd.log"
        setsid dockerd >/var/log/dockerd.log 2>&1 </dev/null &
    fi
    tries=0
    until docker version >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 150 ] || fail "the Docker engine was started and does not answer after 30 s: see /var/log/dockerd.log"
        sleep 0.2
    done
}

# --- Compose v2 -----------------------------------------------------------
# Debian 12 has only Compose v1. The package of the next release holds one
# static program: take that, and leave the machine's package sources alone.
compose_of_next_release() {
    this="${1:?}" next="${2:?}"
    dir=$(mktemp -d)
    mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
    chmod -R a+rX "$dir"
    if [ -f /etc/apt/sources.list.d/debian.sources ]; then
        list="$dir/next.sources"
        sed -n '1,/^$/p' /etc/apt/sources.list.d/debian.sources | sed "s/^Suites:.*/Suites: $next/" >"$list"
    else
        list="$dir/next.list"
        grep "^deb .* $this " /etc/apt/sources.list | head -n 1 | sed "s/ $this / $next /" >"$list"
    fi
    next_apt() {
        apt-get -qq -o Dir::Etc::SourceList="$list" -o Dir::Etc::SourceParts=/dev/null \
            -o Dir::State::Lists="$dir/lists" -o Dir::Cache="$dir/cache" -o APT::Sandbox::User=root "$@"
    }
    if next_apt update >/dev/null && (cd "$dir" && next_apt download docker-compose >/dev/null); then
        dpkg -x "$dir"/docker-compose_*.deb "$dir/unpacked"
        plugins="${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins"
        mkdir -p "$plugins"
        # Moved in whole: another process may be looking for it right now.
        cp "$dir/unpacked/usr/libexec/docker/cli-plugins/docker-compose" "$plugins/.docker-compose.$$"
        chmod 755 "$plugins/.docker-compose.$$"
        mv "$plugins/.docker-compose.$$" "$plugins/docker-compose"
    fi
    rm -rf "$dir"
}

bring_compose() {
    docker compose version >/dev/null 2>&1 && return
    if can_install; then
        say "installing Compose v2"
        . /etc/os-release
        case "${VERSION_CODENAME:-}" in
        bookworm) compose_of_next_release bookworm trixie || true ;;
        *) install docker-compose-v2 2>/dev/null || install docker-compose-plugin 2>/dev/null ||
            install docker-compose 2>/dev/null || true ;;
        esac
        docker compose version >/dev/null 2>&1 && return
        have docker-compose || install docker-compose || true
    fi
    # Compose v1 will do where nothing asks for v2 by name.
    have docker-compose || fail "Docker Compose is missing: install it, see https://docs.docker.com/compose/install/"
    [ "${1:-}" != v2 ] || fail "Compose v2 is missing (only v1 is there): install it, see https://docs.docker.com/compose/install/"
}

bring_engine
bring_compose "${1:-}"
