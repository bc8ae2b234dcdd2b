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
    *" template "*) [ -z "${BROKEN:-}" ] || exit 1; echo "      - {secret: {name: links, items: []}}" ;;
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
