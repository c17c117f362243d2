"""What a person asks of the exits, as it stands in the link and in the session: never trusted.

One `Ask` holds the values of all ways to ask, so that changing the way loses nothing. It comes
from the browser or from the link, so everything is checked and what is no sense is replaced by
the model's own default.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from dvt_core.solver import NEVER

WAYS = ("threshold", "budget", "accuracy", "each")
_DIGITS = {"threshold": 2, "budget": 0, "accuracy": 1}


@dataclass(frozen=True)
class Range:
    """The numbers that one way to ask allows, and the full value they are a share of."""

    low: float
    high: float
    full: float = 1.0


@dataclass(frozen=True)
class Ask:
    """How sure an exit must be, in every way it can be asked.

    Attributes:
        way: which of the values below counts, one of `WAYS`.
        threshold: shared by all exits but the last, 0..1.
        budget: in % of the full cascade's cost.
        accuracy: wanted, in %.
        each: one threshold per exit but the last, 0..1.01 (`NEVER`).
    """

    way: str
    threshold: float
    budget: float
    accuracy: float
    each: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form, as the browser gets and returns it."""
        return {**asdict(self), "each": list(self.each)}

    def to_query(self) -> dict[str, str]:
        """The part of a link that brings this back."""
        texts = {name: f"{getattr(self, name):.{digits}f}" for name, digits in _DIGITS.items()}
        texts["each"] = ",".join(f"{value:.4g}" for value in self.each)
        query = {self.way: texts[self.way]}
        return query if self.way == "threshold" else {"ask": self.way, **query}


def ask_from(raw: object, default: Ask, ranges: Mapping[str, Range]) -> Ask:
    """An `Ask` of what the browser sent; each value that is no sense stays as in `default`.

    Args:
        raw: anything.
        default: the model's own.
        ranges: the ways that can be asked here, with the numbers they allow.
    """
    if not isinstance(raw, Mapping):
        return default
    values = {name: raw.get(name) for name in ("threshold", "budget", "accuracy")}
    kept: dict[str, Any] = {
        name: round(number, _DIGITS[name])
        for name, value in values.items()
        if name in ranges and (number := _number(value, ranges[name])) is not None
    }
    each = raw.get("each")
    if "each" in ranges and isinstance(each, list | tuple) and len(each) == len(default.each):
        numbers = [_number(value, Range(0.0, NEVER)) for value in each]
        if None not in numbers:
            kept["each"] = tuple(numbers)
    way = raw.get("way")  # anything; a list cannot even be looked up
    return replace(default, **kept, way=way if way in tuple(ranges) else default.way)


def ask_from_query(query: Mapping[str, str], default: Ask, ranges: Mapping[str, Range]) -> Ask:
    """The same of a link: `?threshold=0.7`, `?ask=budget&budget=50`, `?ask=each&each=0.9,0.8`."""
    raw: dict[str, object] = {name: query[name] for name in WAYS if name in query}
    if "each" in raw:
        raw["each"] = str(raw["each"]).split(",")
    raw["way"] = query.get("ask", "threshold" if "threshold" in query else default.way)
    return ask_from(raw, default, ranges)


def _number(value: object, allowed: Range) -> float | None:
    """The finite number that a value is, if it lies in the range."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):  # the latter of a whole number of 400 digits
        return None
    return number if math.isfinite(number) and allowed.low <= number <= allowed.high else None
