"""Step 10 of the lesson: one question at a time, feedback, a score, and again."""

from __future__ import annotations

import random
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import services
from app.figures.lesson import TILE_PX, Tile, data_address, tiles
from app.figures.tokens import enlarge
from app.intake.pictures import get_view
from app.language import say
from app.replay.dial import in_force
from app.sections.lesson_pictures import get_sample_runs
from app.sections.quiz_question import ONLY_SHOWN, ask_question
from app.teach.lesson import guess_of
from app.teach.questions import Item, Known
from app.teach.quiz import quiz_round
from dvt_core.bundle import Bundle
from dvt_core.errors import InputError
from dvt_core.exit_table import ExitTable

ROUND = "lesson_quiz"  # session key


@dataclass
class Round:
    """What one visitor is being asked: what it was made from, and the place in it."""

    weights: str
    thresholds: tuple[float, ...]
    seed: int
    place: int = 0


def draw_quiz(bundle: Bundle) -> None:
    """The question in hand, what came of the others, and the way on."""
    asked = _round(bundle)
    items = quiz_round(_known(bundle, asked), asked.seed)
    asked.place = min(asked.place, len(items) - 1)
    item = items[asked.place]
    st.markdown(
        say(
            "**Question {number} of {count}.** {text}",
            number=asked.place + 1,
            count=len(items),
            text=item.question.text,
        )
    )
    if item.pictures:
        widths = [len(item.pictures), 3]
        shown, told = st.columns(widths, gap="medium", vertical_alignment="center")
        _show(bundle, item.pictures, shown)
    else:
        told = st.container()
    with told:
        is_answered = ask_question(item.question, is_text_shown=False) is not None
    with st.container(horizontal=True, vertical_alignment="center"):
        if is_answered and asked.place + 1 < len(items):
            st.button(
                say("next question"),
                key="quiz_next",
                on_click=_move,
                args=(asked.place + 1,),
                shortcut="N",
            )
        if asked.place:
            st.button(
                say("question before"), key="quiz_back", on_click=_move, args=(asked.place - 1,)
            )
        st.button(say("again, with new questions"), key="quiz_again", on_click=_forget)
    _score(items)


def _round(bundle: Bundle) -> Round:
    """The round of this visitor and this model; its thresholds stay those it began with."""
    asked = st.session_state.get(ROUND)
    if asked is None or asked.weights != bundle.weights_sha256:
        thresholds = in_force(bundle).thresholds
        asked = Round(bundle.weights_sha256, thresholds, random.randrange(10**9))
        st.session_state[ROUND] = asked
    return asked


def _known(bundle: Bundle, asked: Round) -> Known:
    runs = get_sample_runs(bundle)
    return Known(
        bundle.config,
        bundle.weights_sha256,
        asked.thresholds,
        _table(bundle),
        runs.confidences,
        tuple(picture.name for picture in runs.pictures),
    )


def _table(bundle: Bundle) -> ExitTable | None:
    """The test table; None if there is none, or a damaged one: the quiz asks other questions."""
    try:
        return services.get_table(bundle, "test") if bundle.has_table("test") else None
    except InputError:
        return None


def _show(bundle: Bundle, places: tuple[int, ...], room: DeltaGenerator) -> None:
    """The samples that a question is about, as the model sees them, under their names."""
    parts = []
    for place in places:
        picture = get_sample_runs(bundle).pictures[place]
        seen = enlarge(get_view(bundle, picture).seen, TILE_PX)
        parts.append(Tile(data_address(seen), picture.name, picture.name))
    room.html(tiles(parts))


def _score(items: tuple[Item, ...]) -> None:
    """How many guesses were right; an answer that was only shown is no guess."""
    given = [(guess_of(item.question.key), item.question.right) for item in items]
    seen = sum(chosen is not None for chosen, _ in given)
    tried = sum(chosen not in (None, ONLY_SHOWN) for chosen, _ in given)
    right = sum(chosen == right for chosen, right in given)
    if seen == len(items):
        st.markdown(say("**All done: {right} of {count} right.**", right=right, count=len(items)))
    elif tried:
        st.markdown(say("Right so far: {right} of {count}.", right=right, count=tried))


def _move(place: int) -> None:
    st.session_state[ROUND].place = place


def _forget() -> None:
    st.session_state.pop(ROUND, None)
