"""The dial: how sure an exit must be, asked in one of several ways; one state for all pages.

A person sets one shared threshold, a budget, a wanted accuracy, or one threshold per exit. Budget
and accuracy pick thresholds that were solved on the calibration split, or that the authors stored
with their weights; without either they are not offered. The dial itself is `live/dial.js`: while
it is dragged everything on the page answers in the browser, and the server hears of the release.
The values live in the session and in the link (query string).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app import services
from app.figures.theme import MacUnit, exit_palette, percent
from app.figures.tradeoff import thresholds_text
from app.live import component
from app.replay.ask import WAYS, Ask, Range, ask_from, ask_from_query
from app.replay.dial_words import dial_names, dial_sentences, way_names
from app.replay.replay_data import front_data
from dvt_core.bundle import Bundle
from dvt_core.errors import InputError
from dvt_core.macs import exit_macs
from dvt_core.solver import Front
from dvt_core.thresholds import OperatingPoint

_mount = component("dial", "dial.css", "rule.js", "dial.js")

KEY = "dial"  # of the component
_ASK = "dial_ask"  # session key: the ask in force
_PUSHED, _COUNT = "dial_pushed", "dial_count"  # session keys: (number, ask) the browser was told


@dataclass(frozen=True)
class Setting:
    """The thresholds in force and where they came from.

    Attributes:
        thresholds: `num_exits - 1` numbers.
        origin: one sentence for the page.
        authors_point: the authors' stored point that was picked; None for any other origin.
    """

    thresholds: tuple[float, ...]
    origin: str
    authors_point: OperatingPoint | None = None


@dataclass(frozen=True, eq=False)
class Choices:
    """What can be asked of one model.

    Attributes:
        default: where the dial stands before anyone moves it.
        ranges: way -> allowed numbers; only the ways that can be asked.
        front: the points that budget and accuracy pick from; None if there are none.
        is_authors: whether these are the authors' points.
        words: sentence templates, filled in here and in the browser.
        unit: of the costs.
    """

    default: Ask
    ranges: Mapping[str, Range]
    front: Front | None
    is_authors: bool
    words: Mapping[str, str]
    unit: MacUnit


def dial(bundle: Bundle) -> Setting:
    """Draws the dial and returns the thresholds it stands at."""
    choices = get_choices(bundle)
    pushed = st.session_state.get(_PUSHED)
    if KEY not in st.session_state or pushed is None or not _fits(pushed[1], choices):
        _push(choices)
    push, pushed = st.session_state[_PUSHED]
    result = _mount(
        key=KEY, data=_dial_data(bundle, choices, push, pushed), on_ask_change=_do_nothing
    )
    sent = getattr(result, "ask", None)
    # The browser repeats what it last sent; that of an earlier page or model no longer counts.
    is_current = isinstance(sent, Mapping) and sent.get("push") == push
    ask = ask_from(sent, pushed, choices.ranges) if is_current else pushed
    st.session_state[_ASK] = ask.to_dict()
    _write_link(ask, choices.default)
    return resolve(ask, choices)


def _fits(ask: Ask, choices: Choices) -> bool:
    """False for an ask of the model that the folder held before it was replaced."""
    return len(ask.each) == len(choices.default.each) and ask.way in choices.ranges


def _do_nothing() -> None:
    """The value is read where the dial is drawn; Streamlit wants a callback for it to exist."""


def _push(choices: Choices) -> None:
    """Decides where a dial that is drawn anew stands: as before, else as the link says."""
    ask = ask_in_force(choices)
    st.session_state[_COUNT] = st.session_state.get(_COUNT, 0) + 1
    st.session_state[_PUSHED] = st.session_state[_COUNT], ask


def forget() -> None:
    """Puts the dial to the chosen model's own defaults when it is drawn next."""
    for key in (_ASK, _PUSHED):
        st.session_state.pop(key, None)
    for name in ("ask", *WAYS):
        st.query_params.pop(name, None)


def in_force(bundle: Bundle) -> Setting:
    """What the dial stands at, for a page without one; it is not drawn, but stands in the link."""
    choices = get_choices(bundle)
    ask = ask_in_force(choices)
    _write_link(ask, choices.default)
    return resolve(ask, choices)


def ask_in_force(choices: Choices) -> Ask:
    """What stands at the dial, drawn or not."""
    before, here = st.session_state.get(_ASK), (choices.default, choices.ranges)
    return ask_from_query(st.query_params, *here) if before is None else ask_from(before, *here)


def _write_link(ask: Ask, default: Ask) -> None:
    wanted = {} if ask == default else ask.to_query()
    for name in ("ask", *WAYS):
        if name in wanted and st.query_params.get(name) != wanted[name]:
            st.query_params[name] = wanted[name]
        elif name not in wanted and name in st.query_params:
            del st.query_params[name]


