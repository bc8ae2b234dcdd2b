#!/usr/bin/env bash
# Runs every check of the project, says how long each took, and exits with 1 if one of them failed.
#
#   tests/run.sh
#
# Installs what is missing (deploy/setup.sh). A failed check does not keep the others from running. Nothing that it started is
# left running, however it ends. Two runs at once, of one clone or of several, do not disturb each other: builds wait for each
# other, the tests use a copy of the program, free ports and directories of their own.
# shellcheck disable=SC2317 # functions that are called by their names
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/.." && pwd)
cd "$root"

deploy/setup.sh
# shellcheck source=../deploy/env.sh
. deploy/env.sh

# Everything that this run leaves on disk. Tests that fail keep their logs under it.
scratch=$(mktemp -d "${TMPDIR:-/tmp}/cascade-tests.XXXXXX")
mkdir "$scratch/tmp"
export CASCADE_BIN=$scratch/cascade

report=()
failed=()
step=
keep=

# Ids of processes of this run: they all inherited the path of its copy of the program, which no other run has.
left() {
    local environments=(/proc/[0-9]*/environ)
    env -u CASCADE_BIN grep -slzx "CASCADE_BIN=$CASCADE_BIN" "${environments[@]}" | cut -d/ -f3
}

# Waits until nothing of this run is left: a broker needs some seconds to see that its test is gone. Names and ends what stays.
clear_away() {
    local ids
    for _ in {1..100}; do
        mapfile -t ids < <(left)
        [ ${#ids[@]} != 0 ] || return 0
        sleep 0.1
    done
    ps -o pid=,args= -p "$(IFS=,; echo "${ids[*]}")" | cut -c1-160
    kill -9 "${ids[@]}" 2>/dev/null
    return 1
}

finish() {
    trap - EXIT INT TERM HUP
    [ -z "$step" ] || kill -TERM -- "-$step" 2>/dev/null || true
    clear_away || true
    if [ "$keep" ]; then echo "What the failed tests left is in $scratch/tmp"; else rm -rf "$scratch"; fi
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Runs a check in a process group of its own, so that a signal to this script ends all of it.
check() {
    local what=$1 begun=$SECONDS outcome=ok
    shift
    printf '\n== %s\n' "$what"
    set -m
    "$@" </dev/null &
    step=$!
    set +m
    if ! wait "$step"; then
        outcome=FAILED
        failed+=("$what")
    fi
    step=
    report+=("$(printf '%-8s %4d s  %s' "$outcome" $((SECONDS - begun)) "$what")")
    [ "$outcome" = ok ]
}

program() { cargo build -p cascade && cp "$CARGO_TARGET_DIR/debug/cascade" "$CASCADE_BIN"; }
lints() {
    # The program is built without what the tests switch on, so it is looked at on its own, too.
    cargo clippy --workspace --all-targets -- -D warnings && cargo clippy -p cascade -- -D warnings
}
# Tests on Kafka wait most of the time: four of a program at once keep two cores busy.
tests() { TMPDIR=$scratch/tmp RUST_TEST_THREADS=${RUST_TEST_THREADS:-4} cargo test --workspace --no-fail-fast 2>&1 | tee "$scratch/tests.log"; }

check "the code is formatted" cargo fmt --check || true
check "clippy has no warnings" lints || true
if check "the program builds" program; then
    check "tests" tests || keep=yes
fi
check "deployment artefacts" tests/deploy/check.sh || true
check "nothing is left running" clear_away || true

echo
printf '%s\n' "${report[@]}"
printf '         %4d s  in all\n' "$SECONDS"
if [ ${#failed[@]} = 0 ]; then exit 0; fi
[ ! -e "$scratch/tests.log" ] || sed -n -e '/^test .* \.\.\. FAILED$/p' -e '/^error: [0-9]* targets* failed/,$p' "$scratch/tests.log"
exit 1
