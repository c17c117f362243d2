"""The maps of `app.sections.why` side by side: scale, cost, exactness, and their likeness."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

import streamlit as st

from app.attribution import GRAD_CAM, OCCLUSION, Attribution, count_macs
from app.figures.attribution import PARTLY, SAME, full_colour, likeness, overlay, scale_bar
from app.figures.exits import word
from app.figures.strip import answer_line
from app.figures.theme import MacUnit, percent
from app.figures.tokens import enlarge
from app.intake.pictures import Picture, View
from app.language import say
from dvt_core.bundle import Bundle
from dvt_core.macs import exit_macs
from dvt_core.results import Prediction

TOO_COARSE = 0.05  # a convergence delta of this share of the logits' difference, and more


def show_maps(
    bundle: Bundle,
    picture: Picture,
    view: View,
    prediction: Prediction,
    result: Sequence[Attribution],
) -> None:
    """The maps side by side, each over its exit's answer; their scale, cost and likeness."""
    names, method = bundle.class_names, result[0].method
    is_signed, maps = method != GRAD_CAM, [one.values for one in result]
    with st.grid("auto", min_column_width=230) as grid:
        with grid.cell():
            st.html(f'<div class="dvt-head">{say("the picture, as the model sees it")}</div>')
            st.image(enlarge(view.seen), width="stretch", alt=picture.name)
        for one, record in zip(result, prediction.records, strict=True):
            full = full_colour(maps if is_signed else [one.values])
            image = overlay(view.seen, one.values, full, signed=is_signed)
            with grid.cell():
                st.html(answer_line(one.exit_index, names[record.label], record.confidence))
                alt = say(
                    "{picture}: what speaks for {name} at exit {n}",
                    picture=picture.name,
                    name=word(names[one.target]),
                    n=one.exit_index + 1,
                )
                st.image(image, width="stretch", alt=alt)
                st.caption(_about(one, word(names[one.target]), record.probs[one.target]))
    st.html(_scale(method))
    st.caption(f"{_scale_words(method, full_colour(maps))} {_cost(bundle, method)}")
    _compare(result)


def _about(one: Attribution, name: str, probability: float) -> str:
    """Which class the map is about, and how exact it is."""
    about = say(
        "Map for {name}: {percent}, logit {logit}.",
        name=name,
        percent=percent(float(probability)),
        logit=f"{one.logit:.2f}",
    )
    if not one.values.any():
        return f"{about} {say('Nothing here speaks for it.')}"
    if one.delta is None or one.baseline_logit is None:
        return about
    rise = one.logit - one.baseline_logit
    values = {"sum": f"{rise + one.delta:.2f}", "rise": f"{rise:.2f}"}
    off = abs(one.delta) / max(abs(rise), 1e-9)
    if off < TOO_COARSE:
        exact = say(
            "Its values add up to {sum}, and should to {rise}, the logit's rise from the plain "
            "colour: {off} off.",
            **values,
            off=percent(off),
        )
    else:
        exact = say(
            "Its values add up to {sum}, and should to {rise}, the logit's rise from the plain "
            "colour: {off} off, read it with care.",
            **values,
            off=percent(off),
        )
    return f"{about} {exact}"


def _scale(method: str) -> str:
    if method == GRAD_CAM:
        return scale_bar(say("nothing"), say("speaks for the class"), signed=False)
    return scale_bar(say("speaks against"), say("speaks for the class"), signed=True)


def _scale_words(method: str, full: float) -> str:
    if method == GRAD_CAM:
        return say("Each exit has its own scale: Grad-CAM has no unit.")
    if method == OCCLUSION:
        return say("One scale for all exits: full colour is {n} logits.", n=f"{full:.2g}")
    return say(
        "One scale for all exits: full colour is {n} logits per pixel, or more.", n=f"{full:.2g}"
    )


def _cost(bundle: Bundle, method: str) -> str:
    macs = count_macs(exit_macs(bundle.config), method)
    return say(
        "A later exit runs the earlier stages too, so its map holds what reuse brought from them. "
        "All maps together: {macs}.",
        macs=MacUnit.of([macs]).format(macs),
    )


def _compare(result: Sequence[Attribution]) -> None:
    """Whether later exits look elsewhere, in words and by number."""
    pairs = list(combinations(result, 2) if len(result) <= 3 else pairwise(result))
    lines = [_likeness(*pair) for pair in pairs]
    if not lines:
        return
    st.markdown("\n".join(f"- {line}" for line in lines))
    note = say(
        "Rank correlation of the maps' strength, for or against, over 8x8 fields of the picture: "
        "1 is the same order, 0 none; from {same} called the same, from {partly} partly.",
        same=SAME,
        partly=PARTLY,
    )
    if len({one.target for one in result}) > 1:
        note += " " + say("The maps are about different classes, and may differ for that reason.")
    st.caption(note)


def _likeness(first: Attribution, second: Attribution) -> str:
    alike = likeness(first.values, second.values)
    values: dict[str, object] = {"a": first.exit_index + 1, "b": second.exit_index + 1}
    if alike is None:
        return say("Exit {b} and exit {a} cannot be compared: one map is empty.", **values)
    values["r"] = f"{alike:.2f}"
    if alike >= SAME:
        return say("Exit {b} looks at **the same places** as exit {a} ({r}).", **values)
    if alike >= PARTLY:
        return say("Exit {b} looks at **partly the same places** as exit {a} ({r}).", **values)
    return say("Exit {b} looks **elsewhere** than exit {a} ({r}).", **values)
