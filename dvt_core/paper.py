"""The paper's own numbers, as data: every point of its tables and of its main figure.

They are quoted, not measured here, and are never mixed with our results. Costs are in GMACs, which
the paper writes "GFLOPs"; accuracies are top-1 in percent, as printed.

References:
    Wang et al., "Not All Images are Worth 16x16 Words", NeurIPS 2021, arXiv 2105.15075.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from dvt_core.errors import InputError

RESULTS = Path(__file__).resolve().parents[1] / "assets" / "paper" / "results.csv"
KINDS = ("dvt", "static", "other dynamic")
PRINTED, READ_OFF = "printed", "read off a figure"
_OPTIONAL = ("gmacs", "top1", "images_per_s")


@dataclass(frozen=True)
class PaperPoint:
    """One point that the paper gives.

    Attributes:
        experiment: what it belongs to: "curve", "baseline", "cifar", "ablation-reuse" and so on.
        dataset: "imagenet", "cifar10" or "cifar100".
        series: the line or row it is part of, for people.
        kind: "dvt" (the paper's cascade or a variant of it), "static" or "other dynamic".
        setting: what tells it from the other points of its series; may be empty.
        exit: 1-based, for numbers of one exit alone; None for a mean over early exits.
        gmacs: giga multiply-accumulates per image; up to and including `exit` where that is given.
        top1: accuracy in percent.
        images_per_s: throughput on an NVIDIA 2080Ti at batch 128.
        claim: what the paper prints beside it: "1.9x", "+6.80 points", "4.4 % extra".
        source: table or figure.
        exact: `PRINTED` or `READ_OFF`.
        gmacs_error: how far `gmacs` may be off, in GMACs; 0 if printed.
        top1_error: how far `top1` may be off, in percentage points; 0 if printed.
    """

    experiment: str
    dataset: str
    series: str
    kind: str
    setting: str
    exit: int | None
    gmacs: float | None
    top1: float | None
    images_per_s: float | None
    claim: str
    source: str
    exact: str
    gmacs_error: float
    top1_error: float

    def __post_init__(self) -> None:
        """Checks words and ranges."""
        if not (self.experiment and self.dataset and self.series and self.source):
            raise InputError("experiment, dataset, series and source must not be empty")
        if self.kind not in KINDS:
            raise InputError(f"kind is {self.kind!r}, known are {', '.join(KINDS)}")
        if self.exact not in (PRINTED, READ_OFF):
            raise InputError(f"exact is {self.exact!r}, expected {PRINTED!r} or {READ_OFF!r}")
        if (self.exact == PRINTED) != (self.gmacs_error == self.top1_error == 0):
            raise InputError("a printed number has errors of 0, one read off a figure has not")
        if self.top1 is None or not 0 < self.top1 < 100:
            raise InputError(f"top1 is {self.top1}, expected a percentage")
        if (self.gmacs is None) == (self.images_per_s is None):
            raise InputError("a point has either gmacs or images_per_s")


COLUMNS = tuple(each.name for each in fields(PaperPoint))


def load_paper_results(path: Path = RESULTS) -> tuple[PaperPoint, ...]:
    """All points of the paper, in the file's order.

    Raises:
        InputError: the file is missing or damaged; names the line.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise InputError(f"{path} has other columns than {', '.join(COLUMNS)}; restore it")
            points = tuple(_point(row, f"line {reader.line_num} of {path}") for row in reader)
    except OSError as error:
        raise InputError(f"cannot read the paper's numbers, {path}: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no CSV file: {error}; restore it") from error
    if not points:
        raise InputError(f"{path} holds no points; restore it")
    return points


def _point(row: dict[str, Any], place: str) -> PaperPoint:
    if None in row or None in row.values():
        raise InputError(f"{place} does not have {len(COLUMNS)} fields; restore the file")
    try:
        numbers = {name: _number(row[name]) if row[name] else None for name in _OPTIONAL}
        errors = {name: _number(row[name]) for name in ("gmacs_error", "top1_error")}
        exit_number = int(row["exit"]) if row["exit"] else None
        return PaperPoint(**{**row, **numbers, **errors, "exit": exit_number})
    except ValueError as error:
        raise InputError(f"{place}: {error}; restore the file") from error


def _number(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{text} is no finite number from 0")
    return value


def select(points: Iterable[PaperPoint], **wanted: str | int) -> tuple[PaperPoint, ...]:
    """The points whose fields have the wanted values: `select(points, dataset="cifar10")`."""
    return tuple(p for p in points if all(getattr(p, k) == v for k, v in wanted.items()))


def by_series(points: Iterable[PaperPoint]) -> dict[str, tuple[PaperPoint, ...]]:
    """The points of every series, series and points in the order they come."""
    series: dict[str, tuple[PaperPoint, ...]] = {}
    for point in points:
        series[point.series] = (*series.get(point.series, ()), point)
    return series


def to_csv(points: Iterable[PaperPoint]) -> str:
    """The points as CSV, with the columns of the stored file."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(point) for point in points)
    return out.getvalue()
