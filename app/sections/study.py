"""What a cascade saves: against static models, without its reuse, with other exit criteria."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

import streamlit as st

from app import services
from app.components import metric
from app.figures.theme import MacUnit, percent, times_fewer
from app.figures.tradeoff import tradeoff_alt, tradeoff_figure
from app.language import say
from app.sections.study_exits import ablation, exit_criteria, honesty
from dvt_core.bundle import Bundle, bundled_dir
from dvt_core.errors import InputError
from dvt_core.exit_table import ExitTable
from dvt_core.study import (
    BASELINES,
    Baseline,
    Saving,
    Spread,
    Study,
    recipe_differences,
)


def study_section(bundle: Bundle) -> None:
    """Draws all parts for which the model folder holds tables; says what is missing."""
    if not services.has_tables(bundle):
        st.info(say("This folder holds no exit tables; the Trade-off page says how to make them."))
        return
    test = services.get_table(bundle, "test")
    unit = MacUnit.of(test.info.exit_macs)
    _part(say("Against static models"), lambda: _baselines(bundle, test, unit))
    _part(say("Reuse on and off"), lambda: ablation(bundle, unit, _attach(bundle)))
    if bundle.config.num_exits > 1:
        _part(say("What an exit asks"), lambda: exit_criteria(bundle, test, unit))
    _part(say("Are the confidences honest?"), lambda: honesty(bundle, test))


def _part(title: str, draw: Callable[[], None]) -> None:
    """One part under its title; what is damaged in one is no matter of the others."""
    st.subheader(title, anchor=False)
    try:
        draw()
    except InputError as error:
        st.error(say("This part cannot be shown: {error}.", error=error))


def _attach(bundle: Bundle, options: str = "") -> str:
    """What to type to put a run beside the model, as code."""
    is_bundled = bundle.path.parent == bundled_dir()
    model = bundle.name if is_bundled else shlex.quote(str(bundle.path)).replace("`", "")
    return f"`dvt attach RUN --to {model}{options}`"


def _baselines(bundle: Bundle, test: ExitTable, unit: MacUnit) -> None:
    study = services.get_study(bundle)
    if not study.baselines:
        st.info(
            say(
                "No static baselines lie beside this model. Train its recipe without reuse, or "
                "each stage with `only_stage`, then {command}.",
                command=_attach(bundle, " --baselines"),
            )
        )
        return
    with st.spinner(say("Resampling the test images")):
        savings = services.get_savings(bundle)
    calibration = services.get_table(bundle, "calibration")
    st.markdown(
        say(
            "The plain backbone on each token grid, trained alone with the cascade's recipe, "
            "epochs and data. The cascade is held against each at the cheapest thresholds, solved "
            "on {calibration} calibration images, that are as accurate there as the static model. "
            "Shown on {test} test images.",
            calibration=f"{calibration.n:,}",
            test=f"{test.n:,}",
        )
    )
    _headline(study.baselines[-1], savings[-1], unit)
    _saving_curve(bundle, study.baselines, unit)
    rows = [_row(each, s, unit) for each, s in zip(study.baselines, savings, strict=True)]
    st.table(rows, border="horizontal", hide_index=True, alt=say("Static models and the cascade"))
    words = say(
        "In brackets: 95 % of 1,000 bootstrap resamples of the test images; one training run "
        "each, so the spread over seeds is not in it. “Read off the test curve” picks the solved "
        "point on test, as one reads a published figure. Below 1x the cascade costs more."
    )
    st.caption(f"{words} {_differences(bundle, study)}")


def _saving_curve(bundle: Bundle, baselines: Sequence[Baseline], unit: MacUnit) -> None:
    curve = services.get_curve(bundle)
    figure = tradeoff_figure(
        (),
        curve.solved,
        curve.exits,
        None,
        unit,
        baselines=baselines,
        dark=st.context.theme.type == "dark",
    )
    st.plotly_chart(figure, key="study_curve", alt=tradeoff_alt(None, curve.exits, unit, baselines))


def _differences(bundle: Bundle, study: Study) -> str:
    """In which options of its recipe a static model was trained otherwise, as a sentence."""
    said: dict[str, list[str]] = {}
    for each in study.baselines:
        for key, (mine, theirs) in recipe_differences(
            bundle, bundle.path / BASELINES / each.name
        ).items():
            words = say(
                "{option} {theirs}, the cascade's {mine}",
                option=f"`{key}`",
                theirs=_option(theirs),
                mine=_option(mine),
            )
            said.setdefault(words, []).append(each.name)
    if not said:
        return ""
    parts = (f"{', '.join(names)}: {words}" for words, names in said.items())
    return say("Trained otherwise than the cascade: {options}.", options="; ".join(parts))


def _option(value: object) -> str:
    return say("the default") if value is None else f"`{str(value).replace('`', '')}`"


def _headline(baseline: Baseline, saving: Saving | None, unit: MacUnit) -> None:
    if saving is None:
        st.info(
            say(
                "The cascade does not reach the accuracy of the static {name} model, {accuracy} at "
                "{macs}.",
                name=baseline.name,
                accuracy=percent(baseline.accuracy),
                macs=unit.format(baseline.macs),
            )
        )
        return
    spread = saving.times_fewer_spread
    ends = say("95 %: {low} to {high}", low=times_fewer(spread.low), high=times_fewer(spread.high))
    with st.grid("auto", min_column_width=220):
        words = say("{fewer} MACs", fewer=times_fewer(saving.times_fewer))
        metric(say("At the accuracy of static {name}", name=baseline.name), words, ends)
        metric(say("Cascade"), percent(saving.point.accuracy), unit.format(saving.point.macs))
        static = say("Static {name}", name=baseline.name)
        metric(static, percent(baseline.accuracy), unit.format(baseline.macs))


def _row(baseline: Baseline, saving: Saving | None, unit: MacUnit) -> dict[str, str]:
    row = {
        say("static model"): baseline.name,
        say("accuracy"): percent(baseline.accuracy),
        unit.name: unit.number(baseline.macs),
    }
    if saving is None:
        return row | dict.fromkeys(_there(), say("not reached"))
    gain = saving.gain_spread
    values = (
        say(
            "{accuracy}, {points} points ({low} to {high})",
            accuracy=percent(saving.point.accuracy),
            points=f"{100 * (saving.point.accuracy - baseline.accuracy):+.1f}",
            low=f"{100 * gain.low:+.1f}",
            high=f"{100 * gain.high:+.1f}",
        ),
        unit.format(saving.point.macs),
        f"{saving.times_fewer:.2f}x ({_interval(saving.times_fewer_spread)})",
        f"{saving.read_off_times:.2f}x ({_interval(saving.read_off_spread)})"
        if saving.read_off
        else say("not reached"),
    )
    return row | dict(zip(_there(), values, strict=True))


def _there() -> tuple[str, ...]:
    """Columns about the cascade at a static model's accuracy."""
    return (
        say("cascade there"),
        say("mean cost"),
        say("fewer MACs"),
        say("read off the test curve"),
    )


def _interval(spread: Spread) -> str:
    return say("{low} to {high}", low=f"{spread.low:.2f}", high=f"{spread.high:.2f}")
