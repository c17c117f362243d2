"""Trade-off: accuracy, cost and exit shares over a whole test set, from its stored table."""

import streamlit as st

from app import services
from app.dial import dial
from app.figures.tradeoff import sweep_csv
from app.labs import authors_lab, how_to_measure, measured_lab, static_models
from app.model_choice import current_bundle
from app.sections.real_time import real_time_section
from app.sections.scenario import scenario_section
from dvt_core.bundle import Bundle
from dvt_core.errors import InputError

CURVE, RESOURCES, TIME = "the curve", "changing resources", "real time"

st.title("Trade-off", anchor=False)
st.markdown("What does a lower bill cost in accuracy?")


def curve_section(bundle: Bundle) -> None:
    """The lab, where its numbers come from, and the curve to take home."""
    table, curve = services.get_table(bundle, "test"), services.get_curve(bundle)
    calibration = services.get_table(bundle, "calibration")
    measured_lab(bundle)
    st.caption(
        f"Solved on calibration ({calibration.n:,} images), shown on test ({table.n:,} images) of "
        f"{bundle.info.get('data', table.info.data)}. Every image was run once through all exits "
        f"on {table.info.device}; this page only replays the stored table. One MAC is one multiply "
        f"and add. {static_models(bundle)[1]} The paper's own curves are there, too."
    )
    st.download_button(
        "Download the curve (CSV)",
        sweep_csv(curve.shared[:-1]),
        file_name=f"{bundle.name}_sweep.csv",
        mime="text/csv",
        on_click="ignore",
        help="Threshold, accuracy, mean MACs and exit shares for 101 shared thresholds.",
    )


bundle = current_bundle()
try:
    if not services.has_tables(bundle):
        if bundle.authors:
            authors_lab(bundle, bundle.authors, services.get_authors_exits(bundle))
        how_to_measure(bundle)
        st.stop()
    section = st.segmented_control(
        "Show",
        (CURVE, RESOURCES, TIME),
        default=CURVE,
        required=True,
        key="lab",
        bind="query-params",
    )
    if section == RESOURCES:
        scenario_section(bundle)
    elif section == TIME:
        real_time_section(bundle, dial(bundle))
    else:
        curve_section(bundle)
except InputError as error:
    st.error(f"This model's stored results cannot be used: {error}.")
    st.stop()
