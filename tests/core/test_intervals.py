"""Intervals against the equations and the distributions that define them."""

import math

import numpy as np
import pytest

from dvt_core.intervals import LEAST, Z, compare, mean_cost, share_interval


@pytest.mark.parametrize(("count", "n"), [(0, 5), (5, 5), (3, 7), (80, 100), (9_999, 10_000)])
def test_share_interval_ends_where_the_share_is_z_errors_away(count, n):
    low, high = share_interval(count, n)
    assert 0 <= low <= count / n <= high <= 1
    for end in (low, high):
        if 0 < end < 1:  # an end at 0 or 1 is the exact end only for a share of 0 or 1
            assert abs(count / n - end) == pytest.approx(Z * math.sqrt(end * (1 - end) / n))


@pytest.mark.parametrize("counts", [(3, 0, 0), (10, 20, 5), (4_000, 3_000, 3_000)])
def test_mean_cost_has_the_spread_of_the_posterior(counts):
    macs = (10, 40, 100)
    found = mean_cost(counts, macs)
    draws = np.random.default_rng(0).dirichlet(np.array(counts) + 0.5, 200_000) @ np.array(macs)
    assert found.mean == pytest.approx(np.dot(counts, macs) / sum(counts))
    assert found.error == pytest.approx(draws.std(), rel=0.01)
    assert macs[0] <= found.low <= found.mean <= found.high <= macs[-1]


def test_compare_needs_more_than_chance():
    macs = (10, 40, 100)
    few, many = mean_cost((6, 4, 0), macs), mean_cost((600, 400, 0), macs)
    other = mean_cost((4_000, 3_000, 3_000), macs)
    assert compare(many, other) == -1 and compare(other, many) == 1
    assert compare(mean_cost((4, 3, 3), macs), other) == 0
    for n in range(1, LEAST):  # so few cannot tell, even where their interval says they can
        assert compare(mean_cost((0, 0, n), macs), mean_cost((9_000, 0, 0), macs)) == 0
    assert compare(mean_cost((0, 0, LEAST), macs), mean_cost((9_000, 0, 0), macs)) == 1
    assert few.high - few.low > 5 * (many.high - many.low)
