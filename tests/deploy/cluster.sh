#!/usr/bin/env bash
# deploy/cluster.sh goes no further where the chart cannot be rendered, or a Secret is missing. Stands in for helm and kubectl: what they
# answer is all that it decides by.
#
#   tests/deploy/cluster.sh
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/helm" <<'END'
#!/bin/sh
echo "helm $*" >>"$SAID"
case " $* " in
    *" get values "*) echo "kafka: {brokers: its-own:9092}" ;;
    *" template "*) for word; do [ "$before" != -f ] || cat "$word" >>"$SAID"; before=$word; done
        [ -z "${BROKEN:-}" ] || exit 1; echo "      - {secret: {name: links, items: []}}" ;;
esac
END
cat >"$dir/kubectl" <<'END'
#!/bin/sh
echo "kubectl $*" >>"$SAID"
case " $* " in
    *" current-context "*) echo here ;;
    *" version "*) echo "Server Version: v1.34.2" ;;
    *" diff "*) cat >/dev/null; exit 1 ;; # there are differences
    *" get secret "*) [ -z "${MISSING:-}" ] ;;
esac
END
chmod +x "$dir/helm" "$dir/kubectl"
export PATH="$dir:$PATH" SAID="$dir/said"

# Upgrades with these variables; says the exit code and whether anything was deployed.
upgrade() {
    : >"$SAID"
    local code=0 deployed=no
    env "$@" "$here/../../deploy/cluster.sh" upgrade shop >/dev/null 2>&1 || code=$?
    ! grep -q '^helm .* --install ' "$SAID" || deployed=yes
    echo "$code $deployed"
}
expect() {
    local wanted=$1 found
    shift
    found=$(upgrade "$@")
    [ "$found" = "$wanted" ] || { echo "upgrade with ${*:-all well}: $found instead of $wanted"; exit 1; }
}
expect "0 yes" ALL=well
expect "1 no" BROKEN=yes
expect "78 no" MISSING=yes

# Without values, what is shown and looked for is of those that the release has, not of the chart's own; with values, of these alone.
expect "0 yes" ALL=well
[ "$(grep -c '^kafka: {brokers: its-own:9092}' "$SAID")" = 2 ] || { echo "an upgrade without values is rendered with others than the release's:"; cat "$SAID"; exit 1; }
: >"$SAID"
"$here/../../deploy/cluster.sh" upgrade shop --set intake.replicas=3 >/dev/null 2>&1
! grep -q 'get values' "$SAID" || { echo "an upgrade with values mixes others in"; exit 1; }
