"""Changing resources, made up: how many images arrive, and what each may cost, over time.

Nothing here is measured and nothing is random: each scenario is a formula. `simulation` runs
models through them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from dvt_core.errors import InputError

STEPS = 60


@dataclass(frozen=True)
class Scenario:
    """How resources change over time; made up.

    Attributes:
        name: short, for links.
        title: for people.
        description: one sentence.
        time_unit: what the time axis counts, for instance "seconds".
        step_length: time of one step in that unit.
        arrivals: images that arrive in each step, at least 1.
        budgets: (as many) budget per arriving image, as a share of the full cascade's cost; above
            0, and above 1 where there is more than the full cascade needs.

    Raises:
        InputError: at construction, if the two are not as described.
    """

    name: str
    title: str
    description: str
    time_unit: str
    step_length: float
    arrivals: tuple[int, ...]
    budgets: tuple[float, ...]

    def __post_init__(self) -> None:
        """Checks arrivals and budgets."""
        if not len(self.arrivals) == len(self.budgets) >= 1:
            raise InputError(
                f"the scenario {self.name!r} has {len(self.arrivals)} arrivals and "
                f"{len(self.budgets)} budgets, expected one of each per step"
            )
        if min(self.arrivals) < 1 or not all(0 < share < math.inf for share in self.budgets):
            raise InputError(
                f"the scenario {self.name!r} needs at least 1 arrival and a budget above 0 in "
                "every step"
            )


# Bursts of the server: (step at which one begins, images per second, seconds to fall to 37 %).
_BURSTS = ((10, 240, 4.0), (28, 620, 4.0), (46, 110, 3.0))
_USUAL, _CAPACITY = 45, 50  # images per second: what usually comes, full cascades it can compute

# The phone: from this charge upwards, this share of the full cascade's cost per image.
_POWER_SAVING = ((0.60, 1.0), (0.40, 0.6), (0.20, 0.35), (0.08, 0.18), (0.0, 0.08))


def _server() -> Scenario:
    """Arrivals jump and fall exponentially; what can be computed is shared by them."""
    arrivals = tuple(
        round(
            _USUAL
            + sum(
                size * math.exp((start - t) / fall) for start, size, fall in _BURSTS if t >= start
            )
        )
        for t in range(STEPS)
    )
    return Scenario(
        "server",
        "A busy server",
        f"A server can run {_CAPACITY} full cascades a second; usually {_USUAL} images come, in "
        f"three bursts up to {max(arrivals)}, and the images of a second share what there is.",
        "seconds",
        1.0,
        arrivals,
        tuple(_CAPACITY / count for count in arrivals),
    )


def _phone() -> Scenario:
    """The charge falls evenly from full to empty; power saving has five levels."""
    charges = [1 - t / STEPS for t in range(STEPS)]
    budgets = (next(share for least, share in _POWER_SAVING if c >= least) for c in charges)
    return Scenario(
        "phone",
        "A phone running out of battery",
        "Below 60, 40, 20 and 8 % of charge the phone allows an image "
        "60, 35, 18 and 8 % of the full cascade's cost.",
        "minutes",
        5.0,
        (20,) * STEPS,
        tuple(budgets),
    )


def _shared_machine() -> Scenario:
    """A cosine over the day, lowest at noon."""
    hours = [24 * t / STEPS for t in range(STEPS)]
    return Scenario(
        "day",
        "A machine shared over a day",
        "Other programs leave everything at midnight and 15 % of the full cascade's cost per image "
        "at noon.",
        "hours",
        24 / STEPS,
        (100,) * STEPS,
        tuple(0.575 + 0.425 * math.cos(2 * math.pi * hour / 24) for hour in hours),
    )


def _quiet_night() -> Scenario:
    """Nothing changes and all fits: the control."""
    return Scenario(
        "night",
        "A quiet night (control)",
        "Nothing changes, and every image may cost as much as the full cascade: there is nothing "
        "to adapt to.",
        "minutes",
        10.0,
        (30,) * STEPS,
        (1.0,) * STEPS,
    )


SCENARIOS = (_server(), _phone(), _shared_machine(), _quiet_night())
