"""Memory of the server while people come and go."""

from __future__ import annotations

import plotly.graph_objects as go

from app.benchmarks.served import Soak
from app.figures.theme import NEUTRAL
from app.language import say

SETTLED = 200  # uploads after which the memory is held against the end


def memory_figure(soak: Soak, *, dark: bool = False) -> go.Figure:
    """Memory against uploads so far; growth is counted from the dotted line on.

    Args:
        soak: what was measured.
        dark: whether the page is dark, for the ink.
    """
    uploads, memory = zip(*soak.series, strict=True)
    figure = go.Figure(
        go.Scatter(
            x=uploads,
            y=memory,
            mode="lines+markers" if len(uploads) < 40 else "lines",
            line={"color": "#ffffff" if dark else "#111111", "width": 2},
            marker={"size": 5},
            hovertemplate=say(
                "{memory} MB after {count} uploads", memory="%{y:,.0f}", count="%{x:,}"
            )
            + "<extra></extra>",
        )
    )
    if uploads[-1] > SETTLED:
        figure.add_vline(x=SETTLED, line={"color": NEUTRAL, "width": 1, "dash": "dot"})
    figure.update_layout(
        height=260,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        showlegend=False,
        xaxis={"title": say("uploads so far"), "rangemode": "tozero"},
        yaxis={"title": say("memory of the server in MB"), "rangemode": "tozero"},
    )
    return figure


def memory_alt(soak: Soak) -> str:
    """The figure in words."""
    (first, begin), (last, end) = soak.series[0], soak.series[-1]
    return say(
        "Memory of the server: {begin} MB after {first} uploads, {end} MB after {last}, at most "
        "{most} MB.",
        begin=f"{begin:,.0f}",
        first=f"{first:,}",
        end=f"{end:,.0f}",
        last=f"{last:,}",
        most=f"{max(memory for _, memory in soak.series):,.0f}",
    )
