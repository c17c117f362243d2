"""Exit tables and fronts as the browser replays them: exact numbers, packed as base64.

Confidences keep all their bits (float32), so that `confidence >= threshold` decides in the browser
exactly as in `dvt_core.thresholds`; a table of 10,000 images and three exits takes 120 kB.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from dvt_core.errors import InputError
from dvt_core.exit_table import ExitTable
from dvt_core.solver import Front

MAX_EXITS = 8  # one bit each says which are right


def pack(values: np.ndarray | list[float], dtype: str) -> str:
    """Little-endian numbers as base64."""
    array = np.ascontiguousarray(values, dtype=np.dtype(dtype).newbyteorder("<"))
    return base64.b64encode(array.tobytes()).decode("ascii")


def table_data(table: ExitTable) -> dict[str, Any]:
    """What `makeTable` in rule.js reads.

    Raises:
        InputError: more exits than fit.
    """
    if table.num_exits > MAX_EXITS:
        raise InputError(
            f"the table has {table.num_exits} exits, this page replays at most {MAX_EXITS}"
        )
    weights = 1 << np.arange(table.num_exits)
    return {
        "n": table.n,
        "exit_macs": list(table.info.exit_macs),
        "confidences": pack(table.confidences[:, :-1].T, "f4"),
        "right": pack(table.correct @ weights, "u1"),
    }


def front_data(front: Front) -> dict[str, Any]:
    """What `makeFront` in rule.js reads."""
    points = front.points
    return {
        "gates": len(points[0].thresholds),
        "macs": pack([point.macs for point in points], "f8"),
        "accuracy": pack([point.accuracy for point in points], "f8"),
        "thresholds": pack([t for point in points for t in point.thresholds], "f8"),
    }
