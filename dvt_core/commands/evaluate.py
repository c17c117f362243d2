"""`dvt evaluate`: a model over a data set, into an exit table."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from accelerate import PartialState
from tqdm import tqdm

from dvt_core.bundle import load_bundle
from dvt_core.commands.given import given_thresholds
from dvt_core.commands.wording import align, format_macs, format_percent, format_thresholds
from dvt_core.data import load_split
from dvt_core.errors import InputError
from dvt_core.evaluate import evaluate as run_over
from dvt_core.exit_table import ExitTable
from dvt_core.thresholds import replay


def evaluate(args: Namespace) -> tuple[dict[str, Any], str] | None:
    """Runs every exit over a split, on an accelerator if there is one; the table goes to `--out`.

    Under `accelerate launch -m dvt_core evaluate ...` the processes share the images and the
    first one answers.
    """
    if args.out is not None:
        _check_out(args.out)
    bundle = load_bundle(args.model)
    given = given_thresholds(bundle, args)
    state = PartialState()
    model = bundle.load_model().to(state.device)
    split = load_split(args.data, args.split, limit=args.limit)
    is_silent = None if state.is_main_process else True  # None: where stderr is no terminal
    with tqdm(total=len(split), unit="image", file=sys.stderr, disable=is_silent) as bar:

        def show(done: int, total: int) -> None:
            bar.update(done - bar.n)

        table = run_over(model, split, progress=show)
    if not state.is_main_process:
        return None
    if args.out is not None:
        table.save(args.out)
    document = {
        "model": bundle.name,
        "data": split.name,
        "split": split.split,
        "n": table.n,
        "exit_accuracy": list(table.exit_accuracy),
        "exit_macs": list(table.info.exit_macs),
    }
    title = f"{bundle.name} on {table.n} images, {split.title}, {split.split} split"
    text = f"{title}\n{_exits(table)}"
    if given is not None:
        point = replay(table, given)
        document["cascade"] = point.to_dict()
        text += (
            f"\nthresholds {format_thresholds(given)}: {format_percent(point.accuracy)} at "
            f"{format_macs(point.macs)} per image"
        )
    return document, text


def _exits(table: ExitTable) -> str:
    """Accuracy and cost of each exit alone, as lines."""
    macs = table.info.exit_macs
    rows = [("exit", "accuracy", "cost per image")]
    rows += [
        (str(index + 1), format_percent(accuracy), format_macs(cost))
        for index, (accuracy, cost) in enumerate(zip(table.exit_accuracy, macs, strict=True))
    ]
    return align(rows)


def _check_out(path: Path) -> None:
    """Says what is wrong with a place for the table before minutes of work, not after."""
    if path.is_dir():
        raise InputError(f"--out {path} is a folder, expected a file like table.parquet")
    if not path.absolute().parent.is_dir():
        raise InputError(f"--out {path}: there is no folder {path.parent}, make it first")
