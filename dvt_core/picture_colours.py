"""From every way to store colours to 8-bit RGB, in bands, so that little memory is needed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from itertools import chain

import numpy as np
from PIL import Image

from dvt_core.errors import InputError

_BAND = 1 << 20  # pixels that are converted at once, where a conversion takes much room


def to_rgb(image: Image.Image, name: str) -> Image.Image:
    """A decoded picture of any mode as RGB; transparency is laid over white.

    Args:
        image: decoded.
        name: what to call it in the sentence.

    Raises:
        InputError: it has numbers that are not finite.
    """
    turn = _over_white
    if image.mode.startswith("I") or image.mode == "F":
        turn = partial(_scaled, _scale(image, name))
    elif not image.has_transparency_data:
        return image.convert("RGB")
    whole = Image.new("RGB", image.size)
    for top, band in _bands(image):  # what lies in between is several times as large
        whole.paste(turn(band), (0, top))
    return whole


def _bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The picture in horizontal bands of about a million pixels: first row, band."""
    rows = max(1, _BAND // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _over_white(image: Image.Image) -> Image.Image:
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _scale(image: Image.Image, name: str) -> tuple[float, float]:
    """Black and white of greyscale numbers of a wide type.

    Only 16-bit files say what white is (65535). For 32-bit integers and floats the smallest of
    the usual scales (1 for floats, 255, 65535) that holds all values is taken, else their range.
    """
    bands = (np.asarray(band) for _, band in _bands(image))
    ends = [(float(values.min()), float(values.max())) for values in bands]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    if not all(map(math.isfinite, chain(*ends))):
        raise InputError(f"{name} has pixels that are not finite numbers")
    if image.mode.startswith("I;16"):
        return 0.0, 65535.0
    if low >= 0 and high <= 65535:
        whites = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
        return 0.0, next(white for white in whites if high <= white)
    return low, high


def _scaled(scale: tuple[float, float], image: Image.Image) -> Image.Image:
    low, high = scale
    values = (np.asarray(image) - np.float32(low)) * np.float32(255 / (high - low))
    return Image.fromarray(np.rint(values).astype(np.uint8)).convert("RGB")
