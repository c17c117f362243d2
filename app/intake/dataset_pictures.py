"""Pictures of the model's own test set, where it lies on this machine; read one by one."""

from __future__ import annotations

import os
import random
import re
from pathlib import Path

import numpy as np
import streamlit as st

from app import services
from app.figures.exits import word
from app.intake.dataset_fetch import find_test_images, open_test_images
from app.intake.pictures import Picture
from app.language import say
from dvt_core.bundle import Bundle
from dvt_core.data import ImageSplit
from dvt_core.data_sources import DATASETS
from dvt_core.errors import InputError
from dvt_core.images import MAX_BYTES

IMAGE = "image"  # session key and parameter of the link: the row of the first chooser
ALL = "all classes"  # session value of the class box


def dataset_of(bundle: Bundle) -> str:
    """The name of the data set that a model was tested on, for `find_test_images`; or ""."""
    try:
        if bundle.has_table("test"):
            name = services.get_table(bundle, "test").info.data
            # The name is written in the model's folder, which may be anyone's: never a path.
            return name if re.fullmatch(r"\w[\w-]*", name) else ""
    except InputError:  # the table is damaged: the Trade-off page says so
        return ""
    title = str(bundle.info.get("data", "")).split(",")[0]
    return next((info.name for info in DATASETS.values() if info.title == title), "")


def missing(name: str) -> str:
    """One sentence: the test images are not on this machine, and where they were looked for."""
    root = os.environ.get("DVT_DATA")
    return say(
        "The data set {name} is not on this machine: there is no folder {name} with Parquet files "
        "or class folders in $DVT_DATA ({root}) or ./data.",
        name=name,
        root=root or say("not set"),
    )


def dataset_picture(bundle: Bundle, name: str, prefix: str = "") -> Picture | None:
    """Draws the choice by number and class; None, and a sentence, if the set is not there.

    Args:
        bundle: the model.
        name: of the data set, from `dataset_of`.
        prefix: of the session keys of this chooser.

    Raises:
        InputError: the set cannot be read, or is not the one of this model.
    """
    folder = find_test_images(name)
    if folder is None:
        st.info(missing(name))
        return None
    split = _split_of(bundle, name, folder)
    picture = _picture(split, name, _ask_row(split, prefix))
    st.caption(say("Labelled: {word}.", word=word(picture.label)))
    return picture


def linked_picture(bundle: Bundle) -> Picture | None:
    """The test image that the page's link names (`image`); None if there is none to be had."""
    name, row = dataset_of(bundle), _number(st.query_params.get(IMAGE))
    folder = find_test_images(name) if name else None
    if folder is None or row is None:
        return None
    try:
        split = _split_of(bundle, name, folder)
        return _picture(split, name, row) if row < len(split) else None
    except InputError:  # Look says why
        return None


def _split_of(bundle: Bundle, name: str, folder: Path) -> ImageSplit:
    with st.spinner(say("Opening the data set")):
        split = _get_split(name, str(folder.resolve()))
    if len(split.class_names) != len(bundle.class_names):
        raise InputError(
            f"{folder} has {len(split.class_names)} classes, but this model has "
            f"{len(bundle.class_names)}"
        )
    return split


def _picture(split: ImageSplit, name: str, row: int) -> Picture:
    label = split.class_names[int(split.labels[row])]
    return Picture(
        _encoded(split, row),
        say("{name} test image {row}", name=name, row=row),
        say("{title}, test split.", title=split.title),
        label,
    )


@st.cache_resource(max_entries=4, show_spinner=False)
def _get_split(name: str, folder: str) -> ImageSplit:
    """The test split; its pictures stay on disk."""
    return open_test_images(name, Path(folder))


def _encoded(split: ImageSplit, row: int) -> bytes:
    """The file of one picture.

    Raises:
        InputError: it has vanished, or cannot be read.
    """
    source = split.rows.encoded([int(split.indices[row])])[0]
    if isinstance(source, bytes):
        return source
    try:
        with source.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror}") from error


def _ask_row(split: ImageSplit, prefix: str) -> int:
    """Draws number, class and steps; the row of the picture in the split."""
    key, class_key, last = f"{prefix}{IMAGE}", f"{prefix}image_class", len(split) - 1
    if st.session_state.get(class_key, ALL) not in split.class_names:
        st.session_state[class_key] = ALL
    if key not in st.session_state:  # a fresh page: the link knows, or what was looked at last
        asked = st.query_params.get(key) or st.session_state.get(f"{key}_before")
        st.session_state[key] = _number(asked) or 0
    if not 0 <= st.session_state[key] <= last:  # of another model's data set
        st.session_state[key] = 0
    number, by_class, steps = st.columns([3, 4, 6], vertical_alignment="bottom")
    row = number.number_input(
        say("Test image, 0 to {last}", last=f"{last:,}"),
        0,
        last,
        step=1,
        key=key,
        on_change=_leave_class,
        args=(split, prefix),
    )
    row = st.session_state[f"{key}_before"] = min(max(int(row), 0), last)
    if st.query_params.get(key) != str(row):
        st.query_params[key] = str(row)
    asked = by_class.selectbox(
        say("Class"),
        (ALL, *split.class_names),
        format_func=lambda name: say("all classes") if name == ALL else word(name),
        key=class_key,
        on_change=_enter_class,
        args=(split, prefix),
    )
    rows = _rows_of(split, asked)
    with steps.container(horizontal=True, gap="xsmall"):
        words = {"previous": say("previous"), "random": say("random"), "next": say("next")}
        for name, to in _steps(rows, row).items():
            st.button(words[name], key=f"{prefix}image_{name}", on_click=_go, args=(key, to))
    return row


def _number(text: object) -> int | None:
    """The whole number that a link holds, or None."""
    digits = str(text)
    return int(digits) if re.fullmatch(r"[0-9]{1,9}", digits) else None


def _enter_class(split: ImageSplit, prefix: str) -> None:
    """Goes to the first picture of the class from here on, if this one is of another."""
    key = f"{prefix}image"
    rows = _rows_of(split, st.session_state[f"{prefix}image_class"])
    at = np.searchsorted(rows, st.session_state[key])
    st.session_state[key] = int(rows[at % len(rows)])


def _leave_class(split: ImageSplit, prefix: str) -> None:
    """A number that someone typed goes before the class."""
    class_key = f"{prefix}image_class"
    if st.session_state[f"{prefix}image"] not in _rows_of(split, st.session_state[class_key]):
        st.session_state[class_key] = ALL


def _rows_of(split: ImageSplit, class_name: str) -> np.ndarray:
    """Increasing rows of one class; of all if it has none or all are asked for."""
    if class_name in split.class_names:
        rows = np.flatnonzero(split.labels == split.class_names.index(class_name))
        if len(rows):
            return rows
    return np.arange(len(split))


def _steps(rows: np.ndarray, row: int) -> dict[str, int]:
    """Where each button leads; beyond an end it goes on at the other."""
    before, after = np.searchsorted(rows, row), np.searchsorted(rows, row, side="right")
    return {
        "previous": int(rows[before - 1]),
        "random": int(random.choice(rows)),
        "next": int(rows[after % len(rows)]),
    }


def _go(key: str, row: int) -> None:
    st.session_state[key] = row
