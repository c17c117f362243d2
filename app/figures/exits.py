"""One exit's words and bars as small pieces of HTML that follow the page's theme.

Plain HTML because the first page must be light: the plotting library alone is 7 MB.
Everything that comes from outside (class names) is escaped. Colour is never the only carrier:
each bar has its number beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from app.figures.theme import exit_colour, exit_name, ink_on, percent
from dvt_core.results import ExitRecord


def word(class_name: str) -> str:
    """A class name without its synonyms: "tench, Tinca tinca" is "tench"."""
    return class_name.split(",")[0].strip()


def badge(exit_index: int, text: str | None = None) -> str:
    """A small label in the exit's colour."""
    colour = exit_colour(exit_index)
    style = f"background:{colour};color:{ink_on(colour)}"
    return f'<span class="dvt-badge" style="{style}">{escape(text or exit_name(exit_index))}</span>'


def _bar(share: float, colour: str, tick: float | None = None) -> str:
    fill = f'<i style="width:{100 * share:.2f}%;background:{colour}"></i>'
    mark = "" if tick is None else f'<b style="left:{100 * min(tick, 1.0):.2f}%"></b>'
    return f'<span class="dvt-bar" aria-hidden="true">{fill}{mark}</span>'


def top_classes(record: ExitRecord, class_names: Sequence[str], count: int = 5) -> str:
    """The most probable classes of one exit, each with a bar and its probability."""
    colour = exit_colour(record.exit_index)
    rows = "".join(
        f'<li><span title="{escape(class_names[index])}">{escape(word(class_names[index]))}</span>'
        f"{_bar(prob, colour)}"
        f"<em>{percent(prob)}</em></li>"
        for index, prob in record.top(count)
    )
    return f'<ol class="dvt-top" aria-label="most probable classes">{rows}</ol>'


def confidence(record: ExitRecord, threshold: float | None) -> str:
    """The exit's confidence as a bar with the threshold as a tick.

    Args:
        record: the exit.
        threshold: the number its confidence is compared with; None for the last exit, which
            always answers.
    """
    if threshold is None:
        rule = "no threshold: the last exit always answers"
    elif threshold > 1:
        rule = "threshold above 100 %: never leave here"
    else:
        rule = f"threshold {percent(threshold)}"
    bar = _bar(record.confidence, exit_colour(record.exit_index), threshold)
    return (
        f'<div class="dvt-sure"><span>confidence <strong>{percent(record.confidence)}</strong>'
        f"</span>{bar}<small>{rule}</small></div>"
    )


def share_bars(shares: Sequence[float]) -> str:
    """How many of all images leave at each exit, as one row per exit."""
    rows = "".join(
        f"<li>{badge(i)}{_bar(share, exit_colour(i))}<em>{percent(share)}</em></li>"
        for i, share in enumerate(shares)
    )
    return f'<ol class="dvt-top dvt-shares" aria-label="share of images per exit">{rows}</ol>'
