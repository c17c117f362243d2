"""Easy & hard in headless Chromium: lanes that follow the drag, virtual scrolling, a click."""

import re

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from app.intake.dataset_fetch import find_test_images
from dvt_core.bundle import Bundle, load_bundle
from dvt_core.outcomes import OUTCOMES, by_class, count_outcomes, margins, outcomes
from dvt_core.thresholds import exit_indices
from tests.ui.browser import at_rest, threshold_slider

pytestmark = pytest.mark.browser
NAME = "cifar10"
has_pictures = find_test_images(NAME) is not None


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(NAME)


def _open(page: Page, address: str, threshold: str = "0.60") -> list[str]:
    """Opens the page; the addresses of all thumbnails that it asks for, growing as it does."""
    asked: list[str] = []
    page.on("request", lambda r: asked.append(r.url) if "/thumbs/" in r.url else None)
    page.goto(f"{address}/easy-hard?model={NAME}&threshold={threshold}")
    expect(page.locator("[data-frames]").first).to_be_visible()
    at_rest(page)
    return asked


def _counts(page: Page) -> dict[str, int]:
    chips = page.locator(".counts button")
    texts = chips.evaluate_all(
        "chips => chips.map(c => [c.dataset.outcome, c.querySelector('strong').textContent])"
    )
    return {name: int(text.replace(",", "")) for name, text in texts}


def _cards(page: Page, exit_number: int):
    return page.locator(f".lane[data-exit='{exit_number}'] .card:visible")


def test_the_lanes_follow_the_drag_and_the_server_is_not_asked(page, address, bundle):
    sent: list[int] = []
    page.on("websocket", lambda ws: ws.on("framesent", lambda data: sent.append(len(data))))
    _open(page, address)
    table = bundle.table("test")
    before, milliseconds, most, shown = len(sent), [], 0, set()
    box = threshold_slider(page).bounding_box()
    assert box
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.6 * box["width"], y)
    page.mouse.down()
    for step in range(1, 26):
        page.mouse.move(box["x"] + (0.6 + 0.014 * step) * box["width"], y)
        threshold = float(threshold_slider(page).input_value())
        wanted = count_outcomes(table, threshold).sum(axis=0)
        counts = _counts(page)
        assert counts == dict(zip(OUTCOMES, wanted.tolist(), strict=True))
        assert sum(counts.values()) == table.n
        shown.add(counts["rescued"])
        frame = page.locator("[data-frame-ms]").first.get_attribute("data-frame-ms")
        milliseconds.append(float(frame or "inf"))
        most = max(most, page.locator(".card").count())
    assert len(sent) == before, "the server was asked before the thumb was let go"
    assert len(shown) >= 10 and 20 < most < 400
    first = _cards(page, 2).first
    expect(first).to_be_attached()
    page.mouse.up()
    expect(page).to_have_url(re.compile("threshold=0.9"))
    expect(page.get_by_role("status").filter(has_text="went on to a later exit")).to_be_visible()
    # The quickest frame says what the work is; the others also wait for other processes.
    print(f"frames of {min(milliseconds)} ms and more, median {np.median(milliseconds)} ms")
    assert min(milliseconds) < 100


def test_scrolling_through_a_lane_shows_its_cards_in_order(page, address, bundle):
    asked = _open(page, address)
    table = bundle.table("test")
    exits, found = exit_indices(table, 0.6), outcomes(table, 0.6)
    lane = page.locator(".lane[data-exit='1'] .box")
    rows = np.flatnonzero((exits == 0) & (found == OUTCOMES.index("once")))
    nearest = rows[np.argsort(margins(table, 0.6)[rows], kind="stable")]
    titles = _cards(page, 1).evaluate_all("cards => cards.map(c => [c.place, c.title])")
    for place, title in sorted(titles)[:6]:
        assert title.startswith(f"Test image {table.indices[nearest[place]]}, ")
    for step in range(12):
        lane.evaluate("(box, share) => { box.scrollTop = share * box.scrollHeight; }", step / 12)
        page.wait_for_timeout(30)
        assert page.locator(".card:visible").count() > 0
    lane.evaluate("box => { box.scrollTop = box.scrollHeight; }")
    end = int((exits == 0).sum()) - 1
    for _ in range(100):  # the lane draws when the browser tells it of the scroll
        places = _cards(page, 1).evaluate_all("cards => cards.map(c => c.place)")
        if max(places) == end:
            break
        page.wait_for_timeout(100)
    assert max(places) == end
    page.wait_for_timeout(700)
    numbers = [n for url in asked for n in re.split(",|%2C", re.sub(r".*/|\.jpg", "", url))]
    if has_pictures:
        assert asked and len(numbers) < 1500, "only what was seen is loaded"
    else:
        assert not asked


def test_a_class_of_the_table_filters_the_lanes(page, address, bundle):
    _open(page, address)
    table = bundle.table("test")
    numbers = by_class(table, 0.6)
    page.get_by_role("button", name="mean cost", exact=False).click()  # now the cheapest first
    body = page.locator(".scroll tbody tr th")
    cheapest = [bundle.class_names[c] for c in np.argsort(numbers.macs, kind="stable")]
    expect(body).to_have_text(cheapest)
    page.get_by_role("button", name=cheapest[0], exact=True).click()
    label = bundle.class_names.index(cheapest[0])
    part = np.bincount(outcomes(table, 0.6)[table.labels == label], minlength=len(OUTCOMES))
    assert _counts(page) == dict(zip(OUTCOMES, part.tolist(), strict=True))
    page.locator(".counts button[data-outcome=never]").click()
    shown = page.get_by_role("status").filter(has_text="images are shown")
    never = int(part[OUTCOMES.index("never")])
    expect(shown).to_contain_text(f"{never} of 10,000 images are shown.")
    page.get_by_role("button", name="show all again").click()
    expect(shown).to_contain_text("All 10,000 images are shown.")


def test_a_card_opens_its_trace_by_keyboard(page, address, bundle):
    _open(page, address)
    table = bundle.table("test")
    lane = page.locator(".lane[data-exit='2'] .box")
    lane.focus()
    lane.press("ArrowDown")
    focused = page.locator(".card:focus")
    focused.press("ArrowRight")
    number = int(re.findall(r"\d+", focused.get_attribute("title") or "")[0])
    (row,) = np.flatnonzero(table.indices == number)
    label = bundle.class_names[table.labels[row]]
    focused.press("Enter")
    if has_pictures:
        expect(page.get_by_role("heading", name="Look")).to_be_visible()
        expect(page.get_by_text(f"{NAME} test image {number}", exact=False).first).to_be_visible()
    else:
        stored = page.get_by_text(f"Test image {number}, labelled {label}. From the stored table")
        expect(stored).to_be_visible()
