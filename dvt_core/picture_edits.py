"""What-ifs: a picture changed by a known amount, to see whether another exit answers.

An edit works on the square picture as a model sees it, so "blur 3 %" is the same for every model.
Where the edit leaves something empty (around a picture zoomed out, under an occluding square) it
is filled with the picture's own mean grey: no new colour, no change of brightness. A mirrored
border would show the object several times. Turned pictures do get a mirrored border, else dark
corners would come and go with the angle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from dvt_core.errors import InputError

SWEPT = 9  # values of a sweep


@dataclass(frozen=True)
class Edit:
    """One way to change a picture, and by how much.

    Attributes:
        name: what people choose: "zoom out".
        words: what the number means, for a slider's label.
        unit: written after the number.
        low: smallest value.
        high: largest value.
        step: distance of neighbouring values; it divides `high - low` into a multiple of eight.
        neutral: the value that leaves every pixel as it is.
        note: one sentence on how it is done.
        change: from (picture, value, seed) to the changed picture.
    """

    name: str
    words: str
    unit: str
    low: float
    high: float
    step: float
    neutral: float
    note: str
    change: Callable[[Image.Image, float, int], Image.Image]

    def label(self, value: float) -> str:
        """The edit and its value as people read it: "blur 3 %"."""
        return f"{self.name} {value:g}{self.unit}"

    def values(self, count: int = SWEPT) -> tuple[float, ...]:
        """`count` values from `low` to `high`, evenly spread, each a whole number of steps."""
        steps = round((self.high - self.low) / self.step)
        return tuple(self.low + self.step * round(steps * i / (count - 1)) for i in range(count))


def apply_edit(name: str, image: Image.Image, value: float, *, seed: int = 0) -> Image.Image:
    """The picture changed by an edit, as RGB of the same size; the argument stays as it is.

    Args:
        name: one of `EDITS`.
        image: square, as the model sees it.
        value: from the edit's `low` to its `high`; the neutral value changes no pixel.
        seed: of the noise. Different values scale one and the same noise.

    Raises:
        InputError: an unknown edit, a value out of range, or a picture that is not square.
    """
    edit = EDITS.get(name)
    if edit is None:
        raise InputError(f"unknown edit {name!r}, known are {', '.join(EDITS)}")
    if not edit.low <= value <= edit.high:  # NaN fails too
        raise InputError(f"{name} is {value}, expected {edit.low:g} to {edit.high:g}{edit.unit}")
    if image.width != image.height:
        raise InputError(
            f"the picture has {image.width} x {image.height} pixels, expected a square: pass it "
            "as the model sees it"
        )
    image = image.convert("RGB")
    return image.copy() if value == edit.neutral else edit.change(image, value, seed)


def _mean_grey(image: Image.Image) -> tuple[int, int, int]:
    level = round(float(np.asarray(image).mean()))
    return level, level, level


def _zoom_out(image: Image.Image, times: float, _: int) -> Image.Image:
    """The whole picture, `times` smaller, in the middle of its mean grey."""
    side = max(1, round(image.width / times))
    out = Image.new("RGB", image.size, _mean_grey(image))
    at = (image.width - side) // 2
    out.paste(image.resize((side, side), Image.Resampling.BICUBIC), (at, at))
    return out


def _blur(image: Image.Image, percent: float, _: int) -> Image.Image:
    """A Gaussian whose standard deviation is so many % of the side."""
    return image.filter(ImageFilter.GaussianBlur(image.width * percent / 100))


def _occlude(image: Image.Image, percent: float, _: int) -> Image.Image:
    """Mean grey over the middle, at least one pixel."""
    side = max(1, round(image.width * percent / 100))
    at = (image.width - side) // 2
    out = image.copy()
    out.paste(_mean_grey(image), (at, at, at + side, at + side))
    return out


def _darken(image: Image.Image, percent: float, _: int) -> Image.Image:
    return image.point([round(level * (1 - percent / 100)) for level in range(256)] * 3)


def _rotate(image: Image.Image, degrees: float, _: int) -> Image.Image:
    """Turned anticlockwise about the middle; what comes in from outside is the mirror image."""
    side, border = image.width, image.width // 4 + 2  # a corner reaches 0.21 sides out, plus filter
    pixels = np.pad(np.asarray(image), ((border, border), (border, border), (0, 0)), "symmetric")
    turned = Image.fromarray(pixels).rotate(degrees, Image.Resampling.BICUBIC)
    return turned.crop((border, border, border + side, border + side))


def _noise(image: Image.Image, percent: float, seed: int) -> Image.Image:
    """Independent normal noise on every pixel and channel, then cut to 0..255."""
    pixels = np.asarray(image)
    noise = np.random.default_rng(seed).standard_normal(pixels.shape)
    noisy = np.rint(pixels + 255 * percent / 100 * noise)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


_FRAME = "The frame around it is the picture's mean grey."
_BLUR = "Gaussian; beyond the border the outermost pixels go on."
_SQUARE = "The square is the picture's mean grey."
_DARK = "Every pixel is multiplied by what is left."
_CORNERS = "Into the corners comes the picture's mirror image."
_GRAIN = "Normal noise, always the same; a larger value makes it stronger."

EDITS: dict[str, Edit] = {
    edit.name: edit
    for edit in (
        Edit("zoom out", "Times smaller", "x", 1, 5, 0.25, 1, _FRAME, _zoom_out),
        Edit("blur", "Blur, in % of the picture's side", " %", 0, 8, 0.5, 0, _BLUR, _blur),
        Edit("occlude", "Covered square, % of the side", " %", 0, 80, 5, 0, _SQUARE, _occlude),
        Edit("darken", "Light taken away, in %", " %", 0, 96, 4, 0, _DARK, _darken),
        Edit("rotate", "Degrees, anticlockwise", "°", 0, 180, 7.5, 0, _CORNERS, _rotate),
        Edit("noise", "Noise, in % of full white", " %", 0, 40, 2.5, 0, _GRAIN, _noise),
    )
}
