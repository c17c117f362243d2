"""Are the confidences honest? Reliability of each exit, and the temperature that mends it.

An exit that is right as often as it says is calibrated. A temperature divides an exit's logits
before the softmax: the answer stays, the confidence changes. It is fitted on the calibration
split and folded into the exit's head (`fold_temperatures`), so that nothing else has to know.

References:
    Guo et al. 2017, "On calibration of modern neural networks" (ECE with 15 bins; temperature
    scaling).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dvt_core.bounded_file import read_object
from dvt_core.errors import InputError, printable
from dvt_core.exit_table import ExitTable
from dvt_core.model import DynamicViT
from dvt_core.solver import pareto_front
from dvt_core.thresholds import replay, sweep

RELIABILITY = "reliability.json"
NUM_BINS = 15
_LOWEST, _HIGHEST = 0.01, 100.0  # temperatures looked at
_HALVINGS = 60


@dataclass(frozen=True)
class Reliability:
    """How often an exit was right, by how sure it said it was; 15 bins of equal width.

    Attributes:
        counts: images in each bin ((b / 15, (b + 1) / 15]).
        confidences: mean confidence in each bin, 0 where it is empty.
        accuracies: share of right answers in each bin, 0 where it is empty.
    """

    counts: tuple[int, ...]
    confidences: tuple[float, ...]
    accuracies: tuple[float, ...]

    @property
    def ece(self) -> float:
        """Expected calibration error, 0..1: the mean gap, weighted by the bins' counts."""
        gaps = np.abs(np.subtract(self.confidences, self.accuracies))
        return float(np.dot(self.counts, gaps) / max(sum(self.counts), 1))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form, the error included."""
        return {"ece": self.ece} | {k: list(v) for k, v in asdict(self).items()}


def reliability(confidences: np.ndarray, right: np.ndarray) -> Reliability:
    """Reliability of one exit from (n,) confidences in [0, 1] and (n,) whether it was right."""
    if confidences.shape != right.shape or confidences.ndim != 1 or not confidences.size:
        raise InputError(
            f"confidences {confidences.shape} and right {right.shape} must be one row each, "
            "of the same length and not empty"
        )
    values = confidences.astype(np.float64)
    place = np.clip(np.ceil(values * NUM_BINS).astype(int) - 1, 0, NUM_BINS - 1)
    counts = np.bincount(place, minlength=NUM_BINS)
    sums = [np.bincount(place, weights=w, minlength=NUM_BINS) for w in (values, right)]
    means = [(total / np.maximum(counts, 1)).tolist() for total in sums]
    return Reliability(tuple(counts.tolist()), tuple(means[0]), tuple(means[1]))


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature with the smallest negative log-likelihood of (n, C) logits, (n,) labels.

    The likelihood is convex in b = 1 / temperature and its slope is the mean of E_p[z] - z_label,
    so halving the interval in which the slope changes its sign finds the one minimum.
    """
    z = logits.astype(np.float64)
    z = z - z.max(axis=1, keepdims=True)
    wanted = z[np.arange(len(z)), labels].mean()

    def slope(b: float) -> float:
        weights = np.exp(b * z)
        return float(((weights * z).sum(axis=1) / weights.sum(axis=1)).mean() - wanted)

    low, high = 1 / _HIGHEST, 1 / _LOWEST
    for _ in range(_HALVINGS):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return 1 / (low * high) ** 0.5


@torch.no_grad()
def fold_temperatures(model: DynamicViT, temperatures: Sequence[float]) -> None:
    """Divides the logits of every exit by its temperature, once and for all, in its head.

    No later stage reads a head, so nothing but the confidences of this exit changes.
    """
    if len(temperatures) != model.num_exits or not all(0 < t < np.inf for t in temperatures):
        raise InputError(
            f"temperatures is {list(temperatures)}, expected {model.num_exits} numbers above 0"
        )
    for stage, temperature in zip(model.stages, temperatures, strict=True):
        for parameter in stage.head.parameters():
            parameter.div_(temperature)


def exit_reliability(table: ExitTable) -> tuple[Reliability, ...]:
    """Reliability of every exit of a table."""
    return tuple(
        reliability(table.confidences[:, i], table.correct[:, i]) for i in range(table.num_exits)
    )


def mean_accuracy(calibration: ExitTable, test: ExitTable, *, shared: bool) -> float:
    """A curve as one number: test accuracy, mean over 59 evenly spaced budgets.

    Thresholds are the best for each budget on calibration: one per exit, or one for all with
    `shared`.
    """
    if calibration.num_exits == 1:
        return test.exit_accuracy[0]
    first, last = calibration.info.exit_macs[0], calibration.info.exit_macs[-1]
    budgets = np.linspace(first, last, 59)
    if not shared:
        front = pareto_front(calibration)
        chosen = [front.at_budget(float(budget)).thresholds for budget in budgets]
    else:
        points = sweep(calibration, np.linspace(0, 1.01, 1011))
        chosen = []
        for budget in budgets:
            within = [p for p in points if p.macs <= budget]
            chosen.append(max(within, key=lambda p: p.accuracy).thresholds)
    return float(np.mean([replay(test, thresholds).accuracy for thresholds in chosen]))


def compare(
    before: tuple[ExitTable, ExitTable],
    after: tuple[ExitTable, ExitTable],
    temperatures: Sequence[float],
    *,
    shipped: Sequence[bool],
) -> dict[str, Any]:
    """What reliability.json holds: both sides, each (calibration, test), as numbers.

    Args:
        before: tables without temperatures.
        after: tables with them.
        temperatures: one per exit, fitted on calibration.
        shipped: for each, whether the model's weights hold it.
    """
    out: dict[str, Any] = {"temperatures": list(temperatures), "shipped": list(shipped)}
    for name, (calibration, test) in (("before", before), ("after", after)):
        out[name] = {
            "calibration": [each.to_dict() for each in exit_reliability(calibration)],
            "test": [each.to_dict() for each in exit_reliability(test)],
            "solved": mean_accuracy(calibration, test, shared=False),
            "shared": mean_accuracy(calibration, test, shared=True),
        }
    return out


def read_reliability(path: Path, num_exits: int) -> dict[str, Any]:
    """What `compare` made, from the file of a model with this many exits; every number is checked.

    Raises:
        InputError: it cannot be read, or holds something else.
    """
    raw = read_object(path)
    try:
        _check_numbers(raw["temperatures"], num_exits, _HIGHEST)
        if [type(held) for held in raw["shipped"]] != [bool] * num_exits:
            raise InputError(f"shipped must be {num_exits} times true or false")
        for side in (raw["before"], raw["after"]):
            _check_numbers([side["solved"], side["shared"]], 2, 1)
            for exits in (side["calibration"], side["test"]):
                if len(exits) != num_exits:
                    raise InputError(f"it has {len(exits)} exits, expected {num_exits}")
                for each in exits:
                    _check_bins(each)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged: {printable(error)}; restore the folder") from error
    return raw


def _check_bins(raw: Mapping[str, Any]) -> None:
    _check_numbers([raw["ece"]], 1, 1)
    for name, highest in (("counts", 1e12), ("confidences", 1.001), ("accuracies", 1)):
        _check_numbers(raw[name], NUM_BINS, highest)


def _check_numbers(values: Any, count: int, highest: float) -> None:
    if not isinstance(values, list) or len(values) != count:
        raise InputError(f"expected {count} numbers in a row")
    if not all(type(value) in (int, float) and 0 <= value <= highest for value in values):
        raise InputError(f"expected numbers from 0 to {highest:g}")
