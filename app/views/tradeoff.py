"""Trade-off: accuracy, cost and exit shares over a whole test set, from its stored table."""

import streamlit as st

from app import services
from app.language import say
from app.linked import linked_choice
from app.model_choice import current_bundle
from app.replay.dial import dial
from app.replay.labs import authors_lab, how_to_measure, measured_lab, static_models
from app.sections.real_time import real_time_section
from app.sections.scenario import scenario_section
from dvt_core.bundle import Bundle
from dvt_core.errors import InputError

CURVE, RESOURCES, TIME = "the curve", "changing resources", "real time"  # in the link

st.title(say("Trade-off"), anchor=False)
st.markdown(say("What does a lower bill cost in accuracy?"))


def curve_section(bundle: Bundle) -> None:
    """The lab, and where its numbers come from."""
    table, calibration = (services.get_table(bundle, split) for split in ("test", "calibration"))
    measured_lab(bundle)
    st.caption(
        say(
            "Solved on calibration ({calibration} images), shown on test ({test} images) of "
            "{data}. Every image was run once through all exits on {device}; this page only "
            "replays the stored table. One MAC is one multiply and add. {static} The paper's own "
            "curves are under Models & paper.",
            calibration=f"{calibration.n:,}",
            test=f"{table.n:,}",
            data=bundle.info.get("data", table.info.data),
            device=table.info.device,
            static=static_models(bundle)[1],
        )
    )


def measured_page(bundle: Bundle) -> None:
    """What is replayed from the model's stored tables, one part at a time."""
    names = say("the curve"), say("changing resources"), say("real time")
    section = linked_choice(
        st.segmented_control,
        say("Show"),
        dict(zip((CURVE, RESOURCES, TIME), names, strict=True)),
        key="lab",
        required=True,
    )
    if section == RESOURCES:
        scenario_section(bundle)
    elif section == TIME:
        real_time_section(bundle, dial(bundle))
    else:
        curve_section(bundle)


bundle = current_bundle()
try:
    if services.has_tables(bundle):
        measured_page(bundle)
    else:
        if bundle.authors:
            authors_lab(bundle, bundle.authors, services.get_authors_exits(bundle))
        how_to_measure(bundle)
except InputError as error:
    st.error(say("This model's stored results cannot be used: {error}.", error=error))
