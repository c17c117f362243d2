"""Which language a visitor reads: chosen in the sidebar, kept in the link."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.language import ENGLISH, LANGUAGES, ask_language_of, language
from app.linked import linked_choice
from app.live import component
from app.once_per_run import once_per_run

LANGUAGE = "language"  # session key, and the parameter of the link
_TOLD = "language_told"  # session key: the browser was told once
_HTML_NAMES = {"en": "en", "zh": "zh-CN"}  # as the browser and screen readers know them

_mount = component("page_language", "page_language.js")


@once_per_run  # a page says a hundred sentences
def _chosen() -> str:
    if get_script_run_ctx(suppress_warning=True) is None:  # a thread that draws no page
        return ENGLISH
    # The page list is drawn before the choice is: on the first run only the link knows.
    return st.session_state.get(LANGUAGE, st.query_params.get(LANGUAGE, ENGLISH))


ask_language_of(_chosen)


def choose_language() -> None:
    """Draws the choice, and tells the browser which language the page is in."""
    linked_choice(
        st.segmented_control,
        "Language / 语言",
        LANGUAGES,
        key=LANGUAGE,
        required=True,
        label_visibility="collapsed",
    )
    if language() != ENGLISH or _TOLD in st.session_state:  # a page is in English unasked
        st.session_state[_TOLD] = True
        _mount(key="page_language", data={"html": _HTML_NAMES[language()]})
