"""Oracle and random lines against all assignments of images to exits, the band against formulas."""

import itertools
import math
import time

import numpy as np
import pytest

from dvt_core.criteria import compare_criteria
from dvt_core.errors import InputError
from dvt_core.exit_table import ExitTable
from dvt_core.reference_curves import bootstrap_band, oracle_line, random_line
from dvt_core.thresholds import OperatingPoint, exit_indices, replay, sweep
from tests.core.synthetic_tables import MACS, cascade_table, table_info


def hard_table(n, num_exits, seed):
    """A table whose exits are right at random, better later; some images beyond all."""
    rng = np.random.default_rng(seed)
    right = rng.random((n, num_exits)) < np.linspace(0.4, 0.7, num_exits)
    probs = np.full((n, num_exits, 4), 0.1, dtype=np.float32)
    np.put_along_axis(probs, np.where(right, 0, 1)[..., None], 0.7, axis=-1)
    return ExitTable.from_probs(probs, np.zeros(n), np.arange(n), table_info(num_exits, 4))


def all_assignments(table):
    """(macs, accuracy) of every way to send each image to some exit."""
    for exits in itertools.product(range(table.num_exits), repeat=table.n):
        yield (
            sum(MACS[exit_index] for exit_index in exits) / table.n,
            sum(bool(table.correct[image, i]) for image, i in enumerate(exits)) / table.n,
        )


@pytest.mark.parametrize(("n", "num_exits", "seed"), [(6, 3, 0), (6, 3, 1), (5, 4, 2), (9, 2, 3)])
def test_oracle_line_is_the_upper_hull_of_all_assignments(n, num_exits, seed):
    table = hard_table(n, num_exits, seed)
    corners = oracle_line(table)
    reachable = set(all_assignments(table))
    costs, accuracies = zip(*corners, strict=True)
    for macs, accuracy in reachable:
        assert accuracy <= np.interp(macs, costs, accuracies) + 1e-12
    for corner in corners:  # and it is no looser than it must be
        assert any(np.allclose(corner, point, rtol=1e-12) for point in reachable)


def test_oracle_line_is_concave_and_ends_at_the_cheapest_right_exit_for_everyone():
    table = cascade_table(n=400, num_exits=5, seed=4)
    corners = np.array(oracle_line(table))
    assert tuple(corners[0]) == (MACS[0], table.exit_accuracy[0])
    cost = right = 0
    for image in range(table.n):
        firsts = [i for i in range(5) if table.predictions[image, i] == table.labels[image]]
        cost += MACS[firsts[0] if firsts else 0]
        right += bool(firsts)
    assert corners[-1] == pytest.approx((cost / table.n, right / table.n))
    slopes = np.diff(corners[:, 1]) / np.diff(corners[:, 0])
    assert (np.diff(slopes) < 0).all() and (slopes > 0).all()


def test_no_thresholds_pass_the_oracle_line():
    table = cascade_table(n=300, seed=5)
    costs, accuracies = zip(*oracle_line(table), strict=True)
    grid = np.array(list(itertools.product(np.linspace(0, 1.01, 12), repeat=2)))
    gaps = [np.interp(p.macs, costs, accuracies) - p.accuracy for p in sweep(table, grid)]
    assert min(gaps) > -1e-12 and max(gaps) > 0.01


def test_oracle_line_of_one_exit_is_its_point():
    table = cascade_table(n=50, num_exits=1)
    assert oracle_line(table) == ((MACS[0], table.exit_accuracy[0]),)


def test_oracle_line_has_no_corner_for_an_exit_that_wins_nothing():
    probs = np.random.default_rng(0).dirichlet(np.ones(4), 30).astype(np.float32)
    alike = np.repeat(probs[:, None], 3, axis=1)  # all exits say the same
    table = ExitTable.from_probs(alike, np.zeros(30), np.arange(30), table_info(3, 4))
    assert oracle_line(table) == ((MACS[0], table.exit_accuracy[0]),)


def test_random_line_is_the_mean_over_all_ways_to_pick():
    table = hard_table(5, 3, 7)
    counts = (2, 2, 1)
    picks = set(itertools.permutations([i for i, count in enumerate(counts) for _ in range(count)]))
    accuracy = np.mean([np.mean([table.correct[k, i] for k, i in enumerate(p)]) for p in picks])
    macs = sum(c * m for c, m in zip(counts, MACS, strict=False)) / 5
    point = OperatingPoint((0.5, 0.5), 0.0, macs, tuple(c / 5 for c in counts))
    assert random_line(table, [point])[0] == pytest.approx((macs, accuracy))


