"""Which pictures a question of the lesson is about: pure choices among what the model said."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np

LEAST_GAP = 0.02  # of confidence, so that a class can agree on which is lower


def exits_of(confidences: np.ndarray, thresholds: Sequence[float]) -> list[int]:
    """The 0-based exit at which each picture leaves.

    Args:
        confidences: (n, E), in [0, 1].
        thresholds: E - 1 numbers; the comparison is the library's, in float64.
    """
    limits = np.append(np.asarray(thresholds, dtype=np.float64), -np.inf)
    return [int(i) for i in (confidences.astype(np.float64) >= limits).argmax(axis=1)]


def pick_by_exit(exits: Sequence[int], random: Random) -> tuple[int, ...] | None:
    """Three pictures of which exactly one goes furthest; at three exits where there are.

    Args:
        exits: of all pictures, 0-based.
        random: decides among equals, and the order.

    Returns:
        Three places in `exits`, or None if there are no such three.
    """
    groups: dict[int, list[int]] = {}
    for place, index in enumerate(exits):
        groups.setdefault(index, []).append(place)
    *earlier, last = sorted(groups)
    if not earlier:
        return None
    if len(earlier) > 1:
        first, second = earlier[0], random.choice(earlier[1:])
        chosen = [random.choice(groups[index]) for index in (first, second)]
    elif len(groups[earlier[0]]) > 1:
        chosen = random.sample(groups[earlier[0]], 2)
    else:
        return None
    chosen.append(random.choice(groups[last]))
    random.shuffle(chosen)
    return tuple(chosen)


def pick_by_confidence(confidences: np.ndarray, random: Random) -> tuple[int, ...] | None:
    """Three pictures of which one is clearly the least sure; None if there are no such three.

    Args:
        confidences: (n,) of one exit.
        random: decides which, and the order.
    """
    order = np.argsort(confidences)
    for _ in range(50):
        if len(order) < 3:
            break
        chosen = random.sample(list(map(int, order)), 3)
        low, middle, _ = sorted(float(confidences[place]) for place in chosen)
        if middle - low >= LEAST_GAP:
            return tuple(chosen)
    return None
