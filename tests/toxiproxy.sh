#!/usr/bin/env bash
# Installs Toxiproxy, through which CASCADE_KAFKA=proxied reaches the broker, and prints the path of its program:
#
#   export CASCADE_TOXIPROXY=$(tests/toxiproxy.sh)
#
# Go builds it from its module, once; where there is no Go, Debian's is installed.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../deploy/env.sh"

version=2.5.0
bin=$CASCADE_CACHE/toxiproxy-$version
if [ ! -x "$bin/server" ]; then
    command -v go >/dev/null || apt-get install -y -q golang-go >&2
    echo "Building Toxiproxy $version: about a minute." >&2
    GOBIN=$bin GOFLAGS=-mod=mod go install "github.com/Shopify/toxiproxy/v2/cmd/server@v$version" >&2
fi
echo "$bin/server"
