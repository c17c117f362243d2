"""The best per-exit thresholds for a budget or a wanted accuracy, solved on an `ExitTable`.

The paper solves this with a genetic algorithm that was never released (arXiv 2105.15075, section
3.3). Only the distinct confidences of an exit matter as thresholds, so the search is finite:

* up to three exits, and more when the table is small: every combination, hence exact;
* otherwise: the released rule, all shared thresholds and a grid of combinations as a start, then
  one exit's threshold at a time solved exactly from points all along the front until nothing
  improves. The result is never worse than the rule or a shared threshold.

A setting is a row of cuts, one per exit but the last: cut c of an exit lets an image leave there
if its confidence has rank >= c among that exit's distinct confidences (0 = all leave, their
number = nobody leaves). Costs are exact integers, total over the table.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

import numpy as np

from dvt_core.errors import InputError
from dvt_core.exit_table import ExitTable
from dvt_core.released_rule import released_thresholds
from dvt_core.thresholds import OperatingPoint, sweep, tally, tally_shared

NEVER = 1.01  # a threshold that no confidence reaches
_GRID_CELLS = 1 << 20  # combinations of cuts tried at once when all would be too many
_ASCENT_POINTS = 64
_ASCENT_ROUNDS = 8
_UNSEEN = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Front:
    """All efficient operating points of a table: more accuracy costs more.

    Attributes:
        points: strictly increasing in both accuracy and macs.
        is_exact: no setting of the thresholds beats a point; always so for up to three exits.
    """

    points: tuple[OperatingPoint, ...]
    is_exact: bool

    def at_budget(self, macs: float) -> OperatingPoint:
        """The most accurate point whose mean MACs per image are at most `macs`.

        Raises:
            InputError: the budget is below the cost of the first exit, or no number.
        """
        position = bisect_right(self.points, macs, key=lambda point: point.macs)
        if not macs >= self.points[0].macs:
            raise InputError(
                f"the budget is {macs:,.0f} MACs per image, but the first exit alone takes "
                f"{self.points[0].macs:,.0f}; {self.points[-1].macs:,.0f} buy the best accuracy "
                "within reach"
            )
        return self.points[position - 1]

    def at_accuracy(self, accuracy: float) -> OperatingPoint:
        """The cheapest point that is right at least this often, 0..1.

        Raises:
            InputError: the accuracy is out of reach, or no number.
        """
        position = bisect_left(self.points, accuracy, key=lambda point: point.accuracy)
        if not accuracy <= self.points[-1].accuracy:
            raise InputError(
                f"the wanted accuracy is {accuracy:g}, but these exits reach between "
                f"{self.points[0].accuracy:.4f} and {self.points[-1].accuracy:.4f} (1 = all right)"
            )
        return self.points[position]


def solve_budget(table: ExitTable, macs: float) -> OperatingPoint:
    """`Front.at_budget` of the table; keep the front for several queries."""
    return pareto_front(table).at_budget(macs)


def solve_accuracy(table: ExitTable, accuracy: float) -> OperatingPoint:
    """`Front.at_accuracy` of the table; keep the front for several queries."""
    return pareto_front(table).at_accuracy(accuracy)


def pareto_front(table: ExitTable) -> Front:
    """All efficient operating points; O(n^2) time and O(n) memory for three exits."""
    search = _Search(table)
    gates, sizes = table.num_exits - 1, [count + 1 for count in search.num_values]
    is_exact = gates <= 2 or math.prod(sizes) <= _GRID_CELLS
    if gates == 2:
        search.try_all_pairs()
    elif is_exact:
        search.try_grid([np.arange(size) for size in sizes])
    else:
        search.try_thresholds(released_thresholds(table.confidences))
        search.try_thresholds(np.append(np.unique(table.exit_confidences[:gates]), NEVER))
        side = int(_GRID_CELLS ** (1 / gates))
        search.try_grid([_spread(size, side) for size in sizes])
        search.climb()
    return Front(sweep(table, search.thresholds()), is_exact)


class _Search:
    """The cheapest cuts found so far for every number of right answers, 0..n."""

    def __init__(self, table: ExitTable) -> None:
        gates = table.num_exits - 1
        self.table, self.n = table, table.n
        self.values = [np.unique(table.exit_confidences[i]) for i in range(gates)]
        self.num_values = [len(values) for values in self.values]
        # ranks: (E - 1, n) position of each confidence among its exit's distinct ones
        self.ranks = np.array(
            [
                np.searchsorted(v, c)
                for v, c in zip(self.values, table.exit_confidences, strict=False)
            ],
            dtype=np.int64,
        ).reshape(gates, self.n)
        self.right = np.ascontiguousarray(table.correct.T, dtype=np.int64)  # (E, n)
        self.macs = np.array(table.info.exit_macs, dtype=np.int64)
        self.best = np.full(self.n + 1, _UNSEEN)
        self.cuts = np.zeros((self.n + 1, gates), dtype=np.int64)

    def offer(
        self, right: np.ndarray, macs: np.ndarray, cuts: tuple[np.ndarray | int, ...]
    ) -> None:
        """Keeps what is cheaper: (m,) right answers and total macs, per exit the (m,) cuts."""
        better = np.flatnonzero(macs < self.best[right])
        if not better.size:
            return
        np.minimum.at(self.best, right[better], macs[better])
        better = better[macs[better] == self.best[right[better]]]
        places, first = np.unique(right[better], return_index=True)
        for i, cut in enumerate(cuts):
            self.cuts[places, i] = cut[better[first]] if isinstance(cut, np.ndarray) else cut

    def front(self) -> np.ndarray:
        """Numbers of right answers that nothing cheaper reaches or exceeds, ascending."""
        cheapest_above = np.minimum.accumulate(self.best[::-1])[::-1]
        return np.flatnonzero(self.best < np.append(cheapest_above[1:], _UNSEEN))

    def try_all_pairs(self) -> None:
        """Every pair of cuts of three exits, a row of second cuts per first cut.

        From one first cut to the next only the images with that one confidence join the second
        exit; each adds to the part of the row in which it goes on to the third.
        """
        gain = np.zeros(self.num_values[1] + 1, dtype=np.int32)  # right answers won by going on
        goes_on = np.zeros_like(gain)
        change = np.diff(self.right, axis=0)  # (2, n)
        by_rank = np.argsort(self.ranks[0], kind="stable")
        ends = np.cumsum(np.bincount(self.ranks[0], minlength=self.num_values[0]))
        right, macs, start = int(self.right[0].sum()), int(self.n * self.macs[0]), 0
        highest = np.empty_like(gain)
        for first in range(self.num_values[0] + 1):
            end = int(ends[first - 1]) if first else 0
            for image in by_rank[start:end]:
                tail = slice(self.ranks[1, image] + 1, None)
                goes_on[tail] += 1
                if change[1, image]:
                    gain[tail] += np.int32(change[1, image])
            right += int(change[0, by_rank[start:end]].sum())
            macs += int((end - start) * (self.macs[1] - self.macs[0]))
            start = end
            np.maximum.accumulate(gain, out=highest)
            # Along the row the cost only grows: just the new highs can be efficient.
            rises = np.append(0, np.flatnonzero(highest[1:] > highest[:-1]) + 1)
            cost = macs + goes_on[rises] * (self.macs[2] - self.macs[1])
            self.offer(right + gain[rises].astype(np.int64), cost, (first, rises))

    def try_grid(self, candidates: list[np.ndarray]) -> None:
        """Every combination of the given ascending cuts, by cumulative histograms.

        Right answers = those of exit 1 + the sum over exits of what the images going on there
        win; which images go on past exit i depends on the first i cuts alone.
        """
        shape = tuple(len(cuts) for cuts in candidates)
        right = np.full(shape, self.right[0].sum())
        macs = np.full(shape, self.n * self.macs[0])
        cell = np.zeros(self.n, dtype=np.int64)
        for i, cuts in enumerate(candidates):
            # An image goes on from the first candidate above its rank; nowhere if there is none.
            cell = cell * len(cuts) + np.searchsorted(cuts, self.ranks[i], side="right")
            part, rest = shape[: i + 1], (1,) * (len(shape) - i - 1)
            for total, weight in (
                (right, self.right[i + 1] - self.right[i]),
                (macs, np.full(self.n, self.macs[i + 1] - self.macs[i])),
            ):
                sums = np.bincount(cell, weights=weight, minlength=math.prod(part)).reshape(part)
                for axis in range(i + 1):
                    sums = np.cumsum(sums, axis=axis)
                total += sums.astype(np.int64).reshape(part + rest)
        places = np.unravel_index(np.arange(right.size), shape) if shape else ()
        picked = tuple(cuts[place] for cuts, place in zip(candidates, places, strict=True))
        self.offer(right.reshape(-1), macs.reshape(-1), picked)

    def try_thresholds(self, thresholds: np.ndarray) -> None:
        """(m,) shared thresholds, or (m, E - 1) with one per exit."""
        is_shared = thresholds.ndim == 1
        counts, right = (tally_shared if is_shared else tally)(self.table, thresholds)
        columns = [thresholds] * len(self.values) if is_shared else thresholds.T
        cuts = tuple(np.searchsorted(v, t) for v, t in zip(self.values, columns, strict=True))
        self.offer(right, counts @ self.macs, cuts)

    def climb(self) -> None:
        """Solves one exit's cut at a time from points all along the front, until none improves."""
        for _ in range(_ASCENT_ROUNDS):
            before = self.best.copy()
            front = self.front()
            for cuts in self.cuts[front[_spread(len(front), _ASCENT_POINTS)]]:
                for i in range(len(cuts)):
                    self.try_exit(cuts, i)
            if np.array_equal(before, self.best):
                return

    def try_exit(self, cuts: np.ndarray, i: int) -> None:
        """Every cut of exit `i`, the others as given."""
        later = self.exits(np.where(np.arange(len(cuts)) == i, self.num_values[i], cuts))
        leaves_at_i = np.where(later > i, i, later)
        image = np.arange(self.n)
        size = self.num_values[i] + 1
        sums = []
        for value in (self.right[:, image], np.repeat(self.macs[:, None], self.n, axis=1)):
            won = value[later, image] - value[leaves_at_i, image]
            won = np.bincount(self.ranks[i] + 1, weights=won, minlength=size)
            sums.append(value[leaves_at_i, image].sum() + np.cumsum(won).astype(np.int64))
        picked = tuple(np.arange(size) if k == i else int(cut) for k, cut in enumerate(cuts))
        self.offer(sums[0], sums[1], picked)

    def exits(self, cuts: np.ndarray) -> np.ndarray:
        """(n,) exit of each image under one row of cuts."""
        exits = np.full(self.n, len(cuts))
        for i in reversed(range(len(cuts))):
            exits[self.ranks[i] >= cuts[i]] = i
        return exits

    def thresholds(self) -> np.ndarray:
        """(p, E - 1) thresholds of the front, cheapest first.

        Each lies midway between the two confidences it separates among the images that come to
        its exit, so that it replays the same and stays away from both; 0 if all of them leave.
        """
        rows = self.cuts[self.front()]
        out = np.zeros(rows.shape)
        upward = (self.ranks + 1).astype(np.int32)  # products with a mask are 0 where it is False
        downward = np.array(self.num_values, dtype=np.int32)[:, None] - upward + 1
        for row, cuts in enumerate(rows):
            comes = np.ones(self.n, dtype=bool)
            for i, cut in enumerate(cuts):
                stays = comes & (upward[i] <= cut)
                below = (upward[i] * stays).max() - 1
                above = self.num_values[i] - (downward[i] * (comes ^ stays)).max()
                if below >= 0:  # otherwise all that come leave
                    is_open = above < self.num_values[i]
                    pair = self.values[i][[below, above]] if is_open else [NEVER, NEVER]
                    out[row, i] = (pair[0] + pair[1]) / 2
                comes = stays
        return out


def _spread(size: int, count: int) -> np.ndarray:
    """At most `count` of 0..size - 1, evenly, first and last included."""
    return np.unique(np.linspace(0, size - 1, min(size, max(2, count))).round().astype(np.int64))
