"""Which fonts words in an image file are set in: Chinese only where this machine can draw it."""

from __future__ import annotations

from functools import cache

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

LATIN = "DejaVu Sans"  # comes with matplotlib
_SAMPLE = "出口阈值看图信心"  # characters that our words use
_LAST_RESORT = "Last Resort"  # has a box for every character and a letter for none


def has_chinese() -> bool:
    """Whether a font of this machine can draw the app's Chinese words."""
    return chinese_font() is not None


@cache
def chinese_font() -> str | None:
    """The family of a font that can draw them, upright and of normal weight; None without one."""
    fonts = (font for font in font_manager.fontManager.ttflist if font.style == "normal")
    for font in sorted(fonts, key=lambda font: (abs(int(font.weight) - 400), font.name)):
        if not font.name.startswith(_LAST_RESORT) and _can_draw(font.fname):
            return font.name
    return None


def families() -> list[str]:
    """What to give matplotlib as `fontfamily`: a letter is drawn by the first font that has it."""
    chinese = chinese_font()
    return [LATIN] if chinese is None else [LATIN, chinese]


def _can_draw(path: str) -> bool:
    try:
        letters = FT2Font(path).get_charmap()
    except (OSError, RuntimeError):  # a font that was removed, or that FreeType cannot read
        return False
    return all(ord(letter) in letters for letter in _SAMPLE)
