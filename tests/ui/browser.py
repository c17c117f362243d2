"""Driving the real app in headless Chromium: start, read and move what is on the page."""

import re
import urllib.request
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from dvt_core.bundle import Bundle
from dvt_core.images import open_image
from dvt_core.inference import classify

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


def is_healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/_stcore/health", timeout=5) as answer:
            return answer.read() == b"ok"
    except OSError:
        return False


def is_error(message) -> bool:
    """A console error; but Streamlit probes a deep link's folder for its own server, twice."""
    is_probe = re.search("/[a-z-]+/_stcore/", message.location.get("url", ""))
    return message.type == "error" and not is_probe


def threshold_slider(page: Page) -> Locator:
    """The dial's slider."""
    return page.get_by_role("slider", name="Confidence threshold")


def tile(page: Page, name: str) -> Locator:
    """A number of the trade-off lab: "accuracy", "macs" or "picture"."""
    return page.locator(f".tile[data-id={name}] strong")


def metric(page: Page, label: str):
    tile = page.get_by_test_id("stMetric").filter(has=page.get_by_text(label, exact=True))
    return tile.get_by_test_id("stMetricValue")


def move(page: Page, key: str) -> None:
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


def exit_of(bundle: Bundle, data: bytes, threshold: float) -> str:
    model = bundle.load_model()
    tensor = model.preprocess(open_image(data))[None]
    return f"exit {classify(model, tensor, threshold)[0].exit_index + 1}"
