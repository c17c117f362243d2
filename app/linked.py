"""A choice that is kept in the link under a name that is the same in every language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st


def linked_choice(
    draw: Callable[..., Any], label: str, options: Mapping[str, str], *, key: str, **more: Any
) -> str:
    """Draws a choice among options and returns the name of the chosen one.

    Streamlit's own way (`bind`) puts what people read into the link, so that a link made in one
    language would be lost on a visitor of another.

    Args:
        draw: `st.segmented_control` or `st.selectbox`, of the page or of a container.
        label: of the widget.
        options: name in the link -> what people read; the first is the default, not in the link.
        key: session key and parameter of the link.
        more: further arguments of `draw`.
    """
    first = next(iter(options))
    if st.session_state.get(key, st.query_params.get(key)) not in options:
        st.session_state[key] = first
    elif key not in st.session_state:
        st.session_state[key] = st.query_params[key]
    draw(
        label,
        tuple(options),
        format_func=lambda name: options.get(name, str(name)),
        key=key,
        **more,
    )
    chosen = st.session_state[key]
    if chosen != first and st.query_params.get(key) != chosen:
        st.query_params[key] = chosen
    elif chosen == first and key in st.query_params:
        del st.query_params[key]
    return chosen
