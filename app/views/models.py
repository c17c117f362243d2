"""Models & paper: the chosen model, a folder of one's own, the paper's results, and speed."""

import streamlit as st

from app.language import say
from app.linked import linked_choice
from app.model_choice import current_bundle
from app.sections.local_folder import local_folder_section
from app.sections.model_card import model_section
from app.sections.own_speed import own_speed_section
from app.sections.paper import paper_section
from app.sections.served import served_section
from app.sections.speed import speed_section
from app.sections.study import study_section
from dvt_core.errors import InputError

# In the link.
SECTIONS = (
    "this model",
    "what it saves",
    "a model folder",
    "the paper's results",
    "speed",
    "many people",
)

st.title(say("Models & paper"), anchor=False)
st.markdown(say("Where do the numbers come from?"))

names = (
    say("this model"),
    say("what it saves"),
    say("a model folder"),
    say("the paper's results"),
    say("speed"),
    say("many people"),
)
section = linked_choice(
    st.segmented_control,
    say("Show"),
    dict(zip(SECTIONS, names, strict=True)),
    key="section",
    required=True,
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
        own_speed_section()
    elif section == SECTIONS[5]:
        served_section()
    else:
        model_section(current_bundle())
except InputError as error:
    st.error(say("This part cannot be shown: {error}.", error=error))
