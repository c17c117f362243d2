"""Figures of what a cascade is worth: reliability of its exits, and what an exit could ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from app.figures.theme import NEUTRAL, MacUnit, exit_colour, exit_name, percent
from dvt_core.criteria import CRITERIA, CriteriaPoint

DASHES = dict(zip(CRITERIA, ("solid", "dash", "dot", "longdashdot"), strict=True))
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
            name="honest",
            line={"color": NEUTRAL, "width": 1, "dash": "dot"},
            hoverinfo="skip",
        )
    )
    for name, side, symbol in (
        ("before", before, "circle-open"),
        ("after", after, "circle"),
    ):
        figure.add_trace(_bins(side, name, symbol, colour))
    figure.update_layout(
        title={"text": exit_name(exit_index), "font": {"size": 15}},
        height=330,
        margin={"l": 10, "r": 10, "t": 40, "b": 10},
        legend={"orientation": "h", "yanchor": "top", "y": -0.25, "x": 0},
        xaxis={"title": "confidence in %", "range": [0, 102]},
        yaxis={"title": "right in %", "range": [0, 102]},
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
        name=f"{name}: ECE {percent(side['ece'])}",
        line={"color": colour, "width": 1},
        marker={"symbol": symbol, "size": sizes, "color": colour},
        hovertemplate="says %{x:.0f} %, is right %{y:.0f} %<br>%{customdata:,} images",
    )


def reliability_alt(before: dict[str, Any], after: dict[str, Any], exit_index: int) -> str:
    """The figure in words."""
    return (
        f"Reliability of {exit_name(exit_index)}: expected calibration error "
        f"{percent(before['ece'])} before its temperature, {percent(after['ece'])} after."
    )


def criteria_figure(points: Sequence[CriteriaPoint], unit: MacUnit) -> go.Figure:
    """Accuracy of every exit criterion against the mean cost, at equal exit shares."""
    figure = go.Figure()
    for name in CRITERIA:
        figure.add_trace(
            go.Scatter(
                x=[point.macs / unit.scale for point in points],
                y=[100 * point.accuracies[name] for point in points],
                mode="lines+markers",
                name=name,
                line={"color": NEUTRAL, "dash": DASHES[name]},
                marker={"symbol": SYMBOLS[name], "size": 8},
                hovertemplate=f"{name}<br>%{{y:.1f}} %<br>%{{x:.3g}} {unit.name}<extra></extra>",
            )
        )
    figure.update_layout(
        height=320,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        legend={"orientation": "h", "yanchor": "top", "y": -0.25, "x": 0},
        xaxis={"title": unit.axis},
        yaxis={"title": "accuracy in %"},
    )
    return figure
