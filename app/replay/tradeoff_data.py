"""What the trade-off lab (live/tradeoff.js) needs of one model: its tables, curves and words.

All of it is constant for a model and a language, so the browser gets it once; what a person does
with the dial never changes it. The numbers are cached, the words are put in for each visitor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import streamlit as st

from app import services
from app.figures.theme import MacUnit, exit_name, exit_palette
from app.figures.tradeoff import AUTHORS_LINE, STATIC
from app.language import later, say, say_later
from app.replay.replay_data import front_data, table_data
from app.services import BY_FILES, Curve
from dvt_core.authors import AuthorsPoint
from dvt_core.bundle import Bundle
from dvt_core.exit_table import ExitTable
from dvt_core.macs import exit_macs
from dvt_core.reference_curves import bootstrap_band, oracle_line, random_line
from dvt_core.study import Baseline

COLOURMAP_STEPS = 64


def _words() -> dict[str, str]:
    """What live/tradeoff.js and plane.js write; {values} are filled in there."""
    return {
        "accuracy": say("Accuracy"),
        "macs": say("Mean cost per image"),
        "shares": say("Where the images leave"),
        "picture": say("The picture from Look"),
        "picture_says": say("{name}: {word}, {confidence} sure"),
        "against": say("{points} points against always full"),
        "saved": say("{saved}; always full is {full}"),
        "alone": say("{exit} alone"),
        "here": say("you are here"),
        "legend": say("Shown in the plot"),
        "y_axis": say("accuracy in %"),
        "plane": say("All pairs of thresholds"),
        "plane_shows": say("The colour shows"),
        "plane_accuracy": say("accuracy"),
        "plane_macs": say("mean cost"),
        "plane_x": say("threshold of {exit}", exit=exit_name(0)),
        "plane_y": say("threshold of {exit}", exit=exit_name(1)),
        "plane_note": say(
            "Each cell is the whole test set under one pair of thresholds; the scale spans all "
            "cells. White dots: pairs solved on the calibration images, no other pair does better "
            "for their cost there. The ring is in force: drag it, or use the sliders of “per exit”."
        ),
    }


def tradeoff_data(
    table: ExitTable,
    curve: Curve,
    baselines: Sequence[Baseline],
    authors: Sequence[AuthorsPoint],
) -> dict[str, Any]:
    """The lab's numbers but for the model, its front and the picture.

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
        "unit": {"name": unit.name, "scale": unit.scale},
        "exits": _points(curve.exits, unit),
        "layers": _layers(table, curve, baselines, authors, unit),
        "colourmap": _colourmap(),
    }


def get_tradeoff_data(bundle: Bundle, baselines: Sequence[Baseline]) -> dict[str, Any]:
    """All of the lab's data but the picture, in the visitor's language; the model is not called."""
    data, unit = _numbers(bundle, baselines), MacUnit.of(exit_macs(bundle.config))
    return data | {
        "unit": data["unit"] | {"axis": unit.axis},
        "layers": [layer | _about(layer["id"]) for layer in data["layers"]],
        "colours": exit_palette(bundle.config.num_exits),
        "words": _words(),
    }


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=BY_FILES)
def _numbers(bundle: Bundle, _baselines: Sequence[Baseline]) -> dict[str, Any]:
    """`tradeoff_data` of a model folder, with its front."""
    table, front = services.get_table(bundle, "test"), services.get_front(bundle)
    authors = bundle.authors.points if bundle.authors else ()
    data = tradeoff_data(table, services.get_curve(bundle), _baselines, authors)
    return {
        **data,
        "model": str(bundle.path),
        "signature": services.signature(bundle),
        "front": front_data(front),
    }


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
            _line("oracle", oracle_line(table), unit),
            _line("random", random_line(table, curve.shared), unit),
            _line("shared", shared, unit) | {"thresholds": thresholds.tolist()},
            _line("solved", solved, unit),
        ]
    if authors:
        given = [(point.macs, point.accuracy) for point in authors]
        layers.append(_line("authors", given, unit))
    if baselines:
        given = [(each.macs, each.accuracy) for each in baselines]
        layers.append(
            _line("static", given, unit)
            | {"kind": "crosses", "labels": [each.name for each in baselines]}
        )
    return layers


_LAYERS = {  # id -> name, and what it is
    "band": (
        later("95 % of resampled test sets"),
        later(
            "The shared threshold's accuracy on 200 test sets drawn from this one with replacement."
        ),
    ),
    "oracle": (
        later("oracle: cheapest right exit"),
        later(
            "The best any exit rule could do with this cascade: each image leaves at the cheapest "
            "exit that is right. It needs the labels, so no real rule reaches it."
        ),
    ),
    "random": (
        later("random exits"),
        later("As many images leave at each exit as with the shared threshold, picked at random."),
    ),
    "shared": (
        later("one shared threshold"),
        later("One threshold for every exit but the last, from 0 to never, on the test images."),
    ),
    "solved": (
        later("solved thresholds"),
        later("Thresholds solved on the calibration images, shown on the test images."),
    ),
    "authors": (
        AUTHORS_LINE,
        later("As the authors stored them with their weights, for ImageNet validation."),
    ),
    "static": (
        STATIC,
        later("The plain model on each token grid, trained alone with the same recipe."),
    ),
}


def _about(layer: str) -> dict[str, str]:
    name, words = map(say_later, _LAYERS[layer])
    return {"name": name, "help": words}


def _line(name: str, points: Sequence[tuple[float, float]], unit: MacUnit) -> dict[str, Any]:
    return {
        "id": name,
        "kind": "line",
        "on": name != "oracle",  # it stands far above: with it, the rest is a flat line
        "points": _points(points, unit),
    }


def _band(
    table: ExitTable, shared: Sequence[tuple[float, float]], thresholds: np.ndarray, unit: MacUnit
) -> dict[str, Any]:
    band = 100 * bootstrap_band(table, thresholds)
    layer = _line("band", shared, unit)
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
