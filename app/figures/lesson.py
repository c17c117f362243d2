"""The lesson's own pictures and bars, as HTML of escaped words; pure.

Colour means exit; everything else is ink on paper.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from PIL import Image, ImageDraw

from app.figures.exits import badge
from app.figures.theme import exit_colour
from app.figures.tokens import enlarge

TILE_PX = 640  # small pictures are enlarged by whole pixels before the browser fits them in
_SHADE = 0.72  # of the cells that do not take part


@dataclass(frozen=True)
class Tile:
    """A picture with a line above and a line below.

    Attributes:
        image: a data address, from `data_address`.
        alt: what is seen, for people who do not see it.
        head: above it.
        remark: below it; "" for none.
        exit_index: its badge stands in front of the head; None for none.
    """

    image: str
    alt: str
    head: str
    remark: str = ""
    exit_index: int | None = None


@dataclass(frozen=True)
class Bar:
    """A labelled share.

    Attributes:
        name: in front of the bar.
        share: its length, in [0, 1].
        value: behind it.
        exit_index: gives the colour; None for a neutral bar.
        is_exit: whether the name is the exit's own, and so its badge.
    """

    name: str
    share: float
    value: str
    exit_index: int | None = None
    is_exit: bool = False


def data_address(image: Image.Image) -> str:
    """A picture as a PNG in a data address."""
    out = io.BytesIO()
    image.save(out, "PNG")
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"


def under_grid(seen: Image.Image, edges: Sequence[float]) -> Image.Image:
    """The picture, enlarged, with the token cells drawn as thin light lines on dark ones.

    Args:
        seen: what the model sees, square.
        edges: where the cells begin and end along a side, in pixels of `seen`.
    """
    image = enlarge(seen, TILE_PX).convert("RGB")
    pen, scale, end = ImageDraw.Draw(image), image.width / seen.width, image.width
    inner = [round(edge * scale) for edge in edges[1:-1]]
    for ink, width in (("#303030", 7), ("#ffffff", 3)):
        for at in inner:
            pen.line([(at, 0), (at, end)], fill=ink, width=width)
            pen.line([(0, at), (end, at)], fill=ink, width=width)
    return image


def lit_cells(seen: Image.Image, edges: Sequence[float], weights: np.ndarray) -> Image.Image:
    """The picture under its grid, cells as bright as their weight.

    Args:
        seen: what the model sees, square.
        edges: as in `under_grid`.
        weights: (cells, cells) in [0, 1]; 1 is the picture as it is.
    """
    image = under_grid(seen, edges)
    at = [round(edge * image.width / seen.width) for edge in edges]
    pixels = np.asarray(image).astype(np.float32)
    for row, top in enumerate(at[:-1]):
        for column, left in enumerate(at[:-1]):
            cell = np.s_[top : at[row + 1], left : at[column + 1]]
            pixels[cell] *= 1 - _SHADE * (1 - float(weights[row, column]))
    shown = Image.fromarray(pixels.astype(np.uint8))
    pen = ImageDraw.Draw(shown)
    for row, column in np.argwhere(weights > 0):
        corners = (at[column], at[row], at[column + 1] - 1, at[row + 1] - 1)
        pen.rectangle(corners, outline="#ffffff", width=6)
    return shown


def tiles(parts: Sequence[Tile]) -> str:
    """Pictures side by side, as large as the window lets them be; below each other on a phone."""
    return f'<div class="dvt-tiles">{"".join(map(_tile, parts))}</div>'


def _tile(tile: Tile) -> str:
    mark = "" if tile.exit_index is None else badge(tile.exit_index)
    ring = "" if tile.exit_index is None else f"outline-color:{exit_colour(tile.exit_index)}"
    remark = f"<small>{escape(tile.remark)}</small>" if tile.remark else ""
    return (
        f'<figure><figcaption class="dvt-head">{mark}<span>{escape(tile.head)}</span></figcaption>'
        f'<img src="{tile.image}" alt="{escape(tile.alt)}" style="{ring}">{remark}</figure>'
    )


def bars(parts: Sequence[Bar]) -> str:
    """Shares below each other, with their values."""
    return f'<ol class="dvt-bars">{"".join(map(_bar, parts))}</ol>'


def _bar(bar: Bar) -> str:
    name = f"<span>{escape(bar.name)}</span>"
    colour = ""
    if bar.exit_index is not None:
        name = badge(bar.exit_index, bar.name) if bar.is_exit else name
        colour = f";background:{exit_colour(bar.exit_index)}"
    width = f"width:{100 * min(max(bar.share, 0.0), 1.0):.1f}%{colour}"
    return (
        f'<li>{name}<span class="dvt-bar" aria-hidden="true"><i style="{width}"></i></span>'
        f"<em>{escape(bar.value)}</em></li>"
    )


def answered(options: Sequence[str], right: int, chosen: int) -> str:
    """The options after an answer: the right one with a tick, a wrong choice with a cross."""
    parts = []
    for place, option in enumerate(options):
        sign, kind = "", ""
        if place == right:
            sign, kind = "✓ ", ' class="dvt-right"'
        elif place == chosen:
            sign = "✗ "
        parts.append(f"<li{kind}>{sign}{escape(option)}</li>")
    return f'<ul class="dvt-options">{"".join(parts)}</ul>'
