"""Which square of a picture a model sees: geometry only, no pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dvt_core.errors import InputError

MAX_ASPECT = 8  # beyond it, the ends of a strip are cut off before it is enlarged
MAX_ZOOM = 8.0


@dataclass(frozen=True)
class Crop:
    """Which square of a picture a model sees.

    Attributes:
        x: in [0, 1], where the square stands between the left end and the right.
        y: in [0, 1], where it stands between the top and the bottom.
        zoom: in [1, 8], how many times closer than the usual, largest square.
    """

    x: float = 0.5
    y: float = 0.5
    zoom: float = 1.0

    def __post_init__(self) -> None:
        """Refuses what is outside the ranges, not-a-number included."""
        for name, low, high in (("x", 0, 1), ("y", 0, 1), ("zoom", 1, MAX_ZOOM)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"crop {name} is {value}, expected {low} to {high:g}")


CENTRE = Crop()


@dataclass(frozen=True)
class Layout:
    """The three steps from a picture to a crop.

    Attributes:
        kept: (left, top, right, bottom) pixels of the picture; a long strip loses its ends.
        resized: (width, height) that the kept part is resized to.
        window: (left, top, right, bottom) pixels of the resized part.
    """

    kept: tuple[int, int, int, int]
    resized: tuple[int, int]
    window: tuple[int, int, int, int]

    @property
    def frame(self) -> tuple[float, float, float, float]:
        """The window in pixels of the picture: left, top, right, bottom, with fractions."""
        left, top, right, bottom = self.kept
        across = (right - left) / self.resized[0]
        down = (bottom - top) / self.resized[1]
        x1, y1, x2, y2 = self.window
        return left + x1 * across, top + y1 * down, left + x2 * across, top + y2 * down


def lay_out(size: tuple[int, int], crop: Crop, *, img_size: int, crop_pct: float) -> Layout:
    """How a picture of this (width, height) becomes the model's `img_size` x `img_size` pixels.

    The shorter side is resized to `img_size / crop_pct`, times the zoom, rounded down.
    """
    # Enlarging all of a very long strip could take gigabytes; nothing below 2:1 is ever cut.
    keep = max(2, int(MAX_ASPECT / crop.zoom)) * min(size)
    width, height = min(size[0], keep), min(size[1], keep)
    left, top = int(crop.x * (size[0] - width)), int(crop.y * (size[1] - height))
    short = math.floor(img_size / crop_pct * crop.zoom)
    scale = short / min(width, height)
    resized = max(short, int(width * scale)), max(short, int(height * scale))
    x, y = round(crop.x * (resized[0] - img_size)), round(crop.y * (resized[1] - img_size))
    return Layout(
        kept=(left, top, left + width, top + height),
        resized=resized,
        window=(x, y, x + img_size, y + img_size),
    )
