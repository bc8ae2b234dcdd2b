#!/usr/bin/env bash
# What tests and the demo rely on in deploy/kafka/start.sh: brokers side by side do not meet, a broker comes back on its port,
# and nothing is left behind, however broker or caller end. Takes about twenty seconds.
#
#   tests/deploy/broker.sh
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
scratch=$(mktemp -d)
pids=()
end() {
    local pid
    for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
    rm -rf "$scratch"
}
trap end EXIT

fail() { printf 'broker: %s\n' "$*" >&2; tail -n 5 "$scratch"/*/kafka.log >&2 || true; exit 1; }
# Runs the command until it succeeds, for at most half a minute.
await() {
    local what=$1 left=300
    shift
    until "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || fail "waited in vain until $what"
        sleep 0.1
    done
}
start() {
    "$root/deploy/kafka/start.sh" "$scratch/$1" &
    broker=$!
    pids+=("$broker")
}
ready() { [ -e "$scratch/$1/bootstrap" ]; }
not() { ! "$@"; }
# Whether any process names a directory of this test: brokers do in their arguments, their watchers too.
anything_runs() { pgrep -f -- "$scratch/" >/dev/null; }

start one && one=$broker
start two && two=$broker
await "the first broker is ready" ready one
await "the second broker is ready" ready two
address=$(<"$scratch/one/bootstrap")
[ "$address" != "$(<"$scratch/two/bootstrap")" ] || fail "two brokers share $address"
[ "$(<"/proc/$one/comm")" = java ] || fail "the caller's child is $(<"/proc/$one/comm"), not the broker"

kill -9 "$one"
wait "$one" 2>/dev/null || true
rm "$scratch/one/bootstrap"
start one && one=$broker
await "the broker is back after kill -9" ready one
[ "$(<"$scratch/one/bootstrap")" = "$address" ] || fail "came back on $(<"$scratch/one/bootstrap"), was on $address"

kill "$one"
status=0
wait "$one" || status=$?
[ "$status" = 143 ] || fail "SIGTERM ended the broker with $status"
kill -9 "$two"
wait "$two" 2>/dev/null || true
await "nothing runs after SIGTERM and SIGKILL" not anything_runs

sleep 600 &
caller=$!
pids+=("$caller")
KAFKA_CALLER=$caller start three
await "the third broker is ready" ready three
kill -9 "$caller"
wait "$caller" 2>/dev/null || true
await "the broker has followed its caller" not anything_runs
