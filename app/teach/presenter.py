"""Presenter mode: large type and only what is being spoken about; one switch for all pages.

It is kept in the link (`?presenter=true`). Left by Esc or by the small button that stays in sight.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from app.language import say
from app.live import component
from app.teach.lesson import go_to

PRESENTER = "presenter"  # session key of the switch, and parameter of the link
BAR = "lesson_bar"  # key of the component
CSS = Path(__file__).with_name("presenter.css")

_mount = component("lesson", "lesson.js", "lesson.css")


def choose_presenter() -> None:
    """Draws the switch, and with it on the large type."""
    is_on = st.toggle(
        say("Presenter mode"),
        key=PRESENTER,
        bind="query-params",
        help=say("Large type, no sidebar. Esc leaves it."),
    )
    if is_on:
        st.html(CSS)


def is_presenting() -> bool:
    """Whether presenter mode is on."""
    return bool(st.session_state.get(PRESENTER))


def presenter_bar() -> None:
    """On a page other than the lesson: the way back and the way out; nothing in normal mode."""
    if is_presenting():
        back, out = st.columns([4, 1], vertical_alignment="center")
        back.page_link("views/lesson.py", label=say("Back to the lesson"))
        with out:
            lesson_bar((), 0)


def lesson_bar(titles: Sequence[str], number: int) -> None:
    """The steps as dots, back and next; the keyboard and a presenter's remote move it, too.

    Args:
        titles: of all steps; none on another page, where only the way out is drawn.
        number: the open one, from 1.
    """
    words = {
        "steps": say("Steps of the lesson"),
        "back": say("step before"),
        "next": say("next step"),
        "leave": say("leave presenter mode (Esc)"),
        "place": say("step {number} of {count}"),  # filled in by the browser
    }
    data: dict[str, Any] = {
        "titles": list(titles),
        "number": number,
        "presenting": is_presenting(),
        "words": words,
    }
    _mount(key=BAR, data=data, on_go_change=_take)


def _take() -> None:
    """What the browser asked for: a step, or to leave presenter mode. Anything may come."""
    asked = getattr(st.session_state.get(BAR), "go", None)
    if asked == "leave":
        st.session_state[PRESENTER] = False
    elif isinstance(asked, int) and not isinstance(asked, bool):
        go_to(asked)
