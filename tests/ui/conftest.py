"""What the app's tests share."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from streamlit import config

from dvt_core.authors import AUTHORS, AuthorsPoint, AuthorsResults
from dvt_core.bundle import load_bundle
from dvt_core.macs import exit_macs
from tests.ui.browser import FLAGS, PATIENCE_S, ROOT, is_error, is_healthy
from tests.ui.tiny_model import write_bundle


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model, to be copied and not changed."""
    return write_bundle(tmp_path_factory.mktemp("models") / "tiny").path


@pytest.fixture
def models_dir(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder with the model "tiny", used by the app during the test."""
    folder = tmp_path / "bundled"
    shutil.copytree(tiny_folder, folder / "tiny")
    monkeypatch.setenv("DVT_MODELS", str(folder))
    monkeypatch.delenv("DVT_MODEL_ROOT", raising=False)
    return folder


@pytest.fixture
def own_folder(models_dir: Path, tiny_folder: Path, tmp_path: Path) -> Path:
    """A model folder that is not bundled and has no tables, as `dvt convert` leaves it."""
    folder = tmp_path / "home" / "mine"
    shutil.copytree(tiny_folder, folder)
    for table in folder.glob("*.parquet"):
        table.unlink()
    return folder


@pytest.fixture
def authors(own_folder: Path) -> AuthorsResults:
    """Numbers that the authors stored with the weights of `own_folder`; two points are poor."""
    first, _, last = exit_macs(load_bundle(own_folder).config)
    rows = ((0.0, 0.60), (0.2, 0.70), (0.3, 0.65), (0.5, 0.75), (0.7, 0.80), (0.9, 0.78))
    points = tuple(
        AuthorsPoint((0.9 - share / 2, 0.9 - share), first + share * (last - first), accuracy)
        for share, accuracy in rows
    )
    costs = (1.01 * first, 0.4 * last, 1.01 * last)
    results = AuthorsResults(costs, (0.61, 0.72, 0.81), points, "theirs.pth.tar, sha256 00ff")
    (own_folder / AUTHORS).write_text(json.dumps(results.to_dict()))
    return results


@pytest.fixture
def public_server() -> Iterator[None]:
    """A server that answers to other machines."""
    before = config.get_option("server.address")
    config.set_option("server.address", "0.0.0.0")
    yield
    config.set_option("server.address", before)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    named = (os.environ.get("DVT_BROWSER"), "chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, filter(None, named))), None)
    if path is None:
        words = "no Chromium found: the browser test did not run; install chromium"
        pytest.fail(words) if os.environ.get("CI") else pytest.skip(words)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app as `make app` serves it; health turns ok only after the warm-up."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    command = [sys.executable, "-m", "streamlit", "run", "app/asgi.py"]
    with log.open("wb") as out:
        server = subprocess.Popen(
            [*command, f"--server.port={port}"], cwd=ROOT, stdout=out, stderr=out
        )
        address = f"http://127.0.0.1:{port}"
        try:
            deadline = time.monotonic() + PATIENCE_S
            while not is_healthy(address):
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            yield address
        finally:
            server.terminate()
            server.wait()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A fresh visitor; at the end nothing outside was asked and nothing was complained about."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    context.set_default_timeout(PATIENCE_S * 1000)
    expect.set_options(timeout=PATIENCE_S * 1000)
    page = context.new_page()
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message) if is_error(message) else None)
    page.on("pageerror", lambda error: complaints.append(error))
    yield page
    outside = [url for url in asked if not url.startswith((address, "data:", "blob:"))]
    context.close()
    assert asked and outside == []
    assert [str(complaint) for complaint in complaints] == []
