"""Draws one question: its options as buttons, then what is right and why."""

from __future__ import annotations

import streamlit as st

from app.figures.lesson import answered
from app.language import say
from app.lesson import guess, guess_of
from app.questions import Question

ONLY_SHOWN = -1  # instead of a guess: the answer was asked for


def ask_question(question: Question, *, is_text_shown: bool = True) -> int | None:
    """Draws the question and returns what was chosen; None while nobody has."""
    if is_text_shown:
        st.markdown(f"**{question.text}**")
    chosen = guess_of(question.key)
    if chosen is not None:
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
