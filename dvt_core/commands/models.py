"""`dvt models` and `dvt macs`: what there is, and what it costs."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

import torch

from dvt_core.bundle import list_models, load_bundle
from dvt_core.commands.wording import align, format_macs, format_percent
from dvt_core.config import DVTConfig
from dvt_core.macs import exit_macs, stage_macs
from dvt_core.model import build_model
from dvt_core.presets import PRESETS


def macs(args: Namespace) -> tuple[dict[str, Any], str]:
    """Multiply-accumulates per stage and exit for one image, and the number of weights."""
    name, config = _named(args.model)
    stages, exits = stage_macs(config), exit_macs(config)
    with torch.device("meta"):  # sizes only
        parameters = sum(weight.numel() for weight in build_model(config).parameters())
    rows = [("stage", "tokens", "this stage", "up to its exit", "of the full cost")]
    for index, stage in enumerate(config.stages):
        rows.append(
            (
                str(index + 1),
                f"{stage.grid_size}x{stage.grid_size}",
                format_macs(stages[index]),
                format_macs(exits[index]),
                format_percent(exits[index] / exits[-1]),
            )
        )
    document = {"stage_macs": list(stages), "exit_macs": list(exits), "parameters": parameters}
    return document, f"{name}, {parameters:,} parameters\n{align(rows)}"


def models(args: Namespace) -> tuple[list[str], str]:
    """The bundled models, with what each was trained on, and the architectures beside them."""
    bundles = [load_bundle(name) for name in list_models()]
    heading = ("name", "classes", "exits", "cost of all exits", "")
    rows = [(*_cells(bundle.name, bundle.config), bundle.title) for bundle in bundles]
    bundled = [bundle.config for bundle in bundles]
    others = [
        (*_cells(name, config), " -> ".join(f"{grid}x{grid}" for grid in config.grid_sizes))
        for name, config in PRESETS.items()
        if config not in bundled
    ]
    text = (
        f"{align([heading, *rows])}\n\narchitectures without bundled weights\n"
        f"{align([(*heading[:-1], 'tokens'), *others])}"
    )
    return [bundle.name for bundle in bundles], text


def _named(name: str) -> tuple[str, DVTConfig]:
    """A model's name and sizes; an architecture's where no model has the name."""
    if name in PRESETS and name not in list_models() and not Path(name).is_dir():
        return name, PRESETS[name]
    bundle = load_bundle(name)
    return bundle.name, bundle.config


def _cells(name: str, config: DVTConfig) -> tuple[str, ...]:
    costs = exit_macs(config)
    return name, str(config.num_classes), str(config.num_exits), format_macs(costs[-1])
