"""How every image of a split fares under given thresholds: easy, hard, rescued, overthought.

Each image has exactly one outcome. It depends on the exit at which the image leaves (the rule of
`dvt_core.thresholds`) and on which exits answer it right:

- `ONCE`: leaves at exit 1, right.
- `UNSURE`: leaves later, right; exit 1 would have been right too, but was not sure enough.
- `RESCUED`: leaves later, right; exit 1 would have been wrong.
- `EARLY`: confident and wrong early. Leaves before the last exit, wrong, as all exits before would
  have been; a later exit would have been right.
- `OVERTHOUGHT`: wrong, but an exit that it passed would have been right.
- `NEVER`: no exit is right. The only outcome that no threshold changes.

So an image with an outcome among the first three is answered right, one among the last three wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dvt_core.exit_table import ExitTable
from dvt_core.thresholds import check_thresholds, exit_indices

OUTCOMES = ("once", "unsure", "rescued", "early", "overthought", "never")
ONCE, UNSURE, RESCUED, EARLY, OVERTHOUGHT, NEVER = range(len(OUTCOMES))


@dataclass(frozen=True, eq=False)
class ClassNumbers:
    """What the images of each class cost and give; a class without images has NaN.

    Attributes:
        counts: (C,) int64 images of the class.
        exit_accuracy: (C, E) accuracy of each exit alone, 0..1.
        accuracy: (C,) accuracy under the thresholds, 0..1.
        macs: (C,) mean multiply-accumulates per image under the thresholds.
    """

    counts: np.ndarray
    exit_accuracy: np.ndarray
    accuracy: np.ndarray
    macs: np.ndarray


@dataclass(frozen=True)
class ConfusedPair:
    """Two classes that are taken for each other.

    Attributes:
        first: class index, the smaller of the two.
        second: class index.
        counts: per exit alone, how many images of one it answers with the other.
    """

    first: int
    second: int
    counts: tuple[int, ...]

    @property
    def untangled(self) -> int:
        """How many fewer the last exit confuses than exit 1; negative if it confuses more."""
        return self.counts[0] - self.counts[-1]


def outcome_lookup(num_exits: int) -> np.ndarray:
    """(E, 2**E) uint8: the outcome by exit (0-based) and by which exits are right.

    The second index has bit k set if exit k is right. This table is the definition; the browser
    gets it too.
    """
    lookup = np.empty((num_exits, 1 << num_exits), dtype=np.uint8)
    for exit_index in range(num_exits):
        for bits in range(1 << num_exits):
            right = [bool(bits >> k & 1) for k in range(num_exits)]
            lookup[exit_index, bits] = _outcome(exit_index, right)
    return lookup


def _outcome(exit_index: int, right: Sequence[bool]) -> int:
    if right[exit_index]:
        if exit_index == 0:
            return ONCE
        return UNSURE if right[0] else RESCUED
    if any(right[:exit_index]):
        return OVERTHOUGHT
    return EARLY if any(right) else NEVER


def right_bits(table: ExitTable) -> np.ndarray:
    """(n,) int64: bit k is set if exit k answers the image right."""
    return table.correct @ (1 << np.arange(table.num_exits))


def outcomes(table: ExitTable, thresholds: float | Sequence[float]) -> np.ndarray:
    """(n,) uint8: the outcome of every image under the thresholds, an index of `OUTCOMES`."""
    lookup = outcome_lookup(table.num_exits)
    return lookup[exit_indices(table, thresholds), right_bits(table)]


def count_outcomes(table: ExitTable, thresholds: float | Sequence[float]) -> np.ndarray:
    """(E, 6) int64: images by exit and outcome under the thresholds; they sum to n."""
    exits, found = exit_indices(table, thresholds), outcomes(table, thresholds)
    cells = np.bincount(exits * len(OUTCOMES) + found, minlength=table.num_exits * len(OUTCOMES))
    return cells.reshape(table.num_exits, len(OUTCOMES))


def margins(table: ExitTable, thresholds: float | Sequence[float]) -> np.ndarray:
    """(n,) float64: how far a threshold must move until the image leaves elsewhere.

    The smallest |confidence - threshold| over the exits that were asked: all up to the one where
    the image leaves, but not the last, which always answers. Infinite for a model of one exit.
    """
    values = check_thresholds(thresholds, table.num_exits)
    exits = exit_indices(table, values)
    nearest = np.full(table.n, np.inf)
    for i, threshold in enumerate(values):
        distance = np.abs(table.exit_confidences[i] - threshold)
        nearest = np.where(exits >= i, np.minimum(nearest, distance), nearest)
    return nearest


def by_class(table: ExitTable, thresholds: float | Sequence[float]) -> ClassNumbers:
    """Cost and accuracy of each class under the thresholds, and of each exit alone."""
    exits, classes = exit_indices(table, thresholds), table.info.num_classes
    counts = np.bincount(table.labels, minlength=classes)
    fired = table.correct[np.arange(table.n), exits]
    macs = np.asarray(table.info.exit_macs, dtype=np.float64)[exits]

    def mean(values: np.ndarray) -> np.ndarray:
        sums = np.bincount(table.labels, weights=values, minlength=classes)
        return np.divide(sums, counts, out=np.full(classes, np.nan), where=counts > 0)

    alone = [mean(table.correct[:, k]) for k in range(table.num_exits)]
    return ClassNumbers(counts, np.stack(alone, axis=1), mean(fired), mean(macs))


def untangled_pairs(table: ExitTable, limit: int = 6) -> tuple[ConfusedPair, ...]:
    """The pairs of classes that the last exit confuses less than exit 1, the largest fall first.

    Both directions count: cats taken for dogs and dogs taken for cats. Among equal falls the pair
    that exit 1 confuses more comes first, then the smaller class indices.

    Args:
        table: what the exits said.
        limit: at most so many pairs.
    """
    classes = table.info.num_classes
    wrong = [np.flatnonzero(~table.correct[:, k]) for k in range(table.num_exits)]
    codes = []  # per exit, one number per confused image: smaller class * C + larger class
    for k, rows in enumerate(wrong):
        label, said = table.labels[rows], table.predictions[rows, k].astype(np.int64)
        codes.append(np.minimum(label, said) * classes + np.maximum(label, said))
    pairs = np.unique(codes[0])  # a pair that exit 1 does not confuse cannot be untangled
    counts = np.stack([_count(code, pairs) for code in codes], axis=1)
    falls = counts[:, 0] - counts[:, -1]
    order = np.lexsort((pairs, -counts[:, 0], -falls))[:limit]
    return tuple(
        ConfusedPair(int(pairs[i] // classes), int(pairs[i] % classes), tuple(counts[i].tolist()))
        for i in order
        if falls[i] > 0
    )


def _count(codes: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """How often each of `wanted` (sorted, distinct) occurs in `codes`."""
    found = np.sort(codes)
    return np.searchsorted(found, wanted, "right") - np.searchsorted(found, wanted, "left")
