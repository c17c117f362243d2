"""The paper's own results, drawn: every figure says that it is the paper's.

The series are told apart by grey and ink, dashes and markers. An exit's colour means that exit
alone, as in every other figure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from app.figures.paper_words import claim_words, setting_words, source_words
from app.figures.theme import NEUTRAL, exit_colour, exit_name
from app.language import later, say, say_later
from dvt_core.paper import KINDS, PRINTED, PaperPoint, by_series, select

COST_AXIS = later("GMACs per image (the paper writes GFLOPs)")
SPEED_AXIS = later("images per second (NVIDIA 2080Ti, batch 128)")
ACCURACY_AXIS = later("top-1 accuracy in %")
CURVE, CLAIMS = "curve", "speed-up"  # experiments that are drawn as lines
_DASHES = {
    "dvt": ("solid", "dash", "dot"),
    "static": ("solid",),
    "other dynamic": ("dashdot", "dot", "dash"),
}
_FILLED = "x cross triangle-up triangle-down star pentagon hexagon bowtie hourglass"
_OPEN = "circle-open square-open diamond-open triangle-up-open star-open pentagon-open"
_SYMBOLS = {
    "dvt": ("circle", "diamond", "square"),
    "static": tuple(_FILLED.split()),
    "other dynamic": tuple(_OPEN.split()),
}


def paper_figure(points: Sequence[PaperPoint], title: str, *, dark: bool = False) -> go.Figure:
    """The figure that suits the points.

    Args:
        points: of one experiment, or of several on the same axes.
        title: what it shows and which tables or figures it is from.
        dark: whether the page is dark, for the ink.
    """
    figure = (_variants if points[0].exit else _accuracy)(points, ink="#fff" if dark else "#111")
    figure.update_layout(
        title={"text": say("From the paper: {title}", title=title), "font": {"size": 15}},
        margin={"l": 10, "r": 10, "t": 40, "b": 10},
        hovermode="closest",
        legend={
            "orientation": "h",
            "yanchor": "top",
            "y": -0.2,
            "x": 0,
            "title": {"text": say("from the paper ")},
        },
    )
    return figure


def _cost(point: PaperPoint) -> float:
    """Where a point stands on the horizontal axis."""
    cost = point.gmacs if point.images_per_s is None else point.images_per_s
    assert cost is not None  # PaperPoint has exactly one of both
    return cost


def _accuracy(points: Sequence[PaperPoint], ink: str) -> go.Figure:
    """Accuracy against cost or speed, a trace per series, its curve and its points apart."""
    figure = go.Figure()
    curves = by_series(select(points, experiment=CURVE))
    series = by_series(p for p in points if p.experiment not in (CURVE, CLAIMS))
    for kind in KINDS:
        names = dict.fromkeys(p.series for p in points if p.kind == kind)
        drawn = [name for name in names if name in curves or name in series]
        for index, name in enumerate(sorted(drawn, key=lambda name: "DVT" not in name)):
            if name in curves:
                figure.add_trace(_trace(curves[name], index, ink, say("read off Fig. 6")))
            if name in series:
                printed = say("printed") if name in curves else ""
                figure.add_trace(_trace(series[name], index, ink, printed))
    if claims := select(points, experiment=CLAIMS):
        figure.add_traces(_speed_ups(claims, points))
    costs = [_cost(point) for point in points]
    is_log = max(costs) > 8 * min(costs)
    is_speed = points[0].images_per_s is not None
    figure.update_xaxes(title=say_later(SPEED_AXIS if is_speed else COST_AXIS))
    if is_log:
        ticks = (0.2, 0.5, 1, 2, 5, 10, 20)
        ends = [math.log10(0.88 * min(costs)), math.log10(1.12 * max(costs))]
        labels = [f"{tick:g}" for tick in ticks]
        figure.update_xaxes(type="log", range=ends, tickvals=ticks, ticktext=labels)
    figure.update_yaxes(title=say_later(ACCURACY_AXIS))
    return figure.update_layout(height=400 + 14 * len(by_series(points)))


def _trace(points: Sequence[PaperPoint], index: int, ink: str, remark: str) -> go.Scatter:
    """One series; a curve is a line, tables are markers joined by a thin line."""
    kind, is_curve = points[0].kind, points[0].experiment == CURVE
    in_order = sorted(points, key=_cost)
    colour, width = (ink, 2.5 if is_curve else 1.5) if kind == "dvt" else (NEUTRAL, 1)
    dash = _DASHES[kind][index % len(_DASHES[kind])]
    symbol = _SYMBOLS[kind][index % len(_SYMBOLS[kind])]
    mode = "lines" if is_curve else "markers" if remark or len(points) == 1 else "lines+markers"
    return go.Scatter(
        x=[_cost(point) for point in in_order],
        y=[point.top1 for point in in_order],
        text=[_hover(point) for point in in_order],
        name=", ".join(filter(None, (say_later(points[0].series), remark))),
        mode=mode,
        line={"color": colour, "width": width, "dash": dash},
        marker={"color": colour, "symbol": symbol, "size": 9},
        hovertemplate="%{text}<extra></extra>",
    )


def _speed_ups(claims: Sequence[PaperPoint], points: Sequence[PaperPoint]) -> list[go.Scatter]:
    """The printed ratios: a line at equal accuracy from the cascade to the static network."""
    lines: list[tuple[float | None, float | None]] = []
    middles: list[float] = []
    for claim in claims:
        (static,) = select(points, setting=claim.setting.removeprefix("accuracy of "))
        lines += [(_cost(claim), claim.top1), (_cost(static), claim.top1), (None, None)]
        middles.append(math.sqrt(_cost(claim) * _cost(static)))  # of a logarithmic axis
    name = say("printed speed-up at equal accuracy")
    line = go.Scatter(
        x=[x for x, _ in lines],
        y=[y for _, y in lines],
        mode="lines",
        name=name,
        line={"color": NEUTRAL, "width": 1, "dash": "dot"},
        hoverinfo="skip",
    )
    ratios = go.Scatter(
        x=middles,
        y=[claim.top1 for claim in claims],
        text=[claim.claim for claim in claims],
        mode="text",
        textposition="top center",
        name=name,
        showlegend=False,
        hoverinfo="skip",
    )
    return [line, ratios]


def _variants(points: Sequence[PaperPoint], ink: str) -> go.Figure:
    """Variants of the cascade in rows, the accuracy of each exit alone as a dot."""
    figure = go.Figure()
    for number in sorted({point.exit for point in points if point.exit}):
        here = select(points, exit=number)
        figure.add_trace(
            go.Scatter(
                x=[point.top1 for point in here],
                y=[say_later(point.series) for point in here],
                text=[f"{point.top1:.2f}" for point in here],
                customdata=[_hover(point) for point in here],
                name=exit_name(number - 1),
                mode="markers+text",
                textposition="top center",
                cliponaxis=False,
                marker={
                    "color": exit_colour(number - 1),
                    "size": 13,
                    "line": {"color": ink, "width": 1},
                },
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
    figure.update_xaxes(title=say_later(ACCURACY_AXIS))
    rows = len(by_series(points))
    figure.update_yaxes(range=[rows - 0.5, -0.75], automargin=True)  # first variant on top
    return figure.update_layout(height=180 + 48 * rows)


def _hover(point: PaperPoint) -> str:
    where = f", {exit_name(point.exit - 1)}" if point.exit else ""
    cost = (
        f"{point.gmacs:g} GMACs"
        if point.images_per_s is None
        else say("{rate} images per second", rate=f"{point.images_per_s:,.0f}")
    )
    lines = (
        f"<b>{say_later(point.series)}</b>{where}",
        setting_words(point),
        say("{accuracy} at {cost}", accuracy=f"{point.top1:g} %", cost=cost),
        claim_words(point),
        f"{source_words(point.source)}, {how_exact(point)}",
    )
    return "<br>".join(filter(None, lines))


def how_exact(point: PaperPoint) -> str:
    """ "printed", or "read off a figure" with how far it may be off."""
    if point.exact == PRINTED:
        return say("printed")
    points = say("{number} points", number=f"±{point.top1_error:g}")
    errors = (
        f"±{point.gmacs_error:g} GMACs" if point.gmacs_error else "",
        points if point.top1_error else "",
    )
    return say("read off a figure ({errors})", errors=", ".join(filter(None, errors)))


def paper_alt(points: Sequence[PaperPoint], title: str) -> str:
    """The figure in words: the ends of every series."""
    series = []
    for name, own in by_series(points).items():
        ends = [own[0]] if len(own) == 1 else [own[0], own[-1]]
        shown = [
            say("{accuracy} at {cost}", accuracy=f"{p.top1:g} %", cost=f"{_cost(p):g}")
            for p in ends
        ]
        span = shown[0] if len(shown) == 1 else say("{low} to {high}", low=shown[0], high=shown[1])
        series.append(f"{say_later(name)} {span}")
    return say(
        "From the paper: {title}. {accuracy} and {cost}: {series}.",
        title=title,
        accuracy=say_later(ACCURACY_AXIS),
        cost=say_later(SPEED_AXIS if points[0].images_per_s else COST_AXIS),
        series="; ".join(series),
    )


def paper_rows(points: Sequence[PaperPoint]) -> list[dict[str, str]]:
    """The points as rows of a table.

    Variants get a column per exit, series that share their costs one per cost, all others a row
    per point.
    """
    series = by_series(points)
    if points[0].exit:
        return [
            {say("variant"): say_later(name), **_exit_cells(own)} for name, own in series.items()
        ]
    costs = [[_cost(point) for point in own] for own in series.values()]
    if len(costs) > 1 and len(costs[0]) > 1 and all(own == costs[0] for own in costs):
        return [
            {
                say("top-1 in %"): say_later(name),
                **{f"{p.gmacs:.2f} GMACs": f"{p.top1:.2f}" for p in own},
            }
            for name, own in series.items()
        ]
    digits = max(len(f"{point.top1:g}".partition(".")[2]) for point in points)
    rows = [_cells(point, digits) for point in points]
    return [{k: v for k, v in row.items() if any(r[k] for r in rows)} for row in rows]


def _exit_cells(points: Sequence[PaperPoint]) -> dict[str, str]:
    return {
        exit_name((point.exit or 1) - 1): ", ".join(
            filter(
                None,
                (
                    say(
                        "{accuracy} at {cost}",
                        accuracy=f"{point.top1:.2f} %",
                        cost=f"{point.gmacs:.2f} GMACs",
                    ),
                    claim_words(point),
                ),
            )
        )
        for point in points
    }


def _cells(point: PaperPoint, digits: int) -> dict[str, str]:
    """One point; printed numbers with all their digits, figure readings with what was read."""
    is_printed = point.exact == PRINTED
    cost = f"{point.gmacs:.2f}" if is_printed and point.gmacs else f"{_cost(point):g}"
    return {
        say("series"): say_later(point.series),
        say("setting"): setting_words(point),
        say("images/s") if point.images_per_s else "GMACs": cost,
        say("top-1 in %"): f"{point.top1:.{digits}f}" if is_printed else f"{point.top1:g}",
        say("printed gain"): claim_words(point),
        say("source"): f"{source_words(point.source)}, {how_exact(point)}",
    }
