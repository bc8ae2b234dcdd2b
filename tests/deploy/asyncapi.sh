#!/usr/bin/env bash
# Has schemas/asyncapi.yaml read by AsyncAPI's own parser, which it installs (npm) outside the checkout, once.
#
#   tests/deploy/asyncapi.sh
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../../deploy/env.sh
. "$here/../../deploy/env.sh"
tools=$CASCADE_CACHE/tools/asyncapi
wanted='@asyncapi/parser@3.6.3 @asyncapi/avro-schema-parser@3.0.24'
mkdir -p "$tools"
exec 9>"$tools/lock"
flock 9
if [ "$(cat "$tools/installed" 2>/dev/null)" != "$wanted" ]; then
    # shellcheck disable=SC2086 # a list of words
    npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$tools" $wanted
    printf %s "$wanted" >"$tools/installed"
fi
# Modules are looked for beside the file that asks for them.
cp "$here/asyncapi.mjs" "$tools/asyncapi.mjs"
read_by_parser() { node "$tools/asyncapi.mjs" "$1"; }

read_by_parser "$here/../../schemas/asyncapi.yaml"

# The parser must be able to say no, or its yes says nothing.
broken=$(mktemp -d)
trap 'rm -rf "$broken"' EXIT
cp "$here"/../../schemas/*.avsc "$broken"
sed 's/{action: receive, channel: {$ref: "#\/channels\/cart"}}/{action: get, channel: {$ref: "#\/channels\/cart"}}/' "$here/../../schemas/asyncapi.yaml" >"$broken/asyncapi.yaml"
if read_by_parser "$broken/asyncapi.yaml" >/dev/null 2>&1; then echo "a wrong action was not found"; exit 1; fi
cp "$here/../../schemas/asyncapi.yaml" "$broken"
sed -i 's/"type": "long"/"type": "lung"/' "$broken/send.avsc"
if read_by_parser "$broken/asyncapi.yaml" >/dev/null 2>&1; then echo "a wrong type in a schema was not found"; exit 1; fi
