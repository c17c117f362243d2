"""Pieces of a page that show one aspect of a result each."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app.figures.exits import word
from app.figures.theme import MacUnit, exit_name, percent, times_less
from app.intake import Picture
from app.pictures import View
from dvt_core.bundle import Bundle
from dvt_core.macs import exit_macs
from dvt_core.results import Prediction

STYLE = Path(__file__).with_name("style.css")
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
    st.image(view.original, width="stretch", alt=f"the picture: {picture.name}")
    st.caption(
        f"{picture.name}, {view.size[0]}x{view.size[1]} pixels; the model sees "
        f"{side}x{side}. {picture.source}"
    )


def about_classes(bundle: Bundle, picture: Picture) -> None:
    """Says so when the picture's own word is none of the model's classes, and lists them."""
    names = bundle.class_names
    if picture.label and _word(picture.label) not in map(_word, names):
        st.info(
            f"This picture is labelled “{word(picture.label)}”, a word this model does not have. "
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
