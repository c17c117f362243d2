"""A strip of thumbnails: each is a button whose picture lies behind its word."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st
from PIL import ImageOps

from app.intake.pictures import Picture, open_picture

THUMB_PX = 128
BUTTON_PX = 84


@dataclass(frozen=True)
class Thumb:
    """One button of a strip.

    Attributes:
        key: of the button; letters, digits and underscores.
        word: what stands on it.
        title: the tooltip.
        image: a JPEG as base64.
        value: what `take` is called with.
    """

    key: str
    word: str
    title: str
    image: str
    value: str


def pictures_css(thumbs: Sequence[Thumb]) -> str:
    """The rules that put the pictures behind the words."""
    return "".join(
        f".st-key-{thumb.key} button{{background-image:url(data:image/jpeg;base64,{thumb.image})}}"
        for thumb in thumbs
    )


def strip(
    key: str, thumbs: Sequence[Thumb], chosen: str, take: Callable[[str], None], sheet: str = ""
) -> None:
    """Draws the strip; `take(value)` is called when a thumbnail is pressed.

    Args:
        key: of the container; it ends in "samples" or "tray" (see style.css).
        thumbs: in their order.
        chosen: value of the one that is framed.
        take: the callback.
        sheet: address of a style sheet with `pictures_css`; without one the page carries it.
    """
    frame = "".join(
        f".st-key-{thumb.key} button{{outline:3px solid;outline-offset:-3px}}"
        for thumb in thumbs
        if thumb.value == chosen
    )
    # Apart: the pictures are large, and a browser keeps them while they stay the same.
    pictures = f'@import url("{sheet}");' if sheet else pictures_css(thumbs)
    st.html(f"<style>{pictures}</style>")
    st.html(f"<style>{frame}</style>")
    with st.container(horizontal=True, wrap=False, gap="xsmall", key=key):
        for thumb in thumbs:
            st.button(
                thumb.word,
                help=thumb.title,
                key=thumb.key,
                on_click=take,
                args=(thumb.value,),
                width=BUTTON_PX,
            )


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
