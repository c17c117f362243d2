"""`dvt classify`: pictures in, the answer of the exit that was sure enough out."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from dvt_core.bundle import Bundle, load_bundle
from dvt_core.commands.given import given_thresholds
from dvt_core.commands.wording import align, format_macs, format_percent, format_thresholds
from dvt_core.crop import CENTRE, Crop
from dvt_core.images import open_image
from dvt_core.inference import classify as run_cascade
from dvt_core.results import ExitRecord, Prediction
from dvt_core.solver import solve_budget
from dvt_core.thresholds import check_thresholds


def classify(args: Namespace) -> tuple[list[dict[str, Any]], str]:
    """One entry per picture, in the order given."""
    bundle = load_bundle(args.model)
    thresholds, reason = _thresholds(bundle, args)
    model, crop = bundle.load_model(), CENTRE if args.crop is None else Crop(*args.crop)
    tensors = [model.preprocess(open_image(path), crop) for path in args.images]
    # Once for nothing: the libraries' first-call set-up is not the cascade's time.
    run_cascade(model, torch.zeros_like(tensors[0])[None], 2.0)
    predictions = [
        run_cascade(model, tensor[None], thresholds, all_exits=args.all_exits)[0]
        for tensor in tensors
    ]
    names = bundle.class_names
    full_macs = model.exit_macs[-1]
    document = [
        _entry(path, prediction, names, full_macs, args.all_exits)
        for path, prediction in zip(args.images, predictions, strict=True)
    ]
    text = "\n\n".join(
        _describe(path, prediction, names, full_macs)
        for path, prediction in zip(args.images, predictions, strict=True)
    )
    return document, f"{bundle.name}, thresholds {format_thresholds(thresholds)}{reason}\n\n{text}"


def _thresholds(bundle: Bundle, args: Namespace) -> tuple[tuple[float, ...], str]:
    """The thresholds, and where they come from when that needs saying."""
    if args.budget is not None:
        authors = bundle.authors
        if bundle.has_table("calibration") or authors is None or not authors.has_thresholds:
            return solve_budget(bundle.table("calibration"), args.budget).thresholds, ""
        point = authors.at_budget(args.budget)
        return point.thresholds, (
            f", from the authors' checkpoint: {format_percent(point.accuracy)} at "
            f"{format_macs(point.macs)} on their images, not measured here"
        )
    given = given_thresholds(bundle, args)
    if given is None:
        given = check_thresholds(bundle.default_threshold, bundle.config.num_exits)
    return given, ""


def _top(record: ExitRecord, names: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"prediction": index, "class_name": names[index], "probability": probability}
        for index, probability in record.top(5)
    ]


def _entry(
    path: Path, prediction: Prediction, names: Sequence[str], full_macs: int, all_exits: bool
) -> dict[str, Any]:
    entry = {
        "image": str(path),
        "prediction": prediction.label,
        "class_name": names[prediction.label],
        "exit": prediction.exit_index + 1,
        "confidence": prediction.confidence,
        "confidences": list(prediction.confidences),
        "macs": prediction.macs,
        "full_macs": full_macs,
        "top5": _top(prediction.fired, names),
        "milliseconds": prediction.fired.milliseconds,
    }
    if all_exits:
        entry["all_exits"] = [
            {
                "exit": record.exit_index + 1,
                "visited": record.exit_index <= prediction.exit_index,
                "macs": record.macs,
                "milliseconds": record.milliseconds,
                "top5": _top(record, names),
            }
            for record in prediction.records
        ]
    return entry


def _describe(path: Path, prediction: Prediction, names: Sequence[str], full_macs: int) -> str:
    rows = [
        (
            f"  exit {record.exit_index + 1}",
            names[record.label],
            format_percent(record.confidence),
            format_macs(record.macs),
            f"{record.milliseconds:.1f} ms",
            _verdict(record.exit_index, prediction.exit_index),
        )
        for record in prediction.records
    ]
    share = format_percent(prediction.macs / full_macs)
    return (
        f"{path}: {names[prediction.label]}, {format_percent(prediction.confidence)} sure, "
        f"exit {prediction.exit_index + 1}, {share} of the full cost\n{align(rows)}"
    )


def _verdict(exit_index: int, fired: int) -> str:
    if exit_index < fired:
        return "not sure enough, go on"
    return "answers" if exit_index == fired else "not needed, computed because asked"
