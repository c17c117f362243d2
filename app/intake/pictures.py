"""A picture in the app: its encoded bytes, what is known about it, and how a model takes it."""

from __future__ import annotations

import base64
import hashlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import streamlit as st
import torch
from PIL import Image

from app.language import say
from app.services import BY_WEIGHTS
from app.work.turns import DRAWING
from dvt_core.bundle import Bundle
from dvt_core.exit_table import ExitTable
from dvt_core.images import CENTRE, FULL_SIZE, Crop, Preprocess, open_image

ORIGINAL_PX = 640
SHOWN_PX = 330  # twice the panel's width, for dense screens
SHOWN_ASPECT = 80
EXACT_PX = 128  # up to this size pixels are seen as such; PNG takes ten times as long as JPEG
KEPT_OPEN = 4_000_000  # pixels; larger pictures (long strips) are decoded anew for every crop
UNSURE_PERCENT = 5


def digest(data: bytes) -> str:
    """The name under which a file's results are kept."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Picture:
    """One encoded picture, what is known about it, and which part of it the model sees.

    Attributes:
        data: the bytes of the file.
        name: file name or title, for people.
        source: where a sample is from and its licence; "" for a person's own picture.
        label: the class word the picture is labelled with; "" if unknown.
        crop: the square that the model sees.
    """

    data: bytes = field(repr=False)
    name: str
    source: str = ""
    label: str = ""
    crop: Crop = CENTRE

    @cached_property
    def content(self) -> str:
        """The digest of the file, the same for every crop."""
        return digest(self.data)

    @property
    def digest(self) -> str:
        """The key of everything that is kept about this picture under this crop."""
        crop = self.crop
        if crop == CENTRE:
            return self.content
        return f"{self.content} crop {crop.x!r} {crop.y!r} {crop.zoom!r}"


@dataclass(frozen=True, eq=False)
class View:
    """One picture, opened safely, as one model takes it.

    Attributes:
        original: RGB, at most `ORIGINAL_PX` on a side, for showing.
        size: (width, height) of the picture as it came, upright.
        frame: the crop in pixels of `original`: left, top, right, bottom.
        seen: RGB, `img_size` x `img_size`, what the model sees.
        tensor: (1, 3, img_size, img_size) float32, normalised.
    """

    original: Image.Image
    size: tuple[int, int]
    frame: tuple[float, float, float, float]
    seen: Image.Image
    tensor: torch.Tensor

    @cached_property
    def shown(self) -> str:
        """`original`, at most `SHOWN_PX` wide, as a data address: no other visitor can ask for it,
        and Streamlit does not encode it anew in every run.
        """
        image = self.original
        if image.width > SHOWN_PX:
            size = SHOWN_PX, max(1, round(image.height * SHOWN_PX / image.width))
            image = image.resize(size, Image.Resampling.LANCZOS)
        if max(image.size) <= EXACT_PX:
            return png_address(image)
        return _address(_encoded(image, "JPEG", quality=90), "jpeg")

    @cached_property
    def seen_exactly(self) -> str:
        """`seen` pixel by pixel, as a data address."""
        return png_address(self.seen)


def png_address(image: Image.Image) -> str:
    """A picture as a data address, pixel by pixel."""
    return _address(_encoded(image, "PNG", optimize=True), "png")


def _address(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def open_picture(picture: Picture) -> Image.Image:
    """The picture as 8-bit RGB, upright; not to be changed, it is shared.

    Raises:
        InputError: no image that can be opened safely.
    """
    small = _open_small(picture.content, picture.data)
    if small is not None:
        return small
    with DRAWING.aside():
        return open_image(picture.data)


@st.cache_resource(max_entries=8, show_spinner=False)
def _open_small(content: str, _data: bytes) -> Image.Image | None:
    with DRAWING.aside():
        image = open_image(_data)
    return image if image.width * image.height <= KEPT_OPEN else None


def _to_show(image: Image.Image) -> Image.Image:
    """A small copy; a long strip gets thicker, or Streamlit's own resizing would leave nothing."""
    shown = image.copy()
    shown.thumbnail((ORIGINAL_PX, ORIGINAL_PX))
    least = math.ceil(max(shown.size) / SHOWN_ASPECT)
    size = max(shown.width, least), max(shown.height, least)
    return shown if size == shown.size else shown.resize(size)


@st.cache_resource(
    max_entries=64,
    show_spinner=False,
    hash_funcs={**BY_WEIGHTS, Picture: lambda picture: picture.digest},
)
def get_view(bundle: Bundle, picture: Picture) -> View:
    """A picture as the model takes it, under the picture's crop.

    Raises:
        InputError: no image that can be opened safely.
    """
    image = open_picture(picture)
    preprocess = Preprocess.from_config(bundle.config)
    original = _to_show(image)
    across, down = original.width / image.width, original.height / image.height
    left, top, right, bottom = preprocess.frame(image.size, picture.crop)
    return View(
        original,
        image.info[FULL_SIZE],
        (left * across, top * down, right * across, bottom * down),
        preprocess.view(image, picture.crop),
        preprocess(image, picture.crop)[None],
    )


def unlike_note(confidences: Sequence[float], table: ExitTable | None) -> str:
    """A hint that the picture may show none of the model's classes, or "".

    Given when no exit was as sure as the last exit is on 95 % of the model's test images.

    Args:
        confidences: largest probability at every computed exit, in [0, 1].
        table: the model's exit table on "test"; without one there is no hint.
    """
    if table is None or not len(confidences):
        return ""
    usual = float(np.percentile(table.confidences[:, -1], UNSURE_PERCENT))
    if max(confidences) >= usual:
        return ""
    return say(
        "Less sure than on {percent} of its test images: maybe nothing here is like this model's "
        "classes.",
        percent=f"{100 - UNSURE_PERCENT} %",
    )
