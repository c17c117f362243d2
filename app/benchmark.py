"""The throughput that this project measured: `assets/benchmarks/imagenet.json`, if it is there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from dvt_core.errors import InputError

BENCHMARK = Path(__file__).resolve().parents[1] / "assets" / "benchmarks" / "imagenet.json"
COMMAND = "make bench-imagenet"


@dataclass(frozen=True)
class BenchmarkRow:
    """One measurement.

    Attributes:
        model: a preset's name.
        exits: how many exits it has; 1 is a static network.
        batch_size: images per batch.
        exit_shares: share of images that were made to leave at each exit; the weights are random.
        images_per_s: median over the repetitions.
        p10: images per second that one in ten repetitions stayed below.
        p90: images per second that one in ten repetitions exceeded.
        mac_ratio: MACs of the adaptive run over those of all exits.
        time_ratio: its time over that of all exits.
        device: in words.
        date: ISO 8601.
        threads: of the processor.
    """

    model: str
    exits: int
    batch_size: int
    exit_shares: tuple[float, ...]
    images_per_s: float
    p10: float
    p90: float
    mac_ratio: float
    time_ratio: float
    device: str
    date: str
    threads: int


def load_benchmark(path: Path = BENCHMARK) -> tuple[BenchmarkRow, ...]:
    """The stored rows, in their order; none if nothing was measured yet.

    Raises:
        InputError: the file is damaged.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return tuple(
            BenchmarkRow(**{**row, "exit_shares": tuple(row["exit_shares"])}) for row in rows
        )
    except FileNotFoundError:
        return ()
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}; make it again: {COMMAND}") from error
