"""The app end to end: the real server, the bundled models, headless Chromium, no network."""

import re
import urllib.request

import pytest
from playwright.sync_api import expect

from dvt_core.bundle import Bundle, list_models, load_bundle
from dvt_core.thresholds import replay
from tests.ui.browser import PATIENCE_S, exit_of, fits, metric, move, tile
from tests.ui.tiny_model import png, write_bundle

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    models = list_models()
    assert models, "there is no bundled model"
    return load_bundle(models[0])


def test_upload_a_picture_read_the_exit_move_the_threshold(page, address, bundle):
    data, last = png(size=(90, 70)), f"exit {bundle.config.num_exits}"
    page.goto(address)
    expect(page.get_by_role("heading", name="Look")).to_be_visible()
    expect(metric(page, "Answer")).to_be_visible()  # a sample is traced before anyone asks
    expect(page).to_have_title(re.compile("Look"))

    page.get_by_role("radio", name="upload").click()
    page.locator("input[type=file]").set_input_files(
        {"name": "mine.png", "mimeType": "image/png", "buffer": data}
    )
    expect(page.get_by_text("mine.png, 90x70 pixels")).to_be_visible()
    default = min(max(round(bundle.default_threshold, 2), 0), 1)
    expect(metric(page, "Stopped at")).to_have_text(exit_of(bundle, data, default))
    move(page, "Home")
    expect(metric(page, "Stopped at")).to_have_text("exit 1")
    expect(page.get_by_text("Not computed: the model stopped at exit 1.")).to_have_count(
        bundle.config.num_exits - 1
    )
    move(page, "End")
    expect(metric(page, "Stopped at")).to_have_text(exit_of(bundle, data, 1.0))
    if exit_of(bundle, data, 1.0) == last:
        expect(page.get_by_text("Not computed")).to_have_count(0)

    page.locator("input[type=file]").set_input_files(
        {"name": "bad.png", "mimeType": "image/png", "buffer": data[:60]}
    )
    expect(page.get_by_role("alert")).to_contain_text("bad.png")
    expect(metric(page, "Answer")).to_be_visible()


def test_move_the_threshold_see_the_tables_numbers_change(page, address, bundle):
    table = bundle.table("test")
    page.goto(f"{address}/tradeoff?threshold=0.3")
    for key, threshold in ((None, 0.3), ("ArrowRight", 0.31), ("Home", 0.0), ("End", 1.0)):
        if key:
            move(page, key)
        accuracy = 100 * replay(table, threshold).accuracy
        expect(tile(page, "accuracy")).to_have_text(f"{accuracy:.1f} %")
    move(page, "Home")
    expect(page.locator(".shares li").first).to_contain_text("100.0 %")
    expect(tile(page, "picture")).to_have_text("exit 1")
    expect(page).to_have_url(re.compile("threshold=0.00"))  # the server has heard of it
    page.get_by_role("link", name="Look").click()
    expect(metric(page, "Stopped at")).to_have_text("exit 1")  # one threshold for all pages


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
    accuracy = 100 * replay(load_bundle(folder).table("test"), 0.6).accuracy
    expect(tile(page, "accuracy")).to_have_text(f"{accuracy:.1f} %")
    expect(page.get_by_role("combobox", name="Model")).to_have_value("own (folder)")


@pytest.mark.parametrize(
    "path", ["", "tradeoff", "tradeoff?lab=changing+resources", "tradeoff?lab=real+time", "models"]
)
def test_pages_fit_a_phone_in_the_dark(browser, address, path):
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    page = context.new_page()
    page.goto(f"{address}/{path}", timeout=PATIENCE_S * 1000)
    sign = page.locator("[data-testid=stMetric], .tile strong, [data-testid=stButton]")
    expect(sign.first).to_be_visible(timeout=PATIENCE_S * 1000)
    fits(page, 390)
    background = page.evaluate(
        "getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
    )
    context.close()
    assert max(int(part) for part in re.findall(r"\d+", background)[:3]) < 80


def test_every_answer_carries_the_security_headers(address):
    with urllib.request.urlopen(address, timeout=PATIENCE_S) as answer:
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
