"""The threshold rule of the released code: geometric exit shares, 59 budgets.

The paper (arXiv 2105.15075, section 3.3) solves the thresholds with a genetic algorithm; the
released `inference.py` uses this sweep from MSDNet instead. `solver` finds better ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dvt_core.errors import InputError
from dvt_core.exit_table import ExitTable
from dvt_core.thresholds import OperatingPoint, sweep

RELEASED_POWERS = tuple(range(1, 60))
NOBODY = 1e8  # the released code's threshold of an exit where no image leaves


def released_thresholds(
    confidences: np.ndarray, powers: Sequence[int] = RELEASED_POWERS
) -> np.ndarray:
    """(len(powers), E - 1) float64 thresholds, each a float32 value, for (n, E) confidences.

    For power p, exit k = 1..E is meant to take a share of the images proportional to
    (p / 20)**k. Exit by exit, the threshold is the confidence of the floor(n * share)-th surest
    image left; every image that reaches it counts as gone, so ties take more than the share.
    Where that number is 0 or fewer images are left, the threshold is 1e8: nobody leaves.

    Raises:
        InputError: confidences that are not (n, E), or powers that are not positive.
    """
    confidences = np.asarray(confidences, dtype=np.float32)
    if confidences.ndim != 2 or not confidences.size or not np.isfinite(confidences).all():
        raise InputError(
            f"confidences has shape {confidences.shape}, expected finite numbers (n, E)"
        )
    if any(not power > 0 for power in powers):
        raise InputError(f"powers is {tuple(powers)}, every power must be above 0")
    n, num_exits = confidences.shape
    surest_first = np.argsort(-confidences, axis=0, kind="stable")
    thresholds = np.full((len(powers), num_exits - 1), NOBODY)
    for row, power in enumerate(powers):
        counts = np.floor(np.float32(n) * released_shares(power, num_exits))
        is_left = np.ones(n, dtype=bool)
        for i in range(num_exits - 1):
            order = surest_first[:, i]
            order = order[is_left[order]]
            count = int(counts[i])
            if 0 < count <= len(order):
                thresholds[row, i] = confidences[order[count - 1], i]
                is_left &= confidences[:, i] < thresholds[row, i]
    return thresholds


def released_shares(power: float, num_exits: int) -> np.ndarray:
    """(E,) float32 exit shares, proportional to (power / 20)**k for k = 1..E, summing to 1."""
    weights = np.float32(power / 20) ** np.arange(1, num_exits + 1, dtype=np.float32)
    return weights / weights.sum()


def released_rule(
    table: ExitTable, powers: Sequence[int] = RELEASED_POWERS
) -> tuple[OperatingPoint, ...]:
    """The rule's operating points on the table that it takes its thresholds from."""
    return sweep(table, released_thresholds(table.confidences, powers))
