"""`dvt train`: a recipe in, trained weights, a log and curves out."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from accelerate import PartialState

from dvt_core.training.loop import train as run_recipe


def train(args: Namespace) -> tuple[None, str] | None:
    """Trains as the recipe says; its progress bar and log lines go to stderr."""
    out = args.out or Path("runs") / args.recipe.stem
    run_recipe(args.recipe, data_dir=args.data, out_dir=out, resume=args.resume)
    return (None, f"finished: {out}") if PartialState().is_main_process else None
