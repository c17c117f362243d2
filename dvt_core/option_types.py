"""The words after a command's options, turned into numbers; argparse calls these."""

from __future__ import annotations

import argparse
import math
from pathlib import Path


def numbers(text: str) -> tuple[float, ...]:
    """The numbers in "0.8,0.7"."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of numbers with commas, like 0.8,0.7"
        ) from None


def numbers_or_file(text: str) -> tuple[float, ...] | Path:
    """The same, or the path of a JSON file that holds them."""
    path = Path(text)
    return path if path.suffix.lower() == ".json" else numbers(text)


def crop(text: str) -> tuple[float, float, float]:
    """X, Y and ZOOM of "0.5,0.2,1.5"; whoever cuts out checks their ranges."""
    values = numbers(text)
    if len(values) != 3:
        raise argparse.ArgumentTypeError(f"{text!r} is not X,Y,ZOOM, like 0.5,0.5,1")
    return values


def gmacs(text: str) -> float:
    """GMACs in the text -> MACs, as everything behind the command line counts."""
    value = _number(text)
    if not 0 < value < 1e9:  # false for NaN
        raise argparse.ArgumentTypeError(f"got {text!r}, expected GMACs per image, above 0")
    return value * 1e9


def fraction(text: str) -> float:
    """A number from 0 to 1."""
    value = _number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a fraction from 0 to 1, like 0.9")
    return value


def count(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or len(text) > 12 or int(text) < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number above 0")
    return int(text)


def _number(text: str) -> float:
    """The number in the text, NaN when there is none: both are out of every range."""
    try:
        return float(text)
    except ValueError:
        return math.nan
