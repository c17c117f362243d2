"""Look: one picture's trace through the cascade, or two side by side."""

import streamlit as st

from app.components import about_classes, answer, picture_panel
from app.dial import dial
from app.intake import choose_picture
from app.model_choice import current_bundle
from app.trace import ask_later, run_cascade, trace
from dvt_core.errors import InputError

KEYS = ("trace", "trace_second")

st.title("Look", anchor=False)
st.markdown("Which exit is sure enough about this picture?")

bundle = current_bundle()
try:
    chosen = [choose_picture(bundle)]
    setting = dial(bundle)
    shown, switches = st.container(), st.container(horizontal=True, gap="large")
    is_compared = switches.toggle(
        "compare with a second picture",
        key="look_compare",
        bind="query-params",
        help="Two traces under one dial.",
    )
    if is_compared:
        with shown:
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
        beside, room = st.columns([2, 5 if is_compared else 8])
        with beside:
            picture_panel(bundle, picture, view)
        with room:
            trace(bundle, view, prediction, later, key=KEYS[number], name=picture.name)
        answer(bundle, picture, prediction)
with switches:
    ask_later([prediction for prediction, _ in runs], bundle.config.num_exits)

for picture, _ in chosen:
    about_classes(bundle, picture)
