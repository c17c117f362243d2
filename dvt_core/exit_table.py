"""What every exit said about every image of a split: the only input of thresholds and curves.

A model is run once over a split; accuracy, exit shares and cost under any thresholds are then
replayed from this table in milliseconds, without the model. It is stored as one Parquet file with
plain columns (`label`, `index`, `exit1_confidence`, ...), so any data tool can open it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dvt_core.errors import InputError, printable
from dvt_core.table_file import TableInfo, pack_columns, read_columns
from dvt_core.whole_file import write_whole

SCHEMA_VERSION = 1
TOP_K = 5
_ROUNDING = 1e-4  # a float32 softmax may end up this far above 1
_PER_IMAGE = {"labels": "label", "indices": "index"}
_PER_EXIT = {
    "predictions": "prediction",
    "confidences": "confidence",
    "entropies": "entropy",
    "margins": "margin",
    "top5": "top5",
    "top5_probs": "top5_probs",
}


@dataclass(frozen=True, eq=False)
class ExitTable:
    """Per image and exit, what the model answered; n images, E exits, K = min(5, num_classes).

    Attributes:
        labels: (n,) int64 true classes.
        indices: (n,) int64 row of each image in its stored split.
        predictions: (n, E) int32 most probable class; ties go to the lower index, as `np.argmax`.
        confidences: (n, E) float32 largest softmax probability, in [0, 1].
        entropies: (n, E) float32 entropy of the probabilities in nats.
        margins: (n, E) float32 largest minus second largest probability, in [0, 1].
        top5: (n, E, K) int32 most probable classes, best first.
        top5_probs: (n, E, K) float32 their probabilities.
        info: where the table comes from.

    Raises:
        InputError: at construction, if a shape, dtype or range is wrong.
    """

    labels: np.ndarray
    indices: np.ndarray
    predictions: np.ndarray
    confidences: np.ndarray
    entropies: np.ndarray
    margins: np.ndarray
    top5: np.ndarray
    top5_probs: np.ndarray
    info: TableInfo

    def __post_init__(self) -> None:
        """Checks the arrays and makes them read-only."""
        n, classes = len(self.labels), self.info.num_classes
        exits, top = len(self.info.exit_macs), min(TOP_K, classes)
        if n == 0:
            raise InputError("the exit table has no images, it needs at least one")
        shapes = {"labels": (n,), "indices": (n,), "top5": (n, exits, top)}
        shapes["top5_probs"] = shapes["top5"]
        largest = float(np.finfo(np.float32).max)
        for name, dtype, low, high in (
            ("labels", np.int64, 0, classes - 1),
            ("indices", np.int64, 0, np.iinfo(np.int64).max),
            ("predictions", np.int32, 0, classes - 1),
            ("confidences", np.float32, 0.0, 1 + _ROUNDING),
            ("entropies", np.float32, 0.0, largest),
            ("margins", np.float32, 0.0, 1 + _ROUNDING),
            ("top5", np.int32, 0, classes - 1),
            ("top5_probs", np.float32, 0.0, 1 + _ROUNDING),
        ):
            array = _checked(name, getattr(self, name), shapes.get(name, (n, exits)), dtype)
            if not ((array >= low) & (array <= high)).all():  # NaN fails too
                raise InputError(f"{name} has values outside {low} to {high:g}")
            object.__setattr__(self, name, array)
        if not (
            np.array_equal(self.predictions, self.top5[..., 0])
            and np.array_equal(self.confidences, self.top5_probs[..., 0])
            and (self.top5_probs[..., 1:] <= self.top5_probs[..., :-1]).all()
        ):
            raise InputError("predictions and confidences do not agree with the sorted top5")

    @property
    def n(self) -> int:
        """Number of images."""
        return len(self.labels)

    @property
    def num_exits(self) -> int:
        """Number of exits."""
        return len(self.info.exit_macs)

    @cached_property
    def correct(self) -> np.ndarray:
        """(n, E) bool: which exits answer which images right."""
        return self.predictions == self.labels[:, None]

    @cached_property
    def exit_confidences(self) -> np.ndarray:
        """(E, n) float64 confidences, a contiguous row per exit, to compare thresholds with.

        float64, because NumPy would round a Python float threshold to float32 otherwise.
        """
        return np.ascontiguousarray(self.confidences.T, dtype=np.float64)

    @property
    def exit_accuracy(self) -> tuple[float, ...]:
        """Accuracy of each exit if every image left there, 0..1."""
        return tuple(float(share) for share in self.correct.mean(axis=0))

    @classmethod
    def from_probs(
        cls,
        probs: np.ndarray,
        labels: Sequence[int] | np.ndarray,
        indices: Sequence[int] | np.ndarray,
        info: TableInfo,
    ) -> ExitTable:
        """Makes the table of (n, E, C) probabilities, each in [0, 1].

        Raises:
            InputError: wrong shapes, or values outside [0, 1], for instance logits.
        """
        probs = np.asarray(probs, dtype=np.float32)
        wanted = (len(labels), len(info.exit_macs), info.num_classes)
        if probs.shape != wanted:
            raise InputError(f"probs has shape {probs.shape}, expected (n, E, C) = {wanted}")
        if not ((probs >= 0) & (probs <= 1 + _ROUNDING)).all():
            raise InputError("probs has values outside 0 to 1, pass softmax probabilities")
        top5, top5_probs = _top(probs, min(TOP_K, info.num_classes))
        logs = np.log(np.where(probs > 0, probs, 1))  # 0 log 0 = 0
        entropies = np.maximum(-(probs * logs).sum(axis=-1, dtype=np.float64), 0)
        return cls(
            labels=np.asarray(labels, dtype=np.int64),
            indices=np.asarray(indices, dtype=np.int64),
            predictions=top5[..., 0].copy(),
            confidences=top5_probs[..., 0].copy(),
            entropies=entropies.astype(np.float32),
            margins=top5_probs[..., 0] - top5_probs[..., 1],
            top5=top5,
            top5_probs=top5_probs,
            info=info,
        )

    @classmethod
    def concat(cls, tables: Sequence[ExitTable]) -> ExitTable:
        """Joins parts of one split, in the order given; device and made_by are the first's.

        Raises:
            InputError: no parts, parts of different models or splits, or an image in two parts.
        """
        if not tables:
            raise InputError("concat got no tables, it needs at least one")
        sources = {replace(table.info, device="", made_by="") for table in tables}
        if len(sources) > 1:
            raise InputError("the tables come from different models, data or splits")
        joined = cls(
            **{name: np.concatenate([getattr(t, name) for t in tables]) for name in _ARRAYS},
            info=tables[0].info,
        )
        if len(np.unique(joined.indices)) < joined.n:
            raise InputError("the tables overlap: an image index occurs more than once")
        return joined

    def head(self, n: int) -> ExitTable:
        """The first `n` images, or all if there are fewer; InputError if `n` is below 1."""
        if n < 1:
            raise InputError(f"n is {n}, it must be at least 1")
        return replace(self, **{name: getattr(self, name)[:n] for name in _ARRAYS})

    def exit_alone(self, index: int, macs: int, model: str) -> ExitTable:
        """Exit `index` (0-based) as the table of a model of one exit that costs `macs`."""
        one = slice(index, index + 1)
        return replace(
            self,
            **{
                n: getattr(self, n) if n in _PER_IMAGE else getattr(self, n)[:, one]
                for n in _ARRAYS
            },
            info=replace(self.info, model=model, exit_macs=(macs,)),
        )

    def check_model(
        self, name: str, *, weights_sha256: str, num_exits: int, num_classes: int
    ) -> None:
        """Raises InputError unless this table was made with these very weights."""
        mine = (self.info.weights_sha256, self.num_exits, self.info.num_classes)
        if mine != (weights_sha256, num_exits, num_classes):
            raise InputError(
                f"this table was made with model {self.info.model!r} ({self.num_exits} exits, "
                f"{self.info.num_classes} classes, weights {mine[0][:8]}), not {name!r} "
                f"({num_exits} exits, {num_classes} classes, weights {weights_sha256[:8]}); "
                "evaluate that model to get its own table"
            )

    def to_bytes(self) -> bytes:
        """The table as the bytes of a Parquet file, as `save` writes and `load` reads it."""
        columns = {column: getattr(self, name) for name, column in _PER_IMAGE.items()}
        for i in range(self.num_exits):
            for name, column in _PER_EXIT.items():
                columns[f"exit{i + 1}_{column}"] = getattr(self, name)[:, i]
        return pack_columns(columns, {"version": SCHEMA_VERSION, "info": asdict(self.info)})

    def save(self, path: str | Path) -> None:
        """Writes the table as Parquet; the file appears complete or not at all.

        Raises:
            InputError: the path cannot be written.
        """
        write_whole(Path(path), self.to_bytes(), "the exit table ")

    @classmethod
    def load(cls, path: str | Path) -> ExitTable:
        """Reads what `save` wrote and checks it.

        Raises:
            InputError: the file is missing, damaged, foreign, or of another schema version.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(f"no exit table at {path}, make one with: dvt evaluate --out {path}")
        try:
            columns, document = read_columns(path)
            if document["version"] != SCHEMA_VERSION:
                raise InputError(f"its version is {document['version']}, not {SCHEMA_VERSION}")
            info = TableInfo(**document["info"])
            arrays = {name: columns[column] for name, column in _PER_IMAGE.items()}
            for name, column in _PER_EXIT.items():
                exits = [f"exit{i + 1}_{column}" for i in range(len(info.exit_macs))]
                arrays[name] = np.stack([columns[key] for key in exits], axis=1)
            return cls(**arrays, info=info)
        except InputError as error:
            reason = printable(error, 300)
            raise InputError(f"{path} is not a usable exit table: {reason}") from error
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InputError(f"{path} is a Parquet file, but not an exit table") from error


_ARRAYS = tuple(field.name for field in fields(ExitTable) if field.name != "info")


def _checked(name: str, array: Any, shape: tuple[int, ...], dtype: type[np.generic]) -> np.ndarray:
    """A read-only view of `array`, once its shape and dtype are right."""
    if not isinstance(array, np.ndarray) or array.dtype != dtype or array.shape != shape:
        got = f"{getattr(array, 'dtype', type(array).__name__)} {np.shape(array)}"
        raise InputError(f"{name} is {got}, expected {np.dtype(dtype)} {shape}")
    view = array.view()
    view.flags.writeable = False
    return view


def _top(probs: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The `count` largest of the last axis: (classes int32, probs), ties to the lower class."""
    left = probs.copy()
    classes = np.empty((*probs.shape[:-1], count), dtype=np.int32)
    for rank in range(count):
        classes[..., rank] = left.argmax(axis=-1)
        np.put_along_axis(left, classes[..., rank, None], -1, axis=-1)
    return classes, np.take_along_axis(probs, classes, axis=-1)
