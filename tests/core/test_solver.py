import itertools

import numpy as np
import pytest

from dvt_core import solver
from dvt_core.errors import InputError
from dvt_core.released_rule import released_rule
from dvt_core.solver import pareto_front, solve_accuracy, solve_budget
from dvt_core.thresholds import exit_indices, replay, sweep
from tests.core.synthetic_tables import cascade_table, table_info


def brute_force(table):
    """{(total macs, right answers)} of the efficient settings, trying all of them."""
    gates = table.num_exits - 1
    options = [[*np.unique(table.confidences[:, k]), 2.0] for k in range(gates)]
    rows = np.array(list(itertools.product(*options)), dtype=float)
    found = {(round(p.macs * table.n), round(p.accuracy * table.n)) for p in sweep(table, rows)}
    return {
        (cost, right)
        for cost, right in found
        if not any(c <= cost and r >= right and (c, r) != (cost, right) for c, r in found)
    }


CASES = [
    (num_exits, n, decimals, seed)
    for num_exits, n in ((1, 20), (2, 60), (3, 30), (4, 10))
    for decimals in (None, 1)
    for seed in range(4)
] + [(3, 80, 1, 9), (4, 80, 1, 9), (5, 60, 1, 9)]


@pytest.mark.parametrize(("num_exits", "n", "decimals", "seed"), CASES)
def test_front_matches_brute_force(num_exits, n, decimals, seed):
    table = cascade_table(n, num_exits, seed, decimals)
    front = pareto_front(table)
    assert front.is_exact
    got = {(round(p.macs * n), round(p.accuracy * n)) for p in front.points}
    assert got == brute_force(table)
    assert len(got) == len(front.points)


@pytest.mark.parametrize("num_exits", [1, 2, 3, 4])
@pytest.mark.parametrize("decimals", [None, 2])
def test_every_point_replays_to_itself(num_exits, decimals):
    table = cascade_table(400, num_exits, decimals=decimals)
    points = pareto_front(table).points
    assert sweep(table, np.array([p.thresholds for p in points])) == points
    assert all(replay(table, p.thresholds) == p for p in points[:: len(points) // 20 + 1])
    assert all(0 <= t <= solver.NEVER for p in points for t in p.thresholds)


def test_thresholds_lie_between_confidences():
    table = cascade_table(300, decimals=2)
    for point in pareto_front(table).points:
        exits = exit_indices(table, point.thresholds)
        for k, threshold in enumerate(point.thresholds):
            coming = table.exit_confidences[k][exits >= k]
            assert threshold in (0, solver.NEVER) or np.abs(coming - threshold).min() > 0.004


@pytest.mark.parametrize("num_exits", [2, 3, 4, 5])
def test_solver_is_never_worse_than_the_released_rule_or_a_shared_threshold(num_exits):
    table = cascade_table(5000 if num_exits == 3 else 1500, num_exits, seed=5)
    front = pareto_front(table)
    every_shared = np.append(np.unique(table.confidences[:, :-1]), 2.0)
    released = released_rule(table)
    assert len(released) == 59
    for point in (*released, *sweep(table, every_shared)[::7]):
        solved = front.at_budget(point.macs)
        assert solved.macs <= point.macs
        assert solved.accuracy >= point.accuracy
        assert front.at_accuracy(point.accuracy).macs <= point.macs
    better = sum(front.at_budget(p.macs).accuracy > p.accuracy for p in released)
    assert better > 40 or num_exits == 2  # with one threshold only the budget's rounding differs


def test_front_rises_in_cost_and_accuracy():
    points = pareto_front(cascade_table(2000)).points
    assert all(b.macs > a.macs and b.accuracy > a.accuracy for a, b in itertools.pairwise(points))


@pytest.mark.parametrize("seed", range(3))
def test_search_of_large_tables_comes_close_to_the_optimum(seed, monkeypatch):
    table = cascade_table(90, 4, seed)
    exact = pareto_front(table)
    monkeypatch.setattr(solver, "_GRID_CELLS", 500)  # as if the table were large
    monkeypatch.setattr(solver, "_ASCENT_POINTS", 16)
    found = pareto_front(table)
    assert exact.is_exact and not found.is_exact
    losses = [p.accuracy - found.at_budget(p.macs).accuracy for p in exact.points]
    assert min(losses) >= 0  # nothing beats the exact front
    assert np.mean(losses) < 0.5 / table.n
    for point in released_rule(table):
        assert found.at_budget(point.macs).accuracy >= point.accuracy


def test_queries_between_and_at_points():
    table = cascade_table(200)
    front = pareto_front(table)
    for a, b in itertools.pairwise(front.points):
        assert front.at_budget(a.macs) == front.at_budget((a.macs + b.macs) / 2) == a
        assert front.at_accuracy(b.accuracy) == front.at_accuracy(a.accuracy + 1e-9) == b
    assert front.at_budget(float("inf")) == solve_budget(table, 1e12) == front.points[-1]
    assert front.at_accuracy(0) == solve_accuracy(table, -1.0) == front.points[0]
    assert front.points[0].macs == table.info.exit_macs[0]
    assert front.points[0].exit_shares == (1, 0, 0)


@pytest.mark.parametrize("macs", [0, -1, 19_999_999, float("nan"), float("-inf")])
def test_a_budget_below_the_first_exit_says_what_is_reachable(macs):
    with pytest.raises(InputError, match=r"first exit alone takes 20,000,000; .* best accuracy"):
        solve_budget(cascade_table(30), macs)


@pytest.mark.parametrize("accuracy", [1.001, 85, float("nan")])
def test_an_accuracy_out_of_reach_says_what_is_reachable(accuracy):
    front = pareto_front(cascade_table(100))
    best = f"{front.points[-1].accuracy:.4f}"
    with pytest.raises(InputError, match=rf"reach between .* and {best}"):
        front.at_accuracy(accuracy)


def test_one_image_and_equal_confidences():
    for table in (cascade_table(1), cascade_table(40, decimals=0), cascade_table(1, 2)):
        got = {
            (round(p.macs * table.n), round(p.accuracy * table.n))
            for p in pareto_front(table).points
        }
        assert got == brute_force(table)


def test_costs_of_real_models_stay_exact():
    macs = (1_142_909_952, 3_643_143_168, 8_800_629_121)
    small = cascade_table(400)
    table = type(small).from_probs(
        np.random.default_rng(0).dirichlet(np.ones(10), (400, 3)),
        small.labels,
        small.indices,
        table_info(exit_macs=macs),
    )
    for point in pareto_front(table).points:
        counts = [round(share * 400) for share in point.exit_shares]
        assert point.macs == sum(c * m for c, m in zip(counts, macs, strict=True)) / 400
