"""What-ifs: the picture changed by a known amount, and which exit answers then.

Every change runs the model, through the worker. What is kept of a run is numbers; thumbnails are
made anew from the edit. A history belongs to one picture and one model.
"""

from __future__ import annotations

from itertools import groupby

import streamlit as st
import torch
from PIL import Image

from app import services
from app.components import part
from app.figures.exits import word
from app.figures.strip import answer_line, exit_move, exit_ranges, strip
from app.figures.theme import MacUnit, times_fewer
from app.figures.tokens import enlarge
from app.intake.pictures import Picture, View, digest, png_address
from app.language import say, say_later
from app.replay.dial import Setting
from app.sections.whatif_runs import History, Run
from app.sections.whatif_scene import Scene, label_of, tensor_of
from dvt_core.bundle import Bundle
from dvt_core.errors import InputError
from dvt_core.inference import classify
from dvt_core.macs import exit_macs
from dvt_core.picture_edits import EDITS, Edit, apply_edit
from dvt_core.results import Prediction

CHOICE = "whatif"  # session key of the chosen edit
HISTORY = "whatif_history"
OPEN = "whatif_open"  # session key: whether the section is open
SHOWN_PX = 224


@part
def whatif_section(bundle: Bundle, picture: Picture, view: View, setting: Setting) -> None:
    """Draws the choice of change, both pictures, which exit answers now, and what was tried.

    Args:
        bundle: the model.
        picture: what is looked at.
        view: the same, opened for this model.
        setting: the thresholds in force.
    """
    # Closed, it costs nothing: most visitors first look, and sixty of them come at once.
    panel = st.expander(say("What if?"), key=OPEN, on_change="rerun")
    if panel.open:
        with panel:
            _open_section(bundle, picture, view, setting)


def _open_section(bundle: Bundle, picture: Picture, view: View, setting: Setting) -> None:
    st.markdown(
        say(
            "Change the picture and see whether another exit answers. Each change runs the model "
            "again."
        )
    )
    # Of the pixels, not of the file: the same file may be cut out in another way.
    scene = Scene(bundle, picture, view, digest(view.seen.tobytes()), setting.thresholds)
    history = _history(scene)
    edit, value = _ask(history)
    try:
        before, after = scene.predict(edit, edit.neutral), scene.predict(edit, value)
        if value != edit.neutral:
            history.add(_run(edit, value, after))
        _compare(scene, picture, edit, value, before, after)
        if edit.name in history.swept:
            _show_sweep(scene, edit)
    except InputError as error:
        st.warning(f"{error}.")
    if history.runs:
        _show_history(scene, history)


def _history(scene: Scene) -> History:
    """The history of this picture and model; a new one if the kept one is another's."""
    of = (scene.digest, scene.bundle.weights_sha256)
    kept = st.session_state.get(HISTORY)
    if kept is None or kept.of != of:
        kept = st.session_state[HISTORY] = History(of)
    return kept


def _slider_key(edit: Edit) -> str:
    return "whatif_" + edit.name.replace(" ", "_")


def _ask(history: History) -> tuple[Edit, float]:
    """The chosen edit and value; the button for a sweep stands beside the slider."""
    name = st.segmented_control(
        say("What is changed"),
        tuple(EDITS),
        format_func=say_later,
        default=next(iter(EDITS)),
        required=True,
        key=CHOICE,
    )
    edit = EDITS[name]
    slider, room = st.columns([7, 3], vertical_alignment="bottom")
    value = slider.slider(
        say_later(edit.words),
        float(edit.low),
        float(edit.high),
        float(edit.neutral),
        float(edit.step),
        format=f"%g{edit.unit.replace('%', '%%')}",
        key=_slider_key(edit),
        help=say_later(edit.note),
    )
    room.button(
        say("sweep it"),
        key="whatif_sweep",
        on_click=history.swept.add,
        args=(edit.name,),
        help=say(
            "Runs {n} values from {low} to {high} at once and shows where the exit moves.",
            n=len(edit.values()),
            low=f"{edit.low:g}",
            high=f"{edit.high:g}{edit.unit}",
        ),
    )
    is_possible = edit.low <= value <= edit.high  # bounds are the browser's business only
    return edit, value if is_possible else edit.neutral


def _run(edit: Edit, value: float, prediction: Prediction) -> Run:
    return Run(
        edit.name,
        value,
        prediction.exit_index,
        prediction.confidence,
        prediction.label,
        prediction.thresholds,
    )


