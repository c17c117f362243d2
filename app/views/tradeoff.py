"""Trade-off: accuracy, cost and exit shares over a whole test set, from its stored table."""

import streamlit as st

from app import services
from app.components import current_bundle, metric
from app.dial import dial
from app.figures.exits import share_bars
from app.figures.theme import MacUnit, percent, times_less
from app.figures.tradeoff import sweep_csv, tradeoff_alt, tradeoff_figure
from dvt_core.bundle import Bundle
from dvt_core.errors import InputError
from dvt_core.thresholds import replay

st.title("Trade-off", anchor=False)
st.markdown("What does a lower bill cost in accuracy?")


@st.fragment
def lab(bundle: Bundle) -> None:
    """The dial and everything that moves with it; the model is never called."""
    table, curve = services.get_table(bundle, "test"), services.get_curve(bundle)
    setting = dial(bundle)
    here = replay(table, setting.thresholds)
    full_macs, full_accuracy = curve.exits[-1]
    unit = MacUnit.of(table.info.exit_macs)

    chart, numbers = st.columns([2, 1], gap="medium")
    points = 100 * (here.accuracy - full_accuracy)
    with numbers:
        metric("Accuracy", percent(here.accuracy), f"{points:+.1f} points against always full")
        saved = f"{times_less(here.macs, full_macs)}; always full is {unit.format(full_macs)}"
        metric("Mean cost per image", unit.format(here.macs), saved)
        st.markdown("Where the images leave")
        st.html(share_bars(here.exit_shares))
    figure = tradeoff_figure(
        curve.shared,
        curve.solved,
        curve.exits,
        here,
        unit,
        dark=st.context.theme.type == "dark",
    )
    chart.plotly_chart(figure, key="curve", alt=tradeoff_alt(here, curve.exits, unit))


bundle = current_bundle()
try:
    table, curve = services.get_table(bundle, "test"), services.get_curve(bundle)
    calibration = services.get_table(bundle, "calibration")
except InputError as error:
    st.error(f"This model's stored results cannot be used: {error}.")
    st.stop()

lab(bundle)

st.caption(
    f"Solved on calibration ({calibration.n:,} images), shown on test ({table.n:,} images) of "
    f"{bundle.info.get('data', table.info.data)}. Every image was run once through all exits on "
    f"{table.info.device}; this page only replays the stored table, it never calls the model. "
    "One MAC is one multiply and add."
)
st.download_button(
    "Download the curve (CSV)",
    sweep_csv(curve.shared[:-1]),
    file_name=f"{bundle.name}_sweep.csv",
    mime="text/csv",
    on_click="ignore",
    help="Threshold, accuracy, mean MACs and exit shares for 101 shared thresholds.",
)
