"""The dial and all that follows it on Look: traces, answers, what-ifs."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.components import about_classes, about_doubt, answer, part, picture_panel
from app.intake.pictures import Picture, View
from app.replay.dial import dial
from app.sections.whatif import whatif_section
from app.trace import ask_later, run_cascade, trace
from dvt_core.bundle import Bundle

KEYS = ("trace", "trace_second")


@part
def look_answers(bundle: Bundle, chosen: Sequence[tuple[Picture, View]]) -> None:
    """Draws them; when the dial is let go, this is drawn anew and the choosers are not.

    Args:
        bundle: the model.
        chosen: the picture that is looked at, or two that are compared.
    """
    setting = dial(bundle)
    shown, switches = st.container(), st.container()
    runs = [run_cascade(bundle, *picture, setting.thresholds) for picture in chosen]
    is_compared = len(chosen) > 1
    sides = shown.columns(2, gap="medium") if is_compared else (shown,)
    for number, (picture, view) in enumerate(chosen):
        prediction, later = runs[number]
        with sides[number]:
            rooms = (st.container(), st.container()) if is_compared else st.columns([2, 8])
            with rooms[0]:
                picture_panel(bundle, picture, view, is_small=is_compared)
            with rooms[1]:
                trace(bundle, view, prediction, later, key=KEYS[number], name=picture.name)
            answer(bundle, picture, prediction)
            about_doubt(bundle, later or prediction)
    with switches:
        ask_later([prediction for prediction, _ in runs], bundle.config.num_exits)
    about_classes(bundle, [picture for picture, _ in chosen])
    whatif_section(bundle, *chosen[0], setting)
