#!/usr/bin/env bash
# Remake constraints.txt: install all extras into a fresh environment and freeze what was resolved.
set -euo pipefail
cd "$(dirname "$0")/.."
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
"${PYTHON:-python3}" -m venv "$fresh"
torch=$(grep '^torch==' constraints.txt)
"$fresh/bin/python" -m pip install --quiet "$torch"
"$fresh/bin/python" -m pip install --quiet -c <(echo "$torch") ".[train,qlora,dev,bench]"
{
    echo '# Every dependency, pinned. Remade by `make lock` from a fresh environment.'
    echo "$torch"
    "$fresh/bin/python" -m pip freeze --exclude vademecum | grep -viE '^(torch|pip|setuptools)[=@ ]' | sed 's/ @ .*//'
} > constraints.txt
echo "constraints.txt: $(grep -c '==' constraints.txt) pins"
