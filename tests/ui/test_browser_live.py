"""What answers while it is dragged, in headless Chromium: the dial, the lab, the exit trace."""

import re

import pytest
from playwright.sync_api import Page, WebSocket, expect

from dvt_core.bundle import Bundle, list_models, load_bundle
from dvt_core.macs import exit_macs
from dvt_core.solver import pareto_front
from dvt_core.thresholds import replay
from tests.ui.browser import at_rest, metric, threshold_slider, tile

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(list_models()[0])


def _count_messages(page: Page) -> list[int]:
    """Sizes of all messages that the page sends to the server, growing as it does."""
    sent: list[int] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framesent", lambda data: sent.append(len(data)))

    page.on("websocket", listen)
    return sent


def _drag(page: Page, start: float, stop: float, steps: int = 30):
    """Drags the thumb and yields after every step, before it is let go."""
    box = threshold_slider(page).bounding_box()
    assert box
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + start * box["width"], y)
    page.mouse.down()
    for step in range(1, steps + 1):
        share = start + (stop - start) * step / steps
        page.mouse.move(box["x"] + share * box["width"], y)
        yield


def test_the_lab_answers_while_the_thumb_is_dragged(page, address, bundle):
    sent, table = _count_messages(page), bundle.table("test")
    page.goto(f"{address}/tradeoff?threshold=0.4")
    accuracy = 100 * replay(table, 0.4).accuracy
    expect(tile(page, "accuracy")).to_have_text(f"{accuracy:.1f} %")
    at_rest(page)
    before, shown, milliseconds = len(sent), set(), []
    for _ in _drag(page, 0.4, 0.95):
        threshold = float(threshold_slider(page).input_value())
        wanted = f"{100 * replay(table, threshold).accuracy:.1f} %"
        assert tile(page, "accuracy").text_content() == wanted
        shown.add(wanted)
        frame = page.locator("[data-frame-ms]").get_attribute("data-frame-ms")
        milliseconds.append(float(frame or "inf"))
    assert len(shown) >= 10, shown
    assert len(sent) == before, "the server was asked before the thumb was let go"
    threshold = threshold_slider(page).input_value()
    page.mouse.up()
    expect(page).to_have_url(re.compile(f"threshold={float(threshold):.2f}"))
    assert len(sent) > before
    print(f"median frame {sorted(milliseconds)[len(milliseconds) // 2]} ms")


def test_number_box_and_reset_move_the_slider(page, address, bundle):
    page.goto(address)
    at_rest(page)
    box = page.get_by_role("spinbutton", name="Confidence threshold, as a number")
    box.fill("0.35")
    box.press("Enter")
    expect(threshold_slider(page)).to_have_value("0.35")
    expect(page).to_have_url(re.compile("threshold=0.35"))
    box.fill("7")  # beyond the scale: its end
    box.press("Enter")
    expect(threshold_slider(page)).to_have_value("1")
    page.get_by_role("button", name="reset", exact=True).first.click()
    expect(threshold_slider(page)).to_have_value(f"{bundle.default_threshold:.2g}")
    expect(page).not_to_have_url(re.compile("threshold="))


def test_a_link_opens_the_same_budget_and_a_broken_one_a_working_page(page, address, bundle):
    front = pareto_front(bundle.table("calibration"))
    point = front.at_budget(0.6 * exit_macs(bundle.config)[-1])
    page.goto(f"{address}/tradeoff?ask=budget&budget=60")
    accuracy = 100 * replay(bundle.table("test"), point.thresholds).accuracy
    expect(tile(page, "accuracy")).to_have_text(f"{accuracy:.1f} %")
    expect(page.get_by_role("slider", name="Budget")).to_have_value("60")
    page.goto(f"{address}/tradeoff?ask=wish&threshold=%3Cb%3E&model=gone&lab=7&sample=..%2F..")
    accuracy = 100 * replay(bundle.table("test"), bundle.default_threshold).accuracy
    expect(tile(page, "accuracy")).to_have_text(f"{accuracy:.1f} %")


def test_the_plane_sets_both_thresholds(page, address, bundle):
    page.goto(f"{address}/tradeoff")
    page.get_by_text("All pairs of thresholds").click()
    at_rest(page)
    field = page.locator(".over foreignObject")
    field.scroll_into_view_if_needed()
    box = field.bounding_box()
    assert box
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.4 * box["height"], steps=4)
    page.mouse.up()
    expect(page).to_have_url(re.compile("each=0.8%2C0.6"))
    accuracy = 100 * replay(bundle.table("test"), (0.8, 0.6)).accuracy
    expect(tile(page, "accuracy")).to_have_text(f"{accuracy:.1f} %")
    at_rest(page)
    first = page.get_by_role("slider", name="Threshold of exit 1")
    first.press("End")  # the same by keyboard
    expect(page).to_have_url(re.compile("each=1%2C0.6"))


def test_the_trace_follows_the_drag_and_the_cascade_runs_on_release(page, address):
    sent = _count_messages(page)
    page.goto(f"{address}/?threshold=1.00")
    expect(metric(page, "Stopped at")).to_be_visible()
    at_rest(page)
    before = len(sent)
    for _ in _drag(page, 0.98, 0.0, steps=12):
        pass
    expect(page.get_by_text(re.compile("^At 0 this picture leaves at exit 1"))).to_be_visible()
    assert len(sent) == before
    page.mouse.up()
    expect(metric(page, "Stopped at")).to_have_text("exit 1")
    expect(page.get_by_text("Not computed: the model stopped at exit 1.").first).to_be_visible()
