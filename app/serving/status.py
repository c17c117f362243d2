"""The operator's page: `/status` for people, `/status.json` for programs; nobody else sees it.

Without `DVT_STATUS_TOKEN` it answers only to this machine itself: a loopback address, asked for by
a loopback name (or a foreign page could make the operator's browser ask), and not passed on by a
proxy. With it, it answers only to who brings the token: `Authorization: Bearer TOKEN`, or, in a
browser, once `/status?token=TOKEN`, which is kept in a cookie and leaves the address. Everybody
else is told that there is no such page.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.datastructures import Address
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from app.serving.access import LOOPBACK, PASSED_ON, host_name
from app.serving.status_page import status_page

TOKEN_ENV, SHORTEST = "DVT_STATUS_TOKEN", 16
COOKIE, COOKIE_S = "dvt_status", 12 * 3600
PATH = "/status"
HEADERS = {"cache-control": "no-store", "x-robots-tag": "noindex"}


def is_allowed(request: Request, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the request may see the status page; a token that is too short opens it to nobody."""
    token = environ.get(TOKEN_ENV, "")
    if not token:
        return _is_from_here(request)
    if len(token) < SHORTEST:
        return False
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    is_bearer = scheme.lower() == "bearer" and _same(given.strip(), token)
    return is_bearer or _same(request.cookies.get(COOKIE, ""), _cookie(token))


def _is_from_here(request: Request) -> bool:
    # A proxy on this machine asks from a loopback address, too, but says for whom.
    is_passed_on = any(
        name in PASSED_ON or name.startswith("x-forwarded-") for name in request.headers
    )
    is_own_name = host_name(request.headers.get("host", "")) in LOOPBACK
    return not is_passed_on and is_own_name and _is_loopback(request.client)


def _is_loopback(client: Address | None) -> bool:
    try:
        address = ipaddress.ip_address(client.host if client else "")
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _same(given: str, wanted: str) -> bool:
    """Compared in a time that tells nothing."""
    return hmac.compare_digest(given.encode(), wanted.encode())


def _cookie(token: str) -> str:
    """What the cookie holds: it cannot be turned back into the token."""
    return hmac.new(token.encode(), b"dvt status page", hashlib.sha256).hexdigest()


def _closed() -> Response:
    return PlainTextResponse("Not Found", 404, headers=HEADERS)


def _signed_in(request: Request, environ: Mapping[str, str] = os.environ) -> Response | None:
    """A browser that brings the token in the address gets a cookie, and a clean address."""
    token, given = environ.get(TOKEN_ENV, ""), request.query_params.get("token")
    if given is None or len(token) < SHORTEST or not _same(given, token):
        return None
    answer = Response(status_code=303, headers={**HEADERS, "location": PATH})
    answer.set_cookie(
        COOKIE,
        _cookie(token),
        max_age=COOKIE_S,
        path=PATH,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return answer


def _facts() -> dict[str, Any]:
    # It needs the models' part of the app, which must not be imported before there is a server.
    from app.serving.facts import facts

    return facts()


async def _page(request: Request) -> Response:
    if (answer := _signed_in(request)) is not None:
        return answer
    return (
        HTMLResponse(status_page(_facts()), headers=HEADERS) if is_allowed(request) else _closed()
    )


async def _json(request: Request) -> Response:
    return JSONResponse(_facts(), headers=HEADERS) if is_allowed(request) else _closed()


ROUTES: Sequence[Route] = (
    Route(PATH, _page, methods=["GET"]),
    Route(f"{PATH}.json", _json, methods=["GET"]),
)
