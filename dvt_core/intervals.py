"""How far a share or a mean cost of n pictures could be off by chance alone: 95 % intervals.

References:
    Wilson 1927 (the score interval of a share).
    Jeffreys' prior of a multinomial: half a picture at every exit. It keeps the interval of a mean
    cost honest where all of a few pictures left at one exit, and the sample's own spread is zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Z = 1.959963984540054  # of 95 %
# Fewer pictures tell nothing, whatever the interval: of four, all leave at an exit that half of all
# pictures take with a chance of 0.5**4 = 6 %, more than the 5 % that an interval leaves to chance.
LEAST = 5
FEW = 100  # with fewer pictures a share's interval is up to 20 points wide


@dataclass(frozen=True)
class MeanCost:
    """A mean cost per picture, in multiply-accumulates.

    Attributes:
        n: pictures.
        mean: over the pictures.
        error: its standard error.
        low: lower end of the 95 % interval.
        high: upper end of it.
    """

    n: int
    mean: float
    error: float
    low: float
    high: float


def share_interval(count: int, n: int) -> tuple[float, float]:
    """95 % interval, 0..1, of the share that `count` of `n` pictures stand for; n is at least 1."""
    share, room = count / n, Z * Z / n
    centre = (share + room / 2) / (1 + room)
    half = Z / (1 + room) * math.sqrt(share * (1 - share) / n + room / (4 * n))
    return max(centre - half, 0.0), min(centre + half, 1.0)


def mean_cost(counts: Sequence[int], exit_macs: Sequence[int]) -> MeanCost:
    """The mean cost of pictures of which `counts` leave at each exit; at least one picture."""
    costs, leave = np.array(exit_macs, dtype=np.float64), np.array(counts, dtype=np.float64)
    mean = float(leave @ costs / leave.sum())
    weights = leave + 0.5
    shares = weights / weights.sum()
    spread = float(shares @ costs**2 - (shares @ costs) ** 2)
    error = math.sqrt(max(spread, 0.0) / (weights.sum() + 1))
    low, high = max(mean - Z * error, costs[0]), min(mean + Z * error, costs[-1])
    return MeanCost(int(leave.sum()), mean, error, float(low), float(high))


def compare(mine: MeanCost, other: MeanCost) -> int:
    """-1 if `mine` is cheaper by more than chance explains (95 %), 1 if dearer, 0 otherwise.

    It is 0, too, if either is of fewer than `LEAST` pictures.
    """
    if min(mine.n, other.n) < LEAST:
        return 0
    difference = mine.mean - other.mean
    if abs(difference) <= Z * math.hypot(mine.error, other.error):
        return 0
    return -1 if difference < 0 else 1
