"""Files of a model folder, read with a bound: a folder of unknown origin may hold anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dvt_core.errors import InputError, printable

MAX_JSON = 10_000_000  # bytes; what this program writes has some ten thousand


def read_bounded(path: Path, limit: int, what: str = "") -> bytes:
    """A regular file of at most `limit` bytes; a device or a pipe may have no end.

    Args:
        path: the file.
        limit: in bytes.
        what: for the sentence, with a space behind it: "the weights ".

    Raises:
        InputError: it cannot be read, or is larger.
    """
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"cannot read {what}{path}: it is no regular file")
        with path.open("rb") as file:
            raw = file.read(limit + 1)
    except OSError as error:
        raise InputError(f"cannot read {what}{path}: {error.strerror}") from error
    if len(raw) > limit:
        raise InputError(
            f"{what}{path} cannot be right: larger than {limit / 1e6:,.0f} MB; restore the folder"
        )
    return raw


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        InputError: it cannot be read, is too large or no JSON, or holds something else.
    """
    raw = read_bounded(path, MAX_JSON)
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no valid JSON: {printable(error)}") from error
    if not isinstance(document, dict):
        raise InputError(f"{path} holds a {type(document).__name__}, expected an object")
    return document
