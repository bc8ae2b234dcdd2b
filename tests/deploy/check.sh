#!/usr/bin/env bash
# Checks what is in deploy/ and helm/ by the tools that will read it, and exits with 1 on any finding.
#
#   tests/deploy/check.sh
#
# A tool that no registry offers everywhere (docker, shellcheck, cargo-deny) is used where it is installed and named where not.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root" || exit 1
# Nothing is written into the checkout.
export PYTHONDONTWRITEBYTECODE=1
# shellcheck source=../../deploy/env.sh
. deploy/env.sh

findings=0
# Runs a check, says how long it took, shows its output only if it finds something.
check() {
    local what=$1 output begun=$SECONDS
    shift
    if output=$("$@" 2>&1); then
        printf 'ok       %4d s  %s\n' $((SECONDS - begun)) "$what"
    else
        printf 'FINDING  %4d s  %s\n' $((SECONDS - begun)) "$what"
        printf '%s\n' "$output" | sed 's/^/         /'
        findings=$((findings + 1))
    fi
}
# Those that wait more than they work: begun at once, told in their order by `await_begun`.
begun=()
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
begin() {
    local told=$scratch/${#begun[@]}
    (
        trap - EXIT
        findings=0
        "$@" >"$told"
        exit "$findings"
    ) &
    begun+=("$!")
}
await_begun() {
    local number
    for number in "${!begun[@]}"; do
        wait "${begun[number]}" || findings=$((findings + 1))
        cat "$scratch/$number"
    done
    begun=()
}
# Like `check`, if the tool $1 is there.
check_with() {
    local tool=$1
    shift
    if command -v "$tool" >/dev/null; then check "$@"; else printf 'skipped  %s: %s is not installed\n' "$1" "$tool"; fi
}

python_tools() {
    local python=$CASCADE_VENV/bin/python stamp=$CASCADE_VENV/deploy-check.txt
    cmp -s "$here/requirements.txt" "$stamp" && return 0
    (
        flock 9
        [ -x "$python" ] || python3 -m venv "$CASCADE_VENV" || exit 1
        "$python" -m pip install -q --disable-pip-version-check -r "$here/requirements.txt" && cp "$here/requirements.txt" "$stamp"
    ) 9>"$CASCADE_CACHE/venv.lock"
}

scripts=(.ci/run deploy/*.sh deploy/kafka/*.sh tests/*.sh tests/deploy/*.sh)
syntax() {
    local script
    for script in "${scripts[@]}"; do [ ! -e "$script" ] || bash -n "$script" || return 1; done
}
lint_scripts() {
    local script there=()
    for script in "${scripts[@]}"; do [ ! -e "$script" ] || there+=("$script"); done
    shellcheck --external-sources --source-path=SCRIPTDIR "${there[@]}"
}

mkdir -p "$CASCADE_CACHE"
check "scripts parse" syntax
check_with shellcheck "scripts have no traps" lint_scripts
check "tools of these checks" python_tools
python=$CASCADE_VENV/bin/python
check "a private Kafka comes, comes back and goes" tests/deploy/broker.sh
check_with promtool "alert rules" promtool check rules deploy/prometheus/rules.yaml
check_with promtool "Prometheus configuration" promtool check config deploy/prometheus/prometheus.yaml
check_with promtool "each alert fires and keeps still" promtool test rules deploy/prometheus/rules.test.yaml
check_with promtool "an alert fires also where a second installation is well" "$python" tests/deploy/neighbours.py
check "every alert is tested both ways; rules, dashboards and the list name metrics that exist" "$python" tests/deploy/metrics.py
check "the runbook has a page for each alert, and names what exists" "$python" tests/deploy/runbook.py
check "dashboards" "$python" tests/deploy/dashboards.py
if [ -x "${CASCADE_BIN:-$CARGO_TARGET_DIR/debug/cascade}" ]; then
    begin check_with prometheus "every panel has data while the demo runs, every rule is evaluated" "$python" tests/deploy/live.py
    begin check_with prometheus "causes fire their alerts, cures end them" "$python" tests/deploy/outages.py
    begin check "the doctor finds what is planted" "$python" tests/deploy/doctor.py
    begin check "each service needs what it is allowed on Kafka, and no more" "$python" tests/deploy/acls.py
    begin check "a fact is the same by every way in, and an import that was killed goes on" "$python" tests/deploy/ways_in.py
    await_begun
else
    echo "skipped  dashboards with data, causes and alerts, doctor, permissions, ways in: the program is not built"
fi
check "Helm chart" "$python" tests/deploy/chart.py
check "an upgrade goes no further with a chart that cannot be rendered" tests/deploy/cluster.sh
if [ -x "$CASCADE_CACHE/api-server/v1.34.2/kube-apiserver" ] && command -v etcd >/dev/null; then
    check "the chart on a real API server: installed, upgraded, rolled back" "$python" tests/deploy/api_server.py
else
    echo "skipped  the chart on a real API server: tests/deploy/api_server.py compiles it first, in twenty minutes"
fi
check_with npm "topics and records, as AsyncAPI's own parser reads them" tests/deploy/asyncapi.sh
check "container, as far as it can be judged without a builder" "$python" tests/deploy/image.py
check "compose file" "$python" tests/deploy/compose.py
if docker compose version >/dev/null 2>&1; then
    check "compose file, as docker reads it" docker compose -f deploy/compose.yaml config --quiet
else
    echo "skipped  compose file, as docker reads it: docker compose is not installed"
fi
check_with cargo-deny "dependency policy" cargo deny --all-features check --hide-inclusion-graph bans licenses sources

[ "$findings" = 0 ] || { echo "$findings of these checks found something."; exit 1; }
