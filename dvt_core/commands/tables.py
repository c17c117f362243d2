"""`dvt evaluate`, `sweep` and `thresholds`: everything that makes or reads an exit table."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dvt_core.bundle import Bundle, load_bundle
from dvt_core.commands.wording import align, format_macs, format_percent, format_thresholds
from dvt_core.data import load_split
from dvt_core.errors import InputError
from dvt_core.evaluate import evaluate as run_over
from dvt_core.exit_table import ExitTable
from dvt_core.solver import solve_accuracy, solve_budget
from dvt_core.thresholds import OperatingPoint, replay
from dvt_core.thresholds import sweep as sweep_thresholds

EVERY = 5  # of the sweep's 101 points, people are shown every fifth


def evaluate(args: Namespace) -> tuple[dict[str, Any], str]:
    """Runs every exit over a split; the table goes to `--out`."""
    if args.out is not None and args.out.is_dir():  # said before minutes of work, not after
        raise InputError(f"--out {args.out} is a folder, expected a file like table.parquet")
    bundle = load_bundle(args.model)
    split = load_split(args.data, args.split, limit=args.limit)
    with tqdm(total=len(split), unit="image", file=sys.stderr, disable=None) as bar:
        table = run_over(
            bundle.load_model(), split, progress=lambda done, _: bar.update(done - bar.n)
        )
    if args.out is not None:
        table.save(args.out)
    macs = table.info.exit_macs
    document = {
        "model": bundle.name,
        "data": split.name,
        "split": split.split,
        "n": table.n,
        "exit_accuracy": list(table.exit_accuracy),
        "exit_macs": list(macs),
    }
    rows = [("exit", "accuracy", "cost per image")]
    rows += [
        (str(index + 1), format_percent(accuracy), format_macs(cost))
        for index, (accuracy, cost) in enumerate(zip(table.exit_accuracy, macs, strict=True))
    ]
    return document, f"{bundle.name} on {table.n} images, {split.title}, {split.split} split\n" + (
        align(rows)
    )


def sweep(args: Namespace) -> tuple[list[dict[str, Any]], str]:
    """Replays a stored table under 101 shared thresholds; the model does not run."""
    bundle = load_bundle(args.model)
    table = _table(bundle, args.table)
    points = sweep_thresholds(table)
    text = _points_text(points[::EVERY])
    heading = f"{bundle.name} on {table.n} images, {table.info.data}, {table.info.split} split\n"
    return [point.to_dict() for point in points], heading + text


def thresholds(args: Namespace) -> tuple[dict[str, Any], str]:
    """Solves on the calibration table; the text also tells what the test table makes of it."""
    bundle = load_bundle(args.model)
    table = bundle.table("calibration")
    if args.budget is not None:
        point = solve_budget(table, args.budget)
    else:
        point = solve_accuracy(table, args.accuracy)
    rows = [("split", *HEADING), ("calibration", *_cells(point))]
    with suppress(InputError):  # a folder need not hold a test table
        rows.append(("test", *_cells(replay(bundle.table("test"), point.thresholds))))
    return {**point.to_dict(), "split": "calibration"}, align(rows)


def _table(bundle: Bundle, path: Path | None) -> ExitTable:
    if path is None:
        return bundle.table("test")
    return bundle.check_table(ExitTable.load(path))


HEADING = ("thresholds", "accuracy", "mean cost", "answered by exit 1, 2, ...")


def _points_text(points: Sequence[OperatingPoint]) -> str:
    return align([HEADING, *map(_cells, points)])


def _cells(point: OperatingPoint) -> tuple[str, ...]:
    shares = "  ".join(format_percent(share).rjust(7) for share in point.exit_shares)
    return (
        format_thresholds(point.thresholds),
        format_percent(point.accuracy),
        format_macs(point.macs),
        shares,
    )
