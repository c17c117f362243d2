"""Exit criteria at equal shares against a loop over images, and random against simulation."""

import numpy as np
import pytest

from dvt_core.criteria import CRITERIA, compare_criteria, criteria_curve
from dvt_core.errors import InputError
from dvt_core.thresholds import exit_indices, replay
from tests.core.synthetic_tables import cascade_table


def by_hand(table, scores, counts):
    left, right = list(range(table.n)), 0
    for i, count in enumerate(counts):
        left.sort(key=lambda image: -scores[image, i])
        right += sum(bool(table.correct[image, i]) for image in left[:count])
        left = left[count:]
    return right / table.n


def test_compare_criteria_is_the_loop_over_images():
    table = cascade_table(n=90, seed=3)
    counts = (40, 30, 20)
    point = compare_criteria(table, counts)
    for name, scores in (
        ("confidence", table.confidences),
        ("entropy", -table.entropies),
        ("margin", table.margins),
    ):
        assert point.accuracies[name] == pytest.approx(by_hand(table, scores, counts)), name
    assert tuple(point.accuracies) == CRITERIA
    assert point.macs == pytest.approx(np.dot(counts, table.info.exit_macs) / 90)


def test_random_is_the_mean_of_many_draws():
    table, counts = cascade_table(n=60, seed=5), (30, 20, 10)
    rng = np.random.default_rng(0)
    draws = [by_hand(table, rng.random((60, 3)), counts) for _ in range(400)]
    expected = compare_criteria(table, counts).accuracies["random"]
    assert expected == pytest.approx(np.mean(draws), abs=4 * np.std(draws) / 20)


def test_confidence_at_the_shares_of_thresholds_is_the_threshold_rule():
    table = cascade_table(n=200, seed=6)
    exits = exit_indices(table, (0.6, 0.5))
    point = compare_criteria(table, np.bincount(exits, minlength=3).tolist())
    assert point.accuracies["confidence"] == pytest.approx(replay(table, (0.6, 0.5)).accuracy)


@pytest.mark.parametrize("counts", [(1, 2), (50, 50, -10), (1, 1, 1)])
def test_counts_that_do_not_add_up_are_refused(counts):
    with pytest.raises(InputError, match="add up to 90"):
        compare_criteria(cascade_table(n=90), counts)


def test_criteria_curve_spends_more_and_more():
    points = criteria_curve(cascade_table(n=300, seed=1), cascade_table(n=300, seed=2))
    costs = [point.macs for point in points]
    assert len(points) == 6 and costs == sorted(costs)
