"""A row of thumbnails, one of them chosen: a live component, for samples and own pictures alike."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from typing import NotRequired, TypedDict

import streamlit as st
from PIL import ImageOps

from app.intake.pictures import Picture, open_picture
from app.live import component

THUMB_PX = 128

_mount = component("thumbs", "thumbs.css", "thumbs.js")


class Thumb(TypedDict):
    """One thumbnail of a row, as the browser gets it.

    Attributes:
        id: what `take` is called with.
        word: what stands on it.
        title: the tooltip, and what a screen reader says.
        image: a JPEG as base64, unless a style sheet has it.
    """

    id: str
    word: str
    title: str
    image: NotRequired[str]


def picture_rule(thumb_id: str, image: str) -> str:
    """The rule of a style sheet that puts a picture, a JPEG as base64, behind its word."""
    return f'[data-id="{thumb_id}"]{{background-image:url(data:image/jpeg;base64,{image})}}'


def strip(
    key: str,
    label: str,
    thumbs: Sequence[Thumb],
    chosen: str,
    take: Callable[[str], None],
    sheet: str = "",
) -> None:
    """Draws the row; `take(id)` is called when a thumbnail was pressed, before the page is drawn.

    Args:
        key: of the component.
        label: what a screen reader calls the row.
        thumbs: in their order.
        chosen: id of the one that is framed.
        take: the callback.
        sheet: address of a style sheet of `picture_rule`s, for thumbnails without an image.
    """

    def pick() -> None:
        # Anything may come from a browser: it only points at one of what was offered.
        asked = getattr(st.session_state.get(key), "pick", None)
        for thumb in thumbs:
            if thumb["id"] == asked:
                take(thumb["id"])

    data = {"label": label, "thumbs": thumbs, "chosen": chosen, "sheet": sheet}
    _mount(key=key, data=data, on_pick_change=pick)


def thumbnail(picture: Picture) -> str:
    """The middle square of a picture as a small JPEG, base64.

    Raises:
        InputError: no image that can be opened safely.
    """
    return _thumbnail(picture.content, picture)


@st.cache_data(max_entries=512, show_spinner=False)
def _thumbnail(content: str, _picture: Picture) -> str:
    image = ImageOps.fit(open_picture(_picture), (THUMB_PX, THUMB_PX))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    return base64.b64encode(out.getvalue()).decode()
