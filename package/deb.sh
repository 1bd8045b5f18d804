#!/bin/sh
# Makes the Debian package of a program that is already built.
# deb.sh PROFILE OUTPUT [more arguments of cargo-deb]
set -eu

cd "$(dirname "$0")/.."
profile=${1:?a profile of cargo} output=${2:?the file to write}
shift 2
folder=$profile
[ "$profile" != dev ] || folder=debug

sh package/made.sh "${CARGO_TARGET_DIR:-target}/$folder/rollbackd" target/package/made
mkdir -p "$(dirname "$output")"
cargo deb --quiet --no-build --profile "$profile" --output "$output" "$@"
