"""Steps 1 to 4 of the lesson: one picture, its tokens, its first guess, its exit."""

from __future__ import annotations

import re
from random import Random

import numpy as np
import streamlit as st

from app import cascade_runs, services
from app.figures.exits import word
from app.figures.lesson import TILE_PX, Bar, Tile, bars, data_address, tiles, under_grid
from app.figures.theme import MacUnit, exit_name, percent
from app.figures.tokens import enlarge, grid_edges
from app.figures.tradeoff import thresholds_text
from app.intake.pictures import Picture, View, get_view
from app.language import say
from app.replay.dial import dial, in_force
from app.sections.lesson_pictures import (
    SampleRuns,
    get_sample_runs,
    picture_in_hand,
    take_next_sample,
)
from app.sections.quiz_question import ask_question
from app.teach.lesson_picks import exits_of, pick_by_confidence, pick_by_exit
from app.teach.presenter import is_presenting
from app.teach.questions import Question
from app.trace import run_cascade, trace
from dvt_core.bundle import Bundle
from dvt_core.errors import InputError
from dvt_core.macs import exit_macs, stage_macs

ROUND = "lesson_round"  # session key: which three pictures are asked about
LETTERS = "ABC"
BAND = 0.05  # half the width of the confidences that are compared with test pictures


def draw_tokens(bundle: Bundle) -> None:
    """The picture under the grid of every stage."""
    picture, view = picture_in_hand(bundle)
    config, costs = bundle.config, stage_macs(bundle.config)
    unit, parts = MacUnit.of(exit_macs(config)), []
    for index, stage in enumerate(config.stages):
        side = stage.grid_size
        parts.append(
            Tile(
                data_address(under_grid(view.seen, grid_edges(stage, config.img_size))),
                say("{name} under a grid of {side} by {side} cells", name=picture.name, side=side),
                say("{side}x{side} = {count} tokens", side=side, count=side * side),
                say(
                    "stage {number} computes {macs}",
                    number=index + 1,
                    macs=unit.format(costs[index]),
                ),
            )
        )
    st.html(tiles(parts))
    _another(bundle, picture)


def draw_confidence(bundle: Bundle) -> None:
    """What exit 1 says about the picture, and how often it is right when it is that sure."""
    picture, view = picture_in_hand(bundle)
    # At threshold 0 exit 1 always answers: this runs the first stage and nothing else.
    nothing = (0.0,) * (bundle.config.num_exits - 1)
    first = cascade_runs.predict(
        bundle, picture.digest, nothing, all_exits=False, _tensor=view.tensor
    ).records[0]
    config, names = bundle.config, bundle.class_names
    seen, said = st.columns([2, 3], gap="medium", vertical_alignment="center")
    grid = under_grid(view.seen, grid_edges(config.stages[0], config.img_size))
    label = word(picture.label)
    head = say("labelled {label}", label=label) if label else picture.name
    seen.html(tiles([Tile(data_address(grid), picture.name, head)]))
    with said:
        top = first.top()
        st.html(bars([Bar(word(names[i]), share, percent(share), 0) for i, share in top]))
        st.markdown(
            say(
                "Exit 1 answers **{word}**, with a confidence of **{confidence}**.",
                word=_plain(word(names[first.label])),
                confidence=percent(first.confidence),
            )
        )
        if sentence := _how_often_right(bundle, first.confidence):
            st.markdown(sentence)
        _another(bundle, picture)


def _plain(text: str) -> str:
    """A class name, which may be anyone's, without meaning in Markdown."""
    return re.sub(r"([\\`*_\[\]<>$~:#|])", r"\\\1", text)


def _how_often_right(bundle: Bundle, confidence: float) -> str:
    """How often exit 1 was right on test pictures on which it was about as sure; "" if unknown."""
    try:
        table = services.get_table(bundle, "test") if bundle.has_table("test") else None
    except InputError:  # damaged: the later steps say so
        table = None
    if table is None:
        return ""
    low = min(max(confidence - BAND, 0.0), 1 - 2 * BAND)
    sure = table.exit_confidences[0]
    alike = (sure >= low) & (sure <= low + 2 * BAND)
    if not alike.any():
        return ""
    return say(
        "Measured: on the {count} test pictures on which exit 1 was {low} to {high} sure, it was "
        "right on {share}.",
        count=f"{int(alike.sum()):,}",
        low=percent(low, 0),
        high=percent(low + 2 * BAND, 0),
        share=percent(float(table.correct[alike, 0].mean())),
    )


