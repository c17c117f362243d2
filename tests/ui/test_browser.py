"""The app end to end: the real server, the bundled models, headless Chromium, no network."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from dvt_core.bundle import Bundle, list_models, load_bundle
from dvt_core.images import open_image
from dvt_core.inference import classify
from dvt_core.thresholds import replay
from tests.ui.tiny_model import png, write_bundle

ROOT = Path(__file__).parents[2]
PATIENCE_S = 300  # two cores may be busy with a training run
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
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
            while not _is_healthy(address):
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            yield address
        finally:
            server.terminate()
            server.wait()


def _is_healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/_stcore/health", timeout=5) as answer:
            return answer.read() == b"ok"
    except OSError:
        return False


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A fresh visitor; at the end nothing outside was asked and nothing was complained about."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    context.set_default_timeout(PATIENCE_S * 1000)
    expect.set_options(timeout=PATIENCE_S * 1000)
    page = context.new_page()
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message) if _is_error(message) else None)
    page.on("pageerror", lambda error: complaints.append(error))
    yield page
    outside = [url for url in asked if not url.startswith((address, "data:", "blob:"))]
    context.close()
    assert asked and outside == []
    assert [str(complaint) for complaint in complaints] == []


def _is_error(message) -> bool:
    """A console error; but Streamlit probes a deep link's folder for its own server, twice."""
    is_probe = re.search("/(tradeoff|models)/_stcore/", message.location.get("url", ""))
    return message.type == "error" and not is_probe


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    models = list_models()
    assert models, "there is no bundled model"
    return load_bundle(models[0])


def _metric(page: Page, label: str):
    tile = page.get_by_test_id("stMetric").filter(has=page.get_by_text(label, exact=True))
    return tile.get_by_test_id("stMetricValue")


def _move(page: Page, key: str) -> None:
    """Presses a key on the slider; Home and End once more if it did not get there.

    On a busy machine Streamlit may be redrawing the slider at that very moment, and the key goes
    nowhere: seen once in some hundred presses.
    """
    slider = page.get_by_role("slider", name="Confidence threshold")
    slider.press(key)
    if target := {"Home": "0.00", "End": "1.00"}.get(key):
        try:
            expect(slider).to_have_attribute("aria-valuetext", target, timeout=20_000)
        except AssertionError:
            slider.press(key)
            expect(slider).to_have_attribute("aria-valuetext", target)


def _exit(bundle: Bundle, data: bytes, threshold: float) -> str:
    model = bundle.load_model()
    tensor = model.preprocess(open_image(data))[None]
    return f"exit {classify(model, tensor, threshold)[0].exit_index + 1}"


def test_upload_a_picture_read_the_exit_move_the_threshold(page, address, bundle):
    data, last = png(size=(90, 70)), f"exit {bundle.config.num_exits}"
    page.goto(address)
    expect(page.get_by_role("heading", name="Look")).to_be_visible()
    expect(_metric(page, "Answer")).to_be_visible()  # a sample is traced before anyone asks
    expect(page).to_have_title(re.compile("Look"))

    page.get_by_role("radio", name="upload").click()
    page.locator("input[type=file]").set_input_files(
        {"name": "mine.png", "mimeType": "image/png", "buffer": data}
    )
    expect(page.get_by_text("mine.png, 90x70 pixels")).to_be_visible()
    default = min(max(round(bundle.default_threshold, 2), 0), 1)
    expect(_metric(page, "Stopped at")).to_have_text(_exit(bundle, data, default))
    _move(page, "Home")
    expect(_metric(page, "Stopped at")).to_have_text("exit 1")
    expect(page.get_by_text("Not computed: the model stopped at exit 1.")).to_have_count(
        bundle.config.num_exits - 1
    )
    _move(page, "End")
    expect(_metric(page, "Stopped at")).to_have_text(_exit(bundle, data, 1.0))
    if _exit(bundle, data, 1.0) == last:
        expect(page.get_by_text("Not computed")).to_have_count(0)

    page.locator("input[type=file]").set_input_files(
        {"name": "bad.png", "mimeType": "image/png", "buffer": data[:60]}
    )
    expect(page.get_by_role("alert")).to_contain_text("bad.png")
    expect(_metric(page, "Answer")).to_be_visible()


def test_move_the_threshold_see_the_tables_numbers_change(page, address, bundle):
    table = bundle.table("test")
    page.goto(f"{address}/tradeoff?threshold=0.3")
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    for key, threshold in ((None, 0.3), ("ArrowRight", 0.31), ("Home", 0.0), ("End", 1.0)):
        if key:
            _move(page, key)
        accuracy = 100 * replay(table, threshold).accuracy
        expect(_metric(page, "Accuracy")).to_have_text(f"{accuracy:.1f} %")
    _move(page, "Home")
    share = page.get_by_label("share of images per exit").get_by_role("listitem").first
    expect(share).to_contain_text("100.0 %")
    page.get_by_role("link", name="Look").click()
    expect(_metric(page, "Stopped at")).to_have_text("exit 1")  # one threshold for all pages


def test_open_a_model_folder_and_see_its_curve(page, address, tmp_path):
    folder = write_bundle(tmp_path / "own").path
    page.goto(f"{address}/models?section=a+model+folder")
    page.get_by_role("textbox", name="Model folder").fill(str(tmp_path / "nothing"))
    page.get_by_role("button", name="Open the folder").click()
    expect(page.get_by_role("alert")).to_contain_text("neither a folder with a config.json")
    page.get_by_role("textbox", name="Model folder").fill(str(folder))
    page.get_by_role("textbox", name="Model folder").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Open and chosen as “own (folder)”")
    page.get_by_role("link", name="Trade-off").click()
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    accuracy = 100 * replay(load_bundle(folder).table("test"), 0.6).accuracy
    expect(_metric(page, "Accuracy")).to_have_text(f"{accuracy:.1f} %")
    expect(page.get_by_role("combobox", name="Model")).to_have_value("own (folder)")


@pytest.mark.parametrize("path", ["", "tradeoff", "models"])
def test_pages_fit_a_phone_in_the_dark(browser, address, path):
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    page = context.new_page()
    page.goto(f"{address}/{path}", timeout=PATIENCE_S * 1000)
    expect(page.get_by_test_id("stMetric").first).to_be_visible(timeout=PATIENCE_S * 1000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    background = page.evaluate(
        "getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
    )
    context.close()
    assert max(int(part) for part in re.findall(r"\d+", background)[:3]) < 80


def test_every_answer_carries_the_security_headers(address):
    with urllib.request.urlopen(address, timeout=PATIENCE_S) as answer:
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
