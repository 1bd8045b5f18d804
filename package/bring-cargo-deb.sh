#!/bin/sh
# Sees to it that cargo-deb is there: by cargo, from the package registry, or
# one line says what to install. dpkg-shlibdeps finds out what it depends on.
set -eu

if ! command -v dpkg-shlibdeps >/dev/null 2>&1; then
    { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; } || {
        echo "package: dpkg-shlibdeps is missing: apt-get install dpkg-dev" >&2
        exit 1
    }
    apt-get update -qq >/dev/null || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends dpkg-dev >/dev/null
fi
cargo deb --version >/dev/null 2>&1 && exit 0
echo "package: installing cargo-deb" >&2
# Not optimised: it runs for seconds, and is built for minutes otherwise.
cargo install cargo-deb --version '^3' --locked --quiet --profile dev ||
    { echo "package: cargo-deb cannot be installed: cargo install cargo-deb --locked" >&2; exit 1; }
