"""From trained weights to a model folder: tables, thresholds, and a card with measured numbers.

Thresholds are solved on the calibration split, which was never trained on; accuracy is shown on
the test split, which neither the weights nor the thresholds ever saw.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from accelerate import PartialState

from dvt_core.bundle import THRESHOLDS, Bundle, load_bundle, save_bundle
from dvt_core.data import ImageSplit, load_split
from dvt_core.evaluate import exit_logits, table_of_logits
from dvt_core.exit_table import ExitTable
from dvt_core.model import DynamicViT
from dvt_core.reliability import (
    RELIABILITY,
    compare,
    exit_reliability,
    fit_temperature,
    fold_temperatures,
)
from dvt_core.solver import pareto_front
from dvt_core.thresholds import replay, sweep
from dvt_core.training.card import write_card
from dvt_core.training.recipe import Recipe
from dvt_core.whole_file import write_whole

TOLERATED_LOSS = 0.005  # accuracy the default threshold may give up on calibration
NUM_BUDGETS = 59  # as many operating points as the paper's released checkpoints carry


class Temperatures(NamedTuple):
    """Per exit: the fitted temperature, and whether the weights hold it."""

    values: tuple[float, ...]
    shipped: tuple[bool, ...]


def publish(
    model: DynamicViT,
    recipe: Recipe,
    out_dir: Path,
    training: dict[str, Any],
    data_dir: Path | None = None,
) -> Bundle:
    """Completes `out_dir` to a model folder; what is measured is the folder's own weights.

    Under `accelerate launch` all processes evaluate, the main one writes.
    """
    state = PartialState()
    device = next(model.parameters()).device
    splits = {s: load_split(recipe.data, s, data_dir=data_dir) for s in ("calibration", "test")}
    words = {"name": recipe.name, "title": recipe.title, "data": splits["test"].title}
    temperatures = _temper(model, splits["calibration"])
    if state.is_main_process:
        save_bundle(model, out_dir, default_threshold=1.0, training=training, **words)
    state.wait_for_everyone()
    stored = load_bundle(out_dir).load_model().to(device)
    logits = {name: exit_logits(stored, split) for name, split in splits.items()}
    if state.is_main_process:
        tables = {n: table_of_logits(stored, splits[n], each) for n, each in logits.items()}
        for name, table in tables.items():
            table.save(out_dir / f"{name}.parquet")
        threshold = default_threshold(tables["calibration"])
        save_bundle(model, out_dir, default_threshold=threshold, training=training, **words)
        write_thresholds(tables["calibration"], tables["test"], out_dir)
        _write_reliability(stored, splits, logits, temperatures, out_dir)
        write_card(load_bundle(out_dir))
    state.wait_for_everyone()
    return load_bundle(out_dir)


def _temper(model: DynamicViT, calibration: ImageSplit) -> Temperatures:
    """Fits a temperature per exit; an exit that it makes more honest gets it into its head."""
    logits = exit_logits(model.eval(), calibration)
    labels = calibration.labels
    fitted = [fit_temperature(logits[:, i], labels) for i in range(model.num_exits)]
    before = exit_reliability(table_of_logits(model, calibration, logits))
    scaled = logits / np.array(fitted, dtype=np.float32)[:, None]
    after = exit_reliability(table_of_logits(model, calibration, scaled))
    shipped = tuple(b.ece > a.ece for b, a in zip(before, after, strict=True))
    kept = [t if is_kept else 1.0 for t, is_kept in zip(fitted, shipped, strict=True)]
    fold_temperatures(model, kept)
    return Temperatures(tuple(fitted), shipped)


def _write_reliability(
    model: DynamicViT,
    splits: dict[str, ImageSplit],
    logits: dict[str, np.ndarray],
    temperatures: Temperatures,
    folder: Path,
) -> None:
    """Writes reliability.json from the logits of the stored weights, tempered or not."""
    fitted = np.array(temperatures.values, dtype=np.float32)[:, None]
    held = np.where(np.array(temperatures.shipped)[:, None], fitted, np.float32(1))

    def tables(scale: np.ndarray) -> tuple[ExitTable, ExitTable]:
        calibration, test = (
            table_of_logits(model, splits[name], logits[name] * scale)
            for name in ("calibration", "test")
        )
        return calibration, test

    before, after = tables(held), tables(held / fitted)  # the raw logits, and the tempered ones
    raw = compare(before, after, temperatures.values, shipped=temperatures.shipped)
    write_whole(folder / RELIABILITY, (json.dumps(raw) + "\n").encode())


def default_threshold(calibration: ExitTable) -> float:
    """Lowest shared threshold (in steps of 0.01) that loses at most half a point of accuracy."""
    if calibration.num_exits == 1:
        return 1.0  # nothing asks for it
    wanted = calibration.exit_accuracy[-1] - TOLERATED_LOSS
    for point in sweep(calibration):
        if point.accuracy >= wanted:
            return round(point.thresholds[0], 2)
    return 1.0


def write_thresholds(calibration: ExitTable, test: ExitTable, folder: Path) -> None:
    """Writes thresholds.json: points solved on calibration, each with what it gives on test."""
    front = pareto_front(calibration)
    cheapest, dearest = front.points[0].macs, front.points[-1].macs
    budgets = np.linspace(cheapest, dearest, NUM_BUDGETS)
    solved = list(dict.fromkeys(front.at_budget(float(budget)) for budget in budgets))
    points = [
        {**point.to_dict(), "test": replay(test, point.thresholds).to_dict()} for point in solved
    ]
    raw = {
        "solved_on": {"split": calibration.info.split, "n": calibration.n},
        "shown_on": {"split": test.info.split, "n": test.n},
        "points": points,
    }
    write_whole(folder / THRESHOLDS, (json.dumps(raw, indent=1) + "\n").encode())
