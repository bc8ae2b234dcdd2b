#!/usr/bin/env bash
# Installs, upgrades and rolls back Cascade on the cluster that the kubeconfig names.
#
#   deploy/cluster.sh install RELEASE [helm's flags, such as -n shop -f values.yaml]      into a namespace that has the Secrets
#   deploy/cluster.sh upgrade RELEASE [helm's flags]      shows what changes, waits until it is done, tests it; without values: those it has
#   deploy/cluster.sh rollback RELEASE [REVISION] [helm's flags]
#   deploy/cluster.sh status RELEASE [helm's flags]
#
# Needs helm (3.14 or newer) and kubectl. Says on which cluster it works before it does anything; CASCADE_CONTEXT chooses another context.
# An upgrade that does not become ready in time is left as it is, to be looked at: rollback is a decision of its own.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
chart=$here/../helm
# A replica whose state is restored is not ready until it is.
patience=${CASCADE_PATIENCE:-20m}

fail() { printf 'cluster: %s\n' "$1" >&2; exit "${2:-1}"; }
usage() { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 64; }

[ $# -ge 2 ] || usage
action=$1 release=$2
shift 2
for tool in helm kubectl; do command -v "$tool" >/dev/null || fail "there is no $tool in the PATH" 69; done

context=${CASCADE_CONTEXT:-$(kubectl config current-context 2>/dev/null)} || fail "the kubeconfig names no context: kubectl config use-context NAME, or CASCADE_CONTEXT" 64
helm=(helm --kube-context "$context")
kubectl=(kubectl --context "$context")
version=$("${kubectl[@]}" version 2>/dev/null | sed -n 's/^Server Version: //p')
[ -n "$version" ] || fail "the API server of $context does not answer" 69
echo "Cluster: $context, Kubernetes $version"

# The namespace among helm's flags, for kubectl.
namespace=()
flags=("$@")
for ((i = 0; i < ${#flags[@]}; i++)); do
    case ${flags[i]} in
        -n | --namespace) namespace=(-n "${flags[i + 1]:?the namespace is missing}") ;;
        --namespace=*) namespace=(-n "${flags[i]#*=}") ;;
    esac
done

# Where no values are given, helm upgrades with those of the release, but renders with the chart's own: then they are given.
given_values() {
    local flag
    for flag in "${flags[@]}"; do
        case $flag in -f* | --values* | --set* | --reset-* | --reuse-values*) return 0 ;; esac
    done
    return 1
}
with_own_values() {
    given_values && return
    own_values=$(mktemp)
    trap 'rm -f "$own_values"' EXIT
    "${helm[@]}" get values "$release" "${namespace[@]}" -o yaml >"$own_values"
    flags+=(-f "$own_values")
}

# Left alone, helm would render for the Kubernetes that it was built for.
render() { "${helm[@]}" template "$release" "$chart" --kube-version "$version" "$@"; }
exists() { "${helm[@]}" status "$release" "${namespace[@]}" >/dev/null 2>&1; }
ready() {
    "${helm[@]}" test "$release" "${namespace[@]}" --timeout "$patience" || {
        "${kubectl[@]}" "${namespace[@]}" get pods -l "app.kubernetes.io/instance=$release" || true
        fail "$release was deployed and is not well: see above, and deploy/runbook/README.md. Back: deploy/cluster.sh rollback $release ${namespace[*]}"
    }
}
# Secrets are looked for before pods wait for them for ever. They are of the release's namespace, so that has to be there before.
secrets_exist() {
    local name missing=() rendered
    rendered=$(render "$@")
    while read -r name; do
        "${kubectl[@]}" "${namespace[@]}" get secret "$name" >/dev/null 2>&1 || missing+=("$name")
    done < <(sed -n 's/.*{secret: {name: \([^,]*\),.*/\1/p' <<<"$rendered" | sort -u)
    [ ${#missing[@]} = 0 ] || fail "these Secrets do not exist yet: ${missing[*]}" 78
}
deploy() {
    secrets_exist "$@"
    "${helm[@]}" upgrade "$release" "$chart" --install --wait --timeout "$patience" "$@" ||
        fail "it is not ready after $patience: kubectl ${namespace[*]} get pods. Back: deploy/cluster.sh rollback $release ${namespace[*]}"
    ready
}

case $action in
    install)
        ! exists || fail "there is a release $release already: upgrade it" 64
        # What the API server refuses is told before anything is made.
        "${helm[@]}" install "$release" "$chart" --dry-run=server "$@" >/dev/null
        deploy "$@"
        ;;
    upgrade)
        exists || fail "there is no release $release: install it" 64
        with_own_values
        "${helm[@]}" upgrade "$release" "$chart" --dry-run=server "${flags[@]}" >/dev/null
        rendered=$(render --no-hooks "${flags[@]}")
        # Exit code 1 only says that there are differences.
        "${kubectl[@]}" "${namespace[@]}" diff -f - <<<"$rendered" || [ $? = 1 ]
        deploy "${flags[@]}"
        ;;
    rollback)
        exists || fail "there is no release $release" 64
        "${helm[@]}" history "$release" "${namespace[@]}" --max 5
        "${helm[@]}" rollback "$release" "$@" --wait --timeout "$patience"
        ready
        ;;
    status)
        "${helm[@]}" status "$release" "$@"
        "${kubectl[@]}" "${namespace[@]}" get pods -l "app.kubernetes.io/instance=$release"
        ;;
    *) usage ;;
esac
