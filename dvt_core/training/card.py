"""The model card: every number comes from the folder's tables, none is typed in."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from dvt_core.bundle import THRESHOLDS, WEIGHTS, Bundle
from dvt_core.data_sources import DATASETS
from dvt_core.exit_table import ExitTable
from dvt_core.macs import stage_macs
from dvt_core.solver import pareto_front
from dvt_core.study import load_study
from dvt_core.thresholds import OperatingPoint, replay
from dvt_core.training.plots import plot_tradeoff
from dvt_core.training.study_card import TRADEOFF, study_parts
from dvt_core.whole_file import write_whole

CARD = "README.md"
_LOSSES = (0.0, 0.005, 0.01, 0.02, 0.05)  # accuracy given up against always going to the end

_TEMPLATE = """\
# {title}

`{name}`: a {exits}-exit dynamic vision transformer (DVT, arXiv 2105.15075) with {grids} tokens
for {size} px images of {classes} classes. Generated from the tables in this folder; do not edit.

## Measured

On **{data}**, {test_split} split, n = {n_test}, {device}. 1 MAC = 2 FLOPs; papers call
GMACs "GFLOPs". "±" is one standard error of a share of n images;
there is one training run, so it does not include the spread over seeds.

| exit | tokens | MMACs of the stage | MMACs up to here | accuracy, test | accuracy, calibration |
|---|---|---|---|---|---|
{exit_rows}

All {exits} stages have {parameters:,} parameters; the file is {megabytes:.1f} MB (float32).

## Early exit

Thresholds solved on calibration (n = {n_calibration}, never trained on), shown on test
(n = {n_test}). "Always full" is the last exit for every image.

| chosen on calibration | thresholds | accuracy, test | MMACs per image | less | share of exits |
|---|---|---|---|---|---|
{solved_rows}
{shared_row}

`{thresholds_file}` holds {points} such points, from the cheapest to the most accurate.

{study}
## Training

{training}

Pictures are resized to {size} px (shorter side) and cropped in the middle. The model knows
{classes} classes: {class_names}. Anything else is given one of these words.

Data: {data}{data_note}.
"""


def write_card(bundle: Bundle) -> None:
    """Writes README.md of a model folder from its stored tables and thresholds."""
    test, calibration = bundle.table("test"), bundle.table("calibration")
    size = (bundle.path / WEIGHTS).stat().st_size
    text = _TEMPLATE.format(
        title=bundle.title,
        name=bundle.name,
        exits=bundle.config.num_exits,
        grids=", ".join(f"{g}x{g}" for g in bundle.config.grid_sizes),
        size=bundle.config.img_size,
        classes=len(bundle.class_names),
        class_names=", ".join(name.split(",")[0] for name in bundle.class_names),
        study=study_parts(bundle),
        data=bundle.info["data"],
        device=test.info.device,
        test_split=test.info.split,
        n_test=f"{test.n:,}",
        n_calibration=f"{calibration.n:,}",
        exit_rows=_exit_rows(bundle, test, calibration),
        parameters=sum(p.numel() for p in bundle.load_model().parameters()),
        megabytes=size / 1e6,
        solved_rows=_solved_rows(calibration, test),
        shared_row=_point_row(
            f"default: one threshold for all, {bundle.default_threshold:g}",
            replay(calibration, bundle.default_threshold),
            test,
        ),
        thresholds_file=THRESHOLDS,
        points=len(bundle.solved),
        training=_training(bundle),
        data_note=_data_note(test.info.data),
    )
    write_whole(Path(bundle.path) / CARD, text.encode())
    if bundle.config.num_exits > 1:
        plot_tradeoff(bundle, load_study(bundle), bundle.path / TRADEOFF)


def _exit_rows(bundle: Bundle, test: ExitTable, calibration: ExitTable) -> str:
    rows = []
    for i, (grid, macs) in enumerate(
        zip(bundle.config.grid_sizes, stage_macs(bundle.config), strict=True)
    ):
        shares = [_share(table.exit_accuracy[i], table.n) for table in (test, calibration)]
        rows.append(
            f"| {i + 1} | {grid}x{grid} | {macs / 1e6:.1f} | "
            f"{test.info.exit_macs[i] / 1e6:.1f} | {shares[0]} | {shares[1]} |"
        )
    return "\n".join(rows)


def _solved_rows(calibration: ExitTable, test: ExitTable) -> str:
    front, full = pareto_front(calibration), calibration.exit_accuracy[-1]
    best = front.points[-1].accuracy
    return "\n".join(
        _point_row(
            f"at most {100 * loss:g} points below full",
            front.at_accuracy(min(full - loss, best)),
            test,
        )
        for loss in _LOSSES
    )


def _point_row(words: str, point: OperatingPoint, test: ExitTable) -> str:
    shown = replay(test, point.thresholds)
    thresholds = ", ".join("never" if t > 1 else f"{t:.3f}" for t in point.thresholds)
    shares = ", ".join(f"{100 * share:.0f} %" for share in shown.exit_shares)
    less = test.info.exit_macs[-1] / shown.macs
    return (
        f"| {words} | {thresholds} | {_share(shown.accuracy, test.n)} | "
        f"{shown.macs / 1e6:.1f} | {less:.1f}x | {shares} |"
    )


def _share(share: float, n: int) -> str:
    return f"{100 * share:.1f} ± {100 * math.sqrt(share * (1 - share) / n):.1f} %"


def _data_note(name: str) -> str:
    return f". {DATASETS[name].note}" if name in DATASETS else ""


def _training(bundle: Bundle) -> str:
    notes = bundle.info.get("training") or {}
    if not notes:
        return "Not recorded."
    source = notes.get("pretrained")  # absent where a model is older than the option
    start = f"Every stage started from the weights `{source}`. " if source else ""
    return start + (
        f"{notes['images']:,} images, {notes['epochs']} epochs in {notes['minutes']} minutes on "
        f"{notes['device']} (processes: {notes['processes']}, precision: "
        f"{'float32' if notes['precision'] == 'no' else notes['precision']}, torch "
        f"{notes['torch']}). {_shortness(notes)}Recipe: `recipe.toml`; log: `training.csv`; "
        "curves: `curves.png`.\n"
        "Again, in this folder: `python -m dvt_core train recipe.toml --out DIR`."
    )


def _shortness(notes: dict[str, Any]) -> str:
    """What a run on a CPU must admit."""
    if "CPU" not in notes["device"]:
        return ""
    return (
        "This is what a CPU gives in that time: a longer schedule, as a GPU runs it, raises these "
        "numbers, and those of static models too. "
    )
