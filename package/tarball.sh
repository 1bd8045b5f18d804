#!/bin/sh
# Makes the tarball of a static program: for machines without dpkg.
# tarball.sh PROGRAM DIRECTORY; prints the file's name
set -eu

cd "$(dirname "$0")/.."
program=${1:?a static program} into=${2:?a directory}
version=$("$program" --version | sed 's/^rollbackd //')
name=rollbackd-$version-$(uname -m)-linux
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/$name/completions" "$dir/$name/man" "$into"
cp "$program" "$dir/$name/rollbackd"
sh package/made.sh "$program" "$dir/made"
cp "$dir"/made/man/* "$dir/$name/man/"
cp "$dir/made/rollbackd.bash" "$dir/made/_rollbackd" "$dir/made/rollbackd.fish" "$dir/$name/completions/"
cp -R systemd docs package/compose.yml config/rollbackd.toml README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE "$dir/$name/"
tar -C "$dir" --owner=0 --group=0 --numeric-owner -czf "$into/$name.tar.gz" "$name"
echo "$into/$name.tar.gz"
