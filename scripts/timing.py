"""Side-by-side timing: functions run in turn, after a warm-up, in one process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np


def alternate(*functions: Callable[[], Any], rounds: int) -> list[np.ndarray]:
    """(rounds,) seconds of each function; they take turns, so a slow minute hits all alike."""
    seconds: list[list[float]] = [[] for _ in functions]
    for function in functions:
        function()
    for _ in range(rounds):
        for function, times in zip(functions, seconds, strict=True):
            start = time.perf_counter()
            function()
            times.append(time.perf_counter() - start)
    return [np.array(times) for times in seconds]


def spread(values: np.ndarray) -> dict[str, float]:
    """Median, 10th and 90th percentile, rounded to five digits."""
    names = ("median", "p10", "p90")
    quantiles = np.quantile(values, (0.5, 0.1, 0.9))
    return {name: float(f"{q:.5g}") for name, q in zip(names, quantiles, strict=True)}
