"""Batch: many pictures at once; are they easy for this model, and at what cost?"""

import streamlit as st

from app.components import part
from app.language import say
from app.model_choice import current_bundle
from app.replay.dial import dial
from app.sections.batch_answers import answers_section, labels_section
from app.sections.batch_live import live_section
from app.sections.batch_source import Shown, plain_text, source_section
from dvt_core.bundle import Bundle
from dvt_core.errors import InputError

st.title(say("Batch"), anchor=False)
st.markdown(say("Are *my* pictures easy?"))


@part
def results(bundle: Bundle, shown: Shown) -> None:
    """The answer, live under the dial; the table and the downloads follow on release."""
    setting = dial(bundle)
    live_section(bundle, shown)
    st.caption(
        say(
            "Easy means that an early exit is sure enough. To be sure is not to be right: that "
            "takes labels."
        )
    )
    labels_section(bundle, shown)
    answers_section(bundle, shown, setting.thresholds)


bundle = current_bundle()
try:
    with st.container():  # however much it holds, what follows keeps its place while it is redrawn
        shown = source_section(bundle)
    results(bundle, shown)
except InputError as error:
    st.error(f"{plain_text(str(error))}.")
