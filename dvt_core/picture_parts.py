"""Bounds on what surrounds the pixels of a picture file: notes, profiles, tables, scans.

A small file can keep a decoder busy for hours without having many pixels: a JPEG with ten thousand
passes over them, or a table of millions of places to find them. No camera writes such a file, so
its parts are counted before a decoder sees it. What cannot be followed is left to the decoder,
which says what is damaged.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

MAX_PARTS = 4_000  # before the first pixel; a long colour profile has 300
MAX_SCANS = 100  # of a JPEG; progressive ones have about ten
MAX_TABLE = 200_000  # numbers of one TIFF tag, such as where each strip lies

_SCAN = b"\xff\xda"  # cannot occur in a JPEG's packed pixels
_TIFF_PLACES = {273, 279, 324, 325}  # strips and tiles: offsets and lengths


def check_parts(kind: str, data: bytes) -> None:
    """Refuses a file that is mostly not pixels.

    Args:
        kind: as `picture_kinds.sniff` names it.
        data: the whole file.

    Raises:
        ValueError: too many parts, scans or places; the message says which.
    """
    if kind == "JPEG" and data.count(_SCAN) > MAX_SCANS:
        raise ValueError(f"it has more than {MAX_SCANS} scans")
    walk = _WALKS.get(kind)
    if walk is not None:
        for number, _ in enumerate(walk(data)):
            if number >= MAX_PARTS:
                raise ValueError(f"it has more than {MAX_PARTS:,} parts before its pixels")
    if kind == "TIFF":
        _check_tables(data)


def _jpeg(data: bytes) -> Iterator[int]:
    """Where each segment before the first scan begins."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at : at + 2] != _SCAN:
        yield at
        if data[at + 1] == 0xFF:  # filling
            at += 1
        else:
            at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))


def _png(data: bytes) -> Iterator[int]:
    """Where each chunk before the pixels begins."""
    at = 8
    while at + 8 <= len(data) and data[at + 4 : at + 8] != b"IDAT":
        yield at
        at += 12 + int.from_bytes(data[at : at + 4], "big")


def _gif(data: bytes) -> Iterator[int]:
    """Where each piece of an extension before the first frame begins."""
    at = 13 + (3 << (1 + (data[10] & 7)) if data[10:11] >= b"\x80" else 0)
    while data[at : at + 1] == b"!":
        yield at
        at += 2
        while at < len(data) and data[at]:
            yield at
            at += 1 + data[at]
        at += 1


_WALKS: dict[str, Callable[[bytes], Iterator[int]]] = {"JPEG": _jpeg, "PNG": _png, "GIF": _gif}


def _check_tables(data: bytes) -> None:
    """Refuses a TIFF whose first page lies in more pieces than can be told apart in time."""
    order = "<" if data.startswith(b"II") else ">"
    try:
        (at,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, at)
        tags = [struct.unpack_from(f"{order}HHI", data, at + 2 + 12 * i) for i in range(count)]
    except struct.error:  # the decoder says what is damaged
        return
    if any(tag in _TIFF_PLACES and numbers > MAX_TABLE for tag, _, numbers in tags):
        raise ValueError(f"its pixels lie in more than {MAX_TABLE:,} places")
