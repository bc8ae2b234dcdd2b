#!/usr/bin/env bash
# A rolling upgrade under load, from another commit's program to this one's: nothing is lost or doubled (tests/tests/upgrade.rs).
#
#   tests/upgrade.sh [COMMIT]       the one before this, if nothing is said
#
# The other commit is checked out and built below ~/.cache/cascade/before, where both stay for the next run.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/.." && pwd)
commit=$(git -C "$root" rev-parse "${1:-HEAD~1}^{commit}")
# shellcheck source=../deploy/env.sh
. "$root/deploy/env.sh"
kept=$CASCADE_CACHE/before
if [ ! -e "$kept/checkout/.git" ]; then
    git -C "$root" worktree prune
    git -C "$root" worktree add --detach "$kept/checkout" "$commit"
fi
git -C "$kept/checkout" checkout --quiet --detach "$commit"
echo "Building $(git -C "$root" log -1 --format='%h %s' "$commit")"
(cd "$kept/checkout" && CARGO_TARGET_DIR=$kept/target cargo build --locked -p cascade)
cd "$root"
cargo build --locked -p cascade
CASCADE_BEFORE=$kept/target/debug/cascade cargo test --locked -p system-tests --test upgrade -- --nocapture
