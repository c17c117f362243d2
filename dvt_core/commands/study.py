"""`dvt attach`, `dvt study` and `dvt card`: what a cascade is worth, from stored tables."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict
from typing import Any

from dvt_core.attach import attach_ablation, attach_baselines
from dvt_core.bundle import load_bundle
from dvt_core.commands.wording import align, format_macs, format_percent
from dvt_core.criteria import CRITERIA, criteria_curve
from dvt_core.errors import InputError
from dvt_core.solver import pareto_front
from dvt_core.study import (
    Baseline,
    Saving,
    load_study,
    saving,
)
from dvt_core.training.card import CARD, write_card


def attach(args: Namespace) -> tuple[None, str]:
    """Puts a finished run's tables and log beside a model, and writes the card anew."""
    bundle = load_bundle(args.model)
    put = attach_baselines if args.baselines else attach_ablation
    folder = put(args.run, bundle)
    write_card(bundle)
    return None, f"attached: {folder}"


def card(args: Namespace) -> tuple[None, str]:
    """Writes a model folder's card and figure anew from its stored tables."""
    bundle = load_bundle(args.model)
    write_card(bundle)
    return None, f"written: {bundle.path / CARD}"


def study(args: Namespace) -> tuple[dict[str, Any], str]:
    """Savings against the static baselines, the ablation and the exit criteria."""
    bundle = load_bundle(args.model)
    found = load_study(bundle)
    if not found.baselines and not found.ablation:
        raise InputError(
            f"{bundle.path} has neither baselines nor an ablation beside it; train variants and "
            "add them with: dvt attach RUN --to MODEL"
        )
    calibration, test = bundle.table("calibration"), bundle.table("test")
    front = pareto_front(calibration)
    savings = [(each, saving(front, test, each)) for each in found.baselines]
    criteria = criteria_curve(calibration, test)
    document = {
        "model": bundle.name,
        "n": test.n,
        "savings": [
            {"baseline": each.name, "reached": s is not None, **(asdict(s) if s else {})}
            for each, s in savings
        ],
        "ablation": {
            variant: {"exit_accuracy": list(t.exit_accuracy), "exit_macs": list(t.info.exit_macs)}
            for variant, (_, t) in found.ablation.items()
        },
        "criteria": [asdict(point) for point in criteria],
    }
    heading = f"{bundle.name} on {test.n} images, {test.info.data}, {test.info.split} split"
    parts = [f"{heading}\n{_against(savings)}"] if savings else [heading]
    variants = [("reuse", *(f"exit {i + 1}" for i in range(test.num_exits)))]
    variants += [(v, *map(format_percent, t.exit_accuracy)) for v, (_, t) in found.ablation.items()]
    asked = [("mean cost", *CRITERIA)]
    asked += [
        (format_macs(p.macs), *(format_percent(p.accuracies[name]) for name in CRITERIA))
        for p in criteria
    ]
    parts += [align(variants)] if found.ablation else []
    return document, "\n\n".join((*parts, align(asked)))


def _against(savings: list[tuple[Baseline, Saving | None]]) -> str:
    rows = [("static model", "accuracy", "cost", "cascade there", "mean cost", "fewer MACs")]
    for each, found in savings:
        cells = (each.name, format_percent(each.accuracy), format_macs(each.macs))
        if found is None:
            rows.append((*cells, "not reached", "", ""))
            continue
        point = found.point
        there = (format_percent(point.accuracy), format_macs(point.macs))
        rows.append((*cells, *there, f"{found.times_fewer:.2f}x"))
    return align(rows)
