"""The words of the app in two languages, from one file: `strings.toml`.

The code is written in English; `say("sure enough, stop")` gives the sentence in the language that
the visitor chose. The file pairs every English sentence with its Chinese one, under a heading per
part of the app; a sentence that is missing there fails a test (`tests/ui/test_language.py`) and is
shown in English.

Nothing here knows Streamlit: figures say things too. `app.language_choice` tells whose turn it is.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("strings.toml")
LANGUAGES = {"en": "English", "zh": "中文"}
ENGLISH = "en"
_source: list[Callable[[], str]] = []


@cache
def chinese() -> dict[str, str]:
    """English sentence -> the Chinese one, of all parts of the app."""
    parts = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return {english: other for part in parts.values() for english, other in part.items()}


def ask_language_of(source: Callable[[], str]) -> None:
    """Sets who knows the language of the visitor whose page is being drawn."""
    _source[:] = [source]


def language() -> str:
    """The visitor's language, a key of `LANGUAGES`; English outside a visitor's run."""
    chosen = _source[0]() if _source else ENGLISH
    return chosen if chosen in LANGUAGES else ENGLISH


def say(text: str, /, **values: Any) -> str:
    """A sentence in the visitor's language.

    A sentence must not be kept in a cache that other visitors share: it is said where it is drawn.

    Args:
        text: in English, literally in the code so that a test finds it; `{name}` stands for a
            value.
        values: what is put there, already in words; without any, the text is left as it is.
    """
    text = say_later(text)
    return text.format(**values) if values else text


def later(text: str, /) -> str:
    """Marks an English sentence, literal in the code, that `say_later` says when it is drawn."""
    return text


def say_later(text: str) -> str:
    """A sentence that was written elsewhere: marked by `later`, or a word of the library."""
    return text if language() == ENGLISH else chinese().get(text, text)
