"""Figures of what a cascade is worth: reliability of its exits, and what an exit could ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from app.figures.theme import NEUTRAL, MacUnit, exit_colour, exit_name, percent
from app.language import later, say, say_later
from dvt_core.criteria import CRITERIA, CriteriaPoint

DASHES = dict(zip(CRITERIA, ("solid", "dash", "dot", "longdashdot"), strict=True))
CRITERION_NAMES = dict(
    zip(
        CRITERIA,
        (later("confidence"), later("entropy"), later("margin"), later("random")),
        strict=True,
    )
)
SYMBOLS = dict(zip(CRITERIA, ("circle", "square", "diamond", "x"), strict=True))


def reliability_figure(before: dict[str, Any], after: dict[str, Any], exit_index: int) -> go.Figure:
    """How often an exit is right against how sure it says it is, without and with a temperature.

    Args:
        before: `Reliability.to_dict()` of the raw logits.
        after: the same with the temperature.
        exit_index: 0-based, gives the colour.
    """
    colour = exit_colour(exit_index)
    figure = go.Figure()
    figure.add_trace(
        go.Scatter(
            x=[0, 100],
            y=[0, 100],
            mode="lines",
            name=say("honest"),
            line={"color": NEUTRAL, "width": 1, "dash": "dot"},
            hoverinfo="skip",
        )
    )
    for name, side, symbol in (
        (say("before"), before, "circle-open"),
        (say("after"), after, "circle"),
    ):
        figure.add_trace(_bins(side, name, symbol, colour))
    figure.update_layout(
        title={"text": exit_name(exit_index), "font": {"size": 15}},
        height=330,
        margin={"l": 10, "r": 10, "t": 40, "b": 10},
        legend={"orientation": "h", "yanchor": "top", "y": -0.25, "x": 0},
        xaxis={"title": say("confidence in %"), "range": [0, 102]},
        yaxis={"title": say("right in %"), "range": [0, 102]},
    )
    return figure


def _bins(side: dict[str, Any], name: str, symbol: str, colour: str) -> go.Scatter:
    """The bins that hold images; the larger a mark, the more."""
    bins, most = [b for b, count in enumerate(side["counts"]) if count], max(side["counts"])
    sizes = [4 + 8 * (side["counts"][b] / most) ** 0.5 for b in bins]
    return go.Scatter(
        x=[100 * side["confidences"][b] for b in bins],
        y=[100 * side["accuracies"][b] for b in bins],
        customdata=[side["counts"][b] for b in bins],
        mode="lines+markers",
        name=say("{name}: ECE {percent}", name=name, percent=percent(side["ece"])),
        line={"color": colour, "width": 1},
        marker={"symbol": symbol, "size": sizes, "color": colour},
        hovertemplate=say(
            "says {confidence} %, is right {accuracy} %<br>{count} images",
            confidence="%{x:.0f}",
            accuracy="%{y:.0f}",
            count="%{customdata:,}",
        ),
    )


def reliability_alt(before: dict[str, Any], after: dict[str, Any], exit_index: int) -> str:
    """The figure in words."""
    return say(
        "Reliability of {exit}: expected calibration error {before} before its temperature, "
        "{after} after.",
        exit=exit_name(exit_index),
        before=percent(before["ece"]),
        after=percent(after["ece"]),
    )


def criteria_figure(points: Sequence[CriteriaPoint], unit: MacUnit) -> go.Figure:
    """Accuracy of every exit criterion against the mean cost, at equal exit shares."""
    figure = go.Figure()
    for criterion in CRITERIA:
        name = say_later(CRITERION_NAMES[criterion])
        figure.add_trace(
            go.Scatter(
                x=[point.macs / unit.scale for point in points],
                y=[100 * point.accuracies[criterion] for point in points],
                mode="lines+markers",
                name=name,
                line={"color": NEUTRAL, "dash": DASHES[criterion]},
                marker={"symbol": SYMBOLS[criterion], "size": 8},
                hovertemplate=f"{name}<br>%{{y:.1f}} %<br>%{{x:.3g}} {unit.name}<extra></extra>",
            )
        )
    figure.update_layout(
        height=320,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        legend={"orientation": "h", "yanchor": "top", "y": -0.25, "x": 0},
        xaxis={"title": unit.axis},
        yaxis={"title": say("accuracy in %")},
    )
    return figure
