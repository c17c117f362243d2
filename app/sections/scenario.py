"""Changing resources: the cascade follows a made-up budget over time, a fixed model cannot."""

from __future__ import annotations

import streamlit as st

from app import services
from app.components import metric
from app.figures.scenario import scenario_alt, scenario_figure
from app.figures.theme import MacUnit, percent
from dvt_core.bundle import Bundle
from dvt_core.errors import InputError
from dvt_core.exit_table import ExitTable
from dvt_core.scenario import SCENARIOS, Scenario
from dvt_core.simulation import DROPS, OVERLOADS, FixedModel, Total, simulate, totals

TITLE = "Changing resources (simulated)"
BY_TITLE = {scenario.title: scenario for scenario in SCENARIOS}
SUMS = MacUnit("GMACs", 1e9, "GFLOPs")  # of many images, for any model


@st.fragment
def scenario_section(bundle: Bundle) -> None:
    """Draws the simulation; the bundle must have both exit tables (`services.has_tables`)."""
    st.subheader(TITLE, anchor=False)
    st.markdown(
        "When the compute per image rises and falls, the cascade moves its thresholds along; a "
        "fixed model costs the same whatever there is."
    )
    try:
        _simulation(bundle)
    except InputError as error:
        st.error(f"This part cannot be shown: {error}.")


def _simulation(bundle: Bundle) -> None:
    table, front = services.get_table(bundle, "test"), services.get_front(bundle)
    models, remark = _fixed_models(bundle, table)
    scenario, fixed, overload = _controls(models)
    steps = simulate(front, table, scenario, fixed)
    unit = MacUnit.of(table.info.exit_macs)
    st.markdown(scenario.description)
    figure = scenario_figure(
        scenario,
        steps,
        fixed,
        unit,
        overload=overload,
        dark=st.context.theme.type == "dark",
    )
    st.plotly_chart(
        figure, key="scenario_chart", alt=scenario_alt(scenario, steps, fixed, unit, overload)
    )
    _sums(*totals(steps, overload), fixed, overload)
    calibration = services.get_table(bundle, "calibration")
    st.caption(
        "Simulated: times, arrivals and budgets are made up, and costs are MACs, not time or "
        f"energy. Thresholds were solved for each budget on {calibration.n:,} calibration images "
        f"and replayed on all {table.n:,} test images. There they may cost a little more than "
        "asked: then the cascade does not quite fit, and that counts as for the fixed model. "
        f"{_rule(overload)} Nothing waits for a later step, and moving a threshold is free.{remark}"
    )


def _controls(models: dict[str, FixedModel]) -> tuple[Scenario, FixedModel, str]:
    """The three choices."""
    if st.session_state.get("fixed_model", next(iter(models))) not in models:
        st.session_state["fixed_model"] = next(iter(models))  # or the link would still ask for it
    with st.grid("auto", min_column_width=230):
        title = st.selectbox(
            "Scenario",
            BY_TITLE,
            key="scenario",
            bind="query-params",
            help="How the budget changes over time; every one is a formula.",
        )
        name = st.selectbox(
            "Fixed model",
            models,
            key="fixed_model",
            bind="query-params",
            help="Full cascade: every image goes to the last exit. Static models were trained "
            "alone on one token grid.",
        )
        overload = st.segmented_control(
            "Where a model does not fit the budget, it",
            OVERLOADS,
            default=DROPS,
            required=True,
            key="overload",
            bind="query-params",
            help="Holds for the fixed model and for the cascade: below the cost of exit 1 nothing "
            "fits.",
        )
    return BY_TITLE[title], models[name], overload


def _fixed_models(bundle: Bundle, table: ExitTable) -> tuple[dict[str, FixedModel], str]:
    """What can be held against the cascade, by name; and a sentence if something cannot."""
    full, remark = FixedModel.full_cascade(table), ""
    try:
        static = [
            FixedModel(f"static {each.name}", each.macs, each.accuracy)
            for each in services.get_study(bundle).baselines
        ]
    except InputError as error:
        static, remark = [], f" The static models beside this one cannot be shown: {error}."
    return {model.name: model for model in (full, *static)}, remark


def _rule(overload: str) -> str:
    if overload == DROPS:
        return (
            "Where a model does not fit, as many images as fit are answered, whichever they are; "
            "a dropped image is not answered right."
        )
    return "Where a model does not fit, all images are answered and the budget is exceeded."


def _sums(adaptive: Total, fixed: Total, model: FixedModel, overload: str) -> None:
    """Both models over the whole time: the cascade's numbers, the fixed model's below each."""
    name = model.name
    with st.grid("auto", min_column_width=220):
        metric(
            "Cascade: answered right", percent(adaptive.right), f"{name}: {percent(fixed.right)}"
        )
        if overload == DROPS:
            metric(
                "Cascade: images dropped",
                f"{adaptive.dropped:,.0f} of {adaptive.arrivals:,}",
                f"{name}: {fixed.dropped:,.0f}",
            )
        else:
            metric(
                "Cascade: above the budget",
                _sum(adaptive.overspent),
                f"{name}: {_sum(fixed.overspent)}",
            )
        metric("Cascade: spent", _sum(adaptive.macs), f"{name}: {_sum(fixed.macs)}")


def _sum(macs: float) -> str:
    return SUMS.format(macs) if macs else "nothing"
