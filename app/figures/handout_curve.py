"""The curve on the hand-out: small, light, for paper."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes

from app.figures.canvas import INK, LINE
from app.figures.fonts import families
from app.figures.static_plot import Lines, PlotWords
from app.figures.theme import NEUTRAL, MacUnit, exit_colour
from dvt_core.config import DVTConfig
from dvt_core.macs import exit_macs


def draw_curve(axes: Axes, config: DVTConfig, lines: Lines, words: PlotWords) -> None:
    """Accuracy against cost: the shared threshold's curve, every exit alone, where we are."""
    unit = MacUnit.of(exit_macs(config))
    style = {"family": families(), "parse_math": False}

    def put(macs: float, accuracy: float, mark: str, **more: Any) -> None:
        axes.plot(macs / unit.scale, 100 * accuracy, mark, **more)

    macs = [point.macs / unit.scale for point in lines.shared]
    axes.plot(macs, [100 * point.accuracy for point in lines.shared], color=NEUTRAL, linewidth=2)
    for index, (cost, accuracy) in enumerate(lines.exits):
        put(cost, accuracy, "o", color=exit_colour(index), markersize=9, markeredgecolor=NEUTRAL)
        is_last = index == len(lines.exits) - 1 > 0
        axes.annotate(
            words.exit.format(number=index + 1),
            (cost / unit.scale, 100 * accuracy),
            xytext=(0 if is_last else 8, -14 if is_last else -5),
            textcoords="offset points",
            ha="center" if is_last else "left",
            size=9,
            **style,
        )
    if lines.here:
        ring = {"markerfacecolor": "none", "markeredgecolor": INK, "markeredgewidth": 2}
        put(lines.here.macs, lines.here.accuracy, "D", markersize=10, zorder=4, **ring)
        is_left = lines.here.macs > lines.exits[-1][0] / 2
        axes.annotate(
            words.here,
            (lines.here.macs / unit.scale, 100 * lines.here.accuracy),
            xytext=(-10 if is_left else 10, 8),
            textcoords="offset points",
            ha="right" if is_left else "left",
            size=9,
            weight="bold",
            **style,
        )
    _frame(axes, words, unit)


def _frame(axes: Axes, words: PlotWords, unit: MacUnit) -> None:
    """Axis titles and a quiet grid."""
    style = {"family": families(), "parse_math": False}
    axes.set_xlabel(words.cost.format(unit=unit.name, papers=unit.papers), size=9, **style)
    axes.set_ylabel(words.accuracy, size=9, **style)
    axes.set_xlim(left=0)
    axes.margins(y=0.14)
    axes.grid(color=LINE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, colors=INK)
