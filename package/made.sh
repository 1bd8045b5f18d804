#!/bin/sh
# Makes what a package holds besides the program, by asking the program: the
# manual and the completions. made.sh PROGRAM DIRECTORY
set -eu

program=${1:?the program} into=${2:?a directory}
rm -rf "$into"
mkdir -p "$into"
"$program" man "$into/man"
"$program" completions bash >"$into/rollbackd.bash"
"$program" completions zsh >"$into/_rollbackd"
"$program" completions fish >"$into/rollbackd.fish"
