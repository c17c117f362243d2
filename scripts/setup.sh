#!/usr/bin/env bash
# Prepares .venv; a second call changes nothing and takes no time.
#   scripts/setup.sh        what the program needs
#   scripts/setup.sh dev    that, and what the tests and linters need
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
here=$(pwd -P)
kind=${1:-run}
case $kind in
run) requirements=(-r requirements.txt) ;;
dev) requirements=(-r requirements.txt -r requirements-dev.txt) ;;
*) echo "setup.sh: unknown kind '$kind', known are run, dev" >&2 && exit 2 ;;
esac

find_python() {
    local candidate
    for candidate in "${PYTHON:-python3.11}" python3 python3.12 python3.13; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate" && return
        fi
    done
    echo "setup.sh: no Python 3.11 or newer found; install it, or set PYTHON=/path/to/python" >&2
    return 1
}

# A virtual environment holds absolute paths, so one that was moved with its folder is made anew;
# so is one whose Python is gone or whose creation was interrupted.
is_usable() {
    [ "$(sed -n 's/^command = .* -m venv //p' .venv/pyvenv.cfg 2>/dev/null)" = "$here/.venv" ] &&
        .venv/bin/python -m pip --version >/dev/null 2>&1
}

stamp=.venv/.ready-$kind
wanted=$(cksum requirements.txt requirements-dev.txt pyproject.toml && echo "$here")
if [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi

if ! is_usable; then
    python=$(find_python)
    rm -rf .venv
    "$python" -m venv "$here/.venv" || {
        echo "setup.sh: '$python -m venv' failed; on Debian or Ubuntu install python3-venv" >&2
        exit 1
    }
fi
.venv/bin/python -m pip install --quiet uv
.venv/bin/uv pip install --python .venv/bin/python "${requirements[@]}"
.venv/bin/python -c 'import torch, torchvision, timm, streamlit' || {
    echo "setup.sh: the packages do not import together; 'make clean setup' starts afresh" >&2
    exit 1
}
[ "$kind" = dev ] && echo "$wanted" >.venv/.ready-run
echo "$wanted" >"$stamp"
