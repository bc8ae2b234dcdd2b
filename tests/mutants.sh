#!/usr/bin/env bash
# Changes the brain in one place after the other, and names the changes that no test notices. Exits with 2 if there are any.
#
#   tests/mutants.sh [OPTION...]
#
# Options are those of `cargo mutants`, as `--shard 0/40` for a fortieth of all, or `--file services/campaign/src/decide/bill.rs`.
# Each change is built and meets the tests that look at decisions, properties with a fiftieth of their cases. What was found is in
# ~/.cache/cascade/mutants/mutants.out, to be judged by whoever ran it:
# services/campaign/src/mutants.md says what was found, and why the rest does not matter. All of it takes hours on two cores.
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
# To build takes longer than to test: so all quick tests are one program, the brain is not optimised, and nobody debugs it. The rules, which
# take ten times as long, are asked about what the others did not notice.
build=(--config=profile.dev.package.campaign.opt-level=0 --config=profile.dev.debug=false --lib --test=decisions --test=rules --test=statuses)
# What fails has failed: no smaller case is looked for.
export CASCADE_CASES=few PROPTEST_MAX_SHRINK_ITERS=0 RUST_BACKTRACE=0
# A copy of the checkout is changed, with a target directory that stays from one run to the next.
CARGO_TARGET_DIR=$kept/target CARGO_INCREMENTAL=1 cargo mutants --package campaign --features mutants "${files[@]}" "${build[@]/#/--cargo-arg=}" \
    --output "$kept" --jobs 1 --timeout 120 --build-timeout 900 --no-shuffle "$@"
