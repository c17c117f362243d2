"""The crop's controls: which square of the picture the model sees, shown on the picture."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st
from PIL import Image, ImageDraw

from app.intake.pictures import Picture, View, get_view
from app.language import say
from dvt_core.bundle import Bundle
from dvt_core.images import CENTRE, Crop

MAX_KEPT = 48  # crops that a session remembers
CLOSEST = 4.0
VEIL = (128, 132, 138)  # over what the model does not see
CROPS = "look_crops"  # session key: content of a picture -> its crop, oldest first


def with_crop(picture: Picture) -> Picture:
    """The picture with the crop that was set for it in this session."""
    return replace(picture, crop=st.session_state.get(CROPS, {}).get(picture.content, CENTRE))


def adjust_crop(bundle: Bundle, picture: Picture, prefix: str = "") -> Picture:
    """Draws the controls behind a button and returns the picture under its crop.

    Raises:
        InputError: no image that can be opened safely.
    """
    picture = with_crop(picture)
    panel = st.popover(say("adjust the crop"), key=f"{prefix}crop", on_change="rerun")
    if not panel.open:
        if picture.crop != CENTRE:
            st.caption(say("The crop was moved."))
        return picture
    with panel:
        room = st.container()
        crop = _sliders(bundle, picture, prefix)
        _remember(picture.content, crop)
        picture = replace(picture, crop=crop)
        view = get_view(bundle, picture)
        alt = say("the picture with the crop that the model sees")
        room.image(framed(view), width=320, alt=alt)
        room.caption(say("Inside the frame is what the model sees."))
    return picture


def _sliders(bundle: Bundle, picture: Picture, prefix: str) -> Crop:
    """The crop at which the three sliders stand; they start anew with another picture."""
    keys = {name: f"{prefix}crop_{name}" for name in ("x", "y", "zoom")}
    owner = f"{prefix}crop_of"
    if st.session_state.get(owner) != picture.content or keys["zoom"] not in st.session_state:
        st.session_state[owner] = picture.content
        _set_sliders(prefix, picture.crop)
    zoom = st.slider(say("closer"), 1.0, CLOSEST, step=0.05, key=keys["zoom"], format="%.2fx")
    crop = Crop(picture.crop.x, picture.crop.y, min(max(zoom, 1.0), CLOSEST))
    room_x, room_y = _room(get_view(bundle, replace(picture, crop=crop)))
    percent = "%d %%"
    across = st.slider(
        say("left to right"), 0, 100, key=keys["x"], format=percent, disabled=not room_x
    )
    down = st.slider(
        say("top to bottom"), 0, 100, key=keys["y"], format=percent, disabled=not room_y
    )
    st.button(
        say("reset the crop"),
        key=f"{prefix}crop_reset",
        on_click=_set_sliders,
        args=(prefix, CENTRE),
    )
    return replace(crop, x=min(max(across, 0), 100) / 100, y=min(max(down, 0), 100) / 100)


def _set_sliders(prefix: str, crop: Crop) -> None:
    st.session_state[f"{prefix}crop_x"] = round(100 * crop.x)
    st.session_state[f"{prefix}crop_y"] = round(100 * crop.y)
    st.session_state[f"{prefix}crop_zoom"] = min(crop.zoom, CLOSEST)


def _room(view: View) -> tuple[bool, bool]:
    """Whether the crop can move across and down."""
    left, top, right, bottom = view.frame
    width, height = view.original.size
    return right - left < width - 0.5, bottom - top < height - 0.5


def _remember(content: str, crop: Crop) -> None:
    crops = dict(st.session_state.get(CROPS, {}))
    crops.pop(content, None)
    if crop != CENTRE:
        crops[content] = crop
    st.session_state[CROPS] = dict(list(crops.items())[-MAX_KEPT:])


def framed(view: View) -> Image.Image:
    """The original, grey outside the crop, with the crop's frame on it."""
    original = view.original
    veiled = Image.blend(original.convert("L").convert("RGB"), _plain(original.size), 0.55)
    left, top, right, bottom = (round(edge) for edge in view.frame)
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    veiled.paste(original.crop((left, top, right, bottom)), (left, top))
    draw = ImageDraw.Draw(veiled)
    draw.rectangle((left, top, right - 1, bottom - 1), outline="black", width=3)
    draw.rectangle((left + 1, top + 1, right - 2, bottom - 2), outline="white", width=1)
    return veiled


def _plain(size: tuple[int, int]) -> Image.Image:
    return Image.new("RGB", size, VEIL)
