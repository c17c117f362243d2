"""Pieces of the Easy & hard page as HTML: what every exit said of one image, untangled pairs."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from app.figures.exits import badge, word
from app.figures.theme import exit_colour, exit_name, percent
from app.language import say
from dvt_core.exit_table import ExitTable
from dvt_core.outcomes import ConfusedPair
from dvt_core.thresholds import check_thresholds

TRACK = "rgba(128,135,145,0.3)"
SHOWN_ANSWERS = 3


def stored_trace(
    table: ExitTable, row: int, thresholds: Sequence[float], class_names: Sequence[str]
) -> str:
    """What every exit said of one image, as stored in the table; nothing is run.

    Args:
        table: what the exits said.
        row: of the image in the table.
        thresholds: in force, one per exit but the last.
        class_names: one per class.
    """
    limits = (*check_thresholds(thresholds, table.num_exits), 0.0)
    confidences = table.confidences[row].astype(float)
    fired = next(i for i, limit in enumerate(limits) if confidences[i] >= limit)
    label = word(class_names[int(table.labels[row])])
    lanes = "".join(
        _lane(table, row, i, fired, limits[i], class_names) for i in range(table.num_exits)
    )
    title = say(
        "Test image {number}, labelled {label}. From the stored table; nothing was run.",
        number=int(table.indices[row]),
        label=label,
    )
    return (
        f'<p style="font-weight:600;margin:0 0 0.5rem">{escape(title)}</p>'
        '<div style="display:grid;gap:0.6rem 1.2rem;'
        f'grid-template-columns:repeat(auto-fit,minmax(170px,1fr))">{lanes}</div>'
    )


def _lane(
    table: ExitTable, row: int, index: int, fired: int, limit: float, names: Sequence[str]
) -> str:
    colour, is_right = exit_colour(index), bool(table.correct[row, index])
    if index > fired:
        verdict = say("not asked; it would say")
    elif index == table.num_exits - 1:
        verdict = say("it always answers")
    elif index == fired:
        verdict = say("sure enough: it stops here")
    else:
        verdict = say("not sure enough: it goes on")
    top = [
        (int(c), float(p))
        for c, p in zip(table.top5[row, index], table.top5_probs[row, index], strict=True)
    ]
    tick = limit if index < table.num_exits - 1 and 0 <= limit <= 1 else None
    bars = "".join(_bar(word(names[c]), p, colour, tick) for c, p in top[:SHOWN_ANSWERS])
    mark = "✓" if is_right else "✗"
    verdict_of = say("its answer is right") if is_right else say("its answer is wrong")
    faded = ";opacity:0.75" if index > fired else ""
    return (
        f'<div style="min-width:0{faded}">{badge(index)} <small>{escape(verdict)} '
        f"· {mark} {escape(verdict_of)}</small>{bars}</div>"
    )


def _bar(name: str, share: float, colour: str, tick: float | None) -> str:
    mark = ""
    if tick is not None:
        place = f"left:{100 * tick:.1f}%"
        mark = (
            f'<i style="position:absolute;{place};top:-2px;bottom:-2px;border-left:2px solid"></i>'
        )
    return (
        '<div style="margin-top:0.25rem;font-size:0.9rem;display:flex;'
        f'justify-content:space-between;gap:0.5rem"><span>{escape(name)}</span>'
        f"<span>{percent(share)}</span></div>"
        f'<div style="position:relative;height:8px;border-radius:3px;background:{TRACK}">'
        f'<i style="display:block;height:100%;border-radius:3px;width:{100 * share:.1f}%;'
        f'background:{colour}"></i>{mark}</div>'
    )


def untangled_list(pairs: Sequence[ConfusedPair], class_names: Sequence[str]) -> str:
    """Pairs of classes with the images that each exit confuses, as words, bars and numbers."""
    most = max(max(pair.counts) for pair in pairs)
    cards = "".join(_pair(pair, class_names, most) for pair in pairs)
    return (
        '<ul style="list-style:none;margin:0;padding:0;display:grid;gap:0.9rem 2rem;'
        f'grid-template-columns:repeat(auto-fit,minmax(250px,1fr))">{cards}</ul>'
    )


def _pair(pair: ConfusedPair, class_names: Sequence[str], most: int) -> str:
    first, second = (word(class_names[c]) for c in (pair.first, pair.second))
    title = say("{first} and {second}", first=first, second=second)
    fewer = say("{count} fewer", count=f"{pair.untangled:,}")
    rows = "".join(
        '<div style="display:grid;grid-template-columns:4em minmax(0,1fr) 3em;gap:0.5rem;'
        f'align-items:center;font-size:0.9rem"><span>{escape(exit_name(i))}</span>'
        f'<i style="display:block;height:0.75rem;border-radius:0.2rem;min-width:1px;'
        f'width:{100 * count / most:.1f}%;background:{exit_colour(i)}"></i>'
        f'<span style="text-align:right;font-variant-numeric:tabular-nums">{count:,}</span></div>'
        for i, count in enumerate(pair.counts)
    )
    return (
        '<li style="margin:0"><div style="display:flex;justify-content:space-between;gap:0.5rem">'
        f"<strong>{escape(title)}</strong>"
        f'<span style="white-space:nowrap">{escape(fewer)}</span></div>{rows}</li>'
    )
