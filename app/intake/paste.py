"""Pictures from the clipboard: a small component in the browser, checked again here."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from app.intake.pictures import Picture
from app.language import say
from app.live import component
from dvt_core.errors import InputError
from dvt_core.images import MAX_BYTES

_MAX_BASE64 = (MAX_BYTES + 2) // 3 * 4

_mount = component("paste", "paste.js", "paste.css")


def paste_box(prefix: str = "") -> Picture | None:
    """Draws the box; the picture pasted since the last run, not yet opened.

    Raises:
        InputError: what came from the browser is no encoded file, or too large.
    """
    result = _mount(
        key=f"{prefix}look_paste", data={"max_bytes": MAX_BYTES}, on_picture_change=lambda: None
    )
    return None if result.picture is None else read_payload(result.picture)


def read_payload(payload: Any) -> Picture:
    """The picture that the browser sent as {"data": base64}; its kind is not looked at yet.

    Raises:
        InputError: anything else, or more than 20 MB.
    """
    data = payload.get("data") if isinstance(payload, Mapping) else None
    if not isinstance(data, str) or not data:
        raise InputError("what was pasted holds no picture, copy a picture and paste again")
    if len(data) > _MAX_BASE64:
        raise InputError(
            f"what was pasted is larger than {MAX_BYTES // 10**6} MB, paste a smaller picture"
        )
    try:
        return Picture(base64.b64decode(data, validate=True), say("pasted picture"))
    except (binascii.Error, ValueError) as error:
        raise InputError("what was pasted arrived damaged, paste it again") from error
