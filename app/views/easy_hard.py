"""Easy & hard: every image of the test set by exit and outcome, and class by class."""

import streamlit as st

from app import services
from app.language import say
from app.model_choice import current_bundle
from app.replay.labs import how_to_measure
from app.sections.class_table import class_section
from app.sections.easy_hard import lanes_section
from dvt_core.errors import InputError

st.title(say("Easy & hard"), anchor=False)
st.markdown(say("Which pictures need a closer look?"))

bundle = current_bundle()
try:
    if bundle.has_table("test"):
        lanes_section(bundle, services.get_table(bundle, "test"))
        class_section(bundle)
    else:
        how_to_measure(bundle)
except InputError as error:
    st.error(say("The test table of this model cannot be used: {error}.", error=error))
