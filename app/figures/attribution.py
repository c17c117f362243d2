"""Attribution maps as pictures, their scale, and how alike two of them are.

The picture lies below in light grey; the colour's strength is the map's. Signed maps diverge from
zero, from purple to green; others use cividis. Neither is a colour of an exit.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
from matplotlib import colormaps
from PIL import Image

from app.figures.tokens import SHOWN_PX, enlarge

SIGNED, UNSIGNED = "PRGn", "cividis"
LIGHTEST, DARKEST = 1.0, 0.45  # of the grey picture below, so that no grey hides a colour
BEYOND = 99.0  # percentile of the strength at which the colour is full: single pixels may be more
FIELDS = 8  # per side, on which two maps are compared: single pixels are noise
SAME, PARTLY = 0.6, 0.3  # rank correlations from which places are called the same, or partly
BAR_PX = (128, 12)


def full_colour(maps: Sequence[np.ndarray]) -> float:
    """The strength at which the colour is full, one for all maps; 1 if they are empty."""
    strongest = float(np.percentile(np.abs(np.stack(maps)), BEYOND))
    return strongest or float(np.abs(np.stack(maps)).max()) or 1.0


def overlay(seen: Image.Image, values: np.ndarray, full: float, *, signed: bool) -> Image.Image:
    """A map over its picture, enlarged in whole, unblurred pixels.

    Args:
        seen: RGB, S x S, what the model sees.
        values: (S, S); >= 0 unless `signed`.
        full: the strength at which the colour is full.
        signed: whether values speak for or against.
    """
    grey = np.asarray(seen.convert("L"), dtype=np.float64) / 255
    below = DARKEST + (LIGHTEST - DARKEST) * grey
    return enlarge(_blend(below, values / full, signed), SHOWN_PX)


def _blend(below: np.ndarray, values: np.ndarray, signed: bool) -> Image.Image:
    """Grey in [0, 1] and values in [-1, 1], both (h, w), as one picture."""
    values = np.clip(values, -1 if signed else 0, 1)
    colour = colormaps[SIGNED if signed else UNSIGNED]((values + 1) / 2 if signed else values)
    alpha = np.sqrt(np.abs(values))[..., None] * 0.9
    mixed = (1 - alpha) * below[..., None] + alpha * colour[..., :3]
    return Image.fromarray(np.round(255 * mixed).astype(np.uint8))


def scale_bar(left: str, right: str, *, signed: bool) -> str:
    """The colours from the lowest to the highest value, with a word at each end, as HTML."""
    width, height = BAR_PX
    values = np.broadcast_to(np.linspace(-1 if signed else 0, 1, width), (height, width))
    out = io.BytesIO()
    _blend(np.full(values.shape, 0.8), values, signed).save(out, "PNG")
    data = base64.b64encode(out.getvalue()).decode()
    image = f'<img alt="" width="{width}" height="{height}" src="data:image/png;base64,{data}">'
    ends = (f"<span>{escape(words)}</span>" for words in (left, right))
    return f'<div class="dvt-head">{image.join(ends)}</div>'


def strength(values: np.ndarray, fields: int = FIELDS) -> np.ndarray:
    """(fields, fields), the mean strength of a map over fields of nearly equal size."""
    rows = np.array_split(np.abs(values.astype(np.float64)), fields, axis=0)
    parts = [[part.mean() for part in np.array_split(row, fields, axis=1)] for row in rows]
    return np.array(parts)


def spearman(a: np.ndarray, b: np.ndarray) -> float | None:
    """Rank correlation in [-1, 1] of two arrays of one size; None if one is constant."""
    ranks = [_ranks(values.ravel()) for values in (a, b)]
    first, second = (rank - rank.mean() for rank in ranks)
    scale = np.sqrt((first @ first) * (second @ second))
    return float(first @ second / scale) if scale > 0 else None


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal values share their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


def likeness(a: np.ndarray, b: np.ndarray) -> float | None:
    """Whether two maps are strong at the same places: `spearman` of their `strength`."""
    return spearman(strength(a), strength(b))
