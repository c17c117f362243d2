"""The whole test set in lanes, one per exit, and where its pictures come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from app import cascade_runs
from app.components import part
from app.figures.easy_hard import stored_trace
from app.figures.exits import word
from app.figures.theme import exit_palette
from app.intake.chooser import DATA_SET
from app.intake.dataset_fetch import fetch_panel, find_test_images, open_test_images
from app.intake.dataset_pictures import dataset_of
from app.intake.pictures import Picture, get_view
from app.intake.thumbnail_route import ServedSet, serve
from app.intake.thumbs import thumbnail
from app.language import say
from app.live import component
from app.replay.dial import Setting, dial
from app.sections.easy_hard_data import get_board_data, is_same_set
from dvt_core.bundle import Bundle
from dvt_core.data import ImageSplit
from dvt_core.errors import InputError
from dvt_core.exit_table import ExitTable
from dvt_core.samples import list_samples
from dvt_core.solver import NEVER

LOOK = Path(__file__).parents[1] / "views" / "look.py"
SHOWN_SAMPLES = 16

# While the lanes are looked at, the dial stays in reach; not where it would fill the screen.
_STICKY = """<style>
@media (min-width: 700px) and (min-height: 600px) {
  [data-testid="stLayoutWrapper"]:has(> .st-key-easy_hard_dial) {
    position: sticky; top: 0; z-index: 10; }
  .st-key-easy_hard_dial {
    background: var(--dvt-background, Canvas); padding: 0.8rem 0 0.3rem; }
}
</style>"""

_mount = component("easy_hard", "easy_hard.css", "rule.js", "lanes.js", "sheets.js", "easy_hard.js")


@dataclass(frozen=True)
class Pictures:
    """Where the pictures of the cards come from.

    Attributes:
        served: the data set, if it is on this machine.
        words: one sentence for the page that says which.
        name: of a data set that could be fetched; "" if there is none to fetch.
    """

    served: ServedSet | None
    words: str
    name: str = ""


def find_pictures(bundle: Bundle, table: ExitTable) -> Pictures:
    """The pictures of a test table's images, or a sentence why there are none."""
    name = dataset_of(bundle)
    place = find_test_images(name) if name else None
    if place is None:
        words = say(
            "The test images are not on this machine: cards show words and confidences. Built-in "
            "samples stand above them while no filter is set."
        )
        return Pictures(None, words, name)
    try:
        split = _open(name, str(place.resolve()))
        if not is_same_set(table, split.labels):
            raise InputError(say("its test images are not those of the stored table"))
        served = serve(name, place.resolve(), split)
    except (InputError, OSError) as error:
        words = say(
            "The data set in {folder} cannot be shown ({error}): cards show words and "
            "confidences. Built-in samples stand above them while no filter is set.",
            folder=place,
            error=error,
        )
        return Pictures(None, words)
    words = say(
        "Pictures: {data}, test split, from this machine's disk; only those in sight are loaded. "
        "Click one to see its exit trace.",
        data=split.title,
    )
    return Pictures(served, words)


@st.cache_resource(max_entries=4, show_spinner=False)
def _open(name: str, folder: str) -> ImageSplit:
    return open_test_images(name, Path(folder))


@part
def lanes_section(bundle: Bundle, table: ExitTable) -> None:
    """The dial, the lanes, and the stored answers of the image that was clicked."""
    st.html(_STICKY)
    with st.container(key="easy_hard_dial"):
        setting = dial(bundle)
    pictures = find_pictures(bundle, table)
    samples, trouble = [], ""
    if pictures.served is None:
        try:
            samples = _samples(bundle)
        except InputError as error:  # the weights are damaged, or the model is busy
            trouble = say("This part cannot be shown: {error}.", error=error)
    data = get_board_data(bundle) | {
        "colours": exit_palette(table.num_exits),
        "thumbs": {"address": pictures.served.address} if pictures.served else None,
        "samples": samples,
    }
    with st.container(key="lanes_pictures"):  # one place: the lanes keep theirs while it changes
        st.caption(pictures.words)
        if trouble:
            st.error(trouble)
        if pictures.served is None and pictures.name:
            fetch_panel(pictures.name)
    result = _mount(key="lanes", data=data, on_picked_change=_do_nothing)
    row = picked_row(getattr(result, "picked", None), table.n)
    if row is not None and pictures.served:
        _open_in_look(int(table.indices[row]))
    if row is not None:
        _stored_answers(bundle, table, setting, row)


def _do_nothing() -> None:
    """The value is read where the lanes are drawn; Streamlit wants a callback for it to exist."""


def picked_row(sent: object, n: int) -> int | None:
    """The row of the table that the browser says was clicked; None if it is no such row."""
    if isinstance(sent, int) and not isinstance(sent, bool) and 0 <= sent < n:
        return sent
    return None


def _open_in_look(image: int) -> None:
    """Goes to Look, with this test image chosen there."""
    st.session_state["from"] = DATA_SET
    st.session_state["image"] = image
    st.session_state.pop("image_class", None)
    st.switch_page(LOOK, query_params={})  # without it a bound parameter is an error


def _stored_answers(bundle: Bundle, table: ExitTable, setting: Setting, row: int) -> None:
    """Opens a dialog with what every exit said of an image whose picture is not here."""

    def draw() -> None:
        st.html(stored_trace(table, row, setting.thresholds, bundle.class_names))

    st.dialog(say("What the exits said"), width="large")(draw)()


def _samples(bundle: Bundle) -> list[dict[str, Any]]:
    """The built-in samples of the model's classes, with what every exit says about them."""
    known = {word(name).lower() for name in bundle.class_names}
    samples = [s for s in list_samples(bundle.class_names) if word(s.label).lower() in known]
    never = (NEVER,) * (bundle.config.num_exits - 1)
    shown = []
    for sample in samples[:SHOWN_SAMPLES]:
        picture = Picture(sample.path.read_bytes(), sample.title)
        view = get_view(bundle, picture)
        records = cascade_runs.predict(
            bundle, picture.digest, never, all_exits=True, _tensor=view.tensor
        ).records
        shown.append(
            {
                "name": sample.title,
                "label": word(sample.label),
                "picture": f"data:image/jpeg;base64,{thumbnail(picture)}",
                "confidences": [record.confidence for record in records],
                "words": [word(bundle.class_names[record.label]) for record in records],
            }
        )
    return shown
