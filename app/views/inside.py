"""Inside: what a later stage takes over, and what speaks for a class."""

import streamlit as st

from app.intake.chooser import choose_picture, last_picture
from app.intake.pictures import get_view
from app.language import say
from app.linked import linked_choice
from app.model_choice import current_bundle
from app.sections.microscope import microscope_section
from app.sections.why import why_section
from dvt_core.errors import InputError

st.title(say("Inside"), anchor=False)
st.markdown(say("What does a later stage take over from an earlier one?"))

names = {"reuse": say("what is reused"), "why": say("why this class")}
bundle = current_bundle()
try:
    with st.container(horizontal=True, vertical_alignment="center"):
        section = linked_choice(
            st.segmented_control,
            say("Look at"),
            names,
            key="inside",
            required=True,
            label_visibility="collapsed",
        )
        is_changing = st.toggle(
            say("change the picture"),
            key="inside_picture",
            help=say("Off, the picture is the one last looked at."),
        )
    if is_changing:
        picture, view = choose_picture(bundle)
    else:
        picture = last_picture(bundle)
        view = get_view(bundle, picture)
    if section == "why":
        why_section(bundle, picture, view)
    else:
        microscope_section(bundle, picture, view)
except InputError as error:
    st.error(f"{error}.")
