"""Accuracy against cost: the curve of all thresholds, every exit alone, and where you are."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import plotly.graph_objects as go

from app.figures.theme import NEUTRAL, MacUnit, exit_colour, exit_name, percent
from app.language import later, say, say_later
from dvt_core.authors import AuthorsPoint
from dvt_core.study import Baseline
from dvt_core.thresholds import OperatingPoint

STATIC = later("static models, trained alone")
AUTHORS_LINE = later("the authors' own numbers, not measured here")


def thresholds_text(thresholds: Sequence[float]) -> str:
    """Thresholds as people read them; equal ones are written once."""
    if not thresholds:
        return say("none (one exit)")
    never, always = say("never"), say("always")
    shown = [never if t > 1 else always if t <= 0 else f"{t:.3g}" for t in thresholds]
    return shown[0] if len(set(thresholds)) == 1 else " · ".join(shown)


def tradeoff_figure(
    shared: Sequence[OperatingPoint],
    solved: Sequence[OperatingPoint],
    exits: Sequence[tuple[float, float]],
    here: OperatingPoint | None,
    unit: MacUnit,
    *,
    authors: Sequence[AuthorsPoint] = (),
    baselines: Sequence[Baseline] = (),
    dark: bool = False,
) -> go.Figure:
    """The trade-off on one data set; every part but the unit may be empty.

    Args:
        shared: operating points of one shared threshold, in order.
        solved: operating points of solved thresholds.
        exits: (macs, accuracy in [0, 1]) of each exit alone.
        here: the operating point in force, if it can be placed.
        unit: unit of the cost axis.
        authors: points that the authors stored with their weights, cheapest first.
        baselines: static models of single grids, trained alone.
        dark: whether the page is dark, for the marker's ink.
    """
    figure = go.Figure()
    if shared:
        figure.add_trace(_line(shared, unit, say("one shared threshold"), "solid"))
    if solved:
        in_order = sorted(solved, key=lambda point: point.macs)
        figure.add_trace(_line(in_order, unit, say("solved thresholds"), "dot"))
    if authors:
        line = _line(authors, unit, say_later(AUTHORS_LINE), "dash", width=1.5)
        figure.add_trace(line.update(mode="lines+markers", marker={"size": 5}, showlegend=True))
    for index, (macs, accuracy) in enumerate(exits):
        figure.add_trace(_exit_dot(index, macs / unit.scale, 100 * accuracy, len(exits)))
    if baselines:  # over the dots: the first often stands where exit 1 does
        figure.add_trace(_crosses(baselines, exits, unit))
    if here:
        dearest = max([macs for macs, _ in exits] + [point.macs for point in authors])
        is_left = here.macs < 0.3 * dearest
        figure.add_trace(_marker(here, unit, "#ffffff" if dark else "#111111", is_left=is_left))
    figure.update_layout(
        height=400,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        uirevision="keep",
        hovermode="closest",
        legend={"orientation": "h", "yanchor": "top", "y": -0.2, "x": 0},
        xaxis={"title": unit.axis, "rangemode": "tozero"},
        yaxis={"title": say("accuracy in %")},
    )
    return figure


def _line(
    points: Sequence[OperatingPoint | AuthorsPoint],
    unit: MacUnit,
    name: str,
    dash: str,
    *,
    width: float = 2.5,
) -> go.Scatter:
    return go.Scatter(
        x=[point.macs / unit.scale for point in points],
        y=[100 * point.accuracy for point in points],
        customdata=[thresholds_text(point.thresholds) for point in points],
        mode="lines",
        name=name,
        line={"color": NEUTRAL, "width": width, "dash": dash},
        hovertemplate=say("thresholds {thresholds}", thresholds="%{customdata}")
        + f"<br>%{{y:.1f}} %<br>%{{x:.3g}} {unit.name}",
    )


def _crosses(
    baselines: Sequence[Baseline], exits: Sequence[tuple[float, float]], unit: MacUnit
) -> go.Scatter:
    """Static models; a name goes to the other side of an exit's where both stand at one cost."""
    near = 0.05 * max((macs for macs, _ in exits), default=0)
    crowded = [any(abs(each.macs - macs) < near for macs, _ in exits) for each in baselines]
    return go.Scatter(
        x=[each.macs / unit.scale for each in baselines],
        y=[100 * each.accuracy for each in baselines],
        mode="markers+text",
        name=say_later(STATIC),
        text=[each.name for each in baselines],
        textposition=["bottom left" if is_crowded else "bottom center" for is_crowded in crowded],
        textfont={"color": NEUTRAL},
        marker={"symbol": "x", "color": NEUTRAL, "size": 10},
        hovertemplate=say("static {name}", name="%{text}")
        + f"<br>%{{y:.1f}} %<br>%{{x:.3g}} {unit.name}<extra></extra>",
    )


def _exit_dot(index: int, cost: float, accuracy: float, num_exits: int) -> go.Scatter:
    alone = say("{exit} alone", exit=exit_name(index))
    return go.Scatter(
        x=[cost],
        y=[accuracy],
        mode="markers+text",
        name=alone,
        showlegend=False,
        text=[alone],
        textposition="bottom left" if index == num_exits - 1 else "bottom right",
        marker={"color": exit_colour(index), "size": 13, "line": {"color": NEUTRAL, "width": 1}},
        hovertemplate=f"{alone}<br>%{{y:.1f}} %<br>%{{x:.3g}}<extra></extra>",
    )


def _marker(here: OperatingPoint, unit: MacUnit, ink: str, *, is_left: bool) -> go.Scatter:
    name = say("you are here")
    return go.Scatter(
        x=[here.macs / unit.scale],
        y=[100 * here.accuracy],
        mode="markers+text",
        name=name,
        showlegend=False,
        text=[f"<b>{name}</b>"],
        textposition="top right" if is_left else "top left",
        cliponaxis=False,
        marker={"symbol": "diamond-open", "color": ink, "size": 17, "line": {"width": 3}},
        hovertemplate=f"{name}<br>%{{y:.1f}} %<br>%{{x:.3g}} {unit.name}<extra></extra>",
    )


def tradeoff_alt(
    here: OperatingPoint | None,
    exits: Sequence[tuple[float, float]],
    unit: MacUnit,
    baselines: Sequence[Baseline] = (),
) -> str:
    """The figure in words, for people who do not see it."""
    points = []
    if here:
        at = {"accuracy": percent(here.accuracy), "macs": unit.format(here.macs)}
        points.append(say("now {accuracy} at {macs}", **at))
    for i, (macs, accuracy) in enumerate(exits):
        at = {"accuracy": percent(accuracy), "macs": unit.format(macs)}
        points.append(say("{exit} alone {accuracy} at {macs}", exit=exit_name(i), **at))
    for each in baselines:
        at = {"accuracy": percent(each.accuracy), "macs": unit.format(each.macs)}
        points.append(say("static {name} {accuracy} at {macs}", name=each.name, **at))
    return say("Accuracy against cost per image: {points}.", points="; ".join(points))


def sweep_csv(points: Sequence[OperatingPoint]) -> str:
    """Operating points of a shared threshold as CSV: threshold, accuracy, mean MACs, shares."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    exits = len(points[0].exit_shares)
    shares = [f"exit_{i + 1}_share" for i in range(exits)]
    writer.writerow(["threshold", "accuracy", "mean_macs", *shares])
    for point in points:
        threshold = point.thresholds[0] if point.thresholds else ""
        writer.writerow([threshold, point.accuracy, point.macs, *point.exit_shares])
    return out.getvalue()
