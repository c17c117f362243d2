"""What a trade-off curve is held against: the best and the blindest exit rule, and chance.

The oracle line is what nobody can beat with these exits; the random line is what a rule gives that
looks at nothing; the band says how far the accuracy would move on other test images.

References:
    arXiv 2105.15075, table 9 (random); Efron 1979 (bootstrap).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dvt_core.errors import InputError
from dvt_core.exit_table import ExitTable
from dvt_core.thresholds import OperatingPoint, sweep


def oracle_line(table: ExitTable) -> tuple[tuple[float, float], ...]:
    """Corners (mean MACs per image, accuracy 0..1) of the best any exit rule could do.

    An upper bound that needs the labels; no real rule reaches it. It starts with all images at
    exit 1 and spends the cheapest extra MACs first: images that exit 2 is the first to answer
    right go there, then those that exit 3 is the first to answer right, and so on. Images that
    no exit answers right stay at exit 1. So the line is concave; every right answer costs what
    the cheapest right exit costs, and past the last corner more MACs buy nothing. Between two
    corners a part of the images has been sent on. Exits that are the first right one for no image
    give no corner.
    """
    is_solvable = table.correct.any(axis=1)
    first_right = np.where(is_solvable, table.correct.argmax(axis=1), 0)
    won = np.bincount(first_right, minlength=table.num_exits)
    won[0] = np.count_nonzero(table.correct[:, 0])
    extra = np.array(table.info.exit_macs) - table.info.exit_macs[0]
    macs = table.info.exit_macs[0] + np.cumsum(won * extra) / table.n
    accuracy = np.cumsum(won) / table.n
    return tuple(
        (float(macs[i]), float(accuracy[i])) for i in range(table.num_exits) if i == 0 or won[i]
    )


def random_line(
    table: ExitTable, points: Sequence[OperatingPoint]
) -> tuple[tuple[float, float], ...]:
    """(mean MACs per image, accuracy 0..1) of each point if its images were picked at random.

    As many images leave at each exit as at the point, whichever they are: the accuracy is the
    exact expectation, sum of share times accuracy of the exit, and the cost is the same. This is
    the paper's "random"; `criteria.compare_criteria` gives it for single points.

    Args:
        table: gives accuracy and cost of every exit alone.
        points: usually a shared threshold's sweep of the same table.

    Raises:
        InputError: a point without the shares of this table's exits.
    """
    for point in points:
        if len(point.exit_shares) != table.num_exits:
            raise InputError(
                f"a point has {len(point.exit_shares)} exit shares, but the table has "
                f"{table.num_exits} exits; sweep this table to get points"
            )
    shares = np.array([point.exit_shares for point in points]).reshape(-1, table.num_exits)
    macs = shares @ np.array(table.info.exit_macs, dtype=np.float64)
    accuracy = shares @ np.array(table.exit_accuracy)
    return tuple(zip(macs.tolist(), accuracy.tolist(), strict=True))


def bootstrap_band(
    table: ExitTable,
    thresholds: Sequence[float] | np.ndarray,
    *,
    resamples: int = 200,
    seed: int = 0,
    level: float = 0.95,
) -> np.ndarray:
    """(m, 2) lower and upper accuracy, 0..1, of each threshold over resampled images.

    Every resample draws n of the table's n images with replacement, the same for all thresholds.
    The band is pointwise, between the (1 - level) / 2 and (1 + level) / 2 quantiles. It covers
    the choice of test images and nothing else: not the training run, nor the solved thresholds.

    Images that are right under the same thresholds are interchangeable, so whole groups are drawn
    (a multinomial over the groups' sizes is the sum of one over the images).

    Args:
        table: what the exits said.
        thresholds: (m,) shared thresholds, or (m, E - 1) with one per exit.
        resamples: how many, at least 1.
        seed: of the draws.
        level: of the interval, above 0 and below 1.

    Raises:
        InputError: thresholds that `sweep` refuses, or an argument out of its range.
    """
    if resamples < 1 or not 0 < level < 1:
        raise InputError(
            f"resamples is {resamples} and level is {level:g}, expected at least 1 resample and a "
            "level between 0 and 1"
        )
    points = sweep(table, thresholds)  # checks the thresholds
    if not points:
        return np.empty((0, 2))
    rows = np.array([point.thresholds for point in points])  # (m, E - 1)
    groups, sizes = _groups(_right_answers(table, rows))
    draws = np.random.default_rng(seed).multinomial(table.n, sizes / table.n, size=resamples)
    accuracy = draws.astype(np.float64) @ groups.astype(np.float64) / table.n  # (resamples, m)
    return np.quantile(accuracy, ((1 - level) / 2, (1 + level) / 2), axis=0).T


def _right_answers(table: ExitTable, rows: np.ndarray) -> np.ndarray:
    """(m, n) bool: which images are answered right under each of (m, E - 1) thresholds."""
    right = np.repeat(table.correct[:, -1][None], len(rows), axis=0)
    for i in reversed(range(table.num_exits - 1)):
        leaves = table.exit_confidences[i] >= rows[:, i, None]
        right = np.where(leaves, table.correct[:, i], right)
    return right


def _groups(right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct columns of (m, n) bool, as (G, m) bool, and how often each occurs, (G,)."""
    packed = np.ascontiguousarray(np.packbits(right, axis=0).T)  # (n, bytes)
    keys = packed.view(f"V{packed.shape[1]}").ravel()  # a row as one value
    _, first, sizes = np.unique(keys, return_index=True, return_counts=True)
    return right[:, first].T, sizes
