"""The browser's arithmetic against Python's: the same decisions, the same digits."""

import json
import random

import numpy as np
import pytest

from app.figures.theme import MacUnit, percent, times_less
from app.figures.tradeoff import thresholds_text
from app.replay.ask import Ask, Range
from app.replay.dial import Choices, resolve
from app.replay.replay_data import front_data, table_data
from dvt_core.bundle import list_models, load_bundle
from dvt_core.solver import NEVER, pareto_front
from dvt_core.thresholds import exit_indices, replay, sweep
from tests.core.synthetic_tables import cascade_table
from tests.ui.node import call_js

RULE = ("rule.js",)
UNITS = (MacUnit("MMACs", 1e6, "MFLOPs"), MacUnit("GMACs", 1e9, "GFLOPs"))


def _unit(unit: MacUnit) -> dict[str, object]:
    return {"name": unit.name, "scale": unit.scale}


def test_fixed_rounds_halves_as_python_does():
    shuffle = random.Random(0)
    values = [k / 8 for k in range(-81, 81)] + [100 * k / 10_000 for k in range(0, 10_001, 7)]
    values += [shuffle.uniform(-100, 100) for _ in range(300)]
    cases = [(value, digits) for value in values for digits in (0, 1, 2)]
    got = call_js(RULE, [("fixed", list(case)) for case in cases])
    assert got == [f"{value:.{digits}f}" for value, digits in cases]


def test_costs_and_savings_are_written_as_in_python():
    shuffle = random.Random(1)
    costs = [10 ** shuffle.uniform(5.1, 11) for _ in range(300)]
    costs += [
        9.994e6,
        9.995e6,
        9.996e6,
        99.95e6,
        999.4e6,
        999.5e6,
        0.125e6,
        1.125e6,
        10.25e6,
        12.5e8,
    ]
    calls, wanted = [], []
    for unit in UNITS:
        for cost in costs:
            calls.append(("macText", [cost, _unit(unit)]))
            wanted.append(unit.format(cost))
    for cost in costs:
        calls.append(("timesLess", [cost, 1e8]))
        wanted.append(times_less(cost, 1e8))
    assert call_js(RULE, calls) == wanted


def test_signed_points_and_percent_are_written_as_in_python():
    values = [-0.5, -0.04, 0.0, 0.04, 0.25, -0.25, 12.34]
    calls = [("signed", [value, 1]) for value in values]
    calls += [("percent", [value / 100]) for value in values]
    wanted = [f"{value:+.1f}" for value in values] + [percent(value / 100) for value in values]
    assert call_js(RULE, calls) == wanted


@pytest.mark.parametrize("num_exits", [2, 3])
def test_thresholds_are_written_as_in_python(num_exits):
    grid = [0.0, -1.0, 0.05, 0.0625, 0.5, 0.8125, 0.88, 0.8765, 0.99951, 0.9999, 1.0, NEVER]
    cases = [(a, b)[: num_exits - 1] for a in grid for b in grid]
    got = call_js(RULE, [("thresholdsText", [list(case)]) for case in cases])
    assert got == [thresholds_text(case) for case in cases]
    assert call_js(RULE, [("thresholdsText", [[]])]) == [thresholds_text(())]


@pytest.mark.parametrize("num_exits", [1, 2, 3, 5])
def test_evaluate_is_replay_at_fifty_thresholds(num_exits):
    table = cascade_table(n=700, num_exits=num_exits, decimals=2)  # rounded: ties with thresholds
    unit = MacUnit.of(table.info.exit_macs)
    rng = np.random.default_rng(num_exits)
    rows = rng.choice(np.append(np.linspace(0, 1, 101), NEVER), (50, num_exits - 1)).tolist()
    made = {"make": ["makeTable", table_data(table)]}
    results = call_js(RULE, [("evaluate", [made, row]) for row in rows])
    words = call_js(
        RULE,
        [("percent", [result["accuracy"]]) for result in results]
        + [("macText", [result["macs"], _unit(unit)]) for result in results],
    )
    points = [replay(table, row) for row in rows]
    assert [(r["accuracy"], r["macs"], tuple(r["shares"])) for r in results] == [
        (point.accuracy, point.macs, point.exit_shares) for point in points
    ]
    assert words == [percent(p.accuracy) for p in points] + [unit.format(p.macs) for p in points]


