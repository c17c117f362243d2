from pathlib import Path

import numpy as np
import pytest

from dvt_core.errors import InputError
from dvt_core.exit_table import ExitTable
from dvt_core.released_rule import released_rule, released_shares, released_thresholds
from dvt_core.thresholds import check_thresholds, exit_indices, replay, sweep
from tests.core.synthetic_tables import cascade_table, table_info

REFERENCE = Path(__file__).parents[1] / "reference" / "ref_thresholds.npz"


def loop_replay(table, thresholds):
    """The exit rule, one image at a time, in plain Python."""
    exits = []
    for i in range(table.n):
        for k, threshold in enumerate(thresholds):
            if float(table.confidences[i, k]) >= threshold:
                exits.append(k)
                break
        else:
            exits.append(len(thresholds))
    right = sum(table.predictions[i, k] == table.labels[i] for i, k in enumerate(exits))
    macs = sum(table.info.exit_macs[k] for k in exits)
    shares = tuple(exits.count(k) / table.n for k in range(table.num_exits))
    return exits, right / table.n, macs / table.n, shares


@pytest.mark.parametrize("num_exits", [1, 2, 3, 4])
@pytest.mark.parametrize("decimals", [None, 1])
def test_replay_and_sweep_match_a_plain_loop(num_exits, decimals):
    table = cascade_table(60, num_exits, seed=num_exits, decimals=decimals)
    random = np.random.default_rng(0)
    used = table.confidences[:, : num_exits - 1]  # thresholds equal to a confidence matter most
    rows = [
        np.diag(used[random.integers(0, 60, max(1, num_exits - 1))]).astype(float)
        for _ in range(30)
    ] + list(random.random((30, num_exits - 1)))
    for row, point in zip(rows, sweep(table, np.array(rows)), strict=True):
        exits, accuracy, macs, shares = loop_replay(table, row)
        assert exit_indices(table, row).tolist() == exits
        assert point == replay(table, row)
        assert point.thresholds == tuple(row)
        assert (point.accuracy, point.exit_shares) == (accuracy, shares)
        assert point.macs == pytest.approx(macs, rel=1e-12)


@pytest.mark.parametrize("decimals", [None, 1])
def test_shared_sweep_equals_repeated_thresholds(decimals):
    table = cascade_table(400, 4, decimals=decimals)
    shared = np.concatenate([[1.01, -3, 0.5, 0.5, 1e8], table.confidences.ravel()[:200]])
    assert sweep(table, shared) == sweep(table, np.repeat(shared[:, None], 3, axis=1))


def test_sweep_defaults_to_every_percent():
    points = sweep(cascade_table(100))
    assert [p.thresholds[0] for p in points] == pytest.approx([i / 100 for i in range(101)])
    assert points[0].exit_shares == (1, 0, 0)
    macs = [p.macs for p in points]
    assert macs == sorted(macs)


def test_threshold_is_compared_in_float64():
    table = cascade_table(50)
    confidence = float(table.confidences[7, 0])
    above = np.nextafter(confidence, 2)  # float32 cannot tell the two apart
    assert np.float32(above) == table.confidences[7, 0]
    for thresholds in ((confidence, 2), (above, 2)):
        expected = 0 if thresholds[0] == confidence else 2
        assert exit_indices(table, thresholds)[7] == expected
        assert replay(table, thresholds).exit_shares == loop_replay(table, thresholds)[3]
    assert replay(table, confidence) != replay(table, above)


def test_thresholds_above_one_and_zero_are_never_and_always():
    table = cascade_table(50, 4)
    for i in range(3):
        thresholds = [1.01] * i + [0] * (3 - i)
        assert (exit_indices(table, thresholds) == i).all()
    last = replay(table, 1.01)
    assert last.accuracy == table.exit_accuracy[-1]
    assert last.macs == table.info.exit_macs[-1]


