"""What the authors stored in a checkpoint besides its weights: their own measurements.

A released DVT checkpoint holds the cost and the accuracy of every exit, and a curve of operating
points with the thresholds that give it. A model folder keeps them as `authors.json`. They are
never mixed with what was measured here: other images' preprocessing, another machine, and costs
that another tool counted (docs/macs.md).

References:
    github.com/blackfeather-wang/Dynamic-Vision-Transformer, README and inference.py: the entries
    of a checkpoint; dynamic_evaluate there for the units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from torch import Tensor

from dvt_core.errors import InputError, printable

AUTHORS = "authors.json"
FLOPS, EXITS = "flops", "anytime_classification"
THRESHOLDS, CURVE = "dynamic_threshold", "budgeted_batch_classification"
_MAX_NUMBERS, _LARGEST = 1_000_000, 1e15  # in an entry
ENTRIES = (FLOPS, EXITS, THRESHOLDS, CURVE)


@dataclass(frozen=True)
class AuthorsPoint:
    """One point of the authors' curve.

    Attributes:
        thresholds: one per exit but the last, 1e8 where nobody leaves; empty if not stored.
        macs: multiply-accumulates per image, mean over their test images; papers say GFLOPs.
        accuracy: share of their test images answered right, 0..1.
    """

    thresholds: tuple[float, ...]
    macs: float
    accuracy: float


@dataclass(frozen=True)
class AuthorsResults:
    """The authors' numbers; what the checkpoint lacks is empty.

    Attributes:
        exit_macs: multiply-accumulates up to and including each exit.
        exit_accuracy: accuracy of each exit if every image left there, 0..1.
        points: their curve, cheapest first.
        source: file name and sha256 of the checkpoint.
    """

    exit_macs: tuple[float, ...]
    exit_accuracy: tuple[float, ...]
    points: tuple[AuthorsPoint, ...]
    source: str

    @property
    def has_thresholds(self) -> bool:
        """Whether there are points and they can be used, not only drawn."""
        return any(point.thresholds for point in self.points)

    def fits(self, num_exits: int) -> bool:
        """Whether the numbers are of a model with this many exits."""
        lists = self.exit_macs, self.exit_accuracy
        gates = {len(point.thresholds) for point in self.points}
        return {len(each) for each in lists} <= {0, num_exits} and gates <= {0, num_exits - 1}

    def at_budget(self, macs: float) -> AuthorsPoint:
        """The most accurate point whose mean MACs per image are at most `macs`.

        Raises:
            InputError: the budget is below all points.
        """
        affordable = [point for point in self.points if point.macs <= macs]
        if not affordable:
            cheapest = min((point.macs for point in self.points), default=np.inf)
            raise InputError(
                f"the budget is {macs / 1e9:g} GMACs per image, but the cheapest of the authors' "
                f"points takes {cheapest / 1e9:.3g}"
            )
        return max(affordable, key=lambda point: point.accuracy)  # the cheaper of two as good

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> AuthorsResults:
        """Reads what `to_dict` wrote, through JSON or not.

        Raises:
            InputError: unknown, missing or ill-typed fields.
        """
        try:
            points = tuple(
                AuthorsPoint(_floats(p["thresholds"]), *_floats((p["macs"], p["accuracy"])))
                for p in raw["points"]
            )
            exits = _floats(raw["exit_macs"]), _floats(raw["exit_accuracy"])
            return cls(*exits, points, str(raw["source"]))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InputError(f"{AUTHORS} does not fit: {printable(error)}") from error


def read_results(entries: Mapping[str, Any], num_exits: int, source: str) -> AuthorsResults | None:
    """The authors' numbers among the entries of a checkpoint, or None if it holds none.

    GFLOPs become MACs per image (theirs count a multiply-accumulate once), percent become shares.
    Thresholds without a curve are left out, as nothing says what they give.

    Args:
        entries: Python numbers, tensors and NumPy arrays, in lists of any kind.
        num_exits: of the model.
        source: kept as it is.

    Raises:
        InputError: an entry of another size or kind, or numbers out of their range; names it.
    """
    macs = _per_exit(entries, FLOPS, num_exits, high=np.inf) * 1e9
    accuracy = _per_exit(entries, EXITS, num_exits, high=100) / 100
    points = _points(entries, num_exits)
    if not (macs.size or accuracy.size or points):
        return None
    return AuthorsResults(_floats(macs), _floats(accuracy), points, source)


def _per_exit(entries: Mapping[str, Any], name: str, num_exits: int, high: float) -> np.ndarray:
    if entries.get(name) is None:
        return np.empty(0)
    values = _numbers(name, entries[name]).ravel()
    if values.size != num_exits:
        raise InputError(f"{name} holds {values.size} numbers, expected one for each exit")
    if not ((values >= 0) & (values <= high)).all():
        raise InputError(f"{name} holds {values.tolist()}, expected numbers from 0 to {high:g}")
    return values


def _points(entries: Mapping[str, Any], num_exits: int) -> tuple[AuthorsPoint, ...]:
    if entries.get(CURVE) is None:
        return ()
    curve = _numbers(CURVE, entries[CURVE])
    if curve.shape[:1] != (2,) or (curve < 0).any() or (curve[1] > 100).any():
        raise InputError(f"{CURVE} must hold two lists, GFLOPs and accuracies in percent")
    macs, accuracy = curve.reshape(2, -1) * [[1e9], [0.01]]
    thresholds = np.empty((len(macs), 0))
    if entries.get(THRESHOLDS) is not None:
        thresholds = _numbers(THRESHOLDS, entries[THRESHOLDS])
        if thresholds.shape != (len(macs), num_exits):
            raise InputError(
                f"{THRESHOLDS} has shape {thresholds.shape}, expected {(len(macs), num_exits)}: "
                f"a row for each point of {CURVE}, a column for each exit"
            )
        thresholds = thresholds[:, :-1]  # the last exit always answers
    rows = zip(map(_floats, thresholds), macs.tolist(), accuracy.tolist(), strict=True)
    return tuple(sorted((AuthorsPoint(*row) for row in rows), key=lambda point: point.macs))


def _numbers(name: str, value: Any) -> np.ndarray:
    """float64 array of finite numbers, whatever they were stored as."""
    try:
        numbers = np.asarray(_plain(value, [_MAX_NUMBERS]))
    except (TypeError, ValueError, RuntimeError, OverflowError):  # ragged or endless lists, texts
        numbers = np.empty(0, dtype=object)
    if numbers.dtype.kind not in "iuf" or not (np.abs(numbers.astype(np.float64)) < _LARGEST).all():
        raise InputError(f"{name} holds something else than finite numbers in rows of equal length")
    return numbers.astype(np.float64)


def _plain(value: Any, left: list[int]) -> Any:
    """Lists of numbers and of arrays; `left` holds how many numbers may still come.

    A list may hold itself or the same list many times, a tensor repeat one number without end, and
    NumPy makes all texts as long as the longest: what is not a number is refused here.
    """
    left[0] -= 1 if not isinstance(value, Tensor) else value.numel()
    if left[0] < 0:
        raise ValueError("too many numbers")
    if isinstance(value, Tensor) and not value.is_complex():
        return value.detach().double().numpy()
    if isinstance(value, list | tuple):
        return [_plain(item, left) for item in value]
    if isinstance(value, int | float) or hasattr(value, "__array__"):
        return value
    raise TypeError(f"a {type(value).__name__}")


def _floats(values: Any) -> tuple[float, ...]:
    """Finite numbers as floats; TypeError or ValueError if there is something else."""
    numbers = [value.item() if isinstance(value, np.generic) else value for value in values]
    if not all(type(number) in (int, float) for number in numbers):
        raise TypeError("expected numbers")
    if not all(abs(number) < np.inf for number in numbers):
        raise ValueError("expected finite numbers")
    return tuple(map(float, numbers))