def test_evaluate_of_the_bundled_model_is_replay_at_fifty_thresholds():
    table = load_bundle(list_models()[0]).table("test")
    made = {"make": ["makeTable", json.loads(json.dumps(table_data(table)))]}
    confidences = table.exit_confidences[0]
    shared = [*np.linspace(0, 1, 40), *confidences[:9], np.nextafter(confidences[0], 2)]
    rows = [[float(t)] * (table.num_exits - 1) for t in shared]
    results = call_js(RULE, [("evaluate", [made, row]) for row in rows])
    assert len(rows) == 50
    for row, result in zip(rows, results, strict=True):
        point = replay(table, row)
        assert (result["accuracy"], result["macs"]) == (point.accuracy, point.macs)
        assert tuple(result["shares"]) == point.exit_shares


def test_first_exit_is_the_replayed_one():
    table = cascade_table(n=80, decimals=2)
    thresholds = [0.5, 0.7]
    rows = [[float(c) for c in row] for row in table.confidences]
    got = call_js(RULE, [("firstExit", [row, thresholds]) for row in rows])
    # float32 confidences, as both sides compare them
    assert got == exit_indices(table, thresholds).tolist()


def test_budget_and_accuracy_pick_the_solved_points():
    table = cascade_table(n=300)
    front = pareto_front(table)
    made = {"make": ["makeFront", front_data(front)]}
    budgets = np.linspace(front.points[0].macs, front.points[-1].macs, 25).tolist()
    budgets += [point.macs for point in front.points[::7]]
    wanted = np.linspace(front.points[0].accuracy, front.points[-1].accuracy, 25).tolist()
    got = call_js(
        RULE,
        [("atBudget", [made, macs]) for macs in budgets]
        + [("atAccuracy", [made, accuracy]) for accuracy in wanted],
    )
    points = [front.at_budget(macs) for macs in budgets]
    points += [front.at_accuracy(accuracy) for accuracy in wanted]
    assert [(g["macs"], g["accuracy"], tuple(g["thresholds"])) for g in got] == [
        (point.macs, point.accuracy, point.thresholds) for point in points
    ]


def test_plane_cells_are_sweeps():
    table = cascade_table(n=400, decimals=2)
    made = {"make": ["makeTable", table_data(table)]}
    (plane,) = call_js(RULE, [("plane", [made, 20])])
    levels = [i / 20 for i in range(21)]
    points = sweep(table, np.array([(a, b) for a in levels for b in levels]))
    assert plane["side"] == 21
    assert plane["accuracy"] == pytest.approx([point.accuracy for point in points], abs=1e-12)
    assert plane["macs"] == pytest.approx([point.macs for point in points], rel=1e-12)


WORDS = {
    "shared": "all {thresholds}",
    "each": "each {thresholds}",
    "solved": "{thresholds} for {asked}: {accuracy} at {macs}",
    "asked_budget": "budget {macs}",
    "asked_accuracy": "{accuracy} % right",
    "one_exit": "one exit",
}


@pytest.mark.parametrize("way", ["threshold", "budget", "accuracy", "each"])
def test_dial_says_the_same_in_the_browser_and_in_python(way):
    table = cascade_table(n=300)
    front, full = pareto_front(table), table.info.exit_macs[-1]
    asks = [
        Ask(way, t / 20, 20 + 4 * t, 100 * front.points[0].accuracy + t / 10, (t / 20, 1 - t / 40))
        for t in range(20)
    ]
    ranges = {
        "threshold": Range(0, 1),
        "budget": Range(10, 100, full),
        "accuracy": Range(0, 100),
        "each": Range(0, 1),
    }
    unit = MacUnit.of(table.info.exit_macs)
    choices = Choices(asks[0], ranges, front, False, WORDS, unit)
    data = {
        "words": WORDS,
        "gates": 2,
        "unit": _unit(unit),
        "budget": {"full": full},
        "accuracy": {},
    }
    made = {"make": ["makeFront", front_data(front)]}
    files = ("rule.js", "dial.js")
    got = call_js(files, [("resolve", [ask.to_dict(), data, made]) for ask in asks])
    for ask, said in zip(asks, got, strict=True):
        setting = resolve(ask, choices)
        assert (tuple(said["thresholds"]), said["origin"]) == (setting.thresholds, setting.origin)
