"""All visible words can be read: WCAG 2.1 AA, 4.5:1, large type 3:1, on every page, light and dark.

A word's own colour is held against what is painted behind it: the backgrounds of all it lies in,
see-through ones mixed. Behind it a picture counts as black and as white, whichever is worse.
"""

import pytest
from playwright.sync_api import Browser, expect

from tests.ui.browser import PATIENCE_S

PAGES = (
    "",
    "tradeoff",
    "easy-hard",
    "inside",
    "batch",
    "lesson",
    "models",
    "models?section=what+it+saves",
    "models?section=the+paper's+results",
)
MEASURE = """
() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const rgba = (css) => {  // any CSS colour, color-mix() and oklab() too
    if (!known.has(css)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = "#000";
      canvas.fillStyle = css;
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
      known.set(css, [r, g, b, a / 255]);
    }
    return known.get(css);
  };
  const over = (top, below, opacity = 1) => {
    const a = top[3] * opacity;
    return [0, 1, 2].map((i) => top[i] * a + below[i] * (1 - a)).concat(1);
  };
  const light = (colour) => {
    const part = (v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(colour[0]) + 0.7152 * part(colour[1]) + 0.0722 * part(colour[2]);
  };
  const ratio = (a, b) => {
    const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  const above = (node) =>
    node.assignedSlot ?? node.parentElement ?? node.getRootNode().host ?? null;
  const chain = (node) => {
    const found = [];
    for (let at = node; at; at = above(at)) found.push(at);
    return found.reverse();
  };
  // A label may hang outside of a small thing that it belongs to, as a slider's value of its thumb;
  // words outside of a large one are only scrolled out of it.
  const holds = (at, box) => {
    const own = at.getBoundingClientRect();
    if (own.height > 100) return true;
    const x = box.x + box.width / 2, y = box.y + box.height / 2;
    return own.left <= x && x <= own.right && own.top <= y && y <= own.bottom;
  };
  // What lies behind the words, and their own colour on it.
  const painted = (element, box, under) => {
    let ground = under, opacity = 1;
    for (const at of chain(element)) {
      const style = getComputedStyle(at);
      opacity *= Number(style.opacity);
      if (!holds(at, box)) continue;
      if (style.backgroundImage.includes("url(")) ground = under;
      ground = over(rgba(style.backgroundColor), ground, opacity);
    }
    const style = getComputedStyle(element);
    const ink = element instanceof SVGElement ? style.fill : style.color;
    const see = element instanceof SVGElement ? Number(style.fillOpacity) : 1;
    return [ground, over(rgba(ink), ground, opacity * see)];
  };
  const isSeen = (element, box) => box.width > 1 && box.height > 1 &&
    element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) &&
    !chain(element).some((at) => {
      const style = getComputedStyle(at);
      return style.clipPath !== "none" && at.getBoundingClientRect().width < 2;
    });
  const isOff = (element) => chain(element).some(
    (at) => at.matches(":disabled, [aria-disabled=true], [disabled]"));
  const bad = new Map();
  let count = 0;
  const look = (root) => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (node.shadowRoot) look(node.shadowRoot);
      const text = node.nodeType === Node.TEXT_NODE ? node.data.trim() : "";
      const element = node.parentElement;
      if (!text || !element || element.closest("script, style, option, noscript, title")) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      if (!isSeen(element, range.getBoundingClientRect()) || isOff(element)) continue;
      count += 1;
      const style = getComputedStyle(element);
      const px = parseFloat(style.fontSize);
      const needed = px >= 24 || (px >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
      const grounds = chain(element).some((at) =>
        getComputedStyle(at).backgroundImage.includes("url("))
        ? [[0, 0, 0, 1], [255, 255, 255, 1]] : [[255, 255, 255, 1]];
      for (const under of grounds) {
        const [ground, ink] = painted(element, range.getBoundingClientRect(), under);
        const found = ratio(ground, ink);
        if (found < needed - 0.005) {
          const hex = (c) => "#" + c.slice(0, 3).map((v) => Math.round(v).toString(16)
            .padStart(2, "0")).join("");
          const where = chain(element).slice(-4).map((at) => at.localName + (at.dataset?.testid
            ? `[${at.dataset.testid}]` : at.className?.baseVal ?? at.className
            ? "." + String(at.className.baseVal ?? at.className).split(" ")[0] : "")).join(" ");
          const key = `${hex(ink)} on ${hex(ground)}: ${found.toFixed(2)}, ` +
            `needs ${needed}; ${where}`;
          if (!bad.has(key)) bad.set(key, text.slice(0, 40));
        }
      }
    }
  };
  look(document.body);
  return [count, [...bad].map(([key, text]) => `"${text}" ${key}`)];
}
"""


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_word_can_be_read(browser: Browser, address: str, scheme: str) -> None:
    context = browser.new_context(
        viewport={"width": 1280, "height": 720}, color_scheme=scheme, reduced_motion="reduce"
    )
    context.set_default_timeout(PATIENCE_S * 1000)
    expect.set_options(timeout=PATIENCE_S * 1000)
    page, bad = context.new_page(), []
    for path in PAGES:
        page.goto(f"{address}/{path}")
        page.locator("[data-testid=stApp][data-test-script-state=notRunning] h1").first.wait_for()
        page.locator(".st-key-take_home button").first.wait_for()  # the end of every page
        expect(page.locator("[data-testid=stSkeleton]:visible")).to_have_count(0)
        count, found, before = 0, [], -1
        while count != before:  # charts and components draw themselves after the script
            page.wait_for_timeout(700)
            before, (count, found) = count, page.evaluate(MEASURE)
        assert count > 40, path
        bad += [f"/{path}: {words}" for words in found]
    context.close()
    assert not bad, "\n".join(bad)


@pytest.mark.browser
def test_the_measure_is_wcags(browser: Browser) -> None:
    page = browser.new_page()
    page.set_content(
        "<body style='background:#fff'>"
        "<p style='color:#767676'>4.54</p><p style='color:#777777'>4.48</p>"
        "<p style='color:#949494;font-size:24px'>large 3.03</p>"
        "<p style='color:#969696;font-size:24px'>large 2.96</p>"
        "<p style='color:#000;opacity:0.5'>half</p>"
        "<div style='background:#000'><p style='color:#fff'>21</p></div>"
        "<div style='background:url(x.png)'><b style='color:#fff'>picture</b></div>"
        "<div style='background:#000;height:1px'><p style='color:#000'>outside</p></div><br><br>"
        "<button disabled style='color:#ccc'>off</button><p style='display:none'>no</p></body>"
    )
    count, bad = page.evaluate(MEASURE)
    page.close()
    assert count == 8
    assert [line.split('"')[1] for line in bad] == ["4.48", "large 2.96", "half", "picture"]
    assert "4.48, needs 4.5" in bad[0] and "2.96, needs 3" in bad[1]
