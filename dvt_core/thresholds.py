"""The exit rule replayed on an `ExitTable`: accuracy, cost and exit shares for any thresholds.

An image leaves at the first exit whose confidence reaches that exit's threshold; the last exit
always answers (arXiv 2105.15075, section 3.3). The comparison is `float64(confidence) >=
float64(threshold)`, here as in `inference.classify`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dvt_core.errors import InputError
from dvt_core.exit_table import ExitTable

_LARGEST = 1e15  # a number in a file that is larger counts nothing that we measure
_BLOCK = 1 << 18  # images times settings looked at in one go; stays within the processor's cache


@dataclass(frozen=True)
class OperatingPoint:
    """What a split gives under one setting of the thresholds.

    Attributes:
        thresholds: one per exit but the last.
        accuracy: share of images answered right, 0..1.
        macs: multiply-accumulates per image, mean over the split.
        exit_shares: share of images that leave at each exit, 0..1.
    """

    thresholds: tuple[float, ...]
    accuracy: float
    macs: float
    exit_shares: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form, lists for tuples."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], num_exits: int) -> OperatingPoint:
        """Reads what `to_dict` wrote for a model with this many exits; other keys are ignored.

        Raises:
            InputError, KeyError, TypeError: something else.
        """
        shares = tuple(raw["exit_shares"])
        numbers = (raw["accuracy"], raw["macs"], *shares)
        if len(shares) != num_exits or not all(
            type(number) in (int, float) and 0 <= number < _LARGEST for number in numbers
        ):
            raise InputError(f"accuracy, macs and {num_exits} exit_shares must be finite numbers")
        thresholds = check_thresholds(list(raw["thresholds"]), num_exits)
        return cls(thresholds, raw["accuracy"], raw["macs"], shares)


def check_thresholds(thresholds: float | Sequence[float], num_exits: int) -> tuple[float, ...]:
    """The `num_exits - 1` thresholds as floats; a single number is shared by all exits.

    Raises:
        InputError: not finite numbers, or not `num_exits - 1` of them.
    """
    try:
        values = np.asarray(thresholds, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"thresholds is {thresholds!r}, expected numbers") from None
    if values.ndim == 0:
        values = np.full(num_exits - 1, values)
    if values.shape != (num_exits - 1,):
        raise InputError(
            f"thresholds has {values.size} values, but a {num_exits}-exit model takes "
            f"{num_exits - 1} (the last exit always answers) or one shared number"
        )
    if not np.isfinite(values).all():
        raise InputError(
            f"thresholds is {values.tolist()}, every value must be finite; use a number above 1 "
            "to never leave at an exit"
        )
    return tuple(values.tolist())


def exit_indices(table: ExitTable, thresholds: float | Sequence[float]) -> np.ndarray:
    """(n,) int64: the 0-based exit at which each image leaves."""
    values = check_thresholds(thresholds, table.num_exits)
    exits = np.full(table.n, table.num_exits - 1, dtype=np.int64)
    for i in reversed(range(table.num_exits - 1)):
        exits[table.exit_confidences[i] >= values[i]] = i
    return exits


def replay(table: ExitTable, thresholds: float | Sequence[float]) -> OperatingPoint:
    """The operating point of one setting of the thresholds."""
    return sweep(table, np.array([check_thresholds(thresholds, table.num_exits)]))[0]


def sweep(
    table: ExitTable, thresholds: Sequence[float] | np.ndarray | None = None
) -> tuple[OperatingPoint, ...]:
    """The operating points of many settings of the thresholds, in the order given.

    Args:
        table: what the exits said.
        thresholds: (m,) shared thresholds, or (m, E - 1) with one per exit; by default 0, 0.01,
            ..., 1.

    Raises:
        InputError: wrong shape, or values that are not finite numbers.
    """
    gates = table.num_exits - 1
    try:
        values = np.asarray(
            np.linspace(0, 1, 101) if thresholds is None else thresholds, dtype=np.float64
        )
    except (TypeError, ValueError, OverflowError):
        raise InputError("thresholds to sweep must be a rectangular list of numbers") from None
    if values.ndim not in (1, 2) or (values.ndim == 2 and values.shape[1] != gates):
        raise InputError(
            f"thresholds to sweep has shape {values.shape}, expected (m,) shared thresholds or "
            f"(m, {gates}) for {table.num_exits} exits"
        )
    if not np.isfinite(values).all():
        raise InputError("thresholds to sweep has values that are not finite")
    is_shared = values.ndim == 1
    counts, correct = (tally_shared if is_shared else tally)(table, values)
    rows = np.repeat(values[:, None], gates, axis=1) if is_shared else values
    macs = counts @ np.array(table.info.exit_macs) / table.n
    return tuple(
        OperatingPoint(tuple(row), accuracy, cost, tuple(shares))
        for row, accuracy, cost, shares in zip(
            rows.tolist(),
            (correct / table.n).tolist(),
            macs.tolist(),
            (counts / table.n).tolist(),
            strict=True,
        )
    )


def tally(table: ExitTable, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts for (m, E - 1) thresholds: (m, E) images leaving, (m,) answered right; int64."""
    num_rows, gates = thresholds.shape
    passed = np.zeros((num_rows, gates + 2), dtype=np.int64)  # images beyond exit i - 1
    passed[:, 0] = table.n
    correct = np.full(num_rows, np.count_nonzero(table.correct[:, 0]), dtype=np.int64)
    right = np.ascontiguousarray(table.correct.T)
    step = max(1, _BLOCK // table.n)
    for start in range(0, num_rows, step):
        rows = slice(start, start + step)
        stays: np.ndarray | bool = True
        for i in range(gates):
            stays = stays & (table.exit_confidences[i] < thresholds[rows, i, None])
            passed[rows, i + 1] = np.count_nonzero(stays, axis=1)
            correct[rows] += np.count_nonzero(stays & right[i + 1], axis=1)
            correct[rows] -= np.count_nonzero(stays & right[i], axis=1)
    return passed[:, :-1] - passed[:, 1:], correct


def tally_shared(table: ExitTable, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What `tally` gives for (m,) shared thresholds, in O(n log m).

    Under a shared threshold t an image goes beyond exit i exactly if the largest confidence of
    exits 0..i is below t, so one histogram per exit over the sorted thresholds is enough.
    """
    num_rows, gates = len(thresholds), table.num_exits - 1
    order = np.argsort(thresholds, kind="stable")
    ascending = thresholds[order]
    passed = np.zeros((num_rows, gates + 2), dtype=np.int64)
    passed[:, 0] = table.n
    correct = np.full(num_rows, np.count_nonzero(table.correct[:, 0]), dtype=np.int64)
    largest = np.maximum.accumulate(table.exit_confidences[:gates], axis=0)
    change = np.diff(table.correct.astype(np.int8), axis=1)  # of the answer, exit i to i + 1
    for i in range(gates):
        first = np.searchsorted(ascending, largest[i], side="right")  # row from which it stays
        stays = np.bincount(first, minlength=num_rows + 1)[:num_rows]
        gains = np.bincount(first, weights=change[:, i], minlength=num_rows + 1)[:num_rows]
        passed[order, i + 1] = np.cumsum(stays)
        correct[order] += np.cumsum(gains).astype(np.int64)
    return passed[:, :-1] - passed[:, 1:], correct
