"""Many pictures through all exits, once; any thresholds are then replayed on what the exits said.

Pictures are opened, cut to what the model sees, run in small slices and dropped; what is kept of
each is what every exit said. A picture that cannot be used gives one sentence, and the rest goes
on. Pictures whose folder names a class of the model are labelled: they make an `ExitTable`, the
same that `dvt evaluate` makes of the folder.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from dvt_core.class_words import find_class
from dvt_core.errors import InputError
from dvt_core.evaluate import table_info
from dvt_core.exit_table import ExitTable
from dvt_core.images import open_image
from dvt_core.model import DynamicViT
from dvt_core.thresholds import check_thresholds, exit_indices

SLICE_MACS, SLICE_MAX = 1e9, 32  # a slice keeps one CPU thread busy for less than 0.1 s

Run = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Source:
    """A picture that can be read.

    Attributes:
        name: for people; with its folders where it has some: "cat/001.jpg".
        folders: names of the folders it lies in, outermost first.
        read: gives what `open_image` takes; may raise InputError.
    """

    name: str
    folders: tuple[str, ...]
    read: Callable[[], bytes | Path]


@dataclass(frozen=True, eq=False)
class Batch:
    """What all exits said about the n usable pictures.

    Attributes:
        names: (n) of the pictures.
        folders: (n) name of the folder each lies in; "" for none.
        is_labelled: (n,) bool: the picture's folders name a class of the model.
        said: what the exits said; `indices` are places among the sources. Its labels mean
            something only where `is_labelled`, elsewhere they are 0.
        unusable: (name, reason without a full stop) of pictures that were left out.
    """

    names: tuple[str, ...]
    folders: tuple[str, ...]
    is_labelled: np.ndarray
    said: ExitTable
    unusable: tuple[tuple[str, str], ...]

    @property
    def n(self) -> int:
        """Number of pictures."""
        return self.said.n

    @cached_property
    def labelled(self) -> ExitTable | None:
        """The exit table of the labelled pictures; None if there are none."""
        if not self.is_labelled.any():
            return None
        arrays = {f.name: getattr(self.said, f.name) for f in fields(ExitTable) if f.name != "info"}
        return replace(self.said, **{name: a[self.is_labelled] for name, a in arrays.items()})

    @cached_property
    def strange(self) -> tuple[str, ...]:
        """Folders whose names are no class of the model, sorted."""
        strange = ~self.is_labelled
        return tuple(sorted({f for f, s in zip(self.folders, strange, strict=True) if f and s}))


def _call(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


def _ignore(*_: Any) -> None:
    pass


def run_batch(
    model: DynamicViT,
    sources: Sequence[Source],
    class_names: Sequence[str],
    *,
    data: str,
    run: Run = _call,
    step: Callable[[int, int], None] = _ignore,
    keep: Callable[[int, Image.Image], None] = _ignore,
) -> Batch:
    """Runs all exits over all pictures that can be opened.

    Args:
        model: in eval mode.
        sources: where the pictures are.
        class_names: of the model, to compare folders with.
        data: what to call the pictures in the table.
        run: `run(function, *args)` gives the function's result; where the model is shared, a
            worker's. Each call is a slice of a fraction of a second.
        step: called as step(done, total) after each picture; what it raises ends the batch.
        keep: called as keep(place among the sources, opened picture), to keep a thumbnail.

    Raises:
        InputError: none of the pictures can be used.
    """
    parts: list[tuple[list[int], np.ndarray]] = []
    unusable: list[tuple[str, str]] = []
    waiting: list[tuple[int, torch.Tensor]] = []
    size = slice_size(model.exit_macs[-1])
    for place, source in enumerate(sources):
        try:
            image = open_image(source.read())
            waiting.append((place, model.preprocess(image)))
            keep(place, image)
        except InputError as error:
            unusable.append((source.name, str(error)))
        if len(waiting) == size or (waiting and place == len(sources) - 1):
            places, tensors = zip(*waiting, strict=True)
            parts.append((list(places), run(_all_exits, model, torch.stack(tensors))))
            waiting = []
        step(place + 1, len(sources))
    if not parts:
        raise InputError(_nothing(unusable))
    return _batch(model, sources, class_names, data, parts, tuple(unusable))


def slice_size(full_macs: int) -> int:
    """How many pictures the model gets at once, by what all its exits cost per picture."""
    return int(min(max(SLICE_MACS // full_macs, 1), SLICE_MAX))


@torch.inference_mode()
def _all_exits(model: DynamicViT, images: torch.Tensor) -> np.ndarray:
    """(B, E, C) float32 probabilities of all exits."""
    logits = model(images.to(next(model.parameters()).device))
    return torch.stack(logits, dim=1).float().softmax(dim=2).cpu().numpy()


def _nothing(unusable: Sequence[tuple[str, str]]) -> str:
    if not unusable:
        return "there are no pictures, choose at least one"
    (name, why), n = unusable[0], len(unusable)
    which = "the picture cannot" if n == 1 else f"none of the {n} pictures can"
    return f"{which} be used; {name}: {why}"


def _batch(
    model: DynamicViT,
    sources: Sequence[Source],
    class_names: Sequence[str],
    data: str,
    parts: list[tuple[list[int], np.ndarray]],
    unusable: tuple[tuple[str, str], ...],
) -> Batch:
    """Puts the slices together."""
    info = table_info(model, data, "test")
    classes = {
        place: find_class(class_names, sources[place].folders) for p, _ in parts for place in p
    }
    tables = [
        ExitTable.from_probs(probs, [classes[place] or 0 for place in places], places, info)
        for places, probs in parts
    ]
    used = [sources[place] for place in classes]
    return Batch(
        tuple(source.name for source in used),
        tuple(source.folders[-1] if source.folders else "" for source in used),
        np.array([found is not None for found in classes.values()]),
        ExitTable.concat(tables),
        unusable,
    )


# --- answers to take home ----------------------------------------------------------------


def answer_columns(
    batch: Batch, class_names: Sequence[str], thresholds: float | Sequence[float]
) -> dict[str, list[Any]]:
    """One row per picture: the answer under these thresholds, and what every exit said.

    Columns: `picture`, `exit` (1 is the first), `class`, `confidence`, `macs`; `label` and `right`
    where pictures are labelled (None where one is not); `thresholds`; `exit1_class`,
    `exit1_confidence` and so on.
    """
    said, names = batch.said, list(class_names)
    exits, rows = exit_indices(said, thresholds), np.arange(batch.n)
    answers = said.predictions[rows, exits]
    columns: dict[str, list[Any]] = {
        "picture": list(batch.names),
        "exit": (exits + 1).tolist(),
        "class": [names[i] for i in answers],
        "confidence": said.confidences[rows, exits].tolist(),
        "macs": np.array(said.info.exit_macs)[exits].tolist(),
    }
    if batch.is_labelled.any():
        known = list(zip(said.labels, answers, batch.is_labelled, strict=True))
        columns["label"] = [names[label] if is_known else None for label, _, is_known in known]
        columns["right"] = [bool(label == a) if is_known else None for label, a, is_known in known]
    limits = check_thresholds(thresholds, said.num_exits)
    columns["thresholds"] = [" ".join(f"{value:.9g}" for value in limits)] * batch.n
    for i in range(said.num_exits):
        columns[f"exit{i + 1}_class"] = [names[k] for k in said.predictions[:, i]]
        columns[f"exit{i + 1}_confidence"] = said.confidences[:, i].tolist()
    return columns


def to_csv(columns: dict[str, list[Any]]) -> str:
    """Columns as CSV; text that a spreadsheet would compute begins with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(map(_cells, zip(*columns.values(), strict=True)))
    return out.getvalue()


def _cells(row: Sequence[Any]) -> list[Any]:
    is_formula = [isinstance(cell, str) and cell.startswith(("=", "+", "-", "@")) for cell in row]
    return [f"'{cell}" if bad else cell for cell, bad in zip(row, is_formula, strict=True)]


def to_parquet(columns: dict[str, list[Any]]) -> bytes:
    """Columns as a Parquet file."""
    out = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), out)
    return out.getvalue().to_pybytes()
