"""What the live part of the Batch page (live/batch.js) needs: tables, curves, colours."""

from __future__ import annotations

from typing import Any

import numpy as np

from app import services
from app.figures.theme import MacUnit, exit_palette
from app.live import component
from app.replay.replay_data import pack, table_data
from app.sections.batch_source import Shown
from dvt_core.bundle import Bundle
from dvt_core.errors import InputError
from dvt_core.exit_table import ExitTable
from dvt_core.intervals import share_interval
from dvt_core.solver import NEVER
from dvt_core.thresholds import sweep

_mount = component("batch", "batch.css", "rule.js", "plot.js", "batch.js")
_LEVELS = np.append(np.linspace(0, 1, 101), NEVER)


def live_section(bundle: Bundle, shown: Shown) -> None:
    """Draws the answer, costs, exits and curve; they follow the dial in the browser."""
    _mount(key="batch_live", data=live_data(bundle, shown))


def own_test_table(bundle: Bundle) -> ExitTable | None:
    """The model's own test table, or None where there is none that can be used."""
    try:
        return services.get_table(bundle, "test") if bundle.has_table("test") else None
    except InputError:  # it is damaged: the Trade-off page says so
        return None


def live_data(bundle: Bundle, shown: Shown) -> dict[str, Any]:
    """What batch.js reads; constant for one batch, one model folder and one language."""
    said, labelled, test = shown.batch.said, shown.batch.labelled, own_test_table(bundle)
    unit = MacUnit.of(said.info.exit_macs)
    stamp = services.signature(bundle)
    return {
        "model": str(bundle.path),
        "signature": f"{shown.token} {stamp}",
        "unit": {"name": unit.name, "scale": unit.scale, "axis": unit.axis},
        "colours": exit_palette(said.num_exits),
        # Without labels nothing is right or wrong; the browser is told of none.
        "all": {**table_data(said), "right": pack(np.zeros(said.n), "u1")},
        "labelled": None if labelled is None else table_data(labelled),
        "test": None if test is None else table_data(test),
        "curves": None if labelled is None else _curves(labelled, test, unit.scale),
    }


def _curves(labelled: ExitTable, test: ExitTable | None, scale: float) -> dict[str, Any]:
    """The labelled pictures' curve with its 95 % interval, every exit alone, the test curve."""

    def points(table: ExitTable) -> list[list[float]]:
        return [[p.macs / scale, 100 * p.accuracy] for p in sweep(table, _levels(table))]

    mine, n = points(labelled), labelled.n
    intervals = [share_interval(round(y / 100 * n), n) for _, y in mine]
    exits = zip(labelled.info.exit_macs, labelled.exit_accuracy, strict=True)
    return {
        "mine": mine,
        "band": {
            side: [[x, 100 * ends[i]] for (x, _), ends in zip(mine, intervals, strict=True)]
            for i, side in enumerate(("low", "high"))
        },
        "test": None if test is None else points(test),
        "exits": [[macs / scale, 100 * accuracy] for macs, accuracy in exits],
    }


def _levels(table: ExitTable) -> np.ndarray:
    return _LEVELS if table.num_exits > 1 else np.empty((1, 0))
