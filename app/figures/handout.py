"""The hand-out: one A4 page with a picture's way, the curve, the exit shares, and room for notes.

Pure, and drawn without matplotlib's global state; it is in English where the machine has no
Chinese font.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field

from PIL import Image

from app.figures.canvas import INK, LINE, PALE, TRACK, Canvas
from app.figures.card import CardWords, short, thresholds_words
from app.figures.exits import word
from app.figures.handout_curve import draw_curve
from app.figures.static_plot import Lines, PlotWords
from app.figures.theme import MacUnit, exit_colour, percent
from app.figures.tokens import grid_edges
from app.figures.wrapping import wrapped
from app.language import later
from dvt_core.config import DVTConfig
from dvt_core.macs import exit_macs, stage_macs
from dvt_core.results import Prediction

WIDTH, HEIGHT = 827, 1169  # A4 in hundredths of an inch
MARGIN, GAP = 52, 14
LANES, CURVE, RULE, NOTES, FOOT = 136, 498, 790, 890, 1122  # upper edges
LANE_HEIGHT, PICTURE_PX, CURVE_HEIGHT, LINE_PX = 326, 150, 230, 30
PRINT_DPI = 200
TOLD = 3  # classes named in a lane


@dataclass(frozen=True)
class HandoutWords:
    """Sentence templates of the hand-out, in its language."""

    title: str = later("A cascade that stops early")
    name: str = later("Name")
    one: str = later("One picture: {picture}")
    answer: str = later("It leaves at exit {number}: {answer}, {confidence} sure, {macs}.")
    many: str = later("{count} test pictures of {data}")
    no_table: str = later("No test pictures were run through this model yet.")
    accuracy: str = later("{accuracy} right")
    always_full: str = later("always full: {accuracy}")
    cost: str = later("{macs} per picture")
    full_cost: str = later("always full: {macs}")
    share: str = later("exit {number}: {share}")
    by_hand: str = later("Thresholds in force: {thresholds}, set by hand.")
    budget: str = later(
        "Thresholds in force: {thresholds}, solved on calibration for {macs} per picture."
    )
    wanted: str = later(
        "Thresholds in force: {thresholds}, solved on calibration for {accuracy} % right answers."
    )
    theirs: str = later("Thresholds in force: {thresholds}, stored by the authors.")
    rule: str = later(
        "The rule: after each stage, the exit answers if its largest probability (its confidence) "
        "reaches the threshold; if not, the next stage computes with more tokens. The last exit "
        "always answers. One MAC is one multiply and add."
    )
    notes: str = later("Notes")
    source: str = later("Model {model}, {date}. Picture: {source}")
    maker: str = later("Dynamic ViT Explorer, after arXiv 2105.15075")


@dataclass(frozen=True, eq=False)
class Handout:
    """What stands on the page.

    Attributes:
        seen: RGB, what the model sees, `img_size` x `img_size`.
        prediction: the run that really stopped at its exit.
        config: of the model.
        class_names: its words.
        model: its title.
        picture, source: what the picture is called, and whose it is.
        origin: one of the templates of `HandoutWords` that say where thresholds come from, filled
            in but for {thresholds}.
        data: name of the test data; "" without a table.
        tested: number of test pictures; 0 without a table.
        lines: the curve; empty without a table.
        date: of today, in words.
        words, card, plot: sentence templates.
    """

    seen: Image.Image
    prediction: Prediction
    config: DVTConfig
    class_names: Sequence[str]
    model: str
    picture: str
    source: str
    origin: str
    data: str
    tested: int
    lines: Lines
    date: str
    words: HandoutWords = field(default_factory=HandoutWords)
    card: CardWords = field(default_factory=CardWords)
    plot: PlotWords = field(default_factory=PlotWords)


def draw_handout(sheet: Handout) -> Canvas:
    """The page, to be saved."""
    page, words, inner = Canvas(WIDTH, HEIGHT), sheet.words, WIDTH - 2 * MARGIN
    page.text(MARGIN, 62, words.title, 26, weight="bold")
    page.text(WIDTH - 300, 62, words.name, 13, color=PALE)
    page.bar(WIDTH - 255, 64, 255 - MARGIN, 1, PALE)
    _heading(page, 98, words.one.format(picture=short(sheet.picture, 60)))
    page.text(MARGIN, 120, _answer(sheet), 13)
    count = sheet.config.num_exits
    width = min((inner - GAP * (count - 1)) / count, 260)
    for index in range(count):
        _lane(page, sheet, index, MARGIN + index * (width + GAP), width)
    _many(page, sheet)
    thresholds = thresholds_words(sheet.prediction.thresholds, sheet.card)
    told = (sheet.origin.replace("{thresholds}", thresholds), words.rule)
    y = float(RULE)
    for line in (line for text in told for line in wrapped(text, inner, 13)):
        page.text(MARGIN, y, line, 13)
        y += 19
    _heading(page, max(y + 24, NOTES), words.notes)
    for at in range(int(max(y + 24, NOTES)) + LINE_PX, FOOT - 24, LINE_PX):
        page.bar(MARGIN, at, inner, 0.8, LINE)
    source = words.source.format(model=sheet.model, date=sheet.date, source=sheet.source)
    for place, line in enumerate([*wrapped(source, inner, 10)[:2], words.maker]):
        page.text(MARGIN, FOOT + 13 * place, line, 10, color=PALE)
    return page


def handout_file(sheet: Handout, kind: str) -> bytes:
    """The page as a file: "pdf", or "png" with 200 dots per inch, fit for printing."""
    out = io.BytesIO()
    # No date inside: the same page is the same file.
    metadata = {"CreationDate": None} if kind == "pdf" else None
    draw_handout(sheet).figure.savefig(out, format=kind, dpi=PRINT_DPI, metadata=metadata)
    return out.getvalue()


def _heading(page: Canvas, y: float, words: str) -> None:
    page.text(MARGIN, y, words, 16, weight="bold")


def _answer(sheet: Handout) -> str:
    run, unit = sheet.prediction, MacUnit.of(exit_macs(sheet.config))
    return sheet.words.answer.format(
        number=run.exit_index + 1,
        answer=word(sheet.class_names[run.label]),
        confidence=percent(run.confidence),
        macs=unit.format(run.macs),
    )


def _lane(page: Canvas, sheet: Handout, index: int, x: float, width: float) -> None:
    """One stage: the picture under its grid, what its exit said; a ghost if it did not run."""
    stage, words, run = sheet.config.stages[index], sheet.card, sheet.prediction
    is_run, is_exit = index <= run.exit_index, index == run.exit_index
    colour, px = exit_colour(index), min(13.0, width / 19)
    page.box(
        x,
        LANES,
        width,
        LANE_HEIGHT,
        edge=colour if is_exit else LINE,
        line=2.5 if is_exit else 1.0,
        dash="solid" if is_run else "dashed",
    )
    left, inner, side = x + 10, width - 20, stage.grid_size
    end = page.badge(
        left, LANES + 24, words.exit.format(number=index + 1), colour if is_run else TRACK, px * 0.9
    )
    title = words.stage.format(number=index + 1, side=side, tokens=side * side)
    page.text(end + 6, LANES + 24, title, px * 0.82, color=INK if is_run else PALE)
    shown = min(inner, PICTURE_PX)
    page.image(left, LANES + 36, shown, sheet.seen, ghost=not is_run)
    page.outline(left, LANES + 36, shown)
    y = LANES + 36 + shown + 24
    if is_run:
        page.grid(
            left, LANES + 36, shown, grid_edges(stage, sheet.config.img_size), sheet.seen.width
        )
        _said(page, sheet, index, (left, y, inner), px)
    verdict = words.ghost
    if is_run:
        verdict = words.go_on if not is_exit else words.stop
        verdict = words.last if is_exit and index == sheet.config.num_exits - 1 else verdict
    macs = MacUnit.of(exit_macs(sheet.config)).format(stage_macs(sheet.config)[index])
    cost = (words.cost if is_run else words.spared).format(macs=macs)
    bottom = LANES + LANE_HEIGHT
    page.text(left, bottom - 28, verdict, px, weight="bold" if is_exit else "normal")
    page.text(left, bottom - 11, cost, px * 0.9, color=PALE)


def _said(
    page: Canvas, sheet: Handout, index: int, place: tuple[float, float, float], px: float
) -> None:
    """Confidence bar with the threshold's tick, then the most probable classes."""
    left, y, inner = place
    record, thresholds = sheet.prediction.records[index], sheet.prediction.thresholds
    page.bar(left, y - 12, inner, 14, TRACK)
    page.bar(left, y - 12, max(1.0, inner * record.confidence), 14, exit_colour(index))
    if index < len(thresholds) and thresholds[index] <= 1:
        page.bar(left + inner * thresholds[index] - 1, y - 16, 2.5, 22, INK)
    for line, (label, share) in enumerate(record.top(TOLD)):
        at, weight = y + 22 + line * 1.45 * px, "normal" if line else "bold"
        name = short(word(sheet.class_names[label]), int(inner / px / 0.75))
        page.text(left, at, name, px, weight=weight)
        page.text(left + inner, at, percent(share), px, weight=weight, ha="right")


