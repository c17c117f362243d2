"""Takes the README's pictures of the running app: `make screenshots PICTURE=cat.png`.

The picture must be free to show: sample thumbnails are data-set images and never enter the
repository, so the pages are cut where they would be seen.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking")
START_LIMIT_S = 180


def main() -> None:
    """Serves the app, opens its pages, writes docs/*.png."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("--out", type=Path, default=DOCS)
    args = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app/asgi.py", f"--server.port={port}"]
    server = subprocess.Popen(command, cwd=ROOT)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(f"{address}/_stcore/health")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=os.environ["DVT_BROWSER"], args=FLAGS
            )
            page = browser.new_page(viewport={"width": 1280, "height": 1180})
            _take(page, address, args.picture, args.out)
            browser.close()
    finally:
        server.terminate()
        server.wait()


def _wait(health: str) -> None:
    ends = time.monotonic() + START_LIMIT_S
    while time.monotonic() < ends:
        try:
            with urllib.request.urlopen(health, timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.5)
    raise SystemExit("the app did not start")


def _take(page: Page, address: str, picture: Path, out: Path) -> None:
    page.goto(address)
    page.get_by_text("upload", exact=True).first.click()
    page.locator("input[type=file]").set_input_files(picture)
    page.get_by_text(picture.name).first.wait_for()
    _settle(page)
    page.screenshot(path=out / "look.png", full_page=True)
    for name, path in (
        ("tradeoff", "tradeoff"),
        ("saves", "models?section=what+it+saves"),
    ):
        page.goto(f"{address}/{path}")
        _settle(page)
        page.screenshot(path=out / f"{name}.png", full_page=name == "tradeoff")


def _settle(page: Page) -> None:
    """Until the script has run and charts are drawn."""
    page.locator("[data-testid=stApp][data-test-script-state=notRunning] h1").wait_for()
    page.wait_for_timeout(3000)


if __name__ == "__main__":
    main()
