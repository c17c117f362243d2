"""Changing resources: the cascade follows a made-up budget over time, a fixed model cannot."""

from __future__ import annotations

import streamlit as st

from app import services
from app.components import metric, part
from app.figures.scenario import fixed_name, scenario_alt, scenario_figure
from app.figures.theme import MacUnit, percent
from app.language import later, say, say_later
from app.linked import linked_choice
from dvt_core.bundle import Bundle
from dvt_core.errors import InputError
from dvt_core.exit_table import ExitTable
from dvt_core.scenario import SCENARIOS, Scenario
from dvt_core.simulation import DROPS, OVERLOADS, FixedModel, Total, simulate, totals

TITLE = later("Changing resources (simulated)")
BY_TITLE = {scenario.title: scenario for scenario in SCENARIOS}
SUMS = MacUnit("GMACs", 1e9, "GFLOPs")  # of many images, for any model


@part
def scenario_section(bundle: Bundle) -> None:
    """Draws the simulation; the bundle must have both exit tables (`services.has_tables`)."""
    st.subheader(say_later(TITLE), anchor=False)
    st.markdown(
        say(
            "When the compute per image rises and falls, the cascade moves its thresholds along; a "
            "fixed model costs the same whatever there is."
        )
    )
    try:
        _simulation(bundle)
    except InputError as error:
        st.error(say("This part cannot be shown: {error}.", error=error))


def _simulation(bundle: Bundle) -> None:
    table, front = services.get_table(bundle, "test"), services.get_front(bundle)
    models, remark = _fixed_models(bundle, table)
    scenario, fixed, overload = _controls(models)
    steps = simulate(front, table, scenario, fixed)
    unit = MacUnit.of(table.info.exit_macs)
    st.markdown(say_later(scenario.description))
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
    words = say(
        "Simulated: times, arrivals and budgets are made up, and costs are MACs, not time or "
        "energy. Thresholds were solved for each budget on {calibration} calibration images and "
        "replayed on all {test} test images. There they may cost a little more than asked: then "
        "the cascade does not quite fit, and that counts as for the fixed model. {rule} Nothing "
        "waits for a later step, and moving a threshold is free.",
        calibration=f"{calibration.n:,}",
        test=f"{table.n:,}",
        rule=_rule(overload),
    )
    st.caption(f"{words} {remark}")


def _controls(models: dict[str, FixedModel]) -> tuple[Scenario, FixedModel, str]:
    """The three choices."""
    with st.grid("auto", min_column_width=230):
        title = linked_choice(
            st.selectbox,
            say("Scenario"),
            {title: say_later(title) for title in BY_TITLE},
            key="scenario",
            help=say("How the budget changes over time; every one is a formula."),
        )
        name = linked_choice(
            st.selectbox,
            say("Fixed model"),
            {name: fixed_name(model) for name, model in models.items()},
            key="fixed_model",
            help=say(
                "Full cascade: every image goes to the last exit. Static models were trained alone "
                "on one token grid."
            ),
        )
        overload = linked_choice(
            st.segmented_control,
            say("Where a model does not fit the budget, it"),
            dict(zip(OVERLOADS, (say("drops images"), say("overspends")), strict=True)),
            key="overload",
            required=True,
            help=say(
                "Holds for the fixed model and for the cascade: below the cost of exit 1 nothing "
                "fits."
            ),
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
        static = []
        remark = say("The static models beside this one cannot be shown: {error}.", error=error)
    return {model.name: model for model in (full, *static)}, remark


def _rule(overload: str) -> str:
    if overload == DROPS:
        return say(
            "Where a model does not fit, as many images as fit are answered, whichever they are; "
            "a dropped image is not answered right."
        )
    return say("Where a model does not fit, all images are answered and the budget is exceeded.")


def _sums(adaptive: Total, fixed: Total, model: FixedModel, overload: str) -> None:
    """Both models over the whole time: the cascade's numbers, the fixed model's below each."""
    name = fixed_name(model)
    with st.grid("auto", min_column_width=220):
        right = f"{name}: {percent(fixed.right)}"
        metric(say("Cascade: answered right"), percent(adaptive.right), right)
        if overload == DROPS:
            dropped = say(
                "{dropped} of {arrivals}",
                dropped=f"{adaptive.dropped:,.0f}",
                arrivals=f"{adaptive.arrivals:,}",
            )
            metric(say("Cascade: images dropped"), dropped, f"{name}: {fixed.dropped:,.0f}")
        else:
            metric(
                say("Cascade: above the budget"),
                _sum(adaptive.overspent),
                f"{name}: {_sum(fixed.overspent)}",
            )
        metric(say("Cascade: spent"), _sum(adaptive.macs), f"{name}: {_sum(fixed.macs)}")


def _sum(macs: float) -> str:
    return SUMS.format(macs) if macs else say("nothing")
