"""What a cascade is made of, measured: its reuse, what an exit could ask, honest confidences."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from app import services
from app.figures.study import (
    CRITERION_NAMES,
    criteria_figure,
    reliability_alt,
    reliability_figure,
)
from app.figures.theme import MacUnit, exit_name, percent
from app.language import say, say_later
from dvt_core.bundle import Bundle
from dvt_core.criteria import CRITERIA
from dvt_core.exit_table import ExitTable
from dvt_core.reliability import RELIABILITY, read_reliability
from dvt_core.study import VARIANT_WORDS, Study


def ablation(bundle: Bundle, unit: MacUnit, command: str) -> None:
    """The cascade with neither, one or both reuses; `command` would put a run beside the model."""
    study = services.get_study(bundle)
    if not study.ablation:
        st.info(
            say(
                "No ablation lies beside this model. Train it with other reuses, then {command}.",
                command=command,
            )
        )
        return
    rows, test = _ablation_rows(study, unit), next(iter(study.ablation.values()))[1]
    error = 100 * math.sqrt(max(p * (1 - p) for p in test.exit_accuracy) / test.n)
    st.table(rows, border="horizontal", hide_index=True, alt=say("Accuracy with and without reuse"))
    recipe = say("one recipe, one run each")
    if study.ablation_epochs:
        recipe = say("one recipe, {n} epochs each, one run each", n=study.ablation_epochs)
    st.caption(
        say(
            "The paper's Table 6 on this data: {recipe}; test, n = {n}. In brackets: points above "
            "no reuse. One standard error of an accuracy is {error} points.",
            recipe=recipe,
            n=f"{test.n:,}",
            error=f"{error:.1f}",
        )
    )


def _ablation_rows(study: Study, unit: MacUnit) -> list[dict[str, str]]:
    base = study.ablation.get("neither")
    rows = []
    for variant, (_, test) in study.ablation.items():
        row = {say("reuse"): say_later(VARIANT_WORDS[variant])}
        for i, accuracy in enumerate(test.exit_accuracy):
            gain = ""
            if base is not None and variant != "neither":
                gain = f" ({100 * (accuracy - base[1].exit_accuracy[i]):+.1f})"
            row[say("{exit} alone", exit=exit_name(i))] = f"{percent(accuracy)}{gain}"
            cost = unit.number(test.info.exit_macs[i])
            row[say("{unit} up to {number}", unit=unit.name, number=i + 1)] = cost
        rows.append(row)
    return rows


def exit_criteria(bundle: Bundle, test: ExitTable, unit: MacUnit) -> None:
    """What an exit could ask instead of its confidence, at equal exit shares."""
    points = services.get_criteria(bundle)
    st.markdown(
        say(
            "The same number of images leaves at each exit, chosen by confidence, by entropy, by "
            "the margin between the two best classes, or at random."
        )
    )
    figure = criteria_figure(points, unit)
    st.plotly_chart(figure, key="study_criteria", alt=say("Exit criteria"))
    rows = [
        {say("mean cost"): unit.format(p.macs)}
        | {say_later(CRITERION_NAMES[name]): percent(p.accuracies[name]) for name in CRITERIA}
        for p in points
    ]
    st.table(rows, border="horizontal", hide_index=True, alt=say("Accuracy by exit criterion"))
    st.caption(
        say(
            "The paper's Table 9 on this data, test, n = {n}. How many leave where comes from "
            "thresholds solved on calibration; “random” is the exact expectation.",
            n=f"{test.n:,}",
        )
    )


def honesty(bundle: Bundle, test: ExitTable) -> None:
    """How often each exit is right against how sure it says it is."""
    path = bundle.path / RELIABILITY
    if not path.is_file():
        st.info(
            say(
                "This folder holds no {file}; `dvt train` writes it with the tables.",
                file=RELIABILITY,
            )
        )
        return
    raw = read_reliability(path, bundle.config.num_exits)
    sides = list(zip(raw["before"]["test"], raw["after"]["test"], strict=True))
    figures = [reliability_figure(before, after, i) for i, (before, after) in enumerate(sides)]
    alts = [reliability_alt(before, after, i) for i, (before, after) in enumerate(sides)]
    words = _temperature_words(raw)
    st.markdown(
        say(
            "An honest exit is right as often as it says. A temperature divides an exit's logits; "
            "it is fitted on calibration and kept where that makes the exit more honest there."
        )
    )
    with st.grid("auto", min_column_width=260):
        for i, (figure, alt) in enumerate(zip(figures, alts, strict=True)):
            st.plotly_chart(figure, key=f"reliability_{i}", alt=alt)
    bins = say(
        "Test, n = {n}, 15 bins, larger marks hold more images; ECE is the mean gap.",
        n=f"{test.n:,}",
    )
    st.caption(f"{bins} {words}")


def _temperature_words(raw: dict[str, Any]) -> str:
    """The temperatures, where they are used, and what they do to the curve."""
    held = [exit_name(i) for i, is_held in enumerate(raw["shipped"]) if is_held]
    values = ", ".join(f"{value:.2f}" for value in raw["temperatures"])
    solved, shared = (
        [percent(raw[side][key], 2) for side in ("before", "after")] for key in ("solved", "shared")
    )
    return say(
        "Temperatures: {values}; in the weights: {exits}. Mean accuracy over 59 budgets, before "
        "and after: {solved} and {solved_after} with solved thresholds, {shared} and "
        "{shared_after} with one shared threshold.",
        values=values,
        exits=", ".join(held) or say("none"),
        solved=solved[0],
        solved_after=solved[1],
        shared=shared[0],
        shared_after=shared[1],
    )
