"""`dvt convert`: a checkpoint of the official code in, a model folder out."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from typing import Any

from dvt_core.authors import AuthorsResults
from dvt_core.bundle import Bundle
from dvt_core.commands.wording import align, format_macs, format_percent
from dvt_core.errors import InputError
from dvt_core.macs import exit_macs
from dvt_core.official_checkpoint import convert as convert_file
from dvt_core.presets import PRESETS


def convert(args: Namespace) -> tuple[dict[str, Any], str]:
    """Writes the folder and says what is in it, the authors' numbers beside our arithmetic."""
    if args.model not in PRESETS:
        raise InputError(f"unknown architecture {args.model!r}, known are {', '.join(PRESETS)}")
    config = replace(
        PRESETS[args.model],
        feature_reuse=args.feature_reuse,
        relation_reuse=args.relation_reuse,
    )
    conversion = convert_file(args.checkpoint, config, args.out)
    bundle = conversion.bundle
    document = {
        "path": str(bundle.path),
        "name": bundle.name,
        "title": bundle.title,
        "source": bundle.info["source"],
        "default_threshold": bundle.default_threshold,
        "exit_macs": list(exit_macs(bundle.config)),
        "authors": bundle.authors.to_dict() if bundle.authors else None,
        "notes": list(conversion.notes),
    }
    parts = [
        f"{bundle.path}: {bundle.title}",
        align(_rows(bundle)),
        *_curve(bundle.authors),
        f"default threshold {bundle.default_threshold:g}: {bundle.info['default_threshold_from']}",
        *(f"note: {note}" for note in conversion.notes),
        "Nothing was measured here. For the tables that sweep, thresholds and the app read:",
        *(f"  {bundle.table_command(split)}" for split in ("calibration", "test")),
    ]
    return document, "\n".join(parts)


def _rows(bundle: Bundle) -> list[tuple[str, ...]]:
    theirs = bundle.authors or AuthorsResults((), (), (), "")
    rows = [("exit", "tokens", "cost up to here", "the authors' cost", "the authors' accuracy")]
    costs = zip(bundle.config.grid_sizes, exit_macs(bundle.config), strict=True)
    for index, (grid, macs) in enumerate(costs):
        rows.append(
            (
                str(index + 1),
                f"{grid}x{grid}",
                format_macs(macs),
                format_macs(theirs.exit_macs[index]) if theirs.exit_macs else "-",
                format_percent(theirs.exit_accuracy[index]) if theirs.exit_accuracy else "-",
            )
        )
    return rows


def _curve(authors: AuthorsResults | None) -> list[str]:
    if not (authors and authors.points):
        return []
    ends = " to ".join(
        f"{format_percent(point.accuracy)} at {format_macs(point.macs)}"
        for point in (authors.points[0], authors.points[-1])
    )
    return [f"the authors' curve: {len(authors.points)} points, {ends}"]
