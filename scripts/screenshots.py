"""Takes pictures of every page of the running app: `make screenshots PICTURE=cat.png`.

No image of a data set may enter the repository, so the app is served without any: from a copy that
has no data beside it, which is checked. Look shows the picture given, the other pages samples of
our own; the row of sample thumbnails, some of which are data-set images, is never open.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking")
START_LIMIT_S, PAGE_LIMIT_S = 300, 120
MAX_BYTES = 250_000
WIDTH, HEIGHT = 1280, 900
COPIED = ("app", "dvt_core", "assets", ".streamlit", "streamlit_config.toml")
CHECK = """
from pathlib import Path
import dvt_core.data_sources as sources
found = [name for name in sources.DATASETS if sources.find_folder(name)]
print(Path(sources.__file__).parents[1], found)
"""
SAMPLE = "stamp_teapot"  # one of our own pictures, whose licence lets it be shown
PAGES = {  # name of the file -> address
    "tradeoff": "tradeoff",
    "easy_hard": "easy-hard",
    "inside": f"inside?sample={SAMPLE}",
    "batch": "batch",
    "lesson": "lesson",
    "saves": "models?section=what+it+saves&model=cifar10",
}


def main() -> None:
    """Serves the app, opens its pages, writes docs/*.png."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", type=Path, help="one that is free to show")
    parser.add_argument("--out", type=Path, default=DOCS)
    parser.add_argument("--only", nargs="*", help="names of files, without .png")
    args = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        _served(folder) as address,
        sync_playwright() as p,
    ):
        browser = p.chromium.launch(executable_path=os.environ["DVT_BROWSER"], args=FLAGS)
        for name, scheme in (("look", "light"), ("look_dark", "dark")):
            if not args.only or name in args.only:
                _look(browser, address, scheme, args.picture, args.out / f"{name}.png")
        for name, path in PAGES.items():
            if not args.only or name in args.only:
                page = _open(browser, f"{address}/{path}", "light")
                _save(page.screenshot(), args.out / f"{name}.png")
                page.close()
        browser.close()


@contextmanager
def _served(folder: str) -> Iterator[str]:
    """A copy of the app without data sets; its address."""
    copy = Path(folder) / "copy" / "app"  # data is looked for two folders up
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name)
        else:
            shutil.copy(ROOT / name, copy / name)
    # Nothing is found in an empty folder, nor in the copy of the code, nor in a cache.
    env = {**os.environ, "DVT_DATA": folder, "HF_HOME": folder, "HF_HUB_OFFLINE": "1"}
    env.pop("HF_DATASETS_CACHE", None)
    check = subprocess.run([sys.executable, "-c", CHECK], cwd=copy, env=env, text=True, stdout=-1)
    if check.stdout.strip() != f"{copy} []":
        raise SystemExit(f"data sets would be in the pictures: {check.stdout}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app/asgi.py", f"--server.port={port}"]
    server = subprocess.Popen(command, cwd=copy, env=env)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(f"{address}/_stcore/health")
        yield address
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


def _open(browser: Browser, address: str, scheme: str) -> Page:
    page = browser.new_page(
        viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme, reduced_motion="reduce"
    )
    page.set_default_timeout(1000 * PAGE_LIMIT_S)
    page.goto(address)
    _settle(page)
    return page


def _look(browser: Browser, address: str, scheme: str, picture: Path, out: Path) -> None:
    """The page Look with the picture, down to the answer."""
    page = _open(browser, address, scheme)
    page.get_by_text("upload", exact=True).first.click()
    page.locator("input[type=file]").set_input_files(picture)
    page.get_by_text(picture.name).first.wait_for()
    _settle(page)
    page.set_viewport_size({"width": WIDTH, "height": 1400})
    page.wait_for_timeout(1500)
    _save(page.screenshot(), out)
    page.close()


def _settle(page: Page) -> None:
    """Until the script has run and charts are drawn."""
    page.locator("[data-testid=stApp][data-test-script-state=notRunning] h1").first.wait_for()
    page.wait_for_timeout(4000)


def _save(image: bytes, out: Path) -> None:
    """A small PNG: in 256 colours, and narrower if that is not enough."""
    picture = Image.open(io.BytesIO(image)).convert("RGB")
    while True:
        raw = _png(picture.quantize(256, dither=Image.Dither.NONE))
        if len(raw) < MAX_BYTES:
            break
        picture = picture.resize((picture.width * 9 // 10, picture.height * 9 // 10))
    out.write_bytes(raw)
    print(f"{out}: {picture.width}x{picture.height}, {len(raw) / 1000:.0f} kB")


def _png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return out.getvalue()


if __name__ == "__main__":
    main()
