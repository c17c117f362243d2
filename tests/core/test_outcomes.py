"""Outcomes against their definitions in words, image by image."""

from itertools import product

import numpy as np
import pytest

from dvt_core.exit_table import ExitTable
from dvt_core.outcomes import (
    OUTCOMES,
    by_class,
    count_outcomes,
    margins,
    outcome_lookup,
    outcomes,
    right_bits,
    untangled_pairs,
)
from dvt_core.solver import NEVER as NEVER_LEAVE
from dvt_core.thresholds import exit_indices, replay
from tests.core.synthetic_tables import cascade_table, table_info


def _in_words(exit_index: int, right: tuple[bool, ...]) -> list[str]:
    """All outcomes whose definition fits, each written on its own: a partition fits once."""
    last, answer = len(right) - 1, right[exit_index]
    passed, later = right[:exit_index], right[exit_index + 1 :]
    fits = {
        "once": exit_index == 0 and answer,
        "unsure": exit_index > 0 and answer and right[0],
        "rescued": exit_index > 0 and answer and not right[0],
        "early": exit_index < last and not answer and not any(passed) and any(later),
        "overthought": not answer and any(passed),
        "never": not any(right),
    }
    return [name for name in OUTCOMES if fits[name]]


@pytest.mark.parametrize("num_exits", [1, 2, 3, 4])
def test_outcomes_are_a_partition(num_exits):
    lookup = outcome_lookup(num_exits)
    for exit_index, bits in product(range(num_exits), range(2**num_exits)):
        right = tuple(bool(bits >> k & 1) for k in range(num_exits))
        assert _in_words(exit_index, right) == [OUTCOMES[lookup[exit_index, bits]]]


@pytest.mark.parametrize("num_exits", [1, 2, 3])
@pytest.mark.parametrize("threshold", [0.0, 0.45, 0.8, NEVER_LEAVE])
def test_counts_sum_to_n_and_agree_with_replay(num_exits, threshold):
    table = cascade_table(n=700, num_exits=num_exits, decimals=2)
    counts, point = count_outcomes(table, threshold), replay(table, threshold)
    assert counts.sum() == table.n
    assert tuple(counts.sum(axis=1) / table.n) == point.exit_shares
    assert counts[:, :3].sum() / table.n == point.accuracy
    one_by_one = [
        _in_words(e, tuple(map(bool, right)))
        for e, right in zip(exit_indices(table, threshold), table.correct, strict=True)
    ]
    assert [[OUTCOMES[o]] for o in outcomes(table, threshold)] == one_by_one


def test_never_right_does_not_depend_on_the_threshold():
    table = cascade_table(n=600)
    never = OUTCOMES.index("never")
    found = {int(count_outcomes(table, t)[:, never].sum()) for t in (0, 0.4, 0.9, NEVER_LEAVE)}
    assert found == {int((right_bits(table) == 0).sum())} and found != {0}


def test_margin_is_how_far_a_shared_threshold_moves_before_the_exit_changes():
    table, threshold = cascade_table(n=300), 0.7
    margin, before = margins(table, threshold), exit_indices(table, threshold)
    grid = np.linspace(-0.05, 1.05, 2201)
    moved = np.stack([exit_indices(table, t) != before for t in grid])
    distance = np.where(moved, np.abs(grid - threshold)[:, None], np.inf).min(axis=0)
    assert margin == pytest.approx(distance, abs=6e-4)  # the grid's step is 5e-4
    assert np.isinf(margins(cascade_table(n=20, num_exits=1), ())).all()


def test_class_numbers_are_those_of_the_class_alone():
    table, thresholds = cascade_table(n=500, decimals=2), (0.6, 0.8)
    numbers = by_class(table, thresholds)
    macs, exits = np.array(table.info.exit_macs), exit_indices(table, thresholds)
    for c in range(table.info.num_classes):
        rows = np.flatnonzero(table.labels == c)
        assert numbers.counts[c] == len(rows)
        assert numbers.macs[c] == pytest.approx(macs[exits[rows]].mean())
        right = [table.predictions[i, exits[i]] == c for i in rows]
        assert numbers.accuracy[c] == pytest.approx(np.mean(right))
        alone = (table.predictions[rows] == c).mean(axis=0)
        assert numbers.exit_accuracy[c] == pytest.approx(alone)
    point = replay(table, thresholds)
    weights = numbers.counts / table.n
    assert (weights * numbers.macs).sum() == pytest.approx(point.macs)
    assert (weights * numbers.accuracy).sum() == pytest.approx(point.accuracy)


def test_a_class_without_images_has_no_numbers():
    table = cascade_table(n=40)
    rows = table.labels != 3
    arrays = {
        name: getattr(table, name)[rows]
        for name in ("labels", "indices", "predictions", "confidences", "entropies", "margins")
    }
    part = ExitTable(
        **arrays, top5=table.top5[rows], top5_probs=table.top5_probs[rows], info=table.info
    )
    numbers = by_class(part, 0.5)
    assert numbers.counts[3] == 0 and np.isnan(numbers.macs[3])
    assert np.isnan(numbers.exit_accuracy[3]).all() and not np.isnan(numbers.macs[:3]).any()


def test_untangled_pairs_are_the_largest_falls_of_the_confusion_matrix():
    table = cascade_table(n=3000, num_classes=7)
    classes = range(7)

    def confused(a: int, b: int, k: int) -> int:
        said = table.predictions[:, k]
        one, other = (table.labels == a) & (said == b), (table.labels == b) & (said == a)
        return int(one.sum() + other.sum())

    wanted = []
    for a in classes:
        for b in range(a + 1, 7):
            counts = tuple(confused(a, b, k) for k in range(3))
            if counts[0] > counts[-1]:
                wanted.append((counts[-1] - counts[0], -counts[0], a, b, counts))
    wanted.sort()
    got = [(p.first, p.second, p.counts) for p in untangled_pairs(table, limit=5)]
    assert got == [(a, b, counts) for _, _, a, b, counts in wanted[:5]] and len(got) == 5
    assert untangled_pairs(table)[0].untangled == -wanted[0][0]


def test_nothing_is_untangled_where_the_last_exit_is_no_better():
    random = np.random.default_rng(0)
    probs = random.dirichlet(np.ones(4), 50).astype(np.float32)
    same = np.stack([probs, probs], axis=1)
    table = ExitTable.from_probs(
        same, random.integers(0, 4, 50), np.arange(50), table_info(2, num_classes=4)
    )
    assert untangled_pairs(table) == ()
