"""A page of a picture file, measured in pixels from its upper left corner, to draw on.

Matplotlib without its global state: every canvas is a `Figure` of its own, so that many can be
drawn at once. Text is never read as mathematics: a file may be called "$x$.png".
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from PIL import Image

from app.figures.fonts import families
from app.figures.theme import ink_on

DPI = 100
INK, PALE, TRACK, LINE, PAPER = "#111111", "#4d545d", "#e2e5e9", "#c3c8cf", "#ffffff"


class Canvas:
    """A white page of `width` x `height` pixels; y grows downwards."""

    def __init__(self, width: int, height: int) -> None:
        """Makes an empty page."""
        self.width = width
        self.figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=PAPER)
        self._axes = self.figure.add_axes((0, 0, 1, 1))
        self._axes.set_axis_off()
        self._axes.set_xlim(0, width)
        self._axes.set_ylim(height, 0)

    def text(self, x: float, y: float, words: str, px: float, **style: Any) -> None:
        """Writes words, `px` high, their baseline at y; `style` is matplotlib's."""
        style = {"color": INK, "va": "baseline", **style}
        # 72 points are an inch, and an inch is DPI pixels.
        self._axes.text(
            x, y, words, size=px * 72 / DPI, family=families(), parse_math=False, **style
        )

    def badge(self, x: float, y: float, words: str, colour: str, px: float) -> float:
        """A label on its colour, its baseline at y; returns where it ends."""
        width = px * (0.62 * len(words) + 0.9 + 0.4 * sum(ord(letter) > 0x2E7F for letter in words))
        self.box(x, y - 1.1 * px, width, 1.6 * px, face=colour, edge=colour)
        middle = x + width / 2
        self.text(middle, y, words, px, color=ink_on(colour), weight="bold", ha="center")
        return x + width

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        face: str = "none",
        edge: str = LINE,
        line: float = 1.0,
        dash: str = "solid",
    ) -> None:
        """A rectangle with round corners."""
        radius = min(8.0, width / 4, height / 4)
        self._axes.add_patch(
            FancyBboxPatch(
                (x, y),
                width,
                height,
                boxstyle=f"round,pad=0,rounding_size={radius}",
                facecolor=face,
                edgecolor=edge,
                linewidth=line,
                linestyle=dash,
            )
        )

    def outline(self, x: float, y: float, side: float) -> None:
        """A thin line around a picture, whose edge may be as white as the page."""
        style = {"facecolor": "none", "edgecolor": LINE, "linewidth": 0.8}
        self._axes.add_patch(Rectangle((x, y), side, side, zorder=2, **style))

    def bar(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """A filled rectangle."""
        self._axes.add_patch(Rectangle((x, y), width, height, facecolor=colour, linewidth=0))

    def image(
        self, x: float, y: float, side: float, image: Image.Image, *, ghost: bool = False
    ) -> None:
        """A square picture; small ones keep their pixels, a ghost is grey and faint."""
        shown = image.convert("L").convert("RGB") if ghost else image
        self._axes.imshow(
            np.asarray(shown),
            extent=(x, x + side, y + side, y),
            interpolation="nearest" if image.width * 2 <= side else "antialiased",
            alpha=0.3 if ghost else 1.0,
            aspect="auto",
        )

    def grid(self, x: float, y: float, side: float, edges: tuple[float, ...], of: int) -> None:
        """The cells of a token grid over a picture; edges are pixels of `of` along one side."""
        for colour, line in (("#000000", 2.2), ("#ffffff", 0.9)):
            for edge in edges[1:-1]:
                at = side * edge / of
                style = {"color": colour, "linewidth": line, "alpha": 0.45 if line > 1 else 0.9}
                self._axes.plot([x + at, x + at], [y, y + side], **style)
                self._axes.plot([x, x + side], [y + at, y + at], **style)

    def save(self, kind: str) -> bytes:
        """The page as a file.

        Args:
            kind: "png", "svg" or "pdf".
        """
        return save(self.figure, kind)


def save(figure: Figure, kind: str) -> bytes:
    """A figure as a PNG, SVG or PDF file; letters are shapes in it, so it needs no font."""
    out = io.BytesIO()
    # No date inside: the same figure is the same file.
    when = {"svg": "Date", "pdf": "CreationDate"}.get(kind)
    figure.savefig(out, format=kind, dpi=DPI, metadata={when: None} if when else None)
    return out.getvalue()
