"""`dvt models` and `dvt macs`: what there is, and what it costs."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from dvt_core.bundle import list_models, load_bundle
from dvt_core.commands.wording import align, format_macs, format_percent
from dvt_core.macs import exit_macs, stage_macs


def macs(args: Namespace) -> tuple[dict[str, Any], str]:
    """Multiply-accumulates per stage and exit for one image, and the number of weights."""
    bundle = load_bundle(args.model)
    stages, exits = stage_macs(bundle.config), exit_macs(bundle.config)
    parameters = sum(weight.numel() for weight in bundle.load_model().parameters())
    rows = [("stage", "tokens", "this stage", "up to its exit", "of the full cost")]
    for index, stage in enumerate(bundle.config.stages):
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
    return document, f"{bundle.name}, {parameters:,} parameters\n{align(rows)}"


def models(args: Namespace) -> tuple[list[str], str]:
    """The bundled models, with what each was trained on."""
    names = list_models()
    rows = [("name", "classes", "exits", "cost of all exits", "")]
    for bundle in map(load_bundle, names):
        rows.append(
            (
                bundle.name,
                str(bundle.config.num_classes),
                str(bundle.config.num_exits),
                format_macs(exit_macs(bundle.config)[-1]),
                bundle.title,
            )
        )
    return list(names), align(rows)
