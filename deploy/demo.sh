#!/usr/bin/env bash
# Lives through a real grocer's year, on a private Kafka, with every service in a process of its own.
#
#   deploy/demo.sh                                      a quarter, in six to ten minutes on two cores
#   deploy/demo.sh --events 2000                        a few days, in 20 s to 40 s
#   deploy/demo.sh --from 2017-11-01 --to 2018-01-01    another part of the year
#   deploy/demo.sh --brokers HOST:PORT                  on your Kafka, under topic names of its own
#   deploy/demo.sh --stay                               leaves everything running to look around, until Ctrl-C
#
# Installs what is missing (deploy/setup.sh), builds, and runs `cascade demo` with the arguments given. Nothing it started
# outlives it, unless it is killed by SIGKILL.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/env.sh"

"$here/setup.sh"
echo "Building (the first time this compiles RocksDB: a quarter of an hour or two, without a word)"
cargo build --quiet --manifest-path "$here/../Cargo.toml" -p cascade

# A copy of this run's own: a build of another clone, or a later one of this, must not replace the program under a running demo.
program=$(mktemp -d "${TMPDIR:-/tmp}/cascade-program.XXXXXX")
cp "$CARGO_TARGET_DIR/debug/cascade" "$program/cascade"
trap 'rm -rf "$program"' EXIT

# In the background and waited for: so that a signal to this script reaches the demo at once, and once.
"$program/cascade" demo --deploy "$here" "$@" &
demo=$!
trap 'kill -INT "$demo" 2>/dev/null || true' INT
trap 'kill -TERM "$demo" 2>/dev/null || true' TERM HUP
status=0
wait "$demo" || status=$?
# A signal ends the wait before the demo has ended.
while kill -0 "$demo" 2>/dev/null; do
    status=0
    wait "$demo" || status=$?
done
exit "$status"
