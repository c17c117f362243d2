"""What this project measured of the paper's models: `assets/benchmarks/imagenet.json`.

`make bench-imagenet` (scripts/bench_imagenet.py) writes it; it may be absent.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from dvt_core.errors import InputError

BENCHMARK = Path(__file__).resolve().parents[2] / "assets" / "benchmarks" / "imagenet.json"
COMMAND = "make bench-imagenet"


@dataclass(frozen=True)
class ForwardRow:
    """Time of all exits.

    Attributes:
        model: a preset's name.
        side: "ours", "plain" (an unoptimised implementation of the same arithmetic), "bfloat16" or
            "compiled".
        batch_size: images per batch.
        median: seconds per batch.
        p10: seconds that one in ten repetitions stayed below.
        p90: seconds that one in ten repetitions exceeded.
        times_ours: `median` over that of "ours".
        device: in words.
        date: ISO 8601.
    """

    model: str
    side: str
    batch_size: int
    median: float
    p10: float
    p90: float
    times_ours: float
    device: str
    date: str


@dataclass(frozen=True)
class ThroughputRow:
    """Images per second.

    Attributes:
        model: a preset's name.
        exits: how many exits it has; 1 is a static network.
        batch_size: images per batch.
        exit_shares: share of images that were made to leave at each exit; the weights are random.
        images_per_s: median over the repetitions.
        p10: images per second that one in ten repetitions stayed below.
        p90: images per second that one in ten repetitions exceeded.
        mac_ratio: how many times fewer MACs than all exits; None for all exits themselves.
        time_ratio: how many times faster than all exits; None for all exits themselves.
        device: in words.
        date: ISO 8601.
    """

    model: str
    exits: int
    batch_size: int
    exit_shares: tuple[float, ...]
    images_per_s: float
    p10: float
    p90: float
    mac_ratio: float | None
    time_ratio: float | None
    device: str
    date: str


@dataclass(frozen=True)
class Benchmark:
    """Everything measured; both are empty if nothing was."""

    forward: tuple[ForwardRow, ...] = ()
    throughput: tuple[ThroughputRow, ...] = ()


Row = TypeVar("Row", ForwardRow, ThroughputRow)


def load_benchmark(path: Path = BENCHMARK) -> Benchmark:
    """The stored rows, in their order.

    Raises:
        InputError: the file is damaged.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return Benchmark(
            tuple(_row(ForwardRow, each) for each in raw["forward"]),
            tuple(_row(ThroughputRow, each) for each in raw["throughput"]),
        )
    except FileNotFoundError:
        return Benchmark()
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}; make it again: {COMMAND}") from error


def _row(kind: type[Row], raw: dict[str, Any]) -> Row:
    """The fields that the page shows; a row holds more."""
    return kind(**{field.name: _frozen(raw[field.name]) for field in fields(kind)})


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
