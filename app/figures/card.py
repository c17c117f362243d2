"""The image card: one picture's way through the cascade on one page, to keep and to print.

Skipped stages are ghosts: nothing was computed there, so nothing is said there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from app.figures.canvas import INK, LINE, PALE, TRACK, Canvas
from app.figures.exits import word
from app.figures.theme import MacUnit, exit_colour, percent
from app.figures.tokens import grid_edges
from app.language import later
from dvt_core.config import DVTConfig
from dvt_core.macs import exit_macs, stage_macs
from dvt_core.results import ExitRecord, Prediction

WIDTH, HEIGHT = 1600, 900
MARGIN, GAP, TOP, BOTTOM = 56, 28, 190, 826
MAX_LANE = 478
TOLD = 3  # classes named under each bar


@dataclass(frozen=True)
class CardWords:
    """Sentence templates of the card."""

    answer: str = later("{answer}, {confidence} sure")
    exit: str = later("exit {number}")
    facts: str = later("stopped at exit {number} of {count}  ·  {macs}, {share} of always full")
    stage: str = later("stage {number} · {side}x{side} = {tokens} tokens")
    go_on: str = later("Not sure enough, go on.")
    stop: str = later("Sure enough, stop.")
    last: str = later("The last exit always answers.")
    ghost: str = later("Not computed.")
    cost: str = later("+{macs}")
    spared: str = later("{macs} spared")
    threshold: str = later("threshold {value}")
    never_here: str = later("never leave here")
    never: str = later("never")
    always: str = later("always")
    one_exit: str = later("none (one exit)")
    made: str = later("model {model}  ·  thresholds {thresholds}  ·  {date}")
    maker: str = later("made with Dynamic ViT Explorer, after arXiv 2105.15075")


@dataclass(frozen=True, eq=False)
class Card:
    """What stands on a card.

    Attributes:
        seen: RGB, what the model sees, `img_size` x `img_size`.
        prediction: the run that really stopped at its exit.
        config: of the model.
        class_names: its words.
        model: its name.
        picture: what it is called.
        date: of today, in words.
        words: sentence templates, in the language of the card.
    """

    seen: Image.Image
    prediction: Prediction
    config: DVTConfig
    class_names: Sequence[str]
    model: str
    picture: str
    date: str
    words: CardWords = CardWords()


def draw_card(card: Card) -> Canvas:
    """The card, 1600 x 900 pixels, light."""
    canvas = Canvas(WIDTH, HEIGHT)
    _head(canvas, card)
    count = card.config.num_exits
    width = min(MAX_LANE, (WIDTH - 2 * MARGIN - GAP * (count - 1)) / count)
    for index in range(count):
        _lane(canvas, card, index, MARGIN + index * (width + GAP), width)
    words = card.words
    thresholds = thresholds_words(card.prediction.thresholds, words)
    foot = words.made.format(model=card.model, thresholds=thresholds, date=card.date)
    canvas.text(MARGIN, 866, foot, 19, color=PALE)
    canvas.text(WIDTH - MARGIN, 866, words.maker, 19, color=PALE, ha="right")
    return canvas


def _head(canvas: Canvas, card: Card) -> None:
    run, words, costs = card.prediction, card.words, exit_macs(card.config)
    unit = MacUnit.of(costs)
    number = run.exit_index + 1
    name, colour = words.exit.format(number=number), exit_colour(run.exit_index)
    end = canvas.badge(MARGIN, 98, name, colour, 36)
    answer = short(word(card.class_names[run.label]), 40)
    sentence = words.answer.format(answer=answer, confidence=percent(run.confidence))
    canvas.text(end + 24, 98, sentence, 46, weight="bold")
    facts = words.facts.format(
        number=number,
        count=card.config.num_exits,
        macs=unit.format(run.macs),
        share=percent(run.macs / costs[-1], 0),
    )
    canvas.text(MARGIN, 156, facts, 26, color=PALE)
    canvas.text(WIDTH - MARGIN, 156, short(card.picture, 40), 19, color=PALE, ha="right")


def _lane(canvas: Canvas, card: Card, index: int, x: float, width: float) -> None:
    """One stage: its grid over the picture, what its exit said, and what it cost."""
    stage, words, run = card.config.stages[index], card.words, card.prediction
    is_computed, is_exit = index <= run.exit_index, index == run.exit_index
    colour, number = exit_colour(index), index + 1
    edge = colour if is_exit else LINE
    line, dash = (4.0, "solid") if is_exit else (1.2, "solid" if is_computed else "dashed")
    canvas.box(x, TOP, width, BOTTOM - TOP, edge=edge, line=line, dash=dash)
    pad, side = 20, stage.grid_size
    inner = width - 2 * pad
    left, px = x + pad, min(20.0, width / 20)
    badge = colour if is_computed else TRACK
    end = canvas.badge(left, TOP + 40, words.exit.format(number=number), badge, px)
    title = words.stage.format(number=number, side=side, tokens=side * side)
    canvas.text(end + 10, TOP + 40, title, px * 0.85, color=INK if is_computed else PALE)
    shown = min(inner, 320.0)
    canvas.image(left, TOP + 60, shown, card.seen, ghost=not is_computed)
    canvas.outline(left, TOP + 60, shown)
    if is_computed:
        canvas.grid(left, TOP + 60, shown, grid_edges(stage, card.config.img_size), card.seen.width)
    unit = MacUnit.of(exit_macs(card.config))
    cost, said = unit.format(stage_macs(card.config)[index]), TOP + 60 + shown
    if is_computed:
        _said(canvas, card, run.records[index], (left, said, inner), px)
        verdict = _verdict(card, index)
        remark = words.cost.format(macs=cost)
    else:
        verdict, remark = words.ghost, words.spared.format(macs=cost)
    ink = INK if is_computed else PALE
    canvas.text(left, BOTTOM - 50, verdict, px, color=ink, weight="bold" if is_exit else "normal")
    canvas.text(left, BOTTOM - 20, remark, px, color=PALE)


def _said(
    canvas: Canvas,
    card: Card,
    record: ExitRecord,
    place: tuple[float, float, float],
    px: float,
) -> None:
    """The bar of the confidence with the threshold's tick, and the most probable classes."""
    left, top, width = place
    index, y = record.exit_index, top + 44
    thresholds = card.prediction.thresholds
    canvas.text(left, y - 12, short(_word(card, record.label), int(width / px / 0.75)), px)
    canvas.text(left + width, y - 12, percent(record.confidence), px, ha="right", weight="bold")
    canvas.bar(left, y, width, 26, TRACK)
    canvas.bar(left, y, max(1.0, width * record.confidence), 26, exit_colour(index))
    y += 26
    if index < len(thresholds):
        threshold = thresholds[index]
        label = card.words.threshold.format(value=percent(threshold))
        if threshold <= 1:
            at = left + width * threshold
            canvas.bar(at - 2, y - 34, 4, 42, INK)
        else:
            label = card.words.never_here
        canvas.text(left, y + 26, label, px * 0.85, color=PALE)
    y += 60
    for label, share in record.top(TOLD)[1:]:
        canvas.text(left, y, short(_word(card, label), int(width / px / 0.8)), px * 0.85)
        canvas.text(left + width, y, percent(share), px * 0.85, ha="right", color=PALE)
        y += 1.4 * px


def _verdict(card: Card, index: int) -> str:
    words, exit_index = card.words, card.prediction.exit_index
    if index < exit_index:
        return words.go_on
    return words.last if index == card.config.num_exits - 1 else words.stop


def _word(card: Card, label: int) -> str:
    return word(card.class_names[label])


def thresholds_words(thresholds: Sequence[float], words: CardWords) -> str:
    """Thresholds in the card's language; equal ones are written once."""
    shown = [words.never if t > 1 else words.always if t <= 0 else f"{t:.3g}" for t in thresholds]
    return " · ".join(shown if len(set(thresholds)) > 1 else shown[:1]) or words.one_exit


def short(text: str, letters: int) -> str:
    """The text, cut to so many letters with an ellipsis."""
    return text if len(text) <= max(letters, 2) else f"{text[: max(letters, 2) - 1]}…"