@pytest.mark.parametrize(
    "wrong",
    [
        [0.5],
        [0.5] * 3,
        [[0.5, 0.5]],
        [],
        float("nan"),
        [0.5, float("inf")],
        "0.5,x",
        None,
        [1, [2]],
    ],
    ids=str,
)
def test_wrong_thresholds_give_one_sentence(wrong):
    for use in (
        lambda: check_thresholds(wrong, 3),
        lambda: replay(cascade_table(5), wrong),
        lambda: exit_indices(cascade_table(5), wrong),
    ):
        with pytest.raises(InputError, match=r"^thresholds (is|has) [^\n]*$"):
            use()


@pytest.mark.parametrize(
    "wrong", [0.5, [[0.5]], [[[0.5, 0.5]]], [np.nan], [[0.5, np.inf]], [[0.5], [0.5, 0.5]], "x"]
)
def test_wrong_sweeps_give_one_sentence(wrong):
    with pytest.raises(InputError, match="thresholds to sweep"):
        sweep(cascade_table(5), wrong)


def test_check_thresholds_accepts_what_means_numbers():
    assert check_thresholds(1, 4) == (1.0, 1.0, 1.0)
    assert check_thresholds(np.float32(0.5), 2) == (0.5,)
    assert check_thresholds((0.25, 1e8), 3) == (0.25, 1e8)
    assert check_thresholds(0.5, 1) == check_thresholds((), 1) == ()
    assert all(type(t) is float for t in check_thresholds(np.array([0.5, 1]), 3))


def test_operating_point_becomes_json():
    point = replay(cascade_table(10), (0.5, 0.75))
    assert point.to_dict() == {
        "thresholds": [0.5, 0.75],
        "accuracy": point.accuracy,
        "macs": point.macs,
        "exit_shares": list(point.exit_shares),
    }


@pytest.mark.parametrize("tag", ["a", "ties", "tiny"])
def test_released_rule_matches_the_reference(tag):
    reference = np.load(REFERENCE)

    def load(part):
        probs = reference[f"{tag}_probs_{part}"].transpose(1, 0, 2)
        labels = reference[f"{tag}_targets_{part}"]
        macs = tuple(round(gflops * 1e9) for gflops in reference["flops_list"])
        info = table_info(exit_macs=macs)
        return ExitTable.from_probs(probs, labels, np.arange(len(labels)), info)

    thresholds = released_thresholds(load("train").confidences)
    points = sweep(load("val"), thresholds)
    n = load("val").n
    np.testing.assert_array_equal(thresholds, reference[f"{tag}_T"][:, :2])
    counts = np.array([p.exit_shares for p in points]) * n
    np.testing.assert_array_equal(counts.round().astype(int), reference[f"{tag}_exit_counts"])
    np.testing.assert_allclose(counts, counts.round(), atol=1e-9)
    accuracy = [100 * p.accuracy for p in points]
    np.testing.assert_allclose(accuracy, reference[f"{tag}_acc"], rtol=0, atol=1e-9)
    gmacs = [p.macs / 1e9 for p in points]
    np.testing.assert_allclose(gmacs, reference[f"{tag}_flops"], rtol=0, atol=1e-5)
    shares = [released_shares(p, 3) for p in range(1, 60)]
    np.testing.assert_allclose(shares, reference[f"{tag}_p"], rtol=0, atol=2e-7)


@pytest.mark.parametrize("num_exits", [1, 2, 4])
def test_released_rule_takes_its_shares_at_any_number_of_exits(num_exits):
    table = cascade_table(1000, num_exits)
    points = released_rule(table)
    assert len(points) == 59
    for power, point in enumerate(points, start=1):
        expected = released_shares(power, num_exits)
        np.testing.assert_allclose(point.exit_shares, expected, atol=num_exits * 1e-3)


def test_released_rule_refuses_wrong_input():
    for wrong in (np.zeros(5), np.zeros((0, 3)), np.full((4, 3), np.nan)):
        with pytest.raises(InputError, match="confidences"):
            released_thresholds(wrong)
    with pytest.raises(InputError, match="powers"):
        released_rule(cascade_table(5), powers=(0, 1))
