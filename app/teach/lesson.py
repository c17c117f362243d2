"""The lesson as data: ten steps, what each says, and where to try it alone.

What a step shows is drawn in `sections/lesson.py`; which step is open lives in the session and in
the link (`?step=4`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import streamlit as st

from app.language import say

STEP = "lesson_step"  # session key: the open step, counted from 1
PARAMETER = "step"  # of the link
GUESSES = "lesson_guesses"  # session key: question -> the option chosen
KEPT_GUESSES = 40


@dataclass(frozen=True)
class Step:
    """One step of the lesson.

    Attributes:
        id: what it shows, a key of `sections.lesson.WIDGETS`.
        title: a few words.
        words: what to know before looking; shown to everybody.
        more: what a reader alone gets besides; not shown by a presenter, who says it.
        page: file in views/ where to go on alone; "" for none.
        trial: the words of that link.
        query: parameters of that link.
    """

    id: str
    title: str
    words: str
    more: str = ""
    page: str = ""
    trial: str = ""
    query: Mapping[str, str] = field(default_factory=dict)


def steps() -> tuple[Step, ...]:
    """The lesson in the visitor's language."""
    return (*_first_looks(), *_decisions(), *_many_pictures(), *_beyond())


def _first_looks() -> tuple[Step, ...]:
    return (
        Step(
            "tokens",
            say("What is a token?"),
            say("The model cuts the picture into cells and turns each cell into one token."),
            say(
                "Every token is compared with every other: twice as many cells along a side are "
                "4 times as many tokens and 16 times as many pairs."
            ),
            "look",
            say("Try it: look at another picture under the grids"),
        ),
        Step(
            "confidence",
            say("The first guess"),
            say(
                "Exit 1 has seen the coarsest grid only, and already gives every class a "
                "probability. The largest one is its confidence."
            ),
            say(
                "Confidence is not the chance of being right; how well both agree is measured on "
                "test pictures, below."
            ),
            "look",
            say("Try it: take a picture of your own"),
        ),
    )


def _decisions() -> tuple[Step, ...]:
    return (
        Step(
            "finest",
            say("Guess: which one needs the finest tokens?"),
            say(
                "Three pictures, one threshold. Which of them goes furthest before an exit answers?"
            ),
            say("Guess before you look. The model answers when you have."),
            "look",
            say("Try it: two pictures side by side under one threshold"),
            {"look_compare": "true"},
        ),
        Step(
            "threshold",
            say("Sure enough?"),
            say(
                "An exit answers when its confidence reaches the threshold; if not, the next stage "
                "computes. Drag the threshold and watch the exit change."
            ),
            page="look",
            trial=say("Try it: change the picture and see whether another exit answers"),
        ),
    )


def _many_pictures() -> tuple[Step, ...]:
    return (
        Step(
            "tradeoff",
            say("Accuracy against cost"),
            say("One threshold, a whole test set: drag it, and the point moves along the curve."),
            page="tradeoff",
            trial=say("Try it: ask for a budget or an accuracy instead"),
        ),
        Step(
            "shares",
            say("Easy and hard"),
            say(
                "Pictures that an early exit is sure about leave there, which makes the mean "
                "cheap; the others go on."
            ),
            page="easy_hard",
            trial=say("Try it: which pictures are easy, and which are hard?"),
        ),
        Step(
            "reuse",
            say("What is handed on"),
            say(
                "A later stage does not start from nothing: it takes over what the coarser stage "
                "computed, each cell where it lies in the picture."
            ),
            page="inside",
            trial=say("Try it: click a cell and see what was reused"),
        ),
    )


def _beyond() -> tuple[Step, ...]:
    return (
        Step(
            "overthinking",
            say("When more looking makes it wrong"),
            say(
                "Some pictures are answered right by an early exit and wrong by the last one. This "
                "is called overthinking."
            ),
            say("Counted on the stored results of all test pictures, nothing is estimated."),
            "easy_hard",
            say("Try it: find these pictures"),
        ),
        Step(
            "resources",
            say("When the budget changes"),
            say(
                "The same weights follow a budget that rises and falls: only the threshold moves. "
                "A fixed model costs the same whatever there is."
            ),
            page="tradeoff",
            trial=say("Try it: other budgets and other fixed models"),
            query={"lab": "changing resources"},
        ),
        Step(
            "quiz",
            say("Quiz"),
            say("The right answers come from the model that is running now."),
            page="look",
            trial=say("Try it: all pages are open to you, start with Look"),
        ),
    )


def open_step(count: int) -> int:
    """The open step, 1 to `count`; the session knows, else the link, else the first."""
    asked = st.session_state.get(STEP, st.query_params.get(PARAMETER, 1))
    try:
        number = min(max(int(asked), 1), count)
    except ValueError:  # the link may say anything
        number = 1
    st.session_state[STEP] = number
    if st.query_params.get(PARAMETER) != str(number):
        st.query_params[PARAMETER] = str(number)
    return number


def go_to(number: int) -> None:
    """Opens a step when the page is drawn next; numbers beyond the ends are brought back there."""
    st.session_state[STEP] = number


def guess_of(question: str) -> int | None:
    """The option that this visitor chose; -1 if only the answer was asked for; None so far."""
    return st.session_state.get(GUESSES, {}).get(question)


def guess(question: str, option: int) -> None:
    """Keeps a guess; the oldest ones are forgotten."""
    others = {k: v for k, v in st.session_state.get(GUESSES, {}).items() if k != question}
    kept = list({**others, question: option}.items())[-KEPT_GUESSES:]
    st.session_state[GUESSES] = dict(kept)
