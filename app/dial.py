"""The dial: how sure an exit must be, asked in one of three ways; one state for all pages.

A person sets one shared threshold, a budget, or a wanted accuracy. The last two pick thresholds
that were solved on the calibration split, or that the authors stored with their weights; without
either they are not offered. The values live in the link (query string).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import services
from app.figures.theme import MacUnit, percent
from app.figures.tradeoff import thresholds_text
from dvt_core.bundle import Bundle
from dvt_core.errors import InputError
from dvt_core.macs import exit_macs
from dvt_core.solver import Front
from dvt_core.thresholds import OperatingPoint, check_thresholds

WAYS = ("threshold", "budget", "accuracy")


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


def dial(bundle: Bundle) -> Setting:
    """Draws the dial and returns the thresholds it stands at."""
    way, room = WAYS[0], st.container()
    if _has_solved(bundle):
        chooser, room = st.columns([3, 7])
        # The authors' points cannot be replayed: there a shared threshold has no accuracy.
        way = _ask_way(chooser, WAYS[0] if bundle.has_table("calibration") else WAYS[1])
    ask = {"budget": _ask_budget, "accuracy": _ask_accuracy}.get(way, _ask_threshold)
    with room:
        try:
            setting = ask(bundle)
        except InputError as error:
            st.warning(f"{error}. The default threshold is in force.")
            setting = _shared(bundle, bundle.default_threshold)
        st.caption(setting.origin)
    return setting


def _has_solved(bundle: Bundle) -> bool:
    """Whether there are solved thresholds: a calibration table, or points of the authors."""
    try:
        return bundle.has_table("calibration") or services.get_authors_front(bundle) is not None
    except InputError:  # authors.json is damaged: the Trade-off page says so
        return False


def _front(bundle: Bundle) -> tuple[Front, bool]:
    """The points to pick from, and whether they are the authors'."""
    own = None if bundle.has_table("calibration") else services.get_authors_front(bundle)
    return (services.get_front(bundle), False) if own is None else (own, True)


def _ask_way(chooser: DeltaGenerator, default: str) -> str:
    return chooser.segmented_control(
        "Ask by",
        WAYS,
        default=default,
        required=True,
        key="ask",
        bind="query-params",
        help="One threshold for all exits; or a mean cost or an accuracy, for which solved "
        "thresholds are used: from the calibration images, or the authors' own.",
    )


def _shared(bundle: Bundle, threshold: float) -> Setting:
    thresholds = check_thresholds(threshold, bundle.config.num_exits)
    return Setting(
        thresholds,
        f"In force at every exit but the last: {thresholds_text(thresholds)}, set by hand. "
        "An exit answers when its confidence reaches it.",
    )


def _ask_threshold(bundle: Bundle) -> Setting:
    default = min(max(round(bundle.default_threshold, 2), 0.0), 1.0)
    slider, exact = st.columns([6, 4], vertical_alignment="bottom")
    value = slider.slider(
        "Confidence threshold",
        0.0,
        1.0,
        default,
        0.01,
        key="threshold",
        bind="query-params",
        help="0: every image leaves at exit 1. 1: only complete certainty leaves early.",
    )
    if not 0 <= value <= 1:  # bounds are the browser's business only
        value = default
    st.session_state["threshold_box"] = value
    with exact.container(horizontal=True, vertical_alignment="bottom"):
        st.number_input(
            "as a number",
            0.0,
            1.0,
            step=0.01,
            key="threshold_box",
            on_change=_take_box,
            width=130,
        )
        st.button("reset", on_click=_set_threshold, args=(default,), help=f"To {default:.2f}")
    return _shared(bundle, value)


def _take_box() -> None:
    _set_threshold(st.session_state["threshold_box"])


def _set_threshold(value: float) -> None:
    st.session_state["threshold"] = value


def _ask_budget(bundle: Bundle) -> Setting:
    (front, is_authors), costs = _front(bundle), exit_macs(bundle.config)
    full: float = costs[-1]
    if is_authors and bundle.authors and bundle.authors.exit_macs:
        full = bundle.authors.exit_macs[-1]  # by their counter, as their points
    low = math.ceil(100 * front.points[0].macs / full)
    if low >= 100:
        return _solved(bundle, is_authors, front.points[0], "the only cost there is")
    share = st.slider(
        "Budget, in % of the full cascade's cost",
        low,
        100,
        max(low, 50),
        key="budget",
        bind="query-params",
        help="The best solved thresholds whose mean cost stays within the budget.",
    )
    budget = min(max(share, low), 100) / 100 * full
    asked = f"a budget of {MacUnit.of(costs).format(budget)} per image"
    return _solved(bundle, is_authors, front.at_budget(budget), asked)


def _ask_accuracy(bundle: Bundle) -> Setting:
    front, is_authors = _front(bundle)
    low, high = (math.floor(1000 * front.points[i].accuracy) / 10 for i in (0, -1))
    if low == high:
        only = f"the only accuracy there is, {low:.1f} %"
        return _solved(bundle, is_authors, front.points[-1], only)
    images = "the authors' images" if is_authors else "the calibration images"
    wanted = st.slider(
        f"Wanted accuracy in %, on {images}",
        low,
        high,
        round((low + 3 * high) / 4, 1),
        0.1,
        format="%.1f",
        key="accuracy",
        bind="query-params",
        help="The cheapest solved thresholds that reach it.",
    )
    wanted = min(max(wanted, low), high)
    point = front.at_accuracy(wanted / 100)
    return _solved(bundle, is_authors, point, f"{wanted:.1f} % right answers")


def _solved(bundle: Bundle, is_authors: bool, point: OperatingPoint, asked: str) -> Setting:
    unit, values = MacUnit.of(exit_macs(bundle.config)), thresholds_text(point.thresholds)
    gives = f"{percent(point.accuracy)} at {unit.format(point.macs)}"
    if is_authors:
        origin = (
            f"In force: {values}, the best fit to {asked} that the authors stored with their "
            f"weights. It gave them {gives} on ImageNet validation; not measured here."
        )
        return Setting(point.thresholds, origin, point)
    n = services.get_table(bundle, "calibration").n
    origin = f"In force: {values}, solved for {asked} on {n:,} calibration images ({gives} there)."
    return Setting(point.thresholds, origin)


def forget() -> None:
    """Puts the dial back to the chosen model's own defaults."""
    for key in WAYS:
        st.session_state.pop(key, None)
