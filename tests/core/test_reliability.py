"""Reliability and temperatures against brute force and the definition written out in loops."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from dvt_core.errors import InputError
from dvt_core.reliability import (
    NUM_BINS,
    compare,
    exit_reliability,
    fit_temperature,
    fold_temperatures,
    mean_accuracy,
    reliability,
)
from dvt_core.solver import solve_budget
from dvt_core.thresholds import replay
from tests.core.synthetic_tables import cascade_table


def log_likelihood(logits, labels, temperature):
    scaled = torch.from_numpy(logits / temperature).double()
    return -torch.nn.functional.cross_entropy(scaled, torch.from_numpy(labels)).item()


def overconfident(n=400, classes=7, factor=3.0):
    rng = np.random.default_rng(4)
    logits = rng.normal(size=(n, classes)) * 1.5
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(classes, p=p) for p in probs])
    return (logits * factor).astype(np.float32), labels


def test_ece_is_the_definition_in_a_loop():
    rng = np.random.default_rng(0)
    confidences = np.append(rng.random(300), [0.0, 1.0, 1 / 3]).astype(np.float32)
    right = rng.random(303) < confidences
    total = 0.0
    for b in range(NUM_BINS):
        low, high = b / NUM_BINS, (b + 1) / NUM_BINS
        inside = [
            i for i, c in enumerate(confidences.tolist()) if low < c <= high or (c == 0 and b == 0)
        ]
        if inside:
            gap = np.mean(confidences[inside].astype(float)) - np.mean(right[inside])
            total += len(inside) / 303 * abs(gap)
    found = reliability(confidences, right)
    assert found.ece == pytest.approx(total, abs=1e-7) and sum(found.counts) == 303


def test_a_perfectly_honest_exit_has_no_error():
    right = np.arange(1000) % 10 < 7
    assert reliability(np.full(1000, 0.7), right).ece == pytest.approx(0, abs=1e-12)
    with pytest.raises(InputError, match="same length"):
        reliability(np.ones(3), np.ones(4, dtype=bool))


@pytest.mark.parametrize("factor", [0.3, 1.0, 3.0])
def test_fit_temperature_is_where_a_general_minimiser_ends(factor):
    logits, labels = overconfident(factor=factor)
    found = fit_temperature(logits, labels)
    best = minimize_scalar(
        lambda t: -log_likelihood(logits, labels, np.exp(t)), bounds=(-3, 3), method="bounded"
    )
    assert found == pytest.approx(np.exp(best.x), rel=1e-3)
    assert found == pytest.approx(factor, rel=0.25)  # the labels were drawn at temperature 1
    assert log_likelihood(logits, labels, found) >= log_likelihood(logits, labels, 1.0)


def test_a_temperature_makes_overconfident_logits_honest():
    logits, labels = overconfident(n=3000)
    errors = []
    for temperature in (1.0, fit_temperature(logits, labels)):
        probs = torch.from_numpy(logits / temperature).softmax(dim=1).numpy()
        errors.append(reliability(probs.max(axis=1), probs.argmax(axis=1) == labels).ece)
    assert errors[1] < errors[0] / 3


def test_folded_temperatures_divide_the_logits_and_change_nothing_else(tiny_model, images):
    with torch.inference_mode():
        before = tiny_model(images)
        fold_temperatures(tiny_model, (2.0, 0.5, 1.0))
        for was, now, t in zip(before, tiny_model(images), (2.0, 0.5, 1.0), strict=True):
            torch.testing.assert_close(now * t, was)
    for wrong in ((1.0, 1.0), (1.0, 1.0, 0.0), (1.0, float("nan"), 1.0)):
        with pytest.raises(InputError, match="3 numbers above 0"):
            fold_temperatures(tiny_model, wrong)


def test_compare_holds_both_sides_and_mean_accuracy_is_a_mean_of_solved_points():
    calibration, test = cascade_table(n=200, seed=1), cascade_table(n=300, seed=2)
    raw = compare((calibration, test), (calibration, test), (1.0, 1.0, 1.0), shipped=(False,) * 3)
    assert raw["before"] == raw["after"] and raw["shipped"] == [False] * 3
    assert raw["before"]["test"][2]["ece"] == exit_reliability(test)[2].ece
    budgets = np.linspace(calibration.info.exit_macs[0], calibration.info.exit_macs[-1], 59)
    by_hand = [replay(test, solve_budget(calibration, b).thresholds).accuracy for b in budgets]
    assert mean_accuracy(calibration, test, shared=False) == pytest.approx(np.mean(by_hand))
    assert raw["after"]["shared"] <= 1
