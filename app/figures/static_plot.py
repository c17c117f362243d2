"""The trade-off as a still picture for a paper or a slide: what the page draws, with matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from app.figures.canvas import DPI, INK, LINE, PALE
from app.figures.fonts import families
from app.figures.theme import NEUTRAL, MacUnit, exit_colour
from app.language import later
from dvt_core.authors import AuthorsPoint
from dvt_core.study import Baseline
from dvt_core.thresholds import OperatingPoint

WIDTH, HEIGHT = 1200, 800  # pixels


@dataclass(frozen=True)
class PlotWords:
    """Words of the figure, in its language; `title` and `source` are whole lines."""

    title: str = ""
    source: str = ""
    shared: str = later("one shared threshold")
    solved: str = later("solved thresholds")
    static: str = later("static models, trained alone")
    authors: str = later("the authors' own numbers, not measured here")
    exit: str = later("exit {number}")
    alone: str = later("{exit} alone")
    here: str = later("you are here")
    cost: str = later("{unit} per image (papers say {papers})")
    accuracy: str = later("accuracy in %")


@dataclass(frozen=True, eq=False)
class Lines:
    """What is drawn; every part may be empty.

    Attributes:
        shared: operating points of one shared threshold, in order.
        solved: operating points of solved thresholds.
        exits: (macs, accuracy in [0, 1]) of each exit alone.
        here: the operating point in force, if it can be placed.
        authors: points that the authors stored with their weights, cheapest first.
        baselines: static models of single grids, trained alone.
    """

    shared: Sequence[OperatingPoint] = ()
    solved: Sequence[OperatingPoint] = ()
    exits: Sequence[tuple[float, float]] = ()
    here: OperatingPoint | None = None
    authors: Sequence[AuthorsPoint] = ()
    baselines: Sequence[Baseline] = ()


def static_tradeoff(lines: Lines, unit: MacUnit, words: PlotWords) -> Figure:
    """The trade-off on white, 1200 x 800 pixels.

    Args:
        lines: what is drawn.
        unit: unit of the cost axis.
        words: its words.
    """
    figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, facecolor="white")
    figure.subplots_adjust(left=0.08, right=0.97, top=0.9, bottom=0.2)
    axes = figure.add_subplot()
    _curves(axes, lines, unit, words)
    _points(axes, lines, unit, words)
    style = {"family": families(), "parse_math": False}
    axes.set_xlabel(words.cost.format(unit=unit.name, papers=unit.papers), size=13, **style)
    axes.set_ylabel(words.accuracy, size=13, **style)
    axes.set_xlim(left=0)
    axes.margins(y=0.1)
    axes.grid(color=LINE, linewidth=0.6, alpha=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=12, colors=INK)
    figure.text(0.08, 0.94, words.title, size=16, color=INK, weight="bold", **style)
    figure.text(0.08, 0.03, words.source, size=10, color=PALE, **style)
    if axes.get_legend_handles_labels()[0]:
        place = {"loc": "upper left", "bbox_to_anchor": (0.0, -0.1), "ncols": 3}
        axes.legend(frameon=False, prop={"family": families(), "size": 12}, **place)
    return figure


def _curves(axes: Axes, lines: Lines, unit: MacUnit, words: PlotWords) -> None:
    solved = sorted(lines.solved, key=lambda point: point.macs)
    for points, name, style, width in (
        (lines.shared, words.shared, "-", 2.4),
        (solved, words.solved, ":", 2.4),
        (lines.authors, words.authors, "--", 1.5),
    ):
        if points:
            macs = [point.macs / unit.scale for point in points]
            accuracy = [100 * point.accuracy for point in points]
            axes.plot(macs, accuracy, style, color=NEUTRAL, linewidth=width, label=name)


def _points(axes: Axes, lines: Lines, unit: MacUnit, words: PlotWords) -> None:
    dearest = max([macs for macs, _ in lines.exits] + [p.macs for p in lines.authors], default=0)
    last = len(lines.exits) - 1
    for index, (macs, accuracy) in enumerate(lines.exits):
        place = (macs / unit.scale, 100 * accuracy)
        colour = exit_colour(index)
        axes.plot(*place, "o", color=colour, markersize=12, markeredgecolor=NEUTRAL, zorder=3)
        name = words.alone.format(exit=words.exit.format(number=index + 1))
        _name(axes, place, name, is_left=index == last and last > 0)
    for number, each in enumerate(lines.baselines):
        place = (each.macs / unit.scale, 100 * each.accuracy)
        label = words.static if number == 0 else None
        axes.plot(*place, "x", color=NEUTRAL, markersize=9, markeredgewidth=2.5, label=label)
        is_crowded = any(abs(each.macs - macs) < 0.05 * dearest for macs, _ in lines.exits)
        _name(axes, place, each.name, is_left=is_crowded, colour=PALE)
    if lines.here is not None:
        place = (lines.here.macs / unit.scale, 100 * lines.here.accuracy)
        style = {"markerfacecolor": "none", "markeredgecolor": INK, "markeredgewidth": 2.5}
        axes.plot(*place, "D", markersize=13, zorder=4, **style)
        is_left = lines.here.macs >= 0.3 * dearest
        _name(axes, place, words.here, is_left=is_left, is_above=True, weight="bold")


def _name(
    axes: Axes,
    place: tuple[float, float],
    name: str,
    *,
    is_left: bool,
    is_above: bool = False,
    colour: str = INK,
    weight: str = "normal",
) -> None:
    """Writes a mark's name beside it: below, or above where asked."""
    axes.annotate(
        name,
        place,
        xytext=(-11 if is_left else 11, 9 if is_above else -9),
        textcoords="offset points",
        ha="right" if is_left else "left",
        va="bottom" if is_above else "top",
        size=12,
        color=colour,
        weight=weight,
        family=families(),
        parse_math=False,
    )
