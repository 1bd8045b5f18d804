#!/bin/sh
# Sees to it that what the integration tests run against is there: the engine
# and Compose v2, a real registry, a real Prometheus, a real mail server, what
# makes a machine with systemd and a package for it. Missing packages are
# installed by apt where this is root on Debian or Ubuntu; elsewhere one line
# says what to install.
set -eu

sh "$(dirname "$0")/../demo/bring-docker.sh" v2

missing=
for pair in docker-registry:docker-registry prometheus:prometheus promtool:prometheus openssl:openssl debootstrap:debootstrap; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
# The real mail server of the tests is a Python program.
if ! python3 -c 'import aiosmtpd' >/dev/null 2>&1 && ! /usr/bin/python3 -c 'import aiosmtpd' >/dev/null 2>&1; then
    missing="$missing python3-aiosmtpd"
fi
# The examples of deploy jobs are YAML.
if ! python3 -c 'import yaml' >/dev/null 2>&1 && ! /usr/bin/python3 -c 'import yaml' >/dev/null 2>&1; then
    missing="$missing python3-yaml"
fi
sh "$(dirname "$0")/../package/bring-cargo-deb.sh"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "bring-tools: the tests need these programs on PATH:$missing" >&2
    exit 1
fi
echo "bring-tools: installing$missing" >&2
apt-get update -qq >/dev/null || true
# The packages would start services of their own; the tests start theirs.
policy=/usr/sbin/policy-rc.d
made=
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    made=yes
fi
# shellcheck disable=SC2086 # a list of words
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null || failed=yes
[ -z "$made" ] || rm -f "$policy"
[ -z "${failed:-}" ] || { echo "bring-tools: apt could not install$missing" >&2; exit 1; }
