"""Thresholds to take home: one JSON file that says which, for which weights, and what they give.

    {
      "kind": "dvt-thresholds",
      "format": 1,
      "model": "cifar10",
      "weights_sha256": "665c...",           of the weights these thresholds are for
      "thresholds": [0.91, 0.83],            one per exit but the last; above 1 nothing leaves
      "asked": {"by": "budget", "value": 53198336.0},
      "origin": "In force: ...",             the same in words
      "calibration": {"n": 5000, "accuracy": 0.8552, "macs": 53190210.1, "exit_shares": [...]},
      "test": {"n": 10000, "data": "cifar10", "accuracy": 0.8561, "macs": ..., "exit_shares": ...},
      "authors": null,
      "made": {"by": "Dynamic ViT Explorer", "on": "2026-11-25"}
    }

`asked.by` is "threshold" (one for all), "each" (a list), "budget" (mean MACs per image) or
"accuracy" (0..1). Accuracy is a fraction, macs are multiply-accumulates per image, both replayed
from the model's exit tables; without a table the part is null. "authors" holds accuracy, macs and
source where the point was stored with converted weights and not measured here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dvt_core.bundle import Bundle
from dvt_core.errors import InputError
from dvt_core.exit_table import ExitTable
from dvt_core.thresholds import OperatingPoint, check_thresholds, replay

KIND, FORMAT = "dvt-thresholds", 1
MADE_BY = "Dynamic ViT Explorer"
MAX_BYTES = 1_000_000
SPLITS = ("calibration", "test")


def threshold_document(
    bundle: Bundle,
    thresholds: tuple[float, ...],
    *,
    asked: Mapping[str, Any],
    origin: str,
    tables: Mapping[str, ExitTable],
    authors_point: OperatingPoint | None = None,
    date: str,
) -> dict[str, Any]:
    """What the file holds, JSON-ready.

    Args:
        bundle: the model.
        thresholds: `num_exits - 1` numbers.
        asked: "by" and "value", what was asked for.
        origin: one sentence on where the thresholds come from.
        tables: the model's exit tables by split; may lack any.
        authors_point: the stored point of the authors that was picked, if one was.
        date: ISO date of today.
    """
    authors = None
    if authors_point is not None and bundle.authors is not None:
        point = authors_point
        source = bundle.authors.source
        authors = {"accuracy": point.accuracy, "macs": point.macs, "source": source}
    return {
        "kind": KIND,
        "format": FORMAT,
        "model": bundle.name,
        "weights_sha256": bundle.weights_sha256,
        "thresholds": list(thresholds),
        "asked": dict(asked),
        "origin": origin,
        **{split: _measured(tables.get(split), thresholds) for split in SPLITS},
        "authors": authors,
        "made": {"by": MADE_BY, "on": date},
    }


def _measured(table: ExitTable | None, thresholds: tuple[float, ...]) -> dict[str, Any] | None:
    """What the thresholds give on a split."""
    if table is None:
        return None
    point = replay(table, thresholds)
    return {
        "n": table.n,
        "data": table.info.data,
        "accuracy": point.accuracy,
        "macs": point.macs,
        "exit_shares": list(point.exit_shares),
    }


def read_thresholds(path: Path, bundle: Bundle) -> tuple[float, ...]:
    """The thresholds in a file, `num_exits - 1` numbers for this model.

    Raises:
        InputError: no such file, not of this kind, or made for other weights.
    """
    try:
        with path.open("rb") as file:
            raw = json.loads(file.read(MAX_BYTES + 1))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no valid JSON: {error}") from error
    if not isinstance(raw, dict) or raw.get("kind") != KIND or "thresholds" not in raw:
        raise InputError(
            f"{path} holds no thresholds to use: expected the thresholds.json of the app's "
            f'"Take it home", an object with "kind": "{KIND}"'
        )
    if raw.get("format") != FORMAT:
        raise InputError(f"{path} has format {raw.get('format')}, this program reads {FORMAT}")
    if raw.get("weights_sha256") != bundle.weights_sha256:
        raise InputError(
            f"{path} is for other weights than those of the model {bundle.name!r}: it was made "
            f"for {raw.get('model')!r}; name that model, or give the numbers themselves"
        )
    return check_thresholds(raw["thresholds"], bundle.config.num_exits)
