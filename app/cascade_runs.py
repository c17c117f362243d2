"""Pictures through the cascade, on the worker that all visitors share; results are kept."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import streamlit as st
import torch

from app import services
from dvt_core.bundle import Bundle
from dvt_core.inference import classify
from dvt_core.model import DynamicViT
from dvt_core.results import Prediction

RUNS, RUNS_S = 3, 0.03


def predict(
    bundle: Bundle,
    picture: str,
    thresholds: tuple[float, ...],
    *,
    all_exits: bool,
    _tensor: torch.Tensor,
) -> Prediction:
    """One picture through the cascade; it really stops unless all exits are asked for.

    Each picture is run at most once to each of its exits. What an exit says does not depend on the
    thresholds, so a run that really stopped there answers for all thresholds that stop there.

    Args:
        bundle: the model.
        picture: `digest` of the picture: its data and its crop.
        thresholds: `num_exits - 1` numbers.
        all_exits: run every exit, also those after the one that answers.
        _tensor: (1, 3, H, W), from the picture's view (`app.intake.pictures`).
    """
    runs = _runs(bundle, picture)
    last = bundle.config.num_exits - 1
    longest = max([*runs.values()], key=lambda run: len(run.records), default=None)
    stop = None if longest is None else _stop(longest, thresholds)
    known = runs.get((last, True) if all_exits else (stop, False))
    if stop is None or known is None:
        model, worker = services.get_model(bundle), services.get_worker()
        run = worker.run(_quickest, model, _tensor, thresholds, all_exits)
        runs[run.records[-1].exit_index, all_exits] = run
        return run
    return replace(known, exit_index=stop, thresholds=thresholds)


@st.cache_resource(max_entries=512, show_spinner=False, hash_funcs=services.BY_WEIGHTS)
def _runs(bundle: Bundle, picture: str) -> dict[tuple[int | None, bool], Prediction]:
    """A picture's runs by (last computed exit, whether all were asked for)."""
    return {}


def _stop(run: Prediction, thresholds: tuple[float, ...]) -> int | None:
    """The exit at which these thresholds stop; None if the run does not reach so far."""
    limits = (*thresholds, -math.inf)
    return next((r.exit_index for r in run.records if r.confidence >= limits[r.exit_index]), None)


def _quickest(
    model: DynamicViT, image: torch.Tensor, thresholds: tuple[float, ...], all_exits: bool
) -> Prediction:
    """The quickest of up to `RUNS`: a single one may have waited for another program, and the
    times are kept and shown. A model that takes longer than `RUNS_S` is run once, and so is one
    that somebody else waits for.
    """
    runs, began = [], time.perf_counter()
    while not runs or (
        len(runs) < RUNS
        and time.perf_counter() - began < RUNS_S
        and services.get_worker().waiting == 0
    ):
        runs += classify(model, image, thresholds, all_exits=all_exits)
    return min(runs, key=lambda run: run.records[-1].milliseconds)
