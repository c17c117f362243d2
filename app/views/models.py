"""Models & paper: the chosen model, a folder of one's own, the paper's results, and speed."""

import streamlit as st

from app.model_choice import current_bundle
from app.sections.local_folder import local_folder_section
from app.sections.model_card import model_section
from app.sections.paper import paper_section
from app.sections.speed import speed_section
from app.sections.study import study_section
from dvt_core.errors import InputError

SECTIONS = ("this model", "what it saves", "a model folder", "the paper's results", "speed")

st.title("Models & paper", anchor=False)
st.markdown("Where do the numbers come from?")

section = st.segmented_control(
    "Show",
    SECTIONS,
    default=SECTIONS[0],
    required=True,
    key="section",
    bind="query-params",
)
try:
    if section == SECTIONS[1]:
        study_section(current_bundle())
    elif section == SECTIONS[2]:
        local_folder_section()
    elif section == SECTIONS[3]:
        paper_section()
    elif section == SECTIONS[4]:
        speed_section()
    else:
        model_section(current_bundle())
except InputError as error:
    st.error(f"This part cannot be shown: {error}.")
