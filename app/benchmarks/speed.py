"""How fast a bundled model answers and the app starts, as this project measured it.

`make bench` (scripts/bench.py) stores it in `assets/benchmarks/bench.json`; it may be absent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.benchmarks.stored import Origin, number, origin, read_benchmark, text


@dataclass(frozen=True)
class Spread:
    """A time that was measured again and again, in milliseconds.

    Attributes:
        median: half took no longer.
        p10: one in ten stayed below.
        p90: one in ten exceeded it.
    """

    median: float
    p10: float
    p90: float


@dataclass(frozen=True)
class Adaptive:
    """A bundled model that really stops, beside all its exits, on the same pictures.

    Attributes:
        batch_size: pictures at once.
        adaptive: time per picture where pictures leave.
        all_exits: time per picture through all exits.
        mac_ratio: share of the multiply-accumulates that is computed.
        time_ratio: share of the time that is taken.
    """

    batch_size: int
    adaptive: Spread
    all_exits: Spread
    mac_ratio: float
    time_ratio: float


@dataclass(frozen=True)
class Bench:
    """One picture after the other, and the start.

    Attributes:
        origin: whose numbers.
        model: a bundled model.
        threshold: the shared threshold at which it stopped.
        rows: per batch size.
        start_s: from the server's command to health ok.
        page_s: to a page that answers; None where there was no browser.
    """

    origin: Origin
    model: str
    threshold: float
    rows: tuple[Adaptive, ...]
    start_s: float
    page_s: float | None


def load_bench() -> Bench | None:
    """What `make bench` stored; None if nothing was.

    Raises:
        InputError: the file is damaged.
    """
    return read_benchmark("bench", _bench)


def _bench(raw: dict[str, Any]) -> Bench:
    inference, page = raw["inference"], raw["start"]["app"]["page_s"]
    sizes = sorted(int(k.removeprefix("batch_")) for k in inference if k.startswith("batch_"))
    return Bench(
        origin=origin(raw),
        model=text(inference["model"]),
        threshold=number(inference["threshold"]),
        rows=tuple(_adaptive(size, inference[f"batch_{size}"]) for size in sizes),
        start_s=number(raw["start"]["app"]["health_s"]),
        page_s=None if page is None else number(page),
    )


def _adaptive(size: int, raw: dict[str, Any]) -> Adaptive:
    adaptive, full = (
        Spread(*(number(raw[side][f"{q}_ms"]) for q in ("median", "p10", "p90")))
        for side in ("adaptive", "all_exits")
    )
    ratios = number(raw["mac_ratio"]), number(raw["time_ratio"])
    if min(ratios) <= 0:
        raise ValueError("not a ratio")
    return Adaptive(size, adaptive, full, *ratios)
