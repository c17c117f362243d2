"""The hand-out: one A4 page that holds what the page says, in files that are what they claim."""

import io
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from app import services
from app.figures import fonts
from app.figures.canvas import Canvas
from app.figures.handout import Handout, HandoutWords, draw_handout, handout_file
from app.figures.static_plot import Lines
from app.figures.theme import MacUnit, percent
from app.figures.wrapping import wrapped
from app.language import chinese
from dvt_core.bundle import Bundle
from dvt_core.images import open_image
from dvt_core.inference import classify
from dvt_core.macs import exit_macs
from dvt_core.samples import list_samples
from dvt_core.thresholds import replay
from tests.ui.driver import open_app
from tests.ui.tiny_model import WORDS, write_bundle

TEXT = "The rule: an exit answers when its confidence reaches the threshold; if not, it goes on. "


def _sheet(bundle: Bundle, threshold: float, *, with_table: bool = True) -> Handout:
    model, sample = bundle.load_model(), list_samples(bundle.class_names)[0]
    image = open_image(sample.path)
    thresholds = (threshold,) * (bundle.config.num_exits - 1)
    run = classify(model, model.preprocess(image)[None], thresholds)[0]
    table, curve = bundle.table("test"), services.get_curve(bundle)
    lines = Lines(curve.shared, (), curve.exits, replay(table, thresholds))
    return Handout(
        model.preprocess.view(image),
        run,
        bundle.config,
        bundle.class_names,
        bundle.name,
        sample.title,
        sample.source,
        HandoutWords().by_hand,
        "random" if with_table else "",
        table.n if with_table else 0,
        lines if with_table else Lines(),
        "2026-11-25",
    )


def _texts(page: Canvas) -> list:
    found = [text for axes in page.figure.axes for text in axes.texts if text.get_text()]
    return found + [label for axes in page.figure.axes[1:] for label in (axes.xaxis.label,)]


def _said(page: Canvas) -> str:
    return "\n".join(text.get_text() for text in _texts(page))


@pytest.fixture
def tiny(models_dir) -> Bundle:
    return services.get_bundle("tiny")


@pytest.mark.parametrize("width", [90, 200, 731])
@pytest.mark.parametrize("text", [TEXT * 3, chinese()["Sure enough?"] * 40, "", "word"], ids=len)
def test_lines_keep_every_word_and_fit(text, width):
    lines = wrapped(text, width, 13)
    assert "".join("".join(lines).split()) == "".join(text.split())
    longest = max((len(word) for word in text.split()), default=0) if text.isascii() else 2
    for line in lines:
        ems = sum(0.53 if letter.isascii() else 1.0 for letter in line)
        assert ems * 13 <= width or len(line) <= longest


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.01])
def test_the_page_says_what_the_model_and_the_table_say(tiny, threshold):
    sheet = _sheet(tiny, threshold)
    said, run = _said(draw_handout(sheet)), sheet.prediction
    point, unit = replay(tiny.table("test"), threshold), MacUnit.of(exit_macs(tiny.config))
    assert f"It leaves at exit {run.exit_index + 1}: {tiny.class_names[run.label]}, " in said
    assert said.count("Not computed.") == 2 - run.exit_index
    assert said.count("Not sure enough, go on.") == run.exit_index
    assert f"{percent(point.accuracy)} right" in said
    assert f"{unit.format(point.macs)} per picture" in said
    for index, share in enumerate(point.exit_shares):
        assert f"exit {index + 1}: {percent(share)}" in said
    for record in run.visited:
        assert percent(record.confidence) in said
    assert "2026-11-25" in said and sheet.picture in said
    shown = {0.0: "always", 0.5: "0.5", 1.01: "never"}[threshold]
    assert f"Thresholds in force: {shown}, set by hand." in said


@pytest.mark.parametrize("num_exits", [1, 2, 3])
def test_nothing_is_written_beyond_the_page_even_with_long_words(models_dir, num_exits):
    words = tuple(f"{word} of the very long and rather improbable kind" for word in WORDS)
    bundle = write_bundle(models_dir / "long", num_exits, words)
    sheet = _sheet(bundle, 0.5)
    sheet = replace(sheet, picture="a picture with a name " * 8, source="a source, " * 30)
    page = draw_handout(sheet)
    canvas = FigureCanvasAgg(page.figure)
    canvas.draw()
    for text in _texts(page):
        box = text.get_window_extent(canvas.get_renderer())
        assert box.x0 >= 20 and box.x1 <= 827 - 20, text.get_text()
        assert box.y0 >= 5 and box.y1 <= 1169 - 20, text.get_text()


def test_without_tables_the_page_says_so(tiny):
    said = _said(draw_handout(_sheet(tiny, 0.5, with_table=False)))
    assert HandoutWords().no_table in said and " right" not in said


def test_files_are_one_a4_page(tiny):
    sheet = _sheet(tiny, 0.5)
    pdf = handout_file(sheet, "pdf")
    assert pdf.startswith(b"%PDF") and len(re.findall(rb"/Type /Page\b(?!s)", pdf)) == 1
    box = [float(x) for x in re.search(rb"/MediaBox \[([^\]]*)\]", pdf).group(1).split()]
    assert box[2] == pytest.approx(210 / 25.4 * 72, abs=1)
    assert box[3] == pytest.approx(297 / 25.4 * 72, abs=1)
    with Image.open(io.BytesIO(handout_file(sheet, "png"))) as image:
        assert image.size == (1654, 2338)


def test_pages_of_several_people_at_once_are_those_of_one(tiny):
    sheets = [_sheet(tiny, threshold) for threshold in (0.0, 1.01)]
    alone = [handout_file(sheet, "pdf") for sheet in sheets]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda sheet: handout_file(sheet, "pdf"), sheets))
    assert together == alone and len(set(alone)) == 2


def test_the_page_offers_the_files_and_says_when_they_are_english(models_dir, monkeypatch):
    at = open_app("views/lesson.py", step="1")
    assert not at.get("download_button")
    at.toggle(key="handout").set_value(True).run()
    labels = [button.proto.label for button in at.get("download_button")]
    assert labels == ["hand-out (PDF)", "hand-out (PNG)"] and not at.exception
    monkeypatch.setattr(fonts, "chinese_font", lambda: None)
    at = open_app("views/lesson.py", step="1", language="zh")
    at.toggle(key="handout").set_value(True).run()
    sentence = "The page is in English: no font of this machine can put Chinese into a file."
    assert chinese()[sentence] in [caption.value for caption in at.caption]
