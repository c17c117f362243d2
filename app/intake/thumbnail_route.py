"""Test images as small pictures over HTTP: `/thumbs/<data set>/<stamp>/<row>,<row>,....jpg`.

A page that scrolls through ten thousand images asks for the few that are in sight, up to
`SHEET_IMAGES` at once, as one sheet: `COLUMNS` squares in a row, in the order asked. Only data sets
that a page has opened with `serve` are answered for; name, stamp and rows never become a path.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import BoundedSemaphore, Lock

from PIL import Image, ImageOps
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dvt_core.data import ImageSplit
from dvt_core.errors import InputError
from dvt_core.images import open_image

SHEET_IMAGES, COLUMNS = 64, 8
LARGEST_SIDE = 64  # pixels; smaller images keep their own size
MAX_SETS, MAX_SHEETS = 4, 128  # a sheet takes 60 kB
MAX_WAITING, RETRY_S = 128, 2  # sheets of all visitors that may wait; a page asks for two at once
KEEP = "public, max-age=31536000, immutable"  # another copy of the set has another stamp
_ROWS = re.compile(rf"\d{{1,7}}(,\d{{1,7}}){{0,{SHEET_IMAGES - 1}}}", re.ASCII)


@dataclass(frozen=True, eq=False)
class ServedSet:
    """A test split whose thumbnails may be asked for.

    Attributes:
        name: of the data set.
        stamp: changes with the files it lies in.
        split: its images.
        side: pixels of a thumbnail.
    """

    name: str
    stamp: str
    split: ImageSplit
    side: int

    @property
    def address(self) -> str:
        """What the rows and `.jpg` are put behind; relative to the page."""
        return f"thumbs/{self.name}/{self.stamp}/"


_sets: OrderedDict[tuple[str, str], ServedSet] = OrderedDict()
_lock = Lock()
_drawers = ThreadPoolExecutor(2, "thumbs")  # never more, whoever scrolls: others wait for answers
_waiting = BoundedSemaphore(MAX_WAITING)


def serve(name: str, place: Path, split: ImageSplit) -> ServedSet:
    """Lets the thumbnails of a test split be asked for; the oldest of `MAX_SETS` sets leaves.

    Args:
        name: of the data set: letters, digits, `-` and `_`.
        place: the folder that it was read from.
        split: the opened split.

    Raises:
        InputError: its first image cannot be read.
    """
    key = name, _stamp(place)
    with _lock:
        found = _sets.get(key)
    if found is None:
        first = split.image(0)
        found = ServedSet(*key, split, min(*first.size, LARGEST_SIDE))
    with _lock:
        _sets[key] = found
        _sets.move_to_end(key)
        while len(_sets) > MAX_SETS:
            _sets.popitem(last=False)
    return found


def _stamp(place: Path) -> str:
    """Twelve letters that change when a file of the folder is added, replaced or moved."""
    stats = [(str(path), path.stat()) for path in sorted(place.iterdir())]
    text = repr([(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats])
    return hashlib.sha256(f"{place} {text}".encode()).hexdigest()[:12]


@lru_cache(maxsize=MAX_SHEETS)
def _sheet(served: ServedSet, rows: tuple[int, ...]) -> bytes:
    """A JPEG of the rows' images; one that cannot be read stays grey."""
    side, split = served.side, served.split
    lines = -(-len(rows) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * side, lines * side), (128, 128, 128))
    for place, source in enumerate(_sources(split, rows)):
        try:
            image = ImageOps.fit(open_image(source), (side, side))
        except InputError:
            continue
        sheet.paste(image, (place % COLUMNS * side, place // COLUMNS * side))
    out = io.BytesIO()
    sheet.save(out, "JPEG", quality=88, subsampling=0)
    return out.getvalue()


def _sources(split: ImageSplit, rows: tuple[int, ...]) -> list[bytes | Path]:
    """What `open_image` takes; nothing for rows that hold no picture."""
    stored = split.indices[list(rows)].tolist()
    try:
        return split.rows.encoded(stored)
    except InputError:
        return [b"" if len(rows) == 1 else _sources(split, (row,))[0] for row in rows]


def read_rows(text: str, size: int) -> tuple[int, ...]:
    """The rows that an address asks for; empty if it is no list of rows below `size`."""
    if not _ROWS.fullmatch(text):
        return ()
    rows = tuple(map(int, text.split(",")))
    return rows if max(rows) < size else ()


async def _answer(request: Request) -> Response:
    asked = request.path_params
    with _lock:
        served = _sets.get((asked["name"], asked["stamp"]))
    rows = read_rows(asked["rows"], len(served.split)) if served else ()
    if served is None or not rows:
        return Response("no such thumbnails", 404, media_type="text/plain")
    if not _waiting.acquire(blocking=False):
        words, later = "too many thumbnails are waiting", {"retry-after": str(RETRY_S)}
        return Response(words, 503, later, media_type="text/plain")
    drawn = _drawers.submit(_sheet, served, rows)
    drawn.add_done_callback(lambda _: _waiting.release())  # also where the visitor has left
    raw = await asyncio.wrap_future(drawn)
    return Response(raw, media_type="image/jpeg", headers={"cache-control": KEEP})


ROUTES: Sequence[Route] = (Route("/thumbs/{name}/{stamp}/{rows}.jpg", _answer, methods=["GET"]),)
