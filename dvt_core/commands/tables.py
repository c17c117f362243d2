"""`dvt sweep` and `dvt thresholds`: answers from stored exit tables; no model runs."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from dvt_core.bundle import Bundle, load_bundle
from dvt_core.commands.given import given_thresholds
from dvt_core.commands.wording import align, format_macs, format_percent, format_thresholds
from dvt_core.exit_table import ExitTable
from dvt_core.solver import solve_accuracy, solve_budget
from dvt_core.thresholds import OperatingPoint, replay
from dvt_core.thresholds import sweep as sweep_thresholds

EVERY = 5  # of the sweep's 101 points, people are shown every fifth
HEADING = ("thresholds", "accuracy", "mean cost", "answered by exit 1, 2, ...")


def sweep(args: Namespace) -> tuple[list[dict[str, Any]], str]:
    """Replays a stored table under 101 shared thresholds, or those given; no model runs."""
    bundle = load_bundle(args.model)
    table, given = _table(bundle, args.table), given_thresholds(bundle, args)
    points = sweep_thresholds(table) if given is None else (replay(table, given),)
    heading = (
        f"{bundle.name} on {table.n} images, {table.info.data}, {table.info.split} split "
        f"({len(points[::EVERY])} of {len(points)} points; --json prints all)"
    )
    rows = align([HEADING, *map(_cells, points[::EVERY])])
    return [point.to_dict() for point in points], f"{heading}\n{rows}"


def thresholds(args: Namespace) -> tuple[dict[str, Any], str]:
    """Solves on the calibration table; the text also tells what the test table makes of it."""
    bundle = load_bundle(args.model)
    table = bundle.table("calibration")
    if args.budget is not None:
        point = solve_budget(table, args.budget)
    else:
        point = solve_accuracy(table, args.accuracy)
    rows = [("split", *HEADING), ("calibration", *_cells(point))]
    if bundle.has_table("test"):  # a folder need not hold one
        rows.append(("test", *_cells(replay(bundle.table("test"), point.thresholds))))
    return {**point.to_dict(), "split": "calibration"}, align(rows)


def _table(bundle: Bundle, path: Path | None) -> ExitTable:
    if path is None:
        return bundle.table("test")
    return bundle.check_table(ExitTable.load(path))


def _cells(point: OperatingPoint) -> tuple[str, ...]:
    shares = "  ".join(format_percent(share).rjust(7) for share in point.exit_shares)
    return (
        format_thresholds(point.thresholds),
        format_percent(point.accuracy),
        format_macs(point.macs),
        shares,
    )