def test_random_line_agrees_with_the_criteria_and_keeps_the_cost():
    table = cascade_table(n=300, seed=8)
    points = sweep(table)
    line = random_line(table, points)
    assert [macs for macs, _ in line] == pytest.approx([point.macs for point in points])
    for point, (_, accuracy) in zip(points[::10], line[::10], strict=True):
        counts = np.bincount(exit_indices(table, point.thresholds), minlength=3).tolist()
        assert accuracy == pytest.approx(compare_criteria(table, counts).accuracies["random"])
    assert random_line(table, []) == ()


def test_random_line_refuses_points_without_shares():
    with pytest.raises(InputError, match="0 exit shares, but the table has 3"):
        random_line(cascade_table(n=9), [OperatingPoint((0.5, 0.5), 0.9, 1e6, ())])


@pytest.mark.parametrize("level", [0.95, 0.5])
def test_band_is_as_wide_as_the_binomial_standard_error_says(level):
    table, thresholds = cascade_table(n=2000, seed=9), np.linspace(0, 1, 11)
    band = bootstrap_band(table, thresholds, resamples=4000, seed=1, level=level)
    z = {0.95: 1.959964, 0.5: 0.674490}[level]
    for (low, high), point in zip(band, sweep(table, thresholds), strict=True):
        error = math.sqrt(point.accuracy * (1 - point.accuracy) / 2000)
        assert (high - low) / 2 == pytest.approx(z * error, rel=0.08)
        assert (high + low) / 2 == pytest.approx(point.accuracy, abs=0.1 * error)


def test_band_is_that_of_drawing_image_by_image():
    table, rows = cascade_table(n=60, seed=10), np.array([[0.3, 0.9], [0.8, 0.4]])
    rng, drawn = np.random.default_rng(0), []
    right = [table.correct[np.arange(60), exit_indices(table, row)] for row in rows]
    for _ in range(8000):
        images = rng.integers(60, size=60)
        drawn.append([each[images].mean() for each in right])
    expected = np.quantile(drawn, (0.025, 0.975), axis=0).T
    band = bootstrap_band(table, rows, resamples=8000)
    np.testing.assert_allclose(band, expected, atol=1 / 60 + 1e-9)  # one image is a step


def test_band_lets_images_leave_that_just_reach_the_threshold():
    table = cascade_table(n=2000, seed=13, decimals=1)
    thresholds = np.unique(table.exit_confidences)  # all of them are met exactly by many images
    middle = bootstrap_band(table, thresholds, resamples=4000).mean(axis=1)
    wanted = [point.accuracy for point in sweep(table, thresholds)]
    np.testing.assert_allclose(middle, wanted, atol=0.001)


def test_band_of_an_exit_that_is_always_right_has_no_width():
    probs = np.tile(np.array([0.9, 0.1], dtype=np.float32), (12, 1, 1))
    sure = ExitTable.from_probs(probs, np.zeros(12), np.arange(12), table_info(1, 2))
    assert bootstrap_band(sure, [0.2, 0.7]).tolist() == [[1, 1], [1, 1]]
    assert bootstrap_band(sure, []).shape == (0, 2)


def test_band_holds_the_accuracy_repeats_and_follows_the_seed():
    table, thresholds = cascade_table(n=500, seed=11), [0.2, 0.5, 0.9]
    band = bootstrap_band(table, thresholds)
    for (low, high), threshold in zip(band, thresholds, strict=True):
        assert low < replay(table, threshold).accuracy < high
    np.testing.assert_array_equal(band, bootstrap_band(table, thresholds))
    assert (band != bootstrap_band(table, thresholds, seed=1)).any()


def test_band_of_ten_thousand_images_takes_less_than_a_second():
    table = cascade_table(n=10_000, seed=12)
    start = time.process_time()
    assert bootstrap_band(table, np.linspace(0, 1, 101)).shape == (101, 2)
    assert time.process_time() - start < 1


@pytest.mark.parametrize("wrong", [{"resamples": 0}, {"level": 0.0}, {"level": 1.0}])
def test_band_refuses_arguments_out_of_range(wrong):
    with pytest.raises(InputError, match="expected at least 1 resample"):
        bootstrap_band(cascade_table(n=9), [0.5], **wrong)


def test_band_refuses_what_a_sweep_refuses():
    with pytest.raises(InputError, match="not finite"):
        bootstrap_band(cascade_table(n=9), [float("nan")])