def _many(page: Canvas, sheet: Handout) -> None:
    """The curve with the marker, and beside it the numbers and the exit shares."""
    words, here = sheet.words, sheet.lines.here
    if here is None or not sheet.tested:
        _heading(page, CURVE, words.no_table)
        return
    count = f"{sheet.tested:,}"
    _heading(page, CURVE, words.many.format(count=count, data=sheet.data))
    axes = page.figure.add_axes(
        (
            (MARGIN + 42) / WIDTH,
            1 - (CURVE + 16 + CURVE_HEIGHT - 38) / HEIGHT,
            400 / WIDTH,
            (CURVE_HEIGHT - 38) / HEIGHT,
        )
    )
    draw_curve(axes, sheet.config, sheet.lines, sheet.plot)
    unit, (full, best) = MacUnit.of(exit_macs(sheet.config)), sheet.lines.exits[-1]
    x, y = MARGIN + 476, CURVE + 40
    for value, remark in (
        (
            words.accuracy.format(accuracy=percent(here.accuracy)),
            words.always_full.format(accuracy=percent(best)),
        ),
        (
            words.cost.format(macs=unit.format(here.macs)),
            words.full_cost.format(macs=unit.format(full)),
        ),
    ):
        page.text(x, y, value, 17, weight="bold")
        page.text(x, y + 17, remark, 12, color=PALE)
        y += 48
    for index, share in enumerate(here.exit_shares):
        name = words.share.format(number=index + 1, share=percent(share))
        page.text(x, y + 4, name, 12)
        page.bar(x, y + 9, WIDTH - MARGIN - x, 9, TRACK)
        page.bar(x, y + 9, (WIDTH - MARGIN - x) * share, 9, exit_colour(index))
        y += 34 if len(here.exit_shares) < 5 else 24
