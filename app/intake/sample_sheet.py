"""The thumbnails of the built-in samples as one style sheet: `/samples/<digest>.css`.

The same for everybody and a third of a megabyte: as a file of its own a browser fetches it once
and keeps it, and no run of a page has to carry it.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from threading import Lock

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

KEEP = "public, max-age=31536000, immutable"  # other thumbnails have another digest
MAX_SHEETS = 4  # one is enough until the samples change

_sheets: OrderedDict[str, str] = OrderedDict()
_lock = Lock()


def serve_sheet(rules: str) -> str:
    """Lets a style sheet be asked for; returns its address, relative to the page."""
    name = _name(rules)
    with _lock:
        _sheets[name] = rules
        _sheets.move_to_end(name)
        while len(_sheets) > MAX_SHEETS:
            _sheets.popitem(last=False)
    return f"samples/{name}.css"


@lru_cache(maxsize=MAX_SHEETS)
def _name(rules: str) -> str:
    """Asked in every run of a page: the third of a megabyte is hashed once."""
    return hashlib.sha256(rules.encode()).hexdigest()[:32]


async def _answer(request: Request) -> Response:
    with _lock:
        rules = _sheets.get(request.path_params["name"])
    if rules is None:
        return Response("no such style sheet\n", 404, media_type="text/plain")
    return Response(rules, media_type="text/css", headers={"cache-control": KEEP})


ROUTES: Sequence[Route] = (Route("/samples/{name}.css", _answer, methods=["GET"]),)
