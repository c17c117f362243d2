"""What the lesson counts in an exit table; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dvt_core.exit_table import ExitTable
from dvt_core.thresholds import exit_indices


@dataclass(frozen=True)
class ExitCount:
    """One exit under thresholds: how many pictures leave there, and on how many it is right."""

    exit_index: int
    leaving: int
    right: int


@dataclass(frozen=True)
class LookingCounts:
    """What more looking changes; the first four are disjoint and sum to the table's n.

    Attributes:
        always_right: right at every exit.
        helped: right at the last exit, wrong at an earlier one.
        overthought: wrong at the last exit, right at an earlier one; the page Easy & hard counts
            others: answered wrong at the thresholds in force, right at an exit before.
        never_right: wrong at every exit.
        kept: of `overthought`, those that leave at an exit that is right.
        lost: pictures that leave at an exit that is wrong while the last one is right.
    """

    always_right: int
    helped: int
    overthought: int
    never_right: int
    kept: int
    lost: int


def exit_counts(table: ExitTable, thresholds: Sequence[float]) -> tuple[ExitCount, ...]:
    """Pictures by exit, one entry per exit; `leaving` sums to n."""
    exits = exit_indices(table, thresholds)
    rows = []
    for index in range(table.num_exits):
        here = exits == index
        rows.append(ExitCount(index, int(here.sum()), int(table.correct[here, index].sum())))
    return tuple(rows)


def looking_counts(table: ExitTable, thresholds: Sequence[float]) -> LookingCounts:
    """What later exits change, over the whole table and under thresholds."""
    right = table.correct
    last, answered = right[:, -1], right[np.arange(table.n), exit_indices(table, thresholds)]
    some, every = right.any(axis=1), right.all(axis=1)
    return LookingCounts(
        always_right=int(every.sum()),
        helped=int((last & ~every).sum()),
        overthought=int((some & ~last).sum()),
        never_right=int((~some).sum()),
        kept=int((answered & ~last).sum()),
        lost=int((~answered & last).sum()),
    )
