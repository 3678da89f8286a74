#!/usr/bin/env bash
# Install Vademecum into .venv: `scripts/install.sh [EXTRA,...]`. Pins come from constraints.txt. Idempotent: a stamp
# remembers what was installed from which pins, so a second run costs nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
extras=${1:-train}
python=${PYTHON:-python3.11}
command -v "$python" >/dev/null || python=python3
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' ||
    { echo "vademecum: Python 3.11 or 3.12 is needed; '$python' is $("$python" -V 2>&1). Set PYTHON=/path/to/python3.11." >&2; exit 2; }

wanted=$(cat constraints.txt pyproject.toml scripts/install.sh | cat - <(echo "$extras") | sha256sum | cut -d' ' -f1)
stamp=.venv/.installed-${extras//,/-}
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then exit 0; fi

[ -x .venv/bin/python ] || "$python" -m venv .venv
pip=(.venv/bin/python -m pip --disable-pip-version-check)
torch=$(grep '^torch==' constraints.txt)

if ! .venv/bin/python -c 'import importlib.metadata as m; m.version("torch")' 2>/dev/null; then
    # The plain wheel of torch brings gigabytes of CUDA. In order: a wheel that pip finds on this machine; with a GPU
    # the CUDA build; PyTorch's own CPU index; the CUDA build with a notice.
    cpu_index=https://download.pytorch.org/whl/cpu
    if "${pip[@]}" install --quiet --no-index --no-deps "$torch" 2>/dev/null; then
        echo "torch: installed from a wheel on this machine"
    elif command -v nvidia-smi >/dev/null; then
        echo "torch: a GPU is present, fetching the CUDA build (gigabytes)"
    elif .venv/bin/python -c "import urllib.request as u; u.urlopen('$cpu_index/torch/', timeout=8)" 2>/dev/null; then
        echo "torch: fetching the CPU build from PyTorch's own index"
        "${pip[@]}" install --quiet --no-deps --index-url "$cpu_index" "$torch"
    else
        echo "torch: NOTICE: PyTorch's CPU index cannot be reached; the CUDA build, gigabytes large, is being fetched"
    fi
fi
echo "installing Vademecum and its pinned dependencies into .venv (extras: $extras)"
"${pip[@]}" install --quiet -c constraints.txt -e ".[$extras]" 2> >(grep -v 'is ignored: it is neither a file nor a directory' >&2)
echo "$wanted" > "$stamp"