def get_choices(bundle: Bundle) -> Choices:
    """What can be asked of a model, from what lies in its folder."""
    front, is_authors = _find_front(bundle)
    costs, gates = exit_macs(bundle.config), bundle.config.num_exits - 1
    full: float = costs[-1]
    if is_authors and bundle.authors and bundle.authors.exit_macs:
        full = bundle.authors.exit_macs[-1]  # by their counter, as their points
    ranges = {"threshold": Range(0.0, 1.0)}
    if front is not None and gates:
        low = math.ceil(100 * front.points[0].macs / full)
        least, most = (math.floor(1000 * front.points[i].accuracy) / 10 for i in (0, -1))
        if low < 100:
            ranges["budget"] = Range(low, 100, full)
        if least < most:
            ranges["accuracy"] = Range(least, most)
    if gates > 1:
        ranges["each"] = Range(0.0, 1.0)
    return Choices(
        _default(bundle, ranges, is_authors),
        ranges,
        front,
        is_authors,
        _words(bundle, front, is_authors),
        MacUnit.of(costs),
    )


def _find_front(bundle: Bundle) -> tuple[Front | None, bool]:
    """The points to pick from, and whether they are the authors'; none if they are damaged."""
    try:
        if bundle.has_table("calibration"):
            return services.get_front(bundle), False
        return services.get_authors_front(bundle), True
    except InputError:  # the Trade-off page says so
        return None, False


def _default(bundle: Bundle, ranges: Mapping[str, Range], is_authors: bool) -> Ask:
    shared = min(max(round(bundle.default_threshold, 2), 0.0), 1.0)
    budget, accuracy = ranges.get("budget"), ranges.get("accuracy")
    return Ask(
        # The authors' points cannot be replayed: there a shared threshold has no accuracy.
        way="budget" if is_authors and budget else "threshold",
        threshold=shared,
        budget=max(budget.low, 50) if budget else 100,
        accuracy=round((accuracy.low + 3 * accuracy.high) / 4, 1) if accuracy else 100,
        each=(shared,) * (bundle.config.num_exits - 1),
    )


def _words(bundle: Bundle, front: Front | None, is_authors: bool) -> dict[str, str]:
    n = ""
    if front is not None and not is_authors:
        n = f"{services.get_table(bundle, 'calibration').n:,}"
    return dial_sentences(n)


def resolve(ask: Ask, choices: Choices) -> Setting:
    """The thresholds that an ask stands for; `resolve` in dial.js does the same."""
    front, words = choices.front, choices.words
    if ask.way == "budget" and front is not None:
        macs = ask.budget / 100 * choices.ranges["budget"].full
        asked = words["asked_budget"].format(macs=choices.unit.format(macs))
        return _solved(front.at_budget(macs), asked, choices)
    if ask.way == "accuracy" and front is not None:
        asked = words["asked_accuracy"].format(accuracy=f"{ask.accuracy:.1f}")
        return _solved(front.at_accuracy(ask.accuracy / 100), asked, choices)
    is_each = ask.way == "each"
    thresholds = ask.each if is_each else (ask.threshold,) * len(ask.each)
    words = words["each" if is_each else "shared"]
    return Setting(thresholds, words.format(thresholds=thresholds_text(thresholds)))


def _solved(point: OperatingPoint, asked: str, choices: Choices) -> Setting:
    origin = choices.words["solved"].format(
        thresholds=thresholds_text(point.thresholds),
        asked=asked,
        accuracy=percent(point.accuracy),
        macs=choices.unit.format(point.macs),
    )
    return Setting(point.thresholds, origin, point if choices.is_authors else None)


def _dial_data(bundle: Bundle, choices: Choices, push: int, ask: Ask) -> dict[str, Any]:
    """What dial.js reads; the same on every run until another ask is pushed."""
    gates, ways = bundle.config.num_exits - 1, way_names()
    ranges = {
        way: {"low": r.low, "high": r.high, "full": r.full} for way, r in choices.ranges.items()
    }
    return {
        "model": str(bundle.path),
        "push": push,
        "ask": ask.to_dict(),
        "defaults": choices.default.to_dict(),
        "gates": gates,
        "ways": [
            {"id": way, "name": ways[way][0], "help": ways[way][1]}
            for way in choices.ranges
            if gates
        ],
        "budget": ranges.get("budget"),
        "accuracy": ranges.get("accuracy"),
        "names": dial_names(),
        "words": dict(choices.words),
        "unit": {"name": choices.unit.name, "scale": choices.unit.scale},
        "colours": exit_palette(gates),
        "front": None if choices.front is None else front_data(choices.front),
    }
