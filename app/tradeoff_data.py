"""What the trade-off lab (live/tradeoff.js) needs of one model: its tables, curves and words.

All of it is constant for a model, so the browser gets it once; what a person does with the dial
never changes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import streamlit as st

from app import services
from app.figures.theme import MacUnit, exit_palette
from app.figures.tradeoff import AUTHORS_LINE, STATIC
from app.replay_data import front_data, table_data
from app.services import BY_FILES, Curve
from dvt_core.authors import AuthorsPoint
from dvt_core.bundle import Bundle
from dvt_core.exit_table import ExitTable
from dvt_core.reference_curves import bootstrap_band, oracle_line, random_line
from dvt_core.study import Baseline

COLOURMAP_STEPS = 64
BAND = "95 % of resampled test sets"

_WORDS = {
    "accuracy": "Accuracy",
    "macs": "Mean cost per image",
    "shares": "Where the images leave",
    "picture": "The picture from Look",
    "picture_says": "{name}: {word}, {confidence} sure",
    "against": "{points} points against always full",
    "saved": "{saved}; always full is {full}",
    "alone": "{exit} alone",
    "here": "you are here",
    "legend": "Shown in the plot",
    "plot": "Accuracy against cost per image",
    "y_axis": "accuracy in %",
    "plane": "All pairs of thresholds",
    "plane_shows": "The colour shows",
    "plane_accuracy": "accuracy",
    "plane_macs": "mean cost",
    "plane_x": "threshold of exit 1",
    "plane_y": "threshold of exit 2",
    "plane_note": "Each cell is the whole test set under one pair of thresholds; the scale spans "
    "all cells. White dots: pairs solved on the calibration images, no other pair does better for "
    "their cost there. The ring is in force: drag it, or use the sliders of “per exit”.",
}


def tradeoff_data(
    table: ExitTable,
    curve: Curve,
    baselines: Sequence[Baseline],
    authors: Sequence[AuthorsPoint],
) -> dict[str, Any]:
    """The lab's data but for the model, its front and the picture.

    Args:
        table: the test table.
        curve: the trade-off on it.
        baselines: static models of single grids, trained alone.
        authors: points that the authors stored with their weights.
    """
    unit = MacUnit.of(table.info.exit_macs)
    return {
        "table": table_data(table),
        "full_accuracy": table.exit_accuracy[-1],
        "unit": {"name": unit.name, "scale": unit.scale, "axis": unit.axis},
        "exits": _points(curve.exits, unit),
        "layers": _layers(table, curve, baselines, authors, unit),
        "colours": exit_palette(table.num_exits),
        "colourmap": _colourmap(),
        "words": _WORDS,
    }


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=BY_FILES)
def get_tradeoff_data(bundle: Bundle, _baselines: Sequence[Baseline]) -> dict[str, Any]:
    """`tradeoff_data` of a model folder, with its front; the model is not called."""
    table, front = services.get_table(bundle, "test"), services.get_front(bundle)
    authors = bundle.authors.points if bundle.authors else ()
    data = tradeoff_data(table, services.get_curve(bundle), _baselines, authors)
    model = str(bundle.path)
    signature = hashlib.sha256(repr(BY_FILES[Bundle](bundle)).encode()).hexdigest()
    return {**data, "model": model, "signature": signature, "front": front_data(front)}


def _points(points: Sequence[tuple[float, float]], unit: MacUnit) -> list[list[float]]:
    """(macs, accuracy 0..1) as the plot's x and y."""
    return [[macs / unit.scale, 100 * accuracy] for macs, accuracy in points]


def _layers(
    table: ExitTable,
    curve: Curve,
    baselines: Sequence[Baseline],
    authors: Sequence[AuthorsPoint],
    unit: MacUnit,
) -> list[dict[str, Any]]:
    """What can be switched on and off in the plot, in drawing order; empty parts are left out."""
    layers = []
    if table.num_exits > 1:
        shared = [(point.macs, point.accuracy) for point in curve.shared]
        solved = sorted((point.macs, point.accuracy) for point in curve.solved)
        thresholds = np.array([point.thresholds[0] for point in curve.shared])
        layers = [
            _band(table, shared, thresholds, unit),
            _line("oracle", oracle_line(table), unit, "oracle: cheapest right exit", _ORACLE),
            _line("random", random_line(table, curve.shared), unit, "random exits", _RANDOM),
            _line("shared", shared, unit, "one shared threshold", _SHARED)
            | {"thresholds": thresholds.tolist()},
            _line("solved", solved, unit, "solved thresholds", _SOLVED),
        ]
    if authors:
        given = [(point.macs, point.accuracy) for point in authors]
        layers.append(_line("authors", given, unit, AUTHORS_LINE, _AUTHORS))
    if baselines:
        given = [(each.macs, each.accuracy) for each in baselines]
        layers.append(
            _line("static", given, unit, STATIC, _STATIC)
            | {"kind": "crosses", "labels": [each.name for each in baselines]}
        )
    return layers


_ORACLE = (
    "The best any exit rule could do with this cascade: each image leaves at the cheapest exit "
    "that is right. It needs the labels, so no real rule reaches it."
)
_RANDOM = "As many images leave at each exit as with the shared threshold, picked at random."
_SHARED = "One threshold for every exit but the last, from 0 to never, on the test images."
_SOLVED = "Thresholds solved on the calibration images, shown on the test images."
_AUTHORS = "As the authors stored them with their weights, for ImageNet validation."
_STATIC = "The plain model on each token grid, trained alone with the same recipe."
_BAND = "The shared threshold's accuracy on 200 test sets drawn from this one with replacement."


def _line(
    name: str, points: Sequence[tuple[float, float]], unit: MacUnit, title: str, words: str
) -> dict[str, Any]:
    return {
        "id": name,
        "kind": "line",
        "name": title,
        "help": words,
        "on": name != "oracle",  # it stands far above: with it, the rest is a flat line
        "points": _points(points, unit),
    }


def _band(
    table: ExitTable, shared: Sequence[tuple[float, float]], thresholds: np.ndarray, unit: MacUnit
) -> dict[str, Any]:
    band = 100 * bootstrap_band(table, thresholds)
    layer = _line("band", shared, unit, BAND, _BAND)
    x = [macs / unit.scale for macs, _ in shared]
    return layer | {
        "kind": "band",
        "x": x,
        "low": band[:, 0].tolist(),
        "high": band[:, 1].tolist(),
        "points": [
            [x[0], float(band.min())],
            [x[-1], float(band.max())],
        ],
    }


def _colourmap() -> list[list[int]]:
    """The perceptual map of all heat maps, as (r, g, b) in 0..255 from low to high."""
    colours = mpl.colormaps["cividis"](np.linspace(0, 1, COLOURMAP_STEPS), bytes=True)
    return colours[:, :3].tolist()
