"""From trained weights to a model folder: tables, thresholds, and a card with measured numbers.

Thresholds are solved on the calibration split, which was never trained on; accuracy is shown on
the test split, which neither the weights nor the thresholds ever saw.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import PartialState

from dvt_core.bundle import THRESHOLDS, Bundle, load_bundle, save_bundle, write_atomically
from dvt_core.data import load_split
from dvt_core.evaluate import evaluate
from dvt_core.exit_table import ExitTable
from dvt_core.model import DynamicViT
from dvt_core.solver import pareto_front
from dvt_core.thresholds import replay, sweep
from dvt_core.training.card import write_card
from dvt_core.training.recipe import Recipe

TOLERATED_LOSS = 0.005  # accuracy the default threshold may give up on calibration
NUM_BUDGETS = 59  # as many operating points as the paper's released checkpoints carry


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
    if state.is_main_process:
        save_bundle(model, out_dir, default_threshold=1.0, training=training, **words)
    state.wait_for_everyone()
    stored = load_bundle(out_dir).load_model().to(device)
    tables = {name: evaluate(stored, split) for name, split in splits.items()}
    if state.is_main_process:
        for name, table in tables.items():
            table.save(out_dir / f"{name}.parquet")
        threshold = default_threshold(tables["calibration"])
        save_bundle(model, out_dir, default_threshold=threshold, training=training, **words)
        write_thresholds(tables["calibration"], tables["test"], out_dir)
        write_card(load_bundle(out_dir))
    state.wait_for_everyone()
    return load_bundle(out_dir)


def default_threshold(calibration: ExitTable) -> float:
    """Lowest shared threshold (in steps of 0.01) that loses at most half a point of accuracy."""
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
    write_atomically(folder / THRESHOLDS, (json.dumps(raw, indent=1) + "\n").encode())
