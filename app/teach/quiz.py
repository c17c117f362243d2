"""The quiz: questions whose options and right answers are computed from the running model.

Nothing here is drawn and no model is run; `sections/quiz.py` brings what the model said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from random import Random

import numpy as np

from app.figures.theme import MacUnit, exit_name, percent
from app.figures.tradeoff import thresholds_text
from app.language import say
from app.teach.lesson_picks import LEAST_GAP
from app.teach.questions import Item, Known, Question
from app.teach.quiz_architecture import ask_classes, ask_least, ask_times, ask_tokens, spread
from dvt_core.thresholds import exit_indices, replay, sweep

ASKED = 5  # questions of one round
PER = 100  # test pictures of the question about exit shares
FAR = 12  # of 100, between two of its options
SHARED = (0.5, 0.6, 0.7, 0.8, 0.9)  # thresholds that are asked about
CLEAR = 0.002  # of accuracy, below which two settings count as equal


Maker = Callable[[Known, Random], Item | None]


def quiz_round(known: Known, seed: int) -> tuple[Item, ...]:
    """The questions of one round: at most `ASKED`, the same for the same seed.

    Args:
        known: what the model and its tables say.
        seed: another one gives other pictures and numbers.
    """
    random = Random(seed)
    # All are made, so that a round does not depend on which are dropped.
    made = [item for maker in MAKERS if (item := maker(known, random))]
    rest = made[2:]
    random.shuffle(rest)
    return (*made[:2], *rest)[:ASKED]


def _which_exit(known: Known, random: Random) -> Item | None:
    """Which exit answers a picture at a threshold, counted from 1."""
    threshold, gates = random.choice(SHARED), known.config.num_exits - 1
    place = random.randrange(len(known.names))
    if not gates:
        return None
    said = known.confidences[place].astype(np.float64)
    right = next((i for i in range(gates) if said[i] >= threshold), gates)
    shares = " → ".join(percent(float(share)) for share in said[: right + 1])
    question = Question(
        "which_exit",
        say("Which exit answers this picture at threshold {value}?", value=f"{threshold:g}"),
        tuple(map(exit_name, range(gates + 1))),
        right,
        say("The confidences are {shares}.", shares=shares),
        (known.weights, threshold, known.names[place]),
    )
    return Item(question, (place,))


def _of_100(known: Known, random: Random) -> Item | None:
    """How many of 100 test pictures leave at exit 1 now; counted on all of them."""
    table = known.table
    if table is None or table.num_exits == 1:
        return None
    share = float((exit_indices(table, known.thresholds) == 0).mean())
    right = round(PER * share)
    options = spread(right, FAR, PER, random)
    question = Question(
        "of_100",
        say(
            "Of {count} test pictures, how many leave at exit 1, on average, at threshold "
            "{threshold}?",
            count=PER,
            threshold=thresholds_text(known.thresholds),
        ),
        tuple(map(str, options)),
        options.index(right),
        say(
            "Of all {count} test pictures {share} leave there.",
            count=f"{table.n:,}",
            share=percent(share),
        ),
        (known.weights, known.thresholds, tuple(options)),
    )
    return Item(question)


def _cost(known: Known, random: Random) -> Item | None:
    """What happens to the mean cost when the threshold is moved."""
    table, pair = known.table, random.sample(SHARED, 2)
    if table is None or table.num_exits == 1:
        return None
    before, after = (point.macs for point in sweep(table, np.array(pair)))
    unit = MacUnit.of(table.info.exit_macs)
    question = Question(
        "cost",
        say(
            "The threshold goes from {old} to {new}. What does the mean cost per picture do?",
            old=f"{pair[0]:g}",
            new=f"{pair[1]:g}",
        ),
        (say("it falls"), say("it stays the same"), say("it rises")),
        1 + (after > before) - (after < before),
        say(
            "On all {count} test pictures: {before} before, {after} after.",
            count=f"{table.n:,}",
            before=unit.format(before),
            after=unit.format(after),
        ),
        (known.weights, *pair),
    )
    return Item(question)


def _more_right(known: Known, random: Random) -> Item | None:
    """Who is right most often: exit 1 alone, the cascade as it stands, the last exit alone."""
    table = known.table
    if table is None or table.num_exits == 1:
        return None
    now = replay(table, known.thresholds).accuracy
    found = (table.exit_accuracy[0], now, table.exit_accuracy[-1])
    second, best = sorted(found)[-2:]
    if best - second < CLEAR:
        return None
    question = Question(
        "more_right",
        say(
            "Which is right on the most test pictures, at threshold {threshold}?",
            threshold=thresholds_text(known.thresholds),
        ),
        (say("exit 1 alone"), say("the cascade, stopping early"), say("the last exit alone")),
        found.index(best),
        say(
            "Exit 1 alone {first}, the cascade {now}, the last exit alone {last}.",
            first=percent(found[0]),
            now=percent(now),
            last=percent(found[2]),
        ),
        (known.weights, known.thresholds),
    )
    return Item(question)


def _rule(known: Known, random: Random) -> Item | None:
    """What the rule does with a confidence that exit 1 really has."""
    threshold, place = random.choice(SHARED), random.randrange(len(known.names))
    sure = float(known.confidences[place, 0])
    if known.config.num_exits == 1 or abs(sure - threshold) < LEAST_GAP:
        return None
    question = Question(
        "rule",
        say(
            "Exit 1 is {confidence} sure of a picture; the threshold is {value}. What happens?",
            confidence=percent(sure),
            value=f"{threshold:g}",
        ),
        (say("exit 1 answers"), say("stage 2 computes")),
        int(sure < threshold),
        say("An exit answers when its confidence reaches the threshold."),
        (known.weights, threshold, place),
    )
    return Item(question)


def _surer(known: Known, random: Random) -> Item | None:
    """On which of two samples exit 1 is surer; both are shown."""
    sure = known.confidences[:, 0]
    pairs = [pair for pair in combinations(range(len(sure)), 2) if _differ(*sure[list(pair)])]
    if not pairs:
        return None
    first, second = random.sample(random.choice(pairs), 2)
    said = [float(sure[place]) for place in (first, second)]
    question = Question(
        "surer",
        say("On which of these two samples is exit 1 surer?"),
        (known.names[first], known.names[second]),
        int(said[1] > said[0]),
        say(
            "{first}: {first_share}; {second}: {second_share}.",
            first=known.names[first],
            first_share=percent(said[0]),
            second=known.names[second],
            second_share=percent(said[1]),
        ),
        (known.weights, first, second),
    )
    return Item(question, (first, second))


def _differ(first: float, second: float) -> bool:
    return abs(first - second) >= LEAST_GAP


# Pictures first; the rest in any order.
MAKERS: Sequence[Maker] = (
    _which_exit,
    _of_100,
    _cost,
    ask_tokens,
    ask_times,
    _more_right,
    _rule,
    _surer,
    ask_classes,
    ask_least,
)