@st.cache_data(max_entries=128, show_spinner=False, hash_funcs=services.BY_WEIGHTS)
def _sweep(
    bundle: Bundle,
    picture: str,
    edit_name: str,
    thresholds: tuple[float, ...],
    _seen: Image.Image,
) -> tuple[Run, ...]:
    """All values of an edit in one batch.

    Args:
        bundle: the model.
        picture: digest of the unchanged picture as the model sees it.
        edit_name: from `EDITS`.
        thresholds: `num_exits - 1` numbers.
        _seen: the unchanged picture as the model sees it.
    """
    edit = EDITS[edit_name]
    values = edit.values()
    batch = torch.cat([tensor_of(bundle, apply_edit(edit_name, _seen, v)) for v in values])
    model = services.get_model(bundle)
    predictions = services.get_worker().run(classify, model, batch, thresholds)
    return tuple(_run(edit, v, p) for v, p in zip(values, predictions, strict=True))


@st.cache_data(max_entries=128, show_spinner=False)
def _shown(picture: str, _seen: Image.Image) -> str:
    """`_seen`, enlarged, as a data address; `picture` is its digest."""
    return png_address(enlarge(_seen, SHOWN_PX))


def _compare(
    scene: Scene,
    picture: Picture,
    edit: Edit,
    value: float,
    before: Prediction,
    after: Prediction,
) -> None:
    """Unchanged and changed picture side by side, and what the change did."""
    names = scene.bundle.class_names
    title = label_of(edit, value)
    if value == edit.neutral:
        title = say("unchanged too: move the slider")
    sides = ((say("unchanged"), scene.seen, before), (title, scene.changed(edit, value), after))
    grid = st.grid("auto", min_column_width=150)
    for head, seen, run in sides:
        with grid.cell():
            st.html(f'<div class="dvt-head">{head}</div>')
            alt = say("{name} as the model sees it, {change}", name=picture.name, change=head)
            st.image(_shown(digest(seen.tobytes()), seen), width="stretch", alt=alt)
            st.html(answer_line(run.exit_index, names[run.label], run.confidence))
    with grid.cell():
        st.html(f'<div class="dvt-head">{say("which exit answers")}</div>')
        st.html(exit_move(before.exit_index, after.exit_index))
        was, now = word(names[before.label]), word(names[after.label])
        st.text(
            say("The answer stays {now}.", now=now)
            if was == now
            else say("The answer was {was}, now {now}.", was=was, now=now)
        )
        st.caption(_costs(scene.bundle, before, after))


def _costs(bundle: Bundle, before: Prediction, after: Prediction) -> str:
    unit = MacUnit.of(exit_macs(bundle.config))
    if before.macs == after.macs:
        return say("{macs}, as before.", macs=unit.format(after.macs))
    return say(
        "{macs}, before {before}: {ratio}.",
        macs=unit.format(after.macs),
        before=unit.format(before.macs),
        ratio=times_fewer(before.macs / after.macs),
    )


def _show_sweep(scene: Scene, edit: Edit) -> None:
    """All values of a sweep in order, under a line that says which exit answers where."""
    with st.spinner(say("Running the sweep")):
        runs = _sweep(scene.bundle, scene.digest, edit.name, scene.thresholds, scene.seen)
    ranges = []
    for index, group in groupby(runs, key=lambda run: run.exit_index):
        values = [f"{run.value:g}" for run in group]
        low, high = values[0], f"{values[-1]}{edit.unit}"
        ranges.append(
            (index, high if len(values) == 1 else say("{low} to {high}", low=low, high=high))
        )
    name = say_later(edit.name)
    title = say("{change}, swept", change=name)
    st.markdown(f"**{title.capitalize()}**")
    st.html(exit_ranges(ranges))
    st.html(strip(list(map(scene.card, runs)), title))


def _show_history(scene: Scene, history: History) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(say("**Tried on this picture**, newest first"))
        st.button(say("clear"), key="whatif_clear", on_click=_clear, args=(history,))
    cards = list(map(scene.card, history.runs))
    st.html(strip(cards, say("what was tried on this picture, newest first")))


def _clear(history: History) -> None:
    """Forgets all runs and takes back the change that is in force."""
    history.runs, history.swept = [], set()
    for edit in EDITS.values():
        st.session_state.pop(_slider_key(edit), None)
