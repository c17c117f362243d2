"""Security headers on every answer; the browser enforces that nothing outside is asked.

Setting (environment):
    DVT_EMBED_IN: origins, separated by spaces, whose pages may show the app in a frame, such as
        `https://huggingface.co`. Without it only the app's own pages may.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

EMBED_ENV = "DVT_EMBED_IN"
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.*-]+(:\d{1,5})?")
_HOST = re.compile(r"([A-Za-z0-9.-]+)(:\d{1,5})?")

# Streamlit and plotly need inline code and eval; nothing comes from anywhere else. A page that is
# shown in full (a JSON file, an error) is no page of ours: it runs nothing either.
_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "media-src 'self' data: blob:; worker-src 'self' blob:; frame-src 'self' data: blob:; "
    "manifest-src 'self'; connect-src 'self'{sockets}; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'self'{frames}"
)
_SAME = {
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


def embedding_origins(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The origins that `DVT_EMBED_IN` names.

    Raises:
        ValueError: one of them is no origin; the server does not start.
    """
    origins = tuple(environ.get(EMBED_ENV, "").split())
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(f"{EMBED_ENV}: {origin!r} is no origin, write it as https://NAME")
    return origins


def security_headers(
    host: str = "", path: str = "/", origins: Sequence[str] = ()
) -> dict[str, str]:
    """The headers of an answer.

    Args:
        host: the request's Host; the page may open connections to this name (browsers differ on
            whether 'self' allows them). Anything but a plain name or IPv4 address gives 'self'.
        path: of the request; what belongs to one visitor is kept by no cache.
        origins: whose pages may show the app in a frame.
    """
    name = _HOST.fullmatch(host)
    sockets = f" ws://{name[1]}:* wss://{name[1]}:*" if name else ""
    frames = "".join(f" {origin}" for origin in origins)
    headers = {"content-security-policy": _POLICY.format(sockets=sockets, frames=frames), **_SAME}
    if not origins:  # it knows no list of origins
        headers["x-frame-options"] = "SAMEORIGIN"
    if "/media/" in path and "/static/" not in path:
        headers["cache-control"] = "private, no-store"
    return headers


class SecurityHeaders:
    """Adds `security_headers` to every HTTP answer."""

    def __init__(self, app: ASGIApp) -> None:
        """Wraps `app`."""
        self._app, self._origins = app, embedding_origins()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on and the answer back with the headers."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message.setdefault("headers", [])
                host = Headers(scope=scope).get("host", "")
                MutableHeaders(scope=message).update(
                    security_headers(host, scope["path"], self._origins)
                )
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def server_error(request: Request, error: Exception) -> Response:
    """The answer to a bug of ours; it does not pass through any middleware."""
    host = request.headers.get("host", "")
    headers = security_headers(host, request.url.path, embedding_origins())
    return PlainTextResponse("Something went wrong here; the log says what.\n", 500, headers)
