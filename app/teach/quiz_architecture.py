"""Questions of the quiz about the architecture alone; what is asked is right for any model."""

from __future__ import annotations

from random import Random

from app.figures.theme import MacUnit, percent
from app.language import say
from app.teach.questions import Item, Known, Question
from dvt_core.macs import exit_macs


def ask_tokens(known: Known, random: Random) -> Item:
    """How many tokens a stage cuts the picture into."""
    stages = known.config.stages
    place = random.randrange(len(stages))
    side = stages[place].grid_size
    wrong = [count for count in (2 * side, 4 * side, (side + 1) ** 2) if count != side**2]
    options = sorted({side**2, *wrong})
    question = Question(
        "tokens",
        say(
            "Stage {number} sees the picture under a grid of {side} by {side} cells. How many "
            "tokens is that, without the class token?",
            number=place + 1,
            side=side,
        ),
        tuple(map(str, options)),
        options.index(side**2),
        say("{side} times {side} cells, one token each.", side=side),
        (known.weights, place),
    )
    return Item(question)


def ask_times(known: Known, random: Random) -> Item | None:
    """How many times as much the last exit costs as the first."""
    costs = exit_macs(known.config)
    if len(costs) == 1:
        return None
    ratio = costs[-1] / costs[0]
    values = sorted((ratio, *random.sample([ratio / 3, ratio / 1.8, 1.8 * ratio, 3 * ratio], 2)))
    unit = MacUnit.of(costs)
    question = Question(
        "times",
        say("How many times as much as exit 1 alone does a picture cost that goes to the end?"),
        tuple(say("{ratio} times", ratio=f"{value:.1f}") for value in values),
        values.index(ratio),
        say("{first} against {last}.", first=unit.format(costs[0]), last=unit.format(costs[-1])),
        (known.weights, tuple(values)),
    )
    return Item(question)


def ask_least(known: Known, random: Random) -> Item:
    """How small the largest of all probabilities can be."""
    count = known.config.num_classes
    values = sorted({0.0, 0.5 / count, 1 / count, 1.0})
    question = Question(
        "least",
        say(
            "The probabilities of {count} classes sum to 1. How small can a confidence, the "
            "largest of them, be?",
            count=count,
        ),
        tuple(percent(value, 2) for value in values),
        values.index(1 / count),
        say("Then all {count} are equal, and 1 is shared among them.", count=count),
        (known.weights,),
    )
    return Item(question)


def ask_classes(known: Known, random: Random) -> Item:
    """How many classes the model chooses among."""
    right = known.config.num_classes
    options = spread(right, max(2, right // 3), 10 * right, random)
    question = Question(
        "classes",
        say("How many classes does this model choose among, whatever the picture shows?"),
        tuple(map(str, options)),
        options.index(right),
        say("A picture of anything else gets one of these words, too."),
        (known.weights, tuple(options)),
    )
    return Item(question)


def spread(right: int, step: int, most: int, random: Random) -> list[int]:
    """Four different numbers in 0..most, `step` or more apart, the right one among them."""
    near = [right + k * step for k in (-3, -2, -1, 1, 2, 3)]
    return sorted((right, *random.sample([value for value in near if 0 <= value <= most], 3)))