def draw_threshold(bundle: Bundle) -> None:
    """The dial and the trace of one picture."""
    picture, view = picture_in_hand(bundle)
    setting = dial(bundle)
    prediction, later = run_cascade(bundle, picture, view, setting.thresholds)
    with st.container(key="lesson_trace"):
        trace(bundle, view, prediction, later, key="lesson_trace_live", name=picture.name)
    _another(bundle, picture)


def draw_finest(bundle: Bundle) -> None:
    """Three samples, a guess, and what the model did."""
    setting, runs = in_force(bundle), get_sample_runs(bundle)
    turn = st.session_state.get(ROUND, 0)
    random, is_by_exit = Random(turn), True
    chosen = pick_by_exit(exits_of(runs.confidences, setting.thresholds), random)
    if chosen is None:
        is_by_exit, chosen = False, pick_by_confidence(runs.confidences[:, 0], random)
        st.caption(_why_not(bundle, setting.thresholds))
    if chosen is None:
        return
    question = _which(bundle, runs, chosen, setting.thresholds, is_by_exit=is_by_exit)
    tiles_room = st.empty()
    is_open = ask_question(question, is_text_shown=not is_by_exit, is_brief=True) is not None
    tiles_room.html(tiles(_three(bundle, runs, chosen, setting.thresholds, is_open=is_open)))
    st.button(say("three others"), key="lesson_others", on_click=_next_round)


def _why_not(bundle: Bundle, thresholds: tuple[float, ...]) -> str:
    """Why the question of this step cannot be asked."""
    if bundle.config.num_exits == 1:
        return say("This model has one exit, so every picture gets the same tokens.")
    return say(
        "At the threshold in force ({threshold}) no three of the samples differ enough in their "
        "exits to ask for the one that goes furthest. Another question instead:",
        threshold=thresholds_text(thresholds),
    )


def _which(
    bundle: Bundle,
    runs: SampleRuns,
    chosen: tuple[int, ...],
    thresholds: tuple[float, ...],
    *,
    is_by_exit: bool,
) -> Question:
    """The question; what is right comes from running the model on each of the three now."""
    options = tuple(say("picture {letter}", letter=letter) for letter in LETTERS)
    about = (bundle.weights_sha256, thresholds, *(runs.pictures[i].digest for i in chosen))
    if is_by_exit:
        exits = [_run(bundle, runs.pictures[i], thresholds)[0] for i in chosen]
        right = int(np.argmax(exits))
        because = say(
            "It goes on to {exit}, at {threshold}.",
            exit=exit_name(exits[right]),
            threshold=thresholds_text(thresholds),
        )
        return Question(
            "finest", say("Which one needs the finest tokens?"), options, right, because, about
        )
    sure = [float(runs.confidences[i, 0]) for i in chosen]
    right = int(np.argmin(sure))
    because = say("There exit 1 is only {confidence} sure.", confidence=percent(sure[right]))
    text = say("On which of the three is exit 1 least sure?")
    return Question("least_sure", text, options, right, because, about)


def _run(bundle: Bundle, picture: Picture, thresholds: tuple[float, ...]) -> tuple[int, View]:
    """0-based exit of a real run that stops there."""
    view = get_view(bundle, picture)
    run = cascade_runs.predict(
        bundle, picture.digest, thresholds, all_exits=False, _tensor=view.tensor
    )
    return run.exit_index, view


def _three(
    bundle: Bundle,
    runs: SampleRuns,
    chosen: tuple[int, ...],
    thresholds: tuple[float, ...],
    *,
    is_open: bool,
) -> list[Tile]:
    """The pictures as the model sees them; exits and confidences only after the answer."""
    parts = []
    for letter, place in zip(LETTERS, chosen, strict=True):
        index, view = _run(bundle, runs.pictures[place], thresholds)
        image = enlarge(view.seen, TILE_PX)
        remark, alt = "", say("picture {letter}", letter=letter)
        if is_open:
            stage = bundle.config.stages[index]
            image = under_grid(view.seen, grid_edges(stage, bundle.config.img_size))
            sure = [percent(float(share), 0) for share in runs.confidences[place, : index + 1]]
            remark = say("confidence, exit by exit: {shares}", shares=" → ".join(sure))
            alt = runs.pictures[place].name
        parts.append(Tile(data_address(image), alt, letter, remark, index if is_open else None))
    return parts


def _next_round() -> None:
    st.session_state[ROUND] = st.session_state.get(ROUND, 0) + 1


def _another(bundle: Bundle, picture: Picture) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            say("another picture"), key="lesson_picture", on_click=take_next_sample, args=(bundle,)
        )
        is_told = picture.source and not is_presenting()
        st.caption(f"{picture.name}: {picture.source}" if is_told else picture.name)
