"""What the paper's points are called, in the visitor's language; names of models stay."""

from __future__ import annotations

import re

from app.language import later, say, say_later
from dvt_core.paper import PaperPoint

_SETTINGS = {  # how a setting begins in the file, and the whole of it
    "accuracy of ": later("accuracy of {name}"),
    "cost of ": later("cost of {name}"),
    "speed of ": later("speed of {name}"),
}


def setting_words(point: PaperPoint) -> str:
    """What tells a point from the others of its series; "" if nothing does."""
    setting = point.setting
    for prefix, words in _SETTINGS.items():
        if setting.startswith(prefix):
            return say_later(words).format(name=say_later(setting.removeprefix(prefix)))
    if setting.endswith(" tokens"):
        return say("{grid} tokens", grid=setting.removesuffix(" tokens"))
    return say_later(setting)


def claim_words(point: PaperPoint) -> str:
    """What the paper prints beside a number: "1.9x", "+6.80 points", "4.4 % extra"."""
    number, _, unit = point.claim.rpartition(" ")
    if unit == "points":
        return say("{number} points", number=number)
    return say("{percent} extra", percent=number) if unit == "extra" else point.claim


def source_words(source: str) -> str:
    """Which table or figure: "Table 4"."""
    if re.fullmatch(r"Table \d+", source):
        return say("Table {number}", number=source.split()[1])
    if re.fullmatch(r"Fig\. \d+", source):
        return say("Fig. {number}", number=source.split()[1])
    return say_later(source)
