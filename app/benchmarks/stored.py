"""The files of `assets/benchmarks`: read, and checked as everything that comes from a disk.

`make bench`, `make load`, `make soak` and `make replicas` write them, with device and date; any of
them may be absent.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dvt_core.errors import InputError

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "benchmarks"
T = TypeVar("T")


@dataclass(frozen=True)
class Origin:
    """Whose numbers these are.

    Attributes:
        device: in words.
        date: ISO 8601.
        commit: short hash of the code that was measured; "" if it was not stored.
    """

    device: str
    date: str
    commit: str


def read_benchmark(name: str, parse: Callable[[dict[str, Any]], T]) -> T | None:
    """What `make NAME` stored; None if nothing was.

    Args:
        name: of the file and of the command.
        parse: takes the file's object apart, with the checks below.

    Raises:
        InputError: the file is damaged.
    """
    path = FOLDER / f"{name}.json"
    try:
        return parse(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        words = f"{path.name} cannot be read ({type(error).__name__})"
        raise InputError(f"{words}; make it again: make {name}") from error


def origin(raw: dict[str, Any]) -> Origin:
    """Whose numbers a file holds."""
    return Origin(text(raw["device"]), text(raw["date"])[:10], text(raw.get("commit", "")))


def text(value: Any) -> str:
    """The value if it is a text."""
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def count(value: Any) -> int:
    """The value if it is a whole number of things."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("not a count")
    return value


def number(value: Any) -> float:
    """The value if it is a finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError("not a number")
    return float(value)
