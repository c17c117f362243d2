"""What every figure shares: one colour per exit, and how numbers are written.

Colour means exit and nothing else. The palette is Okabe and Ito's, safe for colour-blind eyes;
right and wrong are words, never red and green.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.language import say

EXIT_COLOURS = ("#0072B2", "#E69F00", "#D55E00", "#CC79A7", "#56B4E9", "#009E73")
NEUTRAL = "#808791"


def exit_colour(exit_index: int) -> str:
    """The colour of an exit (0-based), the same in every figure."""
    return EXIT_COLOURS[exit_index % len(EXIT_COLOURS)]


def exit_name(exit_index: int) -> str:
    """What people call an exit: 0 is "exit 1"."""
    return say("exit {number}", number=exit_index + 1)


def ink_on(colour: str) -> str:
    """Black or white, whichever reads better on `colour` (#rrggbb)."""
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if luminance > 0.179 else "#ffffff"


def exit_palette(count: int) -> list[dict[str, str]]:
    """Name, colour and readable ink of the first exits, as the live components read them."""
    colours = map(exit_colour, range(count))
    return [
        {"name": exit_name(i), "colour": colour, "ink": ink_on(colour)}
        for i, colour in enumerate(colours)
    ]


def percent(fraction: float, digits: int = 1) -> str:
    """A fraction in [0, 1] as people read it: 0.913 is "91.3 %"."""
    return f"{100 * fraction:.{digits}f} %"


def times_less(macs: float, full_macs: float) -> str:
    """The saving in words: "2.3x less", or "nothing saved"."""
    if macs >= full_macs:
        return say("nothing saved")
    return say("{times}x less", times=f"{full_macs / macs:.1f}")


def times_fewer(ratio: float) -> str:
    """How many times fewer MACs something else costs: "1.93x fewer", or "1.25x more"."""
    if f"{ratio:.2f}" == "1.00":
        return say("as many")
    if ratio > 1:
        return say("{times}x fewer", times=f"{ratio:.2f}")
    return say("{times}x more", times=f"{1 / ratio:.2f}")


@dataclass(frozen=True)
class MacUnit:
    """The unit in which one model's costs are written.

    Attributes:
        name: "GMACs" or "MMACs".
        scale: multiply-accumulates in one unit.
        papers: what papers call the same unit (they print MACs as FLOPs).
    """

    name: str
    scale: float
    papers: str

    @classmethod
    def of(cls, exit_macs: Sequence[int]) -> MacUnit:
        """GMACs for a cascade that costs 1 GMAC or more to its end, else MMACs."""
        big = exit_macs[-1] >= 1e9
        return cls("GMACs", 1e9, "GFLOPs") if big else cls("MMACs", 1e6, "MFLOPs")

    @property
    def axis(self) -> str:
        """Axis title for a mean cost."""
        return say("{unit} per image (papers say {papers})", unit=self.name, papers=self.papers)

    def number(self, macs: float) -> str:
        """Three significant digits, no unit."""
        value = macs / self.scale
        return f"{value:,.0f}" if value >= 999.5 else f"{value:#.3g}".rstrip(".")

    def format(self, macs: float) -> str:
        """Three significant digits and the unit: "78.0 MMACs"."""
        return f"{self.number(macs)} {self.name}"
