#!/bin/bash
# The promises that touch an engine, kept on engines and Composes that people
# have: the machine's own engine with Compose 1.29, and newer engines beside it
# (tests/bring-engine.sh), each with its own Compose. A set that cannot be had
# here is skipped loudly. `SETS="trixie" bash tests/test-engines.sh` runs some.
set -euo pipefail
cd "$(dirname "$0")/.."

SETS=${SETS:-compose-v1 trixie sid}

# Without the shop's program each test would make it anew.
[[ -n ${ROLLBACKD_TEST_SHOP:-} ]] || exec make test-engines SETS="$SETS"

say() { printf '%s\n' "test-engines: $*" >&2; }

# What is run on each: the main job, what it does not do, deaths, known bad
# images; that every promise of an engine is kept; what Compose deploys.
WHICH='(binary(promises) & test(/^(main_job|guards|crash|known_bad)::/))
    | (binary(engine_conformance) & test(/^real::/)) | binary(engine_compose)'
# Compose 1.29 deploys in tests/engine_compose of each set anyway.
WHICH_V1='binary(promises) & test(/^(main_job|guards|crash|known_bad)::/)'

tests=(--locked --offline --features testing)
if cargo nextest --version >/dev/null 2>&1; then
    # Built here: beside the other engines there is no network.
    cargo nextest run "${tests[@]}" --no-run
    run() { "${@:2}" cargo nextest run "${tests[@]}" -E "$1"; }
else
    say "cargo-nextest is not installed; going on with cargo test"
    cargo test "${tests[@]}" --no-run
    run() {
        "${@:2}" cargo test "${tests[@]}" --test promises -- --test-threads=2 main_job:: guards:: crash:: known_bad::
        [[ $1 == "$WHICH_V1" ]] ||
            "${@:2}" cargo test "${tests[@]}" --test engine_conformance --test engine_compose -- --test-threads=2 --skip model::
    }
fi

failed=()
skipped=()
for set in $SETS; do
    began=$SECONDS
    if [[ $set == compose-v1 ]]; then
        if ! docker-compose version >/dev/null 2>&1; then
            skipped+=("$set: docker-compose is not here")
            continue
        fi
        say "=== $set: engine $(docker version --format '{{.Server.Version}}'), Compose $(docker-compose version --short)"
        run "$WHICH_V1" env ROLLBACKD_TEST_COMPOSE=docker-compose || failed+=("$set")
    else
        code=0
        sh tests/bring-engine.sh "$set" fetch || code=$?
        if ((code)); then
            skipped+=("$set: the engine cannot be had here (see above)")
            continue
        fi
        say "=== $set"
        run "$WHICH" sh tests/bring-engine.sh "$set" run || failed+=("$set")
    fi
    say "=== $set: done in $((SECONDS - began)) s"
done

for why in "${skipped[@]}"; do say "SKIPPED, NOT TESTED: $why"; done
((${#failed[@]} == 0)) || { say "FAILED on: ${failed[*]}"; exit 1; }
