"""Simulations against a loop over steps and images that shares no code with them."""

import math

import numpy as np
import pytest

from dvt_core.errors import InputError
from dvt_core.scenario import SCENARIOS, STEPS, Scenario
from dvt_core.simulation import (
    DROPS,
    OVERLOADS,
    OVERSPENDS,
    FixedModel,
    Serving,
    simulate,
    totals,
)
from dvt_core.solver import pareto_front
from tests.core.synthetic_tables import cascade_table

CALIBRATION, TEST = cascade_table(n=120, seed=1), cascade_table(n=90, seed=2)
FRONT = pareto_front(CALIBRATION)
FULL = TEST.info.exit_macs[-1]


def made_up(budgets, arrivals=None):
    arrivals = arrivals or tuple(range(3, 3 + len(budgets)))
    return Scenario("toy", "Toy", "A toy.", "hours", 0.5, arrivals, budgets)


def run_images(thresholds):
    """(MACs, right answers) of each test image, one at a time."""
    answers = []
    for image in range(TEST.n):
        i = 0
        while i < TEST.num_exits - 1 and float(TEST.confidences[image, i]) < thresholds[i]:
            i += 1
        answers.append(
            (TEST.info.exit_macs[i], int(TEST.predictions[image, i] == TEST.labels[image]))
        )
    return answers


def slow(scenario, fixed_answers, overload):
    """(adaptive, fixed) as dicts of sums, by walking steps, models and images."""
    sums = [dict.fromkeys(("dropped", "right", "macs", "overspent"), 0.0) for _ in range(2)]
    for arrivals, share in zip(scenario.arrivals, scenario.budgets, strict=True):
        budget, thresholds = share * FULL, None
        for point in FRONT.points:  # cheapest first, more and more accurate
            if thresholds is None or point.macs <= budget:
                thresholds = point.thresholds
        for total, answers in zip(sums, (run_images(thresholds), fixed_answers), strict=True):
            left = budget * arrivals  # MACs of this step
            need = sum(macs for macs, _ in answers) / len(answers)
            served = arrivals
            if overload == DROPS and need * arrivals > left:
                served = left / need
            total["dropped"] += arrivals - served
            total["right"] += served * sum(right for _, right in answers) / len(answers)
            total["macs"] += served * need
            total["overspent"] += max(served * need - left, 0)
    return sums


@pytest.mark.parametrize("overload", OVERLOADS)
@pytest.mark.parametrize(
    "scenario",
    [made_up((1.0, 0.5, 0.3, 0.2, 0.1, 0.04, 0.01, 2.5)), *SCENARIOS],
    ids=lambda each: each.name,
)
def test_totals_are_those_of_a_loop_over_steps_and_images(scenario, overload):
    found = totals(simulate(FRONT, TEST, scenario), overload)
    full = run_images((math.inf, math.inf))
    for total, expected in zip(found, slow(scenario, full, overload), strict=True):
        assert total.arrivals == sum(scenario.arrivals)
        assert total.dropped == pytest.approx(expected["dropped"], abs=1e-9)
        assert total.right == pytest.approx(expected["right"] / total.arrivals)
        assert total.macs == pytest.approx(expected["macs"])
        # Sums of numbers that cancel: to a millionth of what was spent.
        assert total.overspent == pytest.approx(expected["overspent"], abs=1e-6 * total.macs)


@pytest.mark.parametrize("overload", OVERLOADS)
def test_a_static_model_stands_in_for_the_full_cascade(overload):
    scenario = made_up((1.0, 0.4, 0.2))
    fixed = FixedModel("8x8", 0.5 * FULL, 0.8)
    answers = [(0.5 * FULL, right) for right in (1, 1, 1, 1, 0)]
    found = totals(simulate(FRONT, TEST, scenario, fixed), overload)[1]
    expected = slow(scenario, answers, overload)[1]
    assert found.right == pytest.approx(expected["right"] / found.arrivals)
    assert found.dropped == pytest.approx(expected["dropped"])
    assert found.overspent == pytest.approx(expected["overspent"])


