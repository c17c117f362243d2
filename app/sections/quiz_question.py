"""Draws one question: its options as buttons, then what is right and why."""

from __future__ import annotations

import streamlit as st

from app.figures.lesson import answered
from app.language import say
from app.teach.lesson import guess, guess_of
from app.teach.questions import Question

ONLY_SHOWN = -1  # instead of a guess: the answer was asked for


def ask_question(
    question: Question, *, is_text_shown: bool = True, is_brief: bool = False
) -> int | None:
    """Draws the question and returns what was chosen; None while nobody has.

    Args:
        question: what is asked.
        is_text_shown: False where the page has put the question already.
        is_brief: after an answer only what is right is shown, no question and no options.
    """
    chosen = guess_of(question.key)
    if is_text_shown and (chosen is None or not is_brief):
        st.markdown(f"**{question.text}**")
    if chosen is not None:
        if not is_brief:
            st.html(answered(question.options, question.right, chosen))
        st.markdown(feedback(question, chosen))
        return chosen
    with st.container(horizontal=True, vertical_alignment="center"):
        for place, option in enumerate(question.options):
            st.button(
                option,
                key=f"{question.key}_{place}",
                on_click=guess,
                args=(question.key, place),
                shortcut=str(place + 1),  # the focus is lost with every answer
            )
        st.button(
            say("show the answer"),
            key=f"{question.key}_shown",
            on_click=guess,
            args=(question.key, ONLY_SHOWN),
            type="tertiary",
        )
    return None


def feedback(question: Question, chosen: int) -> str:
    """What is said after an answer."""
    right = question.options[question.right]
    if chosen == question.right:
        return say("**Right.** {because}", because=question.because)
    if chosen == ONLY_SHOWN:
        return say("**It is: {right}.** {because}", right=right, because=question.because)
    return say("**Not so: it is {right}.** {because}", right=right, because=question.because)
