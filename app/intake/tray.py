"""A person's own pictures of this session: uploaded, pasted or photographed, as encoded bytes.

The tray is bounded, and shared by all choosers of a page. What cannot be opened never gets in and
is answered with one sentence each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from app.intake.held import Tray
from app.intake.pictures import Picture, open_picture
from app.intake.thumbs import Thumb, strip, thumbnail
from app.language import say
from dvt_core.errors import InputError
from dvt_core.images import KINDS, MAX_BYTES, MAX_JPEG_PIXELS, MAX_PIXELS

MAX_PICTURES, MAX_TRAY_BYTES = 24, 60_000_000
MAX_SENTENCES = 5
TRAY = "look_tray"  # session key: the `Tray`


def limits() -> str:
    """What may come in, and how much of it is kept."""
    return say(
        "{kinds}; up to {mb} MB and {megapixels} megapixels each (most JPEGs up to {jpeg}). Your "
        "last {n} pictures, at most {tray_mb} MB, stay in the server's memory while this page is "
        "open.",
        kinds=", ".join(KINDS),
        mb=MAX_BYTES // 10**6,
        megapixels=MAX_PIXELS // 10**6,
        jpeg=MAX_JPEG_PIXELS // 10**6,
        n=MAX_PICTURES,
        tray_mb=MAX_TRAY_BYTES // 10**6,
    )


def within_limits(pictures: tuple[Picture, ...]) -> tuple[Picture, ...]:
    """The newest pictures (at the end) that fit into the tray together; the last one always."""
    kept: list[Picture] = []
    room = MAX_TRAY_BYTES
    for picture in reversed(pictures):
        room -= len(picture.data)
        if kept and (room < 0 or len(kept) == MAX_PICTURES):
            break
        kept.insert(0, picture)
    return tuple(kept)


def tray() -> Tray:
    """This session's own pictures, oldest first."""
    if TRAY not in st.session_state:
        st.session_state[TRAY] = Tray()
    return st.session_state[TRAY]


def put(picture: Picture, prefix: str) -> None:
    """Puts a picture that was opened before into the tray, and chooses it for one chooser."""
    others = tuple(each for each in tray() if each.content != picture.content)
    kept = within_limits((*others, picture))
    tray().left += len(others) + 1 - len(kept)
    tray().keep(kept)
    st.session_state[_chosen_key(prefix)] = picture.content


def put_files(files: Iterable[UploadedFile], prefix: str, name: str = "") -> list[str]:
    """Puts new files into the tray; the widget hands in the same ones in every run.

    Args:
        files: what lies in an upload or camera widget.
        prefix: of the session keys of this chooser.
        name: what to call the picture; "" for the file's own name.

    Returns:
        One sentence for every file there that cannot be used.
    """
    key = f"{prefix}look_checked_{name}"
    before: dict[str, str] = st.session_state.get(key, {})
    now: dict[str, str] = {}
    for file in files:
        known = before.get(file.file_id)
        now[file.file_id] = _put_file(file, prefix, name) if known is None else known
    st.session_state[key] = now
    return [sentence for sentence in now.values() if sentence]


def _put_file(file: UploadedFile, prefix: str, name: str) -> str:
    picture = Picture(file.getvalue(), name or plain(file.name))
    try:
        open_picture(picture)
    except InputError as error:
        return f"{picture.name}: {error}"
    put(picture, prefix)
    return ""


def plain(name: str) -> str:
    """A file name from outside, short and without characters that mean something on the page."""
    return re.sub(r"[^\w .()-]", "_", name)[-60:]


def complain(sentences: list[str]) -> None:
    """Says what could not be used, in one box and not at any length."""
    if not sentences:
        return
    told = [f"{sentence}." for sentence in sentences[:MAX_SENTENCES]]
    if more := len(sentences) - len(told):
        told.append(say("And {n} more.", n=more))
    told.append(
        say(
            "{kinds} and {last} work. Below is the last picture that worked.",
            kinds=", ".join(KINDS[:-1]),
            last=KINDS[-1],
        )
    )
    st.warning("\n\n".join(told))


def chosen(prefix: str) -> Picture | None:
    """The chooser's own picture: the one pressed, else the newest; None if the tray is empty."""
    content = st.session_state.get(_chosen_key(prefix))
    for picture in tray():
        if picture.content == content:
            return picture
    return tray()[-1] if tray() else None


def draw_tray(prefix: str) -> None:
    """Draws thumbnails to choose among, once there is more than one picture."""
    pictures, picture = tray(), chosen(prefix)
    if picture is None:
        return
    if len(pictures) > 1:
        thumbs = [
            Thumb(id=each.content, word=each.name, title=each.name, image=thumbnail(each))
            for each in reversed(pictures)
        ]
        label, take = say("your pictures"), partial(_choose, prefix)
        strip(f"{prefix}tray", label, thumbs, picture.content, take)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            say("remove this picture"),
            key=f"{prefix}look_remove",
            on_click=_remove,
            args=(prefix,),
        )
        if left := tray().left:
            st.caption(
                say(
                    "The oldest left to make room ({left}): there is space for {n} pictures and "
                    "{mb} MB.",
                    left=left,
                    n=MAX_PICTURES,
                    mb=MAX_TRAY_BYTES // 10**6,
                )
            )


def _choose(prefix: str, content: str) -> None:
    st.session_state[_chosen_key(prefix)] = content


def _remove(prefix: str) -> None:
    gone = chosen(prefix)
    tray().keep(tuple(each for each in tray() if each is not gone))


def _chosen_key(prefix: str) -> str:
    return f"{prefix}look_own"
