"""What a cascade saves: against static models, without its reuse, with other exit criteria."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable
from typing import Any

import streamlit as st

from app import services
from app.components import metric
from app.figures.study import criteria_figure, reliability_alt, reliability_figure
from app.figures.theme import MacUnit, exit_name, percent, times_fewer
from app.figures.tradeoff import tradeoff_alt, tradeoff_figure
from dvt_core.bundle import Bundle, bundled_dir
from dvt_core.criteria import CRITERIA
from dvt_core.errors import InputError
from dvt_core.exit_table import ExitTable
from dvt_core.reliability import RELIABILITY
from dvt_core.study import (
    BASELINES,
    VARIANT_WORDS,
    Baseline,
    Saving,
    Spread,
    Study,
    recipe_differences,
)


def study_section(bundle: Bundle) -> None:
    """Draws all parts for which the model folder holds tables; says what is missing."""
    if not services.has_tables(bundle):
        st.info("This folder holds no exit tables; the Trade-off page says how to make them.")
        return
    test = services.get_table(bundle, "test")
    unit = MacUnit.of(test.info.exit_macs)
    _part("Against static models", lambda: _baselines(bundle, test, unit))
    _part("Reuse on and off", lambda: _ablation(bundle, unit))
    if bundle.config.num_exits > 1:
        _part("What an exit asks", lambda: _criteria(bundle, test, unit))
    _part("Are the confidences honest?", lambda: _reliability(bundle, test))


def _part(title: str, draw: Callable[[], None]) -> None:
    """One part under its title; what is damaged in one is no matter of the others."""
    st.subheader(title, anchor=False)
    try:
        draw()
    except InputError as error:
        st.error(f"This part cannot be shown: {error}.")


def _attach(bundle: Bundle, options: str = "") -> str:
    """What to type to put a run beside the model, as code."""
    is_bundled = bundle.path.parent == bundled_dir()
    model = bundle.name if is_bundled else shlex.quote(str(bundle.path)).replace("`", "")
    return f"`dvt attach RUN --to {model}{options}`"


def _baselines(bundle: Bundle, test: ExitTable, unit: MacUnit) -> None:
    study = services.get_study(bundle)
    if not study.baselines:
        st.info(
            "No static baselines lie beside this model. Train its recipe without reuse, or each "
            f"stage with `only_stage`, then {_attach(bundle, ' --baselines')}."
        )
        return
    savings = services.get_savings(bundle)
    calibration = services.get_table(bundle, "calibration")
    st.markdown(
        "The plain backbone on each token grid, trained alone with the cascade's recipe, epochs "
        "and data. The cascade is held against each at the cheapest thresholds, solved on "
        f"{calibration.n:,} calibration images, that are as accurate there as the static model. "
        f"Shown on {test.n:,} test images."
    )
    _headline(study.baselines[-1], savings[-1], unit)
    curve = services.get_curve(bundle)
    figure = tradeoff_figure(
        (),
        curve.solved,
        curve.exits,
        None,
        unit,
        baselines=study.baselines,
        dark=st.context.theme.type == "dark",
    )
    st.plotly_chart(
        figure, key="study_curve", alt=tradeoff_alt(None, curve.exits, unit, study.baselines)
    )
    rows = [_row(each, s, unit) for each, s in zip(study.baselines, savings, strict=True)]
    st.table(rows, border="horizontal", hide_index=True, alt="Static models and the cascade")
    st.caption(
        "In brackets: 95 % of 1,000 bootstrap resamples of the test images; one training run "
        "each, so the spread over seeds is not in it. “Read off the test curve” picks the solved "
        "point on test, as one reads a published figure. Below 1x the cascade costs more."
        + _differences(bundle, study)
    )


def _differences(bundle: Bundle, study: Study) -> str:
    """In which options of its recipe a static model was trained otherwise, as a sentence."""
    said: dict[str, list[str]] = {}
    for each in study.baselines:
        for key, (mine, theirs) in recipe_differences(
            bundle, bundle.path / BASELINES / each.name
        ).items():
            words = f"`{key}` {_option(theirs)}, the cascade's {_option(mine)}"
            said.setdefault(words, []).append(each.name)
    if not said:
        return ""
    parts = (f"{', '.join(names)}: {words}" for words, names in said.items())
    return f" Trained otherwise than the cascade: {'; '.join(parts)}."


def _option(value: object) -> str:
    return "the default" if value is None else f"`{str(value).replace('`', '')}`"


def _headline(baseline: Baseline, saving: Saving | None, unit: MacUnit) -> None:
    if saving is None:
        st.info(
            f"The cascade does not reach the accuracy of the static {baseline.name} model, "
            f"{percent(baseline.accuracy)} at {unit.format(baseline.macs)}."
        )
        return
    spread = saving.times_fewer_spread
    ends = f"95 %: {times_fewer(spread.low)} to {times_fewer(spread.high)}"
    with st.grid("auto", min_column_width=220):
        words = f"{times_fewer(saving.times_fewer)} MACs"
        metric(f"At the accuracy of static {baseline.name}", words, ends)
        metric("Cascade", percent(saving.point.accuracy), unit.format(saving.point.macs))
        metric(f"Static {baseline.name}", percent(baseline.accuracy), unit.format(baseline.macs))


def _row(baseline: Baseline, saving: Saving | None, unit: MacUnit) -> dict[str, str]:
    row = {
        "static model": baseline.name,
        "accuracy": percent(baseline.accuracy),
        unit.name: unit.number(baseline.macs),
    }
    if saving is None:
        return row | dict.fromkeys(_THERE, "not reached")
    gain = saving.gain_spread
    values = (
        f"{percent(saving.point.accuracy)}, "
        f"{100 * (saving.point.accuracy - baseline.accuracy):+.1f} points "
        f"({100 * gain.low:+.1f} to {100 * gain.high:+.1f})",
        unit.format(saving.point.macs),
        f"{saving.times_fewer:.2f}x ({_interval(saving.times_fewer_spread)})",
        f"{saving.read_off_times:.2f}x ({_interval(saving.read_off_spread)})"
        if saving.read_off
        else "not reached",
    )
    return row | dict(zip(_THERE, values, strict=True))


_THERE = ("cascade there", "mean cost", "fewer MACs", "read off the test curve")


def _interval(spread: Spread) -> str:
    return f"{spread.low:.2f} to {spread.high:.2f}"


def _ablation(bundle: Bundle, unit: MacUnit) -> None:
    study = services.get_study(bundle)
    if not study.ablation:
        st.info(
            "No ablation lies beside this model. Train it with other reuses, then "
            f"{_attach(bundle)}."
        )
        return
    rows, test = _ablation_rows(study, unit), next(iter(study.ablation.values()))[1]
    error = 100 * math.sqrt(max(p * (1 - p) for p in test.exit_accuracy) / test.n)
    epochs = f"{study.ablation_epochs} epochs each, " if study.ablation_epochs else ""
    st.table(rows, border="horizontal", hide_index=True, alt="Accuracy with and without reuse")
    st.caption(
        f"The paper's Table 6 on this data: one recipe, {epochs}one run each; test, "
        f"n = {test.n:,}. In brackets: points above no reuse. One standard error of an accuracy "
        f"is {error:.1f} points."
    )


def _ablation_rows(study: Study, unit: MacUnit) -> list[dict[str, str]]:
    base = study.ablation.get("neither")
    rows = []
    for variant, (_, test) in study.ablation.items():
        row = {"reuse": VARIANT_WORDS[variant]}
        for i, accuracy in enumerate(test.exit_accuracy):
            gain = ""
            if base is not None and variant != "neither":
                gain = f" ({100 * (accuracy - base[1].exit_accuracy[i]):+.1f})"
            row[f"{exit_name(i)} alone"] = f"{percent(accuracy)}{gain}"
            row[f"{unit.name} up to {i + 1}"] = unit.number(test.info.exit_macs[i])
        rows.append(row)
    return rows


def _criteria(bundle: Bundle, test: ExitTable, unit: MacUnit) -> None:
    points = services.get_criteria(bundle)
    st.markdown(
        "The same number of images leaves at each exit, chosen by confidence, by entropy, by the "
        "margin between the two best classes, or at random."
    )
    st.plotly_chart(criteria_figure(points, unit), key="study_criteria", alt="Exit criteria")
    rows = [
        {"mean cost": unit.format(p.macs)}
        | {name: percent(p.accuracies[name]) for name in CRITERIA}
        for p in points
    ]
    st.table(rows, border="horizontal", hide_index=True, alt="Accuracy by exit criterion")
    st.caption(
        f"The paper's Table 9 on this data, test, n = {test.n:,}. How many leave where comes from "
        "thresholds solved on calibration; “random” is the exact expectation."
    )


def _reliability(bundle: Bundle, test: ExitTable) -> None:
    path = bundle.path / RELIABILITY
    if not path.is_file():
        st.info(f"This folder holds no {RELIABILITY}; `dvt train` writes it with the tables.")
        return
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        before, after = raw["before"], raw["after"]
        figures = [
            reliability_figure(before["test"][i], after["test"][i], i)
            for i in range(len(raw["temperatures"]))
        ]
        alts = [
            reliability_alt(before["test"][i], after["test"][i], i) for i in range(len(figures))
        ]
        words = _temperature_words(raw)
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(f"{path} is damaged: {error}") from error
    st.markdown(
        "An honest exit is right as often as it says. A temperature divides an exit's logits; it "
        "is fitted on calibration and kept where that makes the exit more honest there."
    )
    with st.grid("auto", min_column_width=260):
        for i, (figure, alt) in enumerate(zip(figures, alts, strict=True)):
            st.plotly_chart(figure, key=f"reliability_{i}", alt=alt)
    st.caption(
        f"Test, n = {test.n:,}, 15 bins, larger marks hold more images; ECE is the mean gap. "
        f"{words}"
    )


def _temperature_words(raw: dict[str, Any]) -> str:
    """The temperatures, where they are used, and what they do to the curve."""
    held = [exit_name(i) for i, is_held in enumerate(raw["shipped"]) if is_held]
    values = ", ".join(f"{value:.2f}" for value in raw["temperatures"])
    solved, shared = (
        " and ".join(percent(raw[side][key], 2) for side in ("before", "after"))
        for key in ("solved", "shared")
    )
    return (
        f"Temperatures: {values}; in the weights: {', '.join(held) or 'none'}. Mean accuracy over "
        f"59 budgets, before and after: {solved} with solved thresholds, {shared} with one shared "
        "threshold."
    )
