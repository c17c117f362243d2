"""The words of the app in two languages, from one file: `strings.toml`.

The code is written in English; `say("sure enough, stop")` gives the sentence in the language that
the visitor chose. The file pairs every English sentence with its Chinese one, under a heading per
part of the app; a sentence that is missing there fails a test (`tests/ui/test_language.py`) and is
shown in English.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

FILE = Path(__file__).with_name("strings.toml")
LANGUAGES = {"en": "English", "zh": "中文"}
LANGUAGE = "language"  # session key, and the parameter of the link
ENGLISH = "en"


@cache
def chinese() -> dict[str, str]:
    """English sentence -> the Chinese one, of all parts of the app."""
    parts = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return {english: other for part in parts.values() for english, other in part.items()}


def language() -> str:
    """The visitor's language, a key of `LANGUAGES`; English outside a visitor's run."""
    if get_script_run_ctx(suppress_warning=True) is None:
        return ENGLISH
    # The page list is drawn before the choice is: on the first run only the link knows.
    chosen = st.session_state.get(LANGUAGE, st.query_params.get(LANGUAGE, ENGLISH))
    return chosen if chosen in LANGUAGES else ENGLISH


def say(text: str, /, **values: Any) -> str:
    """A sentence in the visitor's language.

    Args:
        text: in English, literally in the code so that a test finds it; `{name}` stands for a
            value.
        values: what is put there, already in words.
    """
    if language() != ENGLISH:
        text = chinese().get(text, text)
    return text.format(**values) if values else text


def choose_language() -> None:
    """Draws the choice; it is kept in the link."""
    if st.session_state.get(LANGUAGE, ENGLISH) not in LANGUAGES:
        st.session_state[LANGUAGE] = ENGLISH
    st.segmented_control(
        "Language / 语言",
        tuple(LANGUAGES),
        format_func=LANGUAGES.__getitem__,
        default=ENGLISH,
        required=True,
        key=LANGUAGE,
        bind="query-params",
        label_visibility="collapsed",
    )
