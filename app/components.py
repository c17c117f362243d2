"""Pieces of a page that show one aspect of a result each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache, wraps
from pathlib import Path
from typing import ParamSpec

import streamlit as st

from app import services
from app.figures.exits import word
from app.figures.theme import MacUnit, exit_name, percent, times_less
from app.intake.pictures import Picture, View, unlike_note
from app.language import say
from app.work.turns import DRAWING
from dvt_core.bundle import Bundle
from dvt_core.errors import InputError
from dvt_core.macs import exit_macs
from dvt_core.results import Prediction

STYLE = Path(__file__).with_name("style.css")
PANEL_PX, SMALL_PX = 165, 84
NAMED_CLASSES = 12  # up to this many classes are listed by name

P = ParamSpec("P")


def part(draw: Callable[P, None]) -> Callable[P, None]:
    """A fragment that says what it cannot do.

    Errors do not leave a fragment: an `InputError`, such as damaged weights or a busy model, would
    be shown as a bug although the page around it knows better.
    """

    @st.fragment
    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> None:
        with DRAWING.turn():
            try:
                draw(*args, **kwargs)
            except InputError as error:
                st.error(f"{error}.")

    return drawn


def answer(bundle: Bundle, picture: Picture, prediction: Prediction) -> None:
    """The headline: what the cascade answered, where it stopped and what that cost."""
    costs = exit_macs(bundle.config)
    unit, names = MacUnit.of(costs), bundle.class_names
    spent = percent(prediction.macs / costs[-1], 0)
    saved = times_less(prediction.macs, costs[-1])
    words = _words(names)
    given = names[prediction.label]
    facts = [
        (say("Answer"), word(given), say("{percent} sure", percent=percent(prediction.confidence))),
        (say("Stopped at"), exit_name(prediction.exit_index), say("of {n} exits", n=len(costs))),
        (
            say("Spent"),
            unit.format(prediction.macs),
            say(
                "{spent} of {full}: {saved}", spent=spent, full=unit.number(costs[-1]), saved=saved
            ),
        ),
    ]
    if _word(picture.label) in words:
        is_right = _word(picture.label) == words[prediction.label]
        verdict = say("the answer is right") if is_right else say("the answer is wrong")
        facts.append((say("Labelled"), word(picture.label), verdict))
    time = f"{prediction.fired.milliseconds:.1f} ms"
    facts.append((say("Time"), time, say("on this computer")))
    synonyms = given if "," in given else None  # a tooltip of the answer
    with st.grid("auto", min_column_width=150):
        for number, (label, value, remark) in enumerate(facts):
            metric(label, value, remark, None if number else synonyms)


def metric(label: str, value: str, remark: str, more: str | None = None) -> None:
    """A number with a remark below it, without good or bad colours; `more` is a tooltip."""
    st.metric(label, value, remark, delta_color="off", delta_arrow="off", help=more)


def picture_panel(bundle: Bundle, picture: Picture, view: View, *, is_small: bool = False) -> None:
    """The picture as it came, and where it is from; small, its words get the room beside it."""
    side = bundle.config.img_size
    width, height = view.size
    with st.container(horizontal=True, gap="small"):  # one above the other where it is narrow
        alt = say("the picture: {name}", name=picture.name)
        st.image(view.shown, width=SMALL_PX if is_small else PANEL_PX, alt=alt)
        st.caption(
            say(
                "{name}, {size} pixels; the model sees {seen}. {source}",
                name=picture.name,
                size=f"{width}x{height}",
                seen=f"{side}x{side}",
                source=picture.source,
            ),
            width=2 * PANEL_PX if is_small else PANEL_PX,
        )


def about_doubt(bundle: Bundle, prediction: Prediction) -> None:
    """Says so when even the last exit is less sure than usual; nothing if it did not run."""
    if len(prediction.records) < bundle.config.num_exits or not bundle.has_table("test"):
        return
    with suppress(InputError):  # the table is damaged: the Trade-off page says so
        table = services.get_table(bundle, "test")
        if note := unlike_note([record.confidence for record in prediction.records], table):
            st.caption(note)


def about_classes(bundle: Bundle, pictures: Sequence[Picture]) -> None:
    """Says which pictures' own words are none of the model's classes, and lists these."""
    names = bundle.class_names
    known = _words(names)
    for strange in dict.fromkeys(word(p.label) for p in pictures if _word(p.label) not in known):
        if strange:
            st.info(
                say(
                    "This picture is labelled “{word}”, a word this model does not have. "
                    "It must pick one of its {n}, and may look sure all the same.",
                    word=strange,
                    n=f"{len(names):,}",
                )
            )
    if len(names) <= NAMED_CLASSES:
        words = ", ".join(names)
        st.caption(say("The model knows {n} words: {words}.", n=len(names), words=words))
    else:
        n = f"{len(names):,}"
        st.caption(say("The model knows {n} words and must pick one of them.", n=n))
        with st.expander(say("All {n} words", n=n)):
            st.caption(_listed(names))


@lru_cache(maxsize=16)
def _listed(class_names: tuple[str, ...]) -> str:
    return ", ".join(sorted(map(word, class_names), key=str.lower))


@lru_cache(maxsize=16)
def _words(class_names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(_word, class_names))


def _word(class_name: str) -> str:
    """What two data sets' names of one class have in common."""
    return word(class_name).lower()
