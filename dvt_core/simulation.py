"""Changing resources, simulated: a cascade that follows a budget beside a model that cannot.

At every step of a made-up `scenario` the cascade takes the thresholds that were solved for the
step's budget on calibration images; what they give is replayed on test images. The fixed model
always costs the same. Both are treated alike where they do not fit (`Serving`).

What is left out: a budget is known when its step begins, thresholds change for free, nothing is
queued from one step to the next, the images of every step are like the whole test split, and a
budget is MACs, not time or energy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dvt_core.errors import InputError
from dvt_core.exit_table import ExitTable
from dvt_core.scenario import Scenario
from dvt_core.solver import Front
from dvt_core.thresholds import sweep

DROPS, OVERSPENDS = "drops images", "overspends"
OVERLOADS = (DROPS, OVERSPENDS)  # what a model does at a step where it does not fit


@dataclass(frozen=True)
class FixedModel:
    """A model that treats every image alike.

    Attributes:
        name: for people.
        macs: multiply-accumulates per image.
        accuracy: share of test images it answers right, 0..1.
    """

    name: str
    macs: float
    accuracy: float

    @classmethod
    def full_cascade(cls, table: ExitTable) -> FixedModel:
        """The cascade itself if every image goes to the last exit."""
        return cls("full cascade", table.info.exit_macs[-1], table.exit_accuracy[-1])


@dataclass(frozen=True)
class Serving:
    """What one model does in one step, whichever way it goes where it does not fit.

    Attributes:
        macs: mean per image that it answers.
        accuracy: share of right answers among the images that it answers, 0..1.
        fits: share of the arrivals that it can answer within the budget, min(1, budget / macs).
    """

    macs: float
    accuracy: float
    fits: float

    def answered(self, overload: str) -> float:
        """Share of the arrivals that are answered, 0..1.

        With `DROPS` those that fit, picked without looking at them; with `OVERSPENDS` all.
        """
        return self.fits if _check(overload) == DROPS else 1.0

    def spent(self, overload: str) -> float:
        """MACs per arriving image; at most the budget with `DROPS`."""
        return self.answered(overload) * self.macs

    def right(self, overload: str) -> float:
        """Share of the arrivals that are answered right, 0..1; a dropped image is not."""
        return self.answered(overload) * self.accuracy


@dataclass(frozen=True)
class Step:
    """One step of a simulation.

    Attributes:
        time: at which it begins, in the scenario's unit, from 0.
        arrivals: images that arrive.
        budget: MACs per arriving image, mean.
        thresholds: in force for the cascade, one per exit but the last.
        adaptive: the cascade under them. Solved on calibration, they may cost a little more than
            the budget on test images; the images beyond it do not fit.
        fixed: the fixed model.
    """

    time: float
    arrivals: int
    budget: float
    thresholds: tuple[float, ...]
    adaptive: Serving
    fixed: Serving


@dataclass(frozen=True)
class Total:
    """One model's sums over a simulation; images are expectations, hence no whole numbers.

    Attributes:
        arrivals: images that arrived.
        dropped: images not answered.
        right: share of all arrivals that were answered right, 0..1.
        macs: multiply-accumulates spent.
        overspent: of these, MACs above the budget, summed over the steps that had too little;
            what other steps left is not set against it.
    """

    arrivals: int
    dropped: float
    right: float
    macs: float
    overspent: float


def simulate(
    front: Front, table: ExitTable, scenario: Scenario, fixed: FixedModel | None = None
) -> tuple[Step, ...]:
    """The cascade and a fixed model through a scenario, step by step.

    Args:
        front: the cascade's thresholds, solved on its calibration table (`pareto_front`). Below
            its cheapest point, which sends all images to exit 1, that point is taken and only a
            part of the images fits.
        table: the cascade's table on which they are replayed.
        scenario: budgets and arrivals; the full cascade is the table's last exit.
        fixed: by default `FixedModel.full_cascade(table)`.
    """
    fixed = fixed or FixedModel.full_cascade(table)
    budgets = [share * table.info.exit_macs[-1] for share in scenario.budgets]
    cheapest = front.points[0].macs
    solved = [front.at_budget(max(budget, cheapest)).thresholds for budget in budgets]
    replayed = sweep(table, np.array(solved))
    return tuple(
        Step(
            time=i * scenario.step_length,
            arrivals=scenario.arrivals[i],
            budget=budget,
            thresholds=point.thresholds,
            adaptive=_serve(point.macs, point.accuracy, budget),
            fixed=_serve(fixed.macs, fixed.accuracy, budget),
        )
        for i, (budget, point) in enumerate(zip(budgets, replayed, strict=True))
    )


def totals(steps: Sequence[Step], overload: str) -> tuple[Total, Total]:
    """The sums of (adaptive, fixed) over a simulation.

    Args:
        steps: of `simulate`.
        overload: one of `OVERLOADS`, what both do where they do not fit.

    Raises:
        InputError: an unknown `overload`.
    """
    _check(overload)
    adaptive, fixed = ([(step, getattr(step, who)) for step in steps] for who in _WHO)
    return _total(adaptive, overload), _total(fixed, overload)


_WHO = ("adaptive", "fixed")


def _serve(macs: float, accuracy: float, budget: float) -> Serving:
    return Serving(macs, accuracy, min(1.0, budget / macs))


def _total(served: Sequence[tuple[Step, Serving]], overload: str) -> Total:
    arrivals = sum(step.arrivals for step, _ in served)
    return Total(
        arrivals=arrivals,
        dropped=math.fsum(step.arrivals * (1 - who.answered(overload)) for step, who in served),
        right=math.fsum(step.arrivals * who.right(overload) for step, who in served) / arrivals,
        macs=math.fsum(step.arrivals * who.spent(overload) for step, who in served),
        overspent=math.fsum(
            step.arrivals * max(0.0, who.spent(overload) - step.budget)
            for step, who in served
            if overload == OVERSPENDS
        ),
    )


def _check(overload: str) -> str:
    if overload not in OVERLOADS:
        raise InputError(f"overload is {overload!r}, expected one of {', '.join(OVERLOADS)}")
    return overload
