"""A strip of small cards, one per run of the model on a changed picture, as HTML.

Colour means exit; everything that comes from outside (class names) is escaped.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from PIL import Image

from app.figures.exits import badge, word
from app.figures.theme import percent
from app.language import say

THUMB_PX = 96


@dataclass(frozen=True)
class Card:
    """One run.

    Attributes:
        picture: `thumbnail` of what the model saw.
        title: what was changed: "blur 3 %".
        exit_index: 0-based exit that answered.
        confidence: of that exit, in [0, 1].
        answer: the class name.
        remark: one more line; "" for none.
    """

    picture: str
    title: str
    exit_index: int
    confidence: float
    answer: str
    remark: str = ""


def thumbnail(image: Image.Image) -> str:
    """A square picture as an `<img>` about 96 pixels wide.

    Small ones keep their pixels and are enlarged by a whole number, unblurred; large ones are
    reduced by a whole number.
    """
    out = io.BytesIO()
    if image.width <= THUMB_PX:
        shown = image.width * max(1, THUMB_PX // image.width)
        image.save(out, "PNG")
        kind = "png"
    else:
        image = image.reduce(math.ceil(image.width / (1.25 * THUMB_PX)))
        shown = image.width
        image.save(out, "JPEG", quality=85)
        kind = "jpeg"
    data = base64.b64encode(out.getvalue()).decode()
    return f'<img width="{shown}" height="{shown}" alt="" src="data:image/{kind};base64,{data}">'


def strip(cards: Sequence[Card], label: str) -> str:
    """The cards side by side, in as many rows as it takes; `label` is for screen readers."""
    rows = "".join(map(_card, cards))
    return f'<ol class="dvt-strip" aria-label="{escape(label)}">{rows}</ol>'


def _card(card: Card) -> str:
    answer = escape(word(card.answer))
    remark = f"<small>{escape(card.remark)}</small>" if card.remark else ""
    return (
        f"<li>{card.picture}<strong>{escape(card.title)}</strong>"
        f"<span>{badge(card.exit_index)} {percent(card.confidence, 0)}</span>"
        f'<span class="dvt-answer" title="{escape(card.answer)}">{answer}</span>{remark}</li>'
    )


def answer_line(exit_index: int, answer: str, confidence: float) -> str:
    """Exit, answer and confidence of one run in a line."""
    words = say("{answer}, {percent} sure", answer=word(answer), percent=percent(confidence))
    return f'<div class="dvt-head">{badge(exit_index)}<span>{escape(words)}</span></div>'


def exit_move(before: int, after: int) -> str:
    """From which exit to which: "exit 1 -> exit 3", or "still exit 1"."""
    if before == after:
        still = say("still {exit}", exit=badge(after))  # the badge is markup, made here
        return f'<p class="dvt-verdict">{still}</p>'
    to = f'<span aria-label="{escape(say("to"))}">→</span>'
    return f'<p class="dvt-verdict">{badge(before)} {to} {badge(after)}</p>'


def exit_ranges(ranges: Sequence[tuple[int, str]]) -> str:
    """Which exit answers over which values: (exit index, "2 to 4 %") in order."""
    parts = " ".join(f"<span>{badge(i)} {escape(words)}</span>" for i, words in ranges)
    return f'<div class="dvt-head">{parts}</div>'
