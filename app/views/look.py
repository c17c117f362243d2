"""Look: one picture's trace through the cascade, or two side by side."""

import streamlit as st

from app.intake.chooser import choose_picture
from app.language import say
from app.model_choice import current_bundle
from app.sections.look_answers import look_answers
from dvt_core.errors import InputError

st.title(say("Look"), anchor=False)
with st.container(horizontal=True, horizontal_alignment="distribute"):
    st.markdown(say("Which exit is sure enough about this picture?"), width="content")
    is_compared = st.toggle(
        say("compare with a second picture"),
        key="look_compare",
        bind="query-params",
        help=say("Two traces under one dial."),
    )

bundle = current_bundle()
try:
    chosen = [choose_picture(bundle)]
    if is_compared:
        chosen.append(choose_picture(bundle, slot="second"))
except InputError as error:
    st.error(f"{error}.")
    st.stop()

look_answers(bundle, chosen)
