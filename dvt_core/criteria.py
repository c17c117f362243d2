"""What an exit could ask instead of its confidence, compared at equal exit shares.

The exit rule asks for the largest probability. Its entropy or the margin to the second largest
may be asked instead, or nothing at all: the same number of images, picked at random.

References:
    paper, table 9 (confidence, entropy, random at equal proportions).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dvt_core.errors import InputError
from dvt_core.exit_table import ExitTable
from dvt_core.solver import pareto_front
from dvt_core.thresholds import exit_indices

CRITERIA = ("confidence", "entropy", "margin", "random")


@dataclass(frozen=True, eq=False)
class CriteriaPoint:
    """Accuracy of every criterion when the same number of images leaves at each exit.

    Attributes:
        exit_counts: images that leave at each exit.
        macs: multiply-accumulates per image, mean; the same for all criteria.
        accuracies: criterion -> share of right answers, 0..1; exact expectation for "random".
    """

    exit_counts: tuple[int, ...]
    macs: float
    accuracies: dict[str, float]


def compare_criteria(table: ExitTable, exit_counts: Sequence[int]) -> CriteriaPoint:
    """Lets `exit_counts` images leave at each exit, the surest first by each criterion.

    Raises:
        InputError: counts that are no division of the table's images over its exits.
    """
    counts = np.asarray(exit_counts)
    if counts.shape != (table.num_exits,) or (counts < 0).any() or counts.sum() != table.n:
        raise InputError(
            f"exit_counts is {list(exit_counts)}, expected {table.num_exits} whole numbers that "
            f"add up to {table.n}"
        )
    scores = {
        "confidence": table.confidences,
        "entropy": -table.entropies,
        "margin": table.margins,
    }
    accuracies = {name: _accuracy(table, score, counts) for name, score in scores.items()}
    accuracies["random"] = float(np.dot(counts / table.n, table.exit_accuracy))
    macs = float(np.dot(counts, table.info.exit_macs) / table.n)
    return CriteriaPoint(tuple(counts.tolist()), macs, {n: accuracies[n] for n in CRITERIA})


def criteria_curve(
    calibration: ExitTable, test: ExitTable, *, num_points: int = 6
) -> tuple[CriteriaPoint, ...]:
    """The criteria at budgets evenly spaced over the solved front, its ends left out.

    How many images leave where is what the confidence rule does on `test` under thresholds solved
    for the budget on `calibration`; every other criterion lets as many leave.
    """
    front = pareto_front(calibration)
    points = []
    for budget in np.linspace(front.points[0].macs, front.points[-1].macs, num_points + 2)[1:-1]:
        exits = exit_indices(test, front.at_budget(float(budget)).thresholds)
        points.append(compare_criteria(test, np.bincount(exits, minlength=test.num_exits).tolist()))
    return tuple(points)


def _accuracy(table: ExitTable, scores: np.ndarray, counts: np.ndarray) -> float:
    """Share of right answers when the highest scores of those that are left leave at each exit."""
    here, right = np.arange(table.n), 0
    for i, count in enumerate(counts):
        order = np.argsort(-scores[here, i], kind="stable")
        leaves, here = here[order[:count]], here[order[count:]]
        right += int(table.correct[leaves, i].sum())
    return right / table.n
