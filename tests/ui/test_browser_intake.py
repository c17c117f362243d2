"""Twelve odd files and a picture from the clipboard, in the real app in headless Chromium."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.ui.browser import metric
from tests.ui.tiny_model import png

pytestmark = pytest.mark.browser

SIZE = (60, 40)
JPEG = re.compile('^url."data:image/jpeg;base64,')
PIXELS = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)


def saved(mode: str, kind: str, **options: object) -> bytes:
    image, out = Image.fromarray(PIXELS), io.BytesIO()
    image = image.convert("L").convert(mode) if mode == "I;16" else image.convert(mode)
    image.save(out, kind, **options)
    return out.getvalue()


def turned() -> bytes:
    """Lies on its side: 40x60 once it is put upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved("RGB", "JPEG", exif=exif)


GOOD = {
    "turned.jpg": (turned(), "40x60"),
    "alpha.png": (saved("RGBA", "PNG"), "60x40"),
    "grey.png": (saved("L", "PNG"), "60x40"),
    "sixteen bit.png": (saved("I;16", "PNG"), "60x40"),
    "print.jpg": (saved("CMYK", "JPEG"), "60x40"),
    "palette.gif": (saved("P", "GIF"), "60x40"),
    "web.webp": (saved("RGB", "WEBP"), "60x40"),
    "new.avif": (saved("RGB", "AVIF"), "60x40"),
}
BAD = {
    "phone.heic": (b"\0\0\0\x18ftypheic" + bytes(99), "HEIC"),
    "cut off.png": (png()[:80], "damaged or incomplete"),
    "text.png": (b"hello, this is no picture", "known kind"),
    "drawing.png": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
}


def test_twelve_odd_files_at_once(page, address):
    page.goto(f"{address}/?from=upload")
    files = [
        {"name": name, "mimeType": "image/png", "buffer": data}
        for name, (data, _) in {**GOOD, **BAD}.items()
    ]
    page.locator("input[type=file]").first.set_input_files(files)
    alert = page.get_by_role("alert")
    for name, (_, words) in BAD.items():
        expect(alert).to_contain_text(f"{name}: ")
        expect(alert).to_contain_text(words)
    row = page.get_by_role("toolbar", name="your pictures")
    expect(row.get_by_role("button")).to_have_count(len(GOOD))
    for name, (_, size) in GOOD.items():
        thumb = row.get_by_role("button", name=name)
        thumb.click()
        expect(thumb).to_have_attribute("aria-pressed", "true")
        expect(thumb).to_have_css("background-image", JPEG)
        expect(page.get_by_text(f"{name}, {size} pixels")).to_be_visible()
        expect(metric(page, "Answer")).to_be_visible()
    assert page.get_by_test_id("stException").count() == 0


def test_a_pasted_picture_is_traced(page, address):
    page.goto(f"{address}/?from=upload")
    expect(page.get_by_role("button", name="paste a picture")).to_be_visible()
    page.evaluate(
        """(data) => {
          const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
          const clipboard = new DataTransfer();
          clipboard.items.add(new File([bytes], "shot.png", { type: "image/png" }));
          document.dispatchEvent(new ClipboardEvent("paste",
            { clipboardData: clipboard, bubbles: true, cancelable: true }));
        }""",
        base64.b64encode(png(size=(52, 34))).decode(),
    )
    expect(page.get_by_text("pasted picture, 52x34 pixels")).to_be_visible()
    expect(metric(page, "Answer")).to_be_visible()


def test_a_sample_is_taken_with_the_mouse_and_with_the_keyboard(page, address):
    sent: list[bytes | str] = []
    page.on("websocket", lambda line: line.on("framesent", lambda frame: sent.append(frame)))
    page.goto(f"{address}/?sample=imagenet_10")
    row = page.get_by_role("toolbar", name="samples")
    marked = row.get_by_role("button", pressed=True)
    expect(marked).to_have_attribute("data-id", "imagenet_10")
    expect(marked).to_be_in_viewport()  # scrolled there
    expect(marked).to_have_css("background-image", JPEG)  # from the sheet
    expect(metric(page, "Answer")).to_be_visible()
    scrolled = row.evaluate("row => row.scrollLeft")
    assert scrolled > 0

    buttons = row.get_by_role("button").all()
    place = [button.get_attribute("data-id") for button in buttons].index("imagenet_10")

    def is_taken(button) -> None:
        shown = re.escape(button.get_attribute("title")) + r", \d+x\d+ pixels"
        expect(page.get_by_text(re.compile(shown))).to_be_visible()
        expect(marked).to_have_count(1)
        expect(marked).to_have_attribute("data-id", button.get_attribute("data-id"))

    buttons[place + 1].click()
    is_taken(buttons[place + 1])
    assert row.evaluate("row => row.scrollLeft") == scrolled
    picks = [frame for frame in sent if isinstance(frame, bytes) and b"samples__events" in frame]
    assert len(picks) == 1
    for keys, to in ((["ArrowRight", "Enter"], 2), (["ArrowLeft", "ArrowLeft", " "], 0)):
        for key in keys:
            page.keyboard.press(key)
        expect(buttons[place + to]).to_be_focused()
        is_taken(buttons[place + to])
    page.keyboard.press("Home")
    expect(buttons[0]).to_be_focused()
    expect(buttons[0]).to_be_in_viewport()
    is_taken(buttons[place])
    assert [button.get_attribute("tabindex") for button in buttons].count("0") == 1
