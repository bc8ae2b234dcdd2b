#!/usr/bin/env bash
# Installs the libraries of the peers (requirements.txt) into a Python environment, once, whoever comes first.
#
#   install.sh DIRECTORY
set -euo pipefail
venv=$1
wanted=$(dirname "${BASH_SOURCE[0]}")/requirements.txt
mkdir -p "$(dirname "$venv")"
exec 9>"$venv.lock"
flock 9
cmp -s "$wanted" "$venv/peers.txt" && exit 0
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check -r "$wanted"
cp "$wanted" "$venv/peers.txt"
