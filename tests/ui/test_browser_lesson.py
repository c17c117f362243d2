"""The lesson in headless Chromium: a presenter's keys, what fits the projector, the way out."""

import re
import time

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.ui.browser import PATIENCE_S, at_rest, fits, move, threshold_slider

pytestmark = pytest.mark.browser

PROJECTOR = 720  # pixels from top to bottom, as in the fixture `page`


def _at_step(page: Page, number: int) -> None:
    expect(page.locator(".dots a[aria-current]")).to_have_text(str(number))
    expect(page).to_have_url(re.compile(rf"step={number}(&|$)"))


def _is_in_sight(what: Locator) -> None:
    expect(what).to_be_visible()
    deadline = time.monotonic() + 20  # what is above may still be drawn
    while not _is_on_screen(box := what.bounding_box()):
        assert time.monotonic() < deadline, (what, box)
        time.sleep(0.1)


def _is_on_screen(box) -> bool:
    return box is not None and box["y"] >= 0 and box["y"] + box["height"] <= PROJECTOR


def test_a_remote_moves_the_lesson_and_arrows_a_dial_that_has_the_focus(page, address):
    page.goto(f"{address}/lesson?step=2")
    _at_step(page, 2)
    for key, number in (("PageDown", 3), ("ArrowRight", 4), ("PageUp", 3), ("PageDown", 4)):
        page.keyboard.press(key)
        _at_step(page, number)
    slider = threshold_slider(page)
    before = float(slider.input_value())
    slider.focus()
    move(page, "ArrowLeft")
    expect(slider).to_have_value(f"{before - 0.01:.2g}")
    _at_step(page, 4)
    expect(page).to_have_url(re.compile("threshold="))  # a moment later the server has heard of it
    slider.press("PageDown")  # a remote moves the lesson, the dial stays where it is
    _at_step(page, 5)
    page.keyboard.press("PageUp")
    _at_step(page, 4)
    expect(threshold_slider(page)).to_have_value(f"{before - 0.01:.2g}")
    threshold_slider(page).focus()
    page.keyboard.press("Escape")  # gives the keys back to the lesson
    page.keyboard.press("ArrowLeft")
    _at_step(page, 3)
    page.keyboard.press("End")
    _at_step(page, 10)
    page.keyboard.press("Home")
    _at_step(page, 1)
    page.keyboard.press("PageDown")  # two quick presses are two steps
    page.keyboard.press("PageDown")
    _at_step(page, 3)
    for key, number in (("PageDown", 8), ("PageUp", 3)):  # answers come while keys are pressed
        for _ in range(5):
            page.keyboard.press(key)
            page.wait_for_timeout(60)
        _at_step(page, number)
    page.locator(".dots a").nth(6).click()
    _at_step(page, 7)


def test_on_a_projector_all_that_moves_is_in_sight(page, address):
    page.goto(f"{address}/lesson?step=4&presenter=true")
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    at_rest(page)
    for part in (threshold_slider(page), page.locator(".trace .status")):
        _is_in_sight(part)
    lanes = page.locator(".trace .lane")
    for lane in lanes.all():
        for part in (".verdict", ".seen"):
            _is_in_sight(lane.locator(part).first)
    page.keyboard.press("PageUp")
    _at_step(page, 3)
    _is_in_sight(page.get_by_role("button", name="picture C"))
    page.keyboard.press("PageDown")
    page.keyboard.press("PageDown")
    _at_step(page, 5)
    at_rest(page)  # step 3 has a button of this name, too
    page.get_by_role("button", name="show the answer").click()
    expect(page.locator(".shares")).to_be_visible()
    at_rest(page)
    for part in (threshold_slider(page), page.locator(".lab .plot svg"), page.locator(".shares")):
        _is_in_sight(part)


def test_esc_leaves_presenter_mode_on_any_page(page, address):
    page.goto(f"{address}/lesson?step=1&presenter=true")
    _at_step(page, 1)
    side = page.get_by_test_id("stSidebar")
    expect(side).to_be_hidden()
    page.keyboard.press("Escape")
    expect(side).to_be_visible()
    expect(page).not_to_have_url(re.compile("presenter"))
    page.get_by_text("Presenter mode").click()
    expect(side).to_be_hidden()
    at_rest(page)
    page.get_by_role("link", name="look at another picture under the grids").click()
    expect(page.locator(".trace .status")).to_be_visible()
    expect(side).to_be_hidden()
    page.get_by_role("link", name="Back to the lesson").click()
    _at_step(page, 1)
    at_rest(page)
    page.get_by_role("button", name="leave presenter mode").click()
    expect(side).to_be_visible()


@pytest.mark.parametrize("is_presenting", [False, True], ids=["free", "presenter"])
def test_every_step_fits_a_phone(browser, address, is_presenting):
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    context.set_default_timeout(PATIENCE_S * 1000)
    expect.set_options(timeout=PATIENCE_S * 1000)
    page = context.new_page()
    page.goto(f"{address}/lesson?step=1{'&presenter=true' if is_presenting else ''}")
    for number in range(1, 11):
        _at_step(page, number)
        fits(page, 390)
        page.wait_for_function(
            "![...document.querySelectorAll('[data-testid=stMainBlockContainer] *')]"
            ".some((node) => node.getBoundingClientRect().right > 391)"
        )
        page.keyboard.press("PageDown")
    context.close()
