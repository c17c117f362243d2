"""The exit trace of one picture, drawn in the browser so that it follows the dial's drag.

Python sends what the stages said; `live/trace.js` works out which exit answers under the dial's
thresholds and writes the words that depend on it. Nothing that merely follows the thresholds is
sent, so an unchanged picture is the same message again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app import cascade_runs
from app.figures.exits import word
from app.figures.theme import MacUnit, exit_colour, exit_name, ink_on, percent
from app.figures.tokens import grid_edges
from app.intake.pictures import Picture, View
from app.language import say
from app.live import component
from dvt_core.bundle import Bundle
from dvt_core.config import DVTConfig
from dvt_core.macs import exit_macs, stage_macs
from dvt_core.results import ExitRecord, Prediction

LATER = "look_later"  # session key: show what the skipped exits would say

_mount = component("trace", "rule.js", "trace.js", "trace.css")


def trace(
    bundle: Bundle,
    view: View,
    prediction: Prediction,
    later: Prediction | None,
    key: str = "trace",
    name: str = "this picture",
) -> None:
    """Draws the trace; see `trace_data`."""
    _mount(key=key, data=trace_data(bundle, view, prediction, later, name))


def trace_data(
    bundle: Bundle,
    view: View,
    prediction: Prediction,
    later: Prediction | None,
    name: str = "this picture",
) -> dict[str, Any]:
    """What the browser needs to draw a trace, JSON-ready.

    Args:
        bundle: the model.
        view: the picture.
        prediction: the run that really stopped at its exit.
        later: the same picture through all exits, if someone asked for it; else None.
        name: what the picture is called, for screen readers.

    Returns:
        "picture": what the model sees, a PNG as a data address, `side` pixels wide; "thresholds";
        "asked": whether all exits were asked for; "reuse": what a stage hands on, in words; and
        "lanes", one per stage, whose "said" is None where the stage was not computed.
    """
    config = bundle.config
    lanes = [_lane(config, index) for index in range(config.num_exits)]
    for index, lane in enumerate(lanes):
        # Times are differences within one run: the adaptive one as far as it went.
        run = prediction if index <= prediction.exit_index else later
        if run is not None:
            before = run.records[index - 1] if index else None
            lane["said"] = _said(bundle, run.records[index], before)
    return {
        "title": say("Exit trace of {name}", name=name),
        "picture": view.seen_exactly,
        "side": config.img_size,
        "thresholds": list(prediction.thresholds),
        "asked": later is not None,
        "reuse": _reuse(config),
        "lanes": lanes,
    }


def _lane(config: DVTConfig, index: int) -> dict[str, Any]:
    """What is known of a stage before it is computed."""
    stage, costs, colour = config.stages[index], exit_macs(config), exit_colour(index)
    unit, side = MacUnit.of(costs), stage.grid_size
    return {
        "name": exit_name(index),
        "stage": say("stage {number}", number=index + 1),
        "tokens": side * side,
        "title": say(
            "stage {number} · {grid} = {n} tokens",
            number=index + 1,
            grid=f"{side}x{side}",
            n=side * side,
        ),
        "alt": say("the picture under a grid of {side} by {side} tokens", side=side),
        "edges": list(grid_edges(stage, config.img_size)),
        "colour": colour,
        "ink": ink_on(colour),
        "cost": unit.format(stage_macs(config)[index]),
        "total": unit.format(costs[index]),
        "said": None,
    }


def _said(bundle: Bundle, record: ExitRecord, before: ExitRecord | None) -> dict[str, Any]:
    """What a computed stage said; its time is that of this stage alone."""
    names = bundle.class_names
    milliseconds = record.milliseconds - (before.milliseconds if before else 0.0)
    return {
        "confidence": record.confidence,
        "percent": percent(record.confidence),
        "word": word(names[record.label]),
        "top": [
            {"word": word(names[i]), "full": names[i], "share": prob, "percent": percent(prob)}
            for i, prob in record.top()
        ],
        "ms": milliseconds,
        "time": f"{milliseconds:.1f} ms",
    }


def _reuse(config: DVTConfig) -> str:
    if config.feature_reuse and config.relation_reuse:
        return say("reuse: features, relations")
    if config.feature_reuse:
        return say("reuse: features")
    return say("reuse: relations") if config.relation_reuse else ""


def run_cascade(
    bundle: Bundle, picture: Picture, view: View, thresholds: tuple[float, ...]
) -> tuple[Prediction, Prediction | None]:
    """The run that really stops and, if someone asked (`LATER`) and it stopped early, all exits."""
    key = bundle, picture.digest, thresholds
    prediction = cascade_runs.predict(*key, all_exits=False, _tensor=view.tensor)
    is_early = prediction.exit_index < bundle.config.num_exits - 1
    if not (is_early and st.session_state.get(LATER)):
        return prediction, None
    return prediction, cascade_runs.predict(*key, all_exits=True, _tensor=view.tensor)


def ask_later(predictions: Sequence[Prediction], num_exits: int) -> None:
    """The switch to compute what was skipped; nothing where nothing was."""
    if any(prediction.exit_index < num_exits - 1 for prediction in predictions):
        st.toggle(
            say("show what the later exits would say"),
            key=LATER,
            help=say("Runs the stages that were skipped. They are not part of the answer."),
        )
