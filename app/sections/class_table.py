"""Class by class: cost, accuracy exit by exit, and which pairs of classes later exits untangle."""

from __future__ import annotations

import streamlit as st

from app import services
from app.figures.easy_hard import untangled_list
from app.figures.theme import MacUnit, exit_palette
from app.language import say
from app.live import component
from app.sections.easy_hard_data import get_class_data
from dvt_core.bundle import Bundle
from dvt_core.outcomes import untangled_pairs

_mount = component("class_table", "class_table.css", "rule.js", "lanes.js", "class_table.js")


def class_section(bundle: Bundle) -> None:
    """The table, which follows the lanes, and the pairs."""
    table = services.get_table(bundle, "test")
    unit = MacUnit.of(table.info.exit_macs)
    st.subheader(say("Class by class"), anchor=False)
    data = get_class_data(bundle) | {
        "colours": exit_palette(table.num_exits),
        "unit": {"name": unit.name, "scale": unit.scale},
    }
    _mount(key="class_table", data=data)
    pairs = untangled_pairs(table)
    if table.num_exits < 2:
        return
    st.subheader(say("Which pairs do later exits untangle?"), anchor=False)
    if not pairs:
        st.markdown(say("None: the last exit confuses no pair of classes less than exit 1."))
        return
    st.markdown(
        say(
            "Pairs of classes that are taken for each other, in either direction: how many test "
            "images each exit confuses when it answers alone. The largest falls first."
        )
    )
    st.html(untangled_list(pairs, bundle.class_names))
