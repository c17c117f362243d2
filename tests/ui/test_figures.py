"""Figures from hand-made results; no Streamlit, no model."""

import csv
import io

import numpy as np
import pytest
from PIL import Image

from app.figures.theme import EXIT_COLOURS, MacUnit, exit_colour, ink_on, percent, times_less
from app.figures.tokens import enlarge, grid_edges
from app.figures.tradeoff import (
    AUTHORS_LINE,
    sweep_csv,
    thresholds_text,
    tradeoff_alt,
    tradeoff_figure,
)
from dvt_core.authors import AuthorsPoint
from dvt_core.config import PatchTokenizerConfig, StageConfig
from dvt_core.thresholds import OperatingPoint

POINTS = (
    OperatingPoint((0.0, 0.0), 0.7, 20e6, (1.0, 0.0, 0.0)),
    OperatingPoint((0.5, 0.5), 0.85, 60e6, (0.5, 0.3, 0.2)),
    OperatingPoint((1.01, 1.01), 0.9, 180e6, (0.0, 0.0, 1.0)),
)
EXITS = ((20e6, 0.7), (70e6, 0.84), (180e6, 0.9))
MMACS = MacUnit.of((20_000_000, 70_000_000, 180_000_000))


def _stage(grid, patch, padding=0):
    return StageConfig(PatchTokenizerConfig(patch, padding), grid, 8, 1, 1)


@pytest.mark.parametrize(
    ("macs", "shown"),
    [(78_000_000, "78.0 MMACs"), (5_430_000, "5.43 MMACs"), (180_100_000, "180 MMACs")],
)
def test_unit_writes_three_significant_digits(macs, shown):
    assert MMACS.format(macs) == shown


def test_unit_follows_the_full_cost():
    assert MacUnit.of((10**9, 46 * 10**8)).format(4.6e9) == "4.60 GMACs"
    assert MMACS.axis == "MMACs per image (papers say MFLOPs)"


def test_savings_are_said_in_words():
    assert times_less(100, 230) == "2.3x less"
    assert times_less(230, 230) == "nothing saved"
    assert percent(0.9134) == "91.3 %"


def test_exit_colours_are_distinct_and_readable():
    assert len(set(EXIT_COLOURS)) == len(EXIT_COLOURS)
    assert exit_colour(0) == "#0072B2" and exit_colour(2) == "#D55E00"
    assert ink_on("#0072B2") == "#ffffff" and ink_on("#E69F00") == "#000000"


def test_grid_edges_divide_the_side():
    assert grid_edges(_stage(4, 8), 32) == (0, 8, 16, 24, 32)


def test_grid_edges_of_a_padded_patch_are_narrow_at_the_border():
    edges = grid_edges(_stage(10, 23, padding=3), 224)
    assert edges[:2] == (0, 20) and edges[-2:] == (204, 224) and len(edges) == 11


def test_enlarge_keeps_whole_pixels():
    view = Image.effect_noise((32, 32), 80).convert("RGB")
    big = enlarge(view)
    assert big.width % 32 == 0
    assert np.array_equal(np.array(big)[:: big.width // 32, :: big.width // 32], np.array(view))


@pytest.mark.parametrize(
    ("thresholds", "text"),
    [((0.7, 0.7), "0.7"), ((0.83, 0.612), "0.83 · 0.612"), ((1e8, -1e8), "never · always")],
)
def test_thresholds_text(thresholds, text):
    assert thresholds_text(thresholds) == text


def test_tradeoff_figure_has_curve_exits_and_marker():
    figure = tradeoff_figure(POINTS, POINTS[:2], EXITS, POINTS[1], MMACS)
    traces = {trace.name: trace for trace in figure.data}
    assert list(traces["one shared threshold"].x) == [20, 60, 180]
    assert list(traces["you are here"].x) == [60] and list(traces["you are here"].y) == [85]
    for index, (macs, accuracy) in enumerate(EXITS):
        dot = traces[f"exit {index + 1} alone"]
        assert (dot.x[0], dot.y[0]) == (macs / 1e6, 100 * accuracy)
        assert dot.marker.color == exit_colour(index)
    assert figure.layout.xaxis.title.text == MMACS.axis


def test_tradeoff_figure_of_the_authors_numbers_alone():
    authors = [AuthorsPoint((0.5, 0.5), 30e6, 0.72), AuthorsPoint((), 90e6, 0.86)]
    figure = tradeoff_figure((), (), (), None, MMACS, authors=authors)
    (line,) = figure.data
    assert line.name == AUTHORS_LINE and line.showlegend
    assert list(line.x) == [30, 90] and list(line.y) == pytest.approx([72, 86])
    placed = tradeoff_figure((), (), (), POINTS[1], MMACS, authors=authors)
    assert [trace.name for trace in placed.data] == [AUTHORS_LINE, "you are here"]


def test_tradeoff_alt_says_the_numbers():
    words = tradeoff_alt(POINTS[1], EXITS, MMACS)
    assert "85.0 % at 60.0 MMACs" in words and "exit 3 alone 90.0 % at 180 MMACs" in words
    assert "now" not in tradeoff_alt(None, EXITS, MMACS)


def test_sweep_csv_reads_back():
    rows = list(csv.DictReader(io.StringIO(sweep_csv(POINTS))))
    assert [float(row["threshold"]) for row in rows] == [0.0, 0.5, 1.01]
    assert float(rows[1]["exit_2_share"]) == 0.3 and float(rows[2]["mean_macs"]) == 180e6
