#!/usr/bin/env bash
# Changes the brain in one place after the other, and names the changes that no test notices. Exits with 2 if there are any.
#
#   tests/mutants.sh [OPTION...]
#
# Options are those of `cargo mutants`, as `--shard 0/40` for a fortieth of all, or `--file services/campaign/src/decide/bill.rs`.
# Each change is built and meets the tests that look at decisions, properties with a fiftieth of their cases. What was found is in
# ~/.cache/cascade/mutants/mutants.out, to be judged by whoever ran it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/.." && pwd)
# shellcheck source=../deploy/env.sh
. "$root/deploy/env.sh"
PATH=$CASCADE_CACHE/tools/bin:$PATH
command -v cargo-mutants >/dev/null || cargo install --locked --root "$CASCADE_CACHE/tools" cargo-mutants@27.1.0

cd "$root"
kept=$CASCADE_CACHE/mutants
mkdir -p "$kept"
files=(--file 'services/campaign/src/decide/*.rs')
case " $* " in *' --file '* | *' -f '*) files=() ;; esac
# To build takes longer than to test: so only the tests that are run are built, the brain itself is not optimised, and nobody debugs it.
build=(--config=profile.dev.package.campaign.opt-level=0 --config=profile.dev.debug=false --lib)
tests=(addresses again asleep budgets calls caps experiments launches merges migrations money nights races rules sweeps timelines versions words)
for test in "${tests[@]}"; do build+=(--test="$test"); done
# A copy of the checkout is changed, with a target directory that stays from one run to the next.
CASCADE_CASES=few CARGO_TARGET_DIR=$kept/target CARGO_INCREMENTAL=1 cargo mutants --package campaign "${files[@]}" "${build[@]/#/--cargo-arg=}" \
    --output "$kept" --jobs 1 --timeout 120 --build-timeout 900 --no-shuffle "$@"
