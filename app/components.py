"""Pieces of a page that show one aspect of a result each."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import streamlit as st

from app import services
from app.figures.exits import word
from app.figures.theme import MacUnit, exit_name, percent, times_less
from app.pictures import Picture, View, unlike_note
from dvt_core.bundle import Bundle
from dvt_core.errors import InputError
from dvt_core.macs import exit_macs
from dvt_core.results import Prediction

STYLE = Path(__file__).with_name("style.css")
PANEL_PX = 165
NAMED_CLASSES = 12  # up to this many classes are listed by name


def answer(bundle: Bundle, picture: Picture, prediction: Prediction) -> None:
    """The headline: what the cascade answered, where it stopped and what that cost."""
    costs = exit_macs(bundle.config)
    unit, names = MacUnit.of(costs), bundle.class_names
    spent = percent(prediction.macs / costs[-1], 0)
    saved = times_less(prediction.macs, costs[-1])
    words = [_word(name) for name in names]
    given = names[prediction.label]
    facts = [
        ("Answer", word(given), f"{percent(prediction.confidence)} sure"),
        ("Stopped at", exit_name(prediction.exit_index), f"of {len(costs)} exits"),
        ("Spent", unit.format(prediction.macs), f"{spent} of {unit.number(costs[-1])}: {saved}"),
    ]
    if _word(picture.label) in words:
        verdict = "right" if _word(picture.label) == words[prediction.label] else "wrong"
        facts.append(("Labelled", word(picture.label), f"the answer is {verdict}"))
    facts.append(("Time", f"{prediction.fired.milliseconds:.1f} ms", "on this computer"))
    with st.grid("auto", min_column_width=150):
        for label, value, remark in facts:
            metric(label, value, remark, given if label == "Answer" and "," in given else None)


def metric(label: str, value: str, remark: str, more: str | None = None) -> None:
    """A number with a remark below it, without good or bad colours; `more` is a tooltip."""
    st.metric(label, value, remark, delta_color="off", delta_arrow="off", help=more)


def picture_panel(bundle: Bundle, picture: Picture, view: View) -> None:
    """The picture as it came, and where it is from."""
    side = bundle.config.img_size
    width, height = view.size
    with st.container(horizontal=True, gap="small"):  # one above the other where it is narrow
        st.image(view.original, width=PANEL_PX, alt=f"the picture: {picture.name}")
        st.caption(
            f"{picture.name}, {width}x{height} pixels; the model sees {side}x{side}. "
            f"{picture.source}",
            width=PANEL_PX,
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
    known = set(map(_word, names))
    for strange in dict.fromkeys(word(p.label) for p in pictures if _word(p.label) not in known):
        if strange:
            st.info(
                f"This picture is labelled “{strange}”, a word this model does not have. "
                f"It must pick one of its {len(names):,}, and may look sure all the same."
            )
    if len(names) <= NAMED_CLASSES:
        st.caption(f"The model knows {len(names)} words: {', '.join(names)}.")
    else:
        st.caption(f"The model knows {len(names):,} words and must pick one of them.")
        with st.expander(f"All {len(names):,} words"):
            st.caption(", ".join(sorted(map(word, names), key=str.lower)))


def _word(class_name: str) -> str:
    """What two data sets' names of one class have in common."""
    return word(class_name).lower()
