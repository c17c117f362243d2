"""The paper's figures: every point once, marked as the paper's, told apart without colour."""

import math
from collections import Counter

import pytest

from app.figures.paper import (
    COST_AXIS,
    SPEED_AXIS,
    how_exact,
    paper_alt,
    paper_figure,
    paper_rows,
)
from app.figures.theme import EXIT_COLOURS, NEUTRAL, exit_colour
from app.sections.paper import EXPERIMENTS
from dvt_core.paper import load_paper_results, select

POINTS = load_paper_results()
IMAGENET = EXPERIMENTS[0]


def _figure(title, dark=False):
    experiment = next(e for e in EXPERIMENTS if e.title == title)
    return experiment.points(), paper_figure(experiment.points(), title, dark=dark)


@pytest.mark.parametrize("title", [experiment.title for experiment in EXPERIMENTS])
def test_figure_draws_every_point_once(title):
    points, figure = _figure(title)
    drawn = Counter(
        (x, y)
        for trace in figure.data
        if trace.hoverinfo != "skip"
        for x, y in zip(trace.x, trace.y, strict=True)
    )
    if points[0].exit:
        wanted = Counter((point.top1, point.series) for point in points)
    else:
        cost = "gmacs" if points[0].gmacs else "images_per_s"
        told = [point for point in points if point.experiment != "speed-up"]
        wanted = Counter((getattr(point, cost), point.top1) for point in told)
    assert drawn == wanted


@pytest.mark.parametrize("title", [experiment.title for experiment in EXPERIMENTS])
@pytest.mark.parametrize("dark", [False, True])
def test_colour_means_exit_and_nothing_else(title, dark):
    points, figure = _figure(title, dark)
    colours = {trace.marker.color for trace in figure.data if "markers" in trace.mode}
    if points[0].exit:
        assert [trace.marker.color for trace in figure.data] == [
            exit_colour(i) for i in range(len(figure.data))
        ]
    else:
        assert not colours & set(EXIT_COLOURS)
        assert colours <= {NEUTRAL, "#fff" if dark else "#111"}


def test_imagenet_series_are_told_apart_by_line_or_marker():
    _, figure = _figure("ImageNet")
    looks = [
        (trace.mode == "lines", trace.line.dash if trace.mode == "lines" else trace.marker.symbol)
        for trace in figure.data
        if trace.showlegend is not False
    ]
    assert len(set(looks)) == len(looks) > 15


def test_imagenet_figure_keeps_readings_and_printed_numbers_apart():
    _, figure = _figure("ImageNet")
    traces = {trace.name: trace for trace in figure.data}
    curve, printed = (traces[f"DVT (T2T-ViT-12), {how}"] for how in ("read off Fig. 6", "printed"))
    assert curve.mode == "lines" and printed.mode == "markers"
    assert list(printed.y) == [73.70, 76.22, 77.89, 78.89, 79.47, 79.75]
    assert "read off a figure (±0.2 points)" in curve.text[0]
    assert "Table 5, printed" in printed.text[0]
    low, high = figure.layout.xaxis.range
    costs = [point.gmacs for point in IMAGENET.points()]
    assert 10**low < min(costs) and max(costs) < 10**high


def test_printed_speed_ups_stand_at_their_accuracy():
    _, figure = _figure("ImageNet")
    line, ratios = (t for t in figure.data if t.name == "printed speed-up at equal accuracy")
    assert list(ratios.text) == ["1.9x", "1.7x", "1.7x", "1.6x", "3.6x"]
    assert list(ratios.y) == [71.68, 75.15, 76.74, 81.5, 82.3]
    ends = [x for x in line.x if x]
    assert math.isclose(ratios.x[-1] ** 2, ends[-2] * ends[-1]) and ends[-1] == 13.69


@pytest.mark.parametrize(
    ("title", "axis"), [("ImageNet", COST_AXIS), ("Images per second", SPEED_AXIS)]
)
def test_axes_have_units(title, axis):
    _, figure = _figure(title)
    assert figure.layout.xaxis.title.text == axis
    assert figure.layout.yaxis.title.text == "top-1 accuracy in %"
    assert figure.layout.title.text == f"From the paper: {title}"


def test_alt_gives_the_ends_of_every_series():
    points = select(POINTS, experiment="adaptive-depth")
    words = paper_alt(points, "Table 10")
    assert "DVT (T2T-ViT-14) 79.24 % at 2 to 82.42 % at 4" in words


def test_rows_have_a_column_per_cost_where_series_share_them():
    rows = paper_rows(select(POINTS, experiment="criterion"))
    assert rows[-1] == {
        "top-1 in %": "confidence (DVT)",
        "0.75 GMACs": "73.70",
        "1.00 GMACs": "76.22",
        "1.25 GMACs": "77.89",
        "1.50 GMACs": "78.89",
    }


def test_rows_have_a_column_per_exit_for_variants():
    rows = paper_rows(select(POINTS, experiment="ablation-relation-design"))
    assert len(rows) == 6 and rows[-1]["variant"] == "proposed"
    assert rows[-1]["exit 2"] == "74.91 % at 1.41 GMACs"


def test_rows_keep_the_printed_digits_and_leave_out_empty_columns():
    rows = paper_rows(select(POINTS, experiment="deit"))
    assert rows[0]["top-1 in %"] == "79.80" and rows[4]["GMACs"] == "2.90"
    assert "printed gain" not in rows[0]
    cifar = paper_rows(select(POINTS, experiment="cifar", dataset="cifar10"))
    assert cifar[1]["printed gain"] == "3.1x" and cifar[1]["GMACs"] == "0.50"


def test_how_exact_says_how_far_a_reading_may_be_off():
    reading = select(POINTS, experiment="speed-up")[0]
    assert how_exact(reading) == "read off a figure (±0.02 GMACs)"
    assert how_exact(select(POINTS, experiment="cifar")[0]) == "printed"