def test_steps_carry_time_budget_and_the_thresholds_of_the_front():
    steps = simulate(FRONT, TEST, made_up((0.9, 0.4)))
    assert [step.time for step in steps] == [0.0, 0.5]
    assert [step.arrivals for step in steps] == [3, 4]
    for step, share in zip(steps, (0.9, 0.4), strict=True):
        assert step.budget == pytest.approx(share * FULL)
        assert step.thresholds == FRONT.at_budget(step.budget).thresholds
        answers = run_images(step.thresholds)
        assert step.adaptive.macs == pytest.approx(np.mean([macs for macs, _ in answers]))
        assert step.adaptive.accuracy == pytest.approx(np.mean([right for _, right in answers]))
    assert steps[0].fixed == Serving(FULL, TEST.exit_accuracy[-1], pytest.approx(0.9))


def test_below_the_first_exit_only_a_part_of_the_images_fits():
    first = TEST.info.exit_macs[0]
    (step,) = simulate(FRONT, TEST, made_up((0.4 * first / FULL,)))
    assert step.adaptive == Serving(first, TEST.exit_accuracy[0], pytest.approx(0.4))
    assert step.adaptive.spent(DROPS) == pytest.approx(step.budget)
    assert step.adaptive.right(DROPS) == pytest.approx(0.4 * TEST.exit_accuracy[0])
    assert step.adaptive.spent(OVERSPENDS) == first


def test_what_fits_is_answered_whole_either_way():
    serving = Serving(macs=10.0, accuracy=0.5, fits=1.0)
    for overload in OVERLOADS:
        assert (serving.answered(overload), serving.spent(overload)) == (1.0, 10.0)
        assert serving.right(overload) == 0.5


def test_a_cascade_of_one_exit_has_nothing_to_adapt():
    one = cascade_table(n=40, num_exits=1)
    for step in simulate(pareto_front(one), one, made_up((1.2, 0.5))):
        assert step.thresholds == () and step.adaptive == step.fixed


def test_scenarios_have_different_names_and_the_shapes_they_claim():
    by_name = {scenario.name: scenario for scenario in SCENARIOS}
    assert len(by_name) == len(SCENARIOS) >= 3
    assert all(len(scenario.budgets) == STEPS for scenario in SCENARIOS)
    server, phone, night = (by_name[name] for name in ("server", "phone", "night"))
    compute = {round(n * b, 9) for n, b in zip(server.arrivals, server.budgets, strict=True)}
    assert compute == {50}  # the same in every second, shared by what arrives
    assert f"up to {max(server.arrivals)}" in server.description
    assert all(np.diff(phone.budgets) <= 0) and len(set(phone.arrivals)) == 1
    cuts = [(1 - t / STEPS, share) for t, share in enumerate(phone.budgets)]
    for most, share in ((0.6, 0.6), (0.4, 0.35), (0.2, 0.18), (0.08, 0.08)):  # as described
        below = [budget for charge, budget in cuts if charge < most - 1e-9]
        above = [budget for charge, budget in cuts if charge > most + 1e-9]
        assert max(below) == pytest.approx(share) and min(above) > share
    day = by_name["day"].budgets
    assert (day[0], day[STEPS // 2]) == pytest.approx((1.0, 0.15))
    assert set(night.budgets) == {1.0} and len(set(night.arrivals)) == 1


@pytest.mark.parametrize(
    ("budgets", "arrivals", "words"),
    [
        ((0.5,), (1, 2), "2 arrivals and 1 budgets"),
        ((), (), "0 arrivals"),
        ((0.5, 0.0), (1, 1), "above 0"),
        ((0.5, math.nan), (1, 1), "above 0"),
        ((0.5, 0.5), (1, 0), "at least 1 arrival"),
    ],
)
def test_scenarios_that_make_no_sense_are_refused(budgets, arrivals, words):
    with pytest.raises(InputError, match=words):
        Scenario("toy", "Toy", "A toy.", "hours", 1.0, arrivals, budgets)


def test_an_unknown_overload_is_refused():
    steps = simulate(FRONT, TEST, made_up((1.0,)))
    with pytest.raises(InputError, match="expected one of drops images, overspends"):
        totals(steps, "waits")
