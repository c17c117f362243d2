"""The thresholds that the options of a command name, by number or by file."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from dvt_core.bundle import Bundle
from dvt_core.threshold_file import read_thresholds
from dvt_core.thresholds import check_thresholds


def given_thresholds(bundle: Bundle, args: Namespace) -> tuple[float, ...] | None:
    """One per exit but the last, from `--threshold` or `--thresholds`; None without either.

    Raises:
        InputError: they do not fit the model, or the file cannot be used.
    """
    if isinstance(args.thresholds, Path):
        return read_thresholds(args.thresholds, bundle)
    given = args.threshold if args.thresholds is None else args.thresholds
    return None if given is None else check_thresholds(given, bundle.config.num_exits)
