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


def at_rest(page: Page) -> None:
    """Waits until no run is drawing: what the run before left on the page is gone, too."""
    expect(page.locator("[data-testid=stApp]")).to_have_attribute(
        "data-test-script-state", "notRunning"
    )


def fits(page: Page, width: int) -> None:
    """Waits until the page is no wider than this many pixels."""
    at_rest(page)
    page.wait_for_function(f"document.documentElement.scrollWidth <= {width}")


def move(page: Page, key: str) -> None:
    """Presses a key on the slider, once more if it did not get there.

    On a busy machine Streamlit may be redrawing the slider at that very moment, and the key goes
    nowhere: seen once in some hundred presses.
    """
    at_rest(page)
    slider, target = threshold_slider(page), {"Home": "0.00", "End": "1.00"}.get(key)
    before = slider.get_attribute("aria-valuetext") or ""

    def moved(seconds: float) -> None:
        words = expect(slider)
        if target is None:
            words.not_to_have_attribute("aria-valuetext", before, timeout=1000 * seconds)
        else:
            words.to_have_attribute("aria-valuetext", target, timeout=1000 * seconds)

    slider.press(key)
    try:
        moved(20)
    except AssertionError:
        slider.press(key)
        moved(PATIENCE_S)


def exit_of(bundle: Bundle, data: bytes, threshold: float) -> str:
    model = bundle.load_model()
    tensor = model.preprocess(open_image(data))[None]
    return f"exit {classify(model, tensor, threshold)[0].exit_index + 1}"
