#!/usr/bin/env bash
# Writes the bill of materials of the program: every crate that is linked into it, with version, licence and checksum (CycloneDX 1.5, JSON).
#
#   deploy/sbom.sh [FILE]      cascade.cdx.json by default
#
# Installs cargo-cyclonedx into the cache, if it is not there. The checkout stays as it is.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/env.sh"
version=0.5.9
file=$(realpath -m "${1:-cascade.cdx.json}")
tools=$CASCADE_CACHE/tools

[ -x "$tools/bin/cargo-cyclonedx" ] ||
    CARGO_TARGET_DIR=$tools/build cargo install --quiet --locked --root "$tools" --version "$version" cargo-cyclonedx
# It writes beside the manifest that it reads: so it reads a copy, which needs no more than the manifests.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
(cd "$here/.." && git ls-files -z '*.toml' '*.rs' Cargo.lock | tar -c --null -T - | tar -x -C "$scratch")
cd "$scratch"
PATH=$tools/bin:$PATH cargo cyclonedx --manifest-path services/cascade/Cargo.toml --format json --spec-version 1.5 \
    --target x86_64-unknown-linux-gnu --override-filename cascade.cdx >/dev/null
# Where the copy lay concerns nobody.
sed "s|file://$scratch|file://.|g" services/cascade/cascade.cdx.json >"$file"
echo "$file"
