"""Breaks a text into lines for a picture file, where nothing else does."""

from __future__ import annotations

from unicodedata import category

WIDE = 0x2E7F  # characters beyond are as wide as they are high


def wrapped(text: str, width: float, px: float) -> list[str]:
    """Lines of at most about `width` pixels; Chinese breaks anywhere, other words at spaces."""
    lines, line, room = [], "", width / px
    for piece in _pieces(text):
        if line and _ems(line + piece.rstrip()) > room:
            lines.append(line.rstrip())
            line = ""
        line += piece if line else piece.lstrip()
    return [*lines, line.rstrip()] if line.strip() else lines


def _pieces(text: str) -> list[str]:
    """Words with the space after them, and single Chinese characters."""
    pieces = [""]
    for letter in text:
        if ord(letter) > WIDE and not category(letter).startswith("P"):
            pieces += [letter, ""]
        else:
            pieces[-1] += letter
            if letter == " ":
                pieces.append("")
    return [piece for piece in pieces if piece]


def _ems(text: str) -> float:
    """About how wide a text is, in heights of its letters."""
    return sum(1.0 if ord(letter) > WIDE else 0.53 for letter in text)
