#!/usr/bin/env bash
# Prints the path of a Chromium or Chrome that starts, installing one where that is possible.
# Prints nothing when there is none: then the browser test is skipped, except under CI, where
# the exit code is 1. Call it after `scripts/setup.sh dev`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

find_browser() {
    local candidate path
    for candidate in "${DVT_BROWSER:-chromium}" chromium chromium-browser google-chrome \
        google-chrome-stable "$(playwright_path)"; do
        path=$(command -v "$candidate" 2>/dev/null) || continue
        # Ubuntu's chromium-browser may be a stub that only asks for a snap: it does not start.
        if timeout 20 "$path" --version >/dev/null 2>&1; then
            echo "$path" && return
        fi
    done
    return 1
}

playwright_path() {
    .venv/bin/python - 2>/dev/null <<'PYTHON' || true
from playwright.sync_api import sync_playwright

with sync_playwright() as playwright:
    print(playwright.chromium.executable_path)
PYTHON
}

install_browser() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq && apt-get install -y -qq chromium && find_browser >/dev/null && return
    fi
    .venv/bin/python -m playwright install chromium
}

find_browser && exit
echo "ensure_browser: no Chromium or Chrome found, installing one" >&2
install_browser >&2 </dev/null || true
find_browser && exit
echo "ensure_browser: no browser could be installed: the browser test cannot run;" \
    "install chromium, or set DVT_BROWSER=/path/to/it" >&2
[ -z "${CI:-}" ]
