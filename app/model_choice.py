"""Which models can be chosen: the bundled ones, and folders that a person opened in this session.

A folder is a path on the server's disk; `app.serving.access` says who may name which.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from app import services
from app.language import say
from app.once_per_run import once_per_run
from app.replay.dial import forget
from app.serving.access import MODEL_ROOT, allowed_folder, check_links
from dvt_core.bundle import Bundle, list_models
from dvt_core.errors import InputError

MODEL = "model"  # session key of the choice
FOLDERS = "model_folders"  # session key: absolute paths opened in this session
GONE = "model_gone"  # session key: why a folder was taken off the list, until it was said


_bundled = once_per_run(list_models)


def choices() -> tuple[str, ...]:
    """Names of the bundled models, then the paths of this session's folders."""
    return (*_bundled(), *st.session_state.get(FOLDERS, ()))


def labels(models: Sequence[str]) -> dict[str, str]:
    """What people see: a name as it is, a folder by its name, or by its path where two share it."""
    names = Counter(Path(model).name for model in models)
    return {
        model: say("{name} (folder)", name=path.name)
        if path.is_absolute() and names[path.name] == 1
        else model
        for model, path in ((model, Path(model)) for model in models)
    }


def choose_model() -> None:
    """Draws the choice; folders that can no longer be read are taken off it first."""
    _drop_unreadable()
    models = choices()
    if models:
        if st.session_state.get(MODEL, models[0]) not in models:
            st.session_state[MODEL] = models[0]  # said, or the browser would go on showing it
        shown = labels(models)
        st.selectbox(
            say("Model"),
            models,
            format_func=lambda model: shown.get(model, str(model)),
            key=MODEL,
            bind="query-params",
            on_change=forget,
        )


def _drop_unreadable() -> None:
    for folder in st.session_state.get(FOLDERS, ()):
        try:
            services.get_bundle(folder)
        except InputError as error:
            st.session_state[FOLDERS] = tuple(f for f in st.session_state[FOLDERS] if f != folder)
            st.session_state[GONE] = say(
                "The folder {folder} can no longer be used: {error}.", folder=folder, error=error
            )
            if st.session_state.get(MODEL) == folder:
                forget()


def current_bundle() -> Bundle:
    """The model chosen in the sidebar; a sentence and the end of the page if it cannot be used."""
    models = choices()
    if gone := st.session_state.pop(GONE, ""):
        st.warning(say("{gone} A bundled model is shown instead.", gone=gone) if models else gone)
    if not models:
        st.error(say("No model folder was found. Train one with `dvt train` and put it there."))
        st.stop()
    model = st.session_state.get(MODEL)
    try:
        return services.get_bundle(model if model in models else models[0])
    except InputError as error:
        st.error(say("This model cannot be used: {error}.", error=error))
        st.stop()


def open_folder(text: str) -> Bundle:
    """A model folder by its path, its description read, and chosen for this session.

    The weights are read, and checked, when a picture is first asked about: that takes seconds.

    Raises:
        InputError: not allowed here, no model folder, or damaged.
    """
    folder = allowed_folder(text, MODEL_ROOT)
    check_links(folder, MODEL_ROOT)
    bundle = services.get_bundle(str(folder))
    known = st.session_state.get(FOLDERS, ())
    st.session_state[FOLDERS] = (*known, *(() if str(folder) in known else (str(folder),)))
    st.session_state[MODEL] = str(folder)
    forget()
    return bundle
