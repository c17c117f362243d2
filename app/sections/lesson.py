"""One step of the lesson: its words, its widgets on the running model, and where to go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from app import services
from app.language import say
from app.sections.lesson_many import draw_overthinking, draw_resources, draw_shares, draw_tradeoff
from app.sections.lesson_one import draw_confidence, draw_finest, draw_threshold, draw_tokens
from app.sections.lesson_reuse import draw_reuse
from app.sections.quiz import draw_quiz
from app.teach.lesson import Step, go_to
from app.teach.presenter import is_presenting
from dvt_core.bundle import Bundle
from dvt_core.errors import InputError

WIDGETS: Mapping[str, Callable[[Bundle], None]] = {
    "tokens": draw_tokens,
    "confidence": draw_confidence,
    "finest": draw_finest,
    "threshold": draw_threshold,
    "tradeoff": draw_tradeoff,
    "shares": draw_shares,
    "reuse": draw_reuse,
    "overthinking": draw_overthinking,
    "resources": draw_resources,
    "quiz": draw_quiz,
}
NEEDS_TABLES = ("tradeoff", "shares", "overthinking", "resources")


def draw_step(bundle: Bundle, lesson: Sequence[Step], number: int) -> None:
    """Draws one step.

    Args:
        bundle: the model.
        lesson: all steps.
        number: which one, from 1.
    """
    step = lesson[number - 1]
    st.header(step.title, anchor=False)
    st.markdown(step.words)
    if step.more and not is_presenting():
        st.caption(step.more)
    try:
        if step.id in NEEDS_TABLES and not services.has_tables(bundle):
            _no_tables(bundle)
        else:
            WIDGETS[step.id](bundle)
    except InputError as error:
        st.error(say("This step cannot be shown: {error}.", error=error))
    _go_on(step, lesson, number)


def _no_tables(bundle: Bundle) -> None:
    """What takes the place of a step that counts test pictures, where none were run."""
    st.info(
        say(
            "This step counts the answers to many test pictures. No such results are stored with "
            "the model {model} yet; the commands below make them, on this machine.",
            model=bundle.name,
        )
    )
    missing = [split for split in services.TABLES if not bundle.has_table(split)]
    st.code("\n".join(map(bundle.table_command, missing)), language="sh", wrap_lines=True)


def _go_on(step: Step, lesson: Sequence[Step], number: int) -> None:
    """The free mode of this step, and the next one."""
    with st.container(horizontal=True, vertical_alignment="center", key="lesson_end"):
        if step.page:
            st.page_link(
                f"views/{step.page}.py",
                label=step.trial,
                icon=":material/arrow_forward:",
                query_params=dict(step.query) or None,
            )
        if number < len(lesson) and not is_presenting():
            st.button(
                say("next: {title}", title=lesson[number].title),
                key="lesson_next",
                on_click=go_to,
                args=(number + 1,),
            )
