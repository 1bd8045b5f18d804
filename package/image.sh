#!/bin/sh
# Builds the image of a static program. image.sh PROGRAM TAG
set -eu

program=${1:?a static program} tag=${2:?a tag}
here=$(dirname "$0")
authorities=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
[ -s "$authorities" ] || {
    echo "package: no certificate authorities in $authorities: apt-get install ca-certificates" >&2
    exit 1
}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cp "$program" "$dir/rollbackd"
chmod 755 "$dir/rollbackd"
cp -L "$authorities" "$dir/ca-certificates.crt"
docker build --quiet --tag "$tag" --file "$here/Dockerfile" "$dir"
