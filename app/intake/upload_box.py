"""The upload widget of all pages: says what did not fit, and lets go of what is no longer chosen.

Streamlit keeps a file until the visitor presses its cross or closes the page; a file whose widget
has left the screen could never be removed. What the page still needs of it, it has taken by then.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import streamlit as st
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from app.language import say
from app.serving.uploads import MB, OWN, Limits, take_refusals

SEEN = "uploads_seen"  # session key: key of a widget -> (page, ids of its files)
PAGE = "uploads_page"  # session key: the page that is being drawn


def upload_box(label: str, *, key: str, **options: Any) -> list[UploadedFile]:
    """Draws a widget for several files; those that are chosen now.

    Args:
        label: of the widget.
        key: of its state.
        options: of `st.file_uploader`.
    """
    files = st.file_uploader(label, key=key, **options) or []
    note(key, files)
    _tell_refusals()
    return files


def note(key: str, files: Iterable[UploadedFile]) -> None:
    """Notes which files a widget has, so that they leave with it."""
    seen = st.session_state.setdefault(SEEN, {})
    seen[key] = st.session_state.get(PAGE, ""), tuple(file.file_id for file in files)


def forget_uploads(page: str) -> None:
    """Called before a page is drawn: files of widgets that are gone leave the server's memory."""
    st.session_state[PAGE] = page
    seen: dict[str, tuple[str, tuple[str, ...]]] = st.session_state.get(SEEN, {})
    gone = [key for key, (at, _) in seen.items() if at != page or key not in st.session_state]
    context = get_script_run_ctx()
    for key in gone:
        _, ids = seen.pop(key)
        if context and isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
            for file_id in ids:
                context.uploaded_file_mgr.remove_file(context.session_id, file_id)


def _tell_refusals() -> None:
    context = get_script_run_ctx()
    refused = take_refusals(context.session_id) if context else {}
    for status, n in refused.items():
        limits = Limits.from_environment()
        if status == OWN:
            st.warning(
                say(
                    "Not uploaded: {n}. You may have {files} files and {mb} MB on this server at "
                    "once. Remove some, then choose these again.",
                    n=f"{n:,}",
                    files=f"{limits.files:,}",
                    mb=limits.own // MB,
                )
            )
        else:
            st.warning(
                say(
                    "Not uploaded: {n}. The files of all visitors fill this server's memory. Try "
                    "again in some minutes, or choose smaller files.",
                    n=f"{n:,}",
                )
            )
