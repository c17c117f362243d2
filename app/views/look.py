"""Look: one picture's trace through the cascade, or two side by side."""

import streamlit as st

from app.components import about_classes, about_doubt, answer, picture_panel
from app.intake.chooser import choose_picture
from app.language import say
from app.model_choice import current_bundle
from app.replay.dial import dial
from app.sections.whatif import whatif_section
from app.trace import ask_later, run_cascade, trace
from dvt_core.errors import InputError

KEYS = ("trace", "trace_second")

st.title(say("Look"), anchor=False)
st.markdown(say("Which exit is sure enough about this picture?"))

bundle = current_bundle()
try:
    choosers = st.container()
    with choosers:
        chosen = [choose_picture(bundle)]
    setting = dial(bundle)
    shown, switches = st.container(), st.container(horizontal=True)
    is_compared = switches.toggle(
        say("compare with a second picture"),
        key="look_compare",
        bind="query-params",
        help=say("Two traces under one dial."),
    )
    if is_compared:
        with choosers:
            chosen.append(choose_picture(bundle, slot="second"))
    runs = [run_cascade(bundle, *picture, setting.thresholds) for picture in chosen]
except InputError as error:
    st.error(f"{error}.")
    st.stop()

with shown:
    sides = st.columns(2, gap="medium") if is_compared else (st.container(),)
for number, (picture, view) in enumerate(chosen):
    prediction, later = runs[number]
    with sides[number]:
        beside, room = (st, st) if is_compared else st.columns([2, 8])
        with beside.container():
            picture_panel(bundle, picture, view, is_small=is_compared)
        with room.container():
            trace(bundle, view, prediction, later, key=KEYS[number], name=picture.name)
        answer(bundle, picture, prediction)
        about_doubt(bundle, later or prediction)
with switches:
    ask_later([prediction for prediction, _ in runs], bundle.config.num_exits)

about_classes(bundle, [picture for picture, _ in chosen])

whatif_section(bundle, *chosen[0], setting)
