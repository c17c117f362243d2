"""Look: one picture's trace through the cascade."""

import streamlit as st

from app import services
from app.components import LATER, about_classes, answer, computed_lane, skipped_lane
from app.dial import dial
from app.figures.tokens import enlarge
from app.intake import choose_picture
from app.model_choice import current_bundle
from dvt_core.errors import InputError

st.title("Look", anchor=False)
st.markdown("Which exit is sure enough about this picture?")

bundle = current_bundle()
try:
    picture, view = choose_picture(bundle)
    setting = dial(bundle)
    prediction = services.predict(
        bundle, picture.digest, setting.thresholds, all_exits=False, _tensor=view.tensor
    )
    later = ()
    if prediction.exit_index < bundle.config.num_exits - 1 and st.session_state.get(LATER):
        later = services.predict(
            bundle, picture.digest, setting.thresholds, all_exits=True, _tensor=view.tensor
        ).records[prediction.exit_index + 1 :]
except InputError as error:
    st.error(f"{error}.")
    st.stop()

answer(bundle, picture, prediction)

lanes = st.grid("auto", min_column_width=210)
with lanes.cell(), st.container(border=True, height="stretch", key="picture"):
    st.html('<div class="dvt-head">the picture</div>')
    st.image(view.original, width="stretch", alt=f"the picture: {picture.name}")
    side = bundle.config.img_size
    st.html(f'<div class="dvt-head">as the model sees it: {side}x{side} pixels</div>')
    st.image(enlarge(view.seen), width="stretch", alt="the picture as the model sees it")
    st.caption(f"{picture.name}, {view.size[0]}x{view.size[1]} pixels. {picture.source}")
for record in prediction.visited:
    with lanes.cell():
        computed_lane(bundle, view.seen, prediction, record)
for index in range(prediction.exit_index + 1, bundle.config.num_exits):
    with lanes.cell():
        record = later[index - prediction.exit_index - 1] if later else None
        skipped_lane(bundle, view.seen, prediction, record, index)

about_classes(bundle, picture)
