"""Trade-off: accuracy, cost and exit shares over a whole test set, from its stored table."""

import streamlit as st

from app import services
from app.figures.tradeoff import sweep_csv
from app.labs import authors_lab, how_to_measure, measured_lab, static_models
from app.model_choice import current_bundle
from dvt_core.errors import InputError

st.title("Trade-off", anchor=False)
st.markdown("What does a lower bill cost in accuracy?")

bundle = current_bundle()
try:
    authors = bundle.authors
    if not services.has_tables(bundle):
        if authors:
            authors_lab(bundle, authors, services.get_authors_exits(bundle))
        how_to_measure(bundle)
        st.stop()
    table, curve = services.get_table(bundle, "test"), services.get_curve(bundle)
    calibration = services.get_table(bundle, "calibration")
    measured_lab(bundle)
except InputError as error:
    st.error(f"This model's stored results cannot be used: {error}.")
    st.stop()

st.caption(
    f"Solved on calibration ({calibration.n:,} images), shown on test ({table.n:,} images) of "
    f"{bundle.info.get('data', table.info.data)}. Every image was run once through all exits on "
    f"{table.info.device}; this page only replays the stored table, it never calls the model. "
    f"One MAC is one multiply and add. {static_models(bundle)[1]}"
)
st.download_button(
    "Download the curve (CSV)",
    sweep_csv(curve.shared[:-1]),
    file_name=f"{bundle.name}_sweep.csv",
    mime="text/csv",
    on_click="ignore",
    help="Threshold, accuracy, mean MACs and exit shares for 101 shared thresholds.",
)
