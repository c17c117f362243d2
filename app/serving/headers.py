"""Security headers on every answer; the browser enforces that nothing outside is asked.

Only the server's own pages may show the app in a frame, and the sites that its operator names in
`DVT_FRAME_ANCESTORS`, separated by spaces: `https://huggingface.co` where it runs as a Space.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Nothing but this server may be asked: the page works without a network, and the browser
# enforces it. Streamlit and plotly need inline code and eval.
SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
        "connect-src 'self' ws: wss:; object-src 'none'; base-uri 'self'; frame-ancestors 'self'"
    ),
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
}

FRAMES_ENV = "DVT_FRAME_ANCESTORS"
_SITE = re.compile(r"https?://[A-Za-z0-9.*-]+(:\d+)?", re.ASCII)


def security_headers(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """`SECURITY_HEADERS`, opened to the sites that the operator names.

    Raises:
        ValueError: one of them is no site; the server does not start.
    """
    sites = environ.get(FRAMES_ENV, "").split()
    for site in sites:
        if not _SITE.fullmatch(site):
            raise ValueError(f"{FRAMES_ENV}: {site!r} is no site, write it as https://NAME")
    if not sites:
        return SECURITY_HEADERS
    headers = {k: v for k, v in SECURITY_HEADERS.items() if k != "x-frame-options"}  # knows no list
    headers["content-security-policy"] += " " + " ".join(sites)  # frame-ancestors stands last
    return headers


class SecurityHeaders:
    """Adds the `security_headers` to every HTTP answer."""

    def __init__(self, app: ASGIApp) -> None:
        """Wraps `app`."""
        self._app = app
        self._headers = [(k.encode(), v.encode()) for k, v in security_headers().items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on and the answer back with the headers."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message.setdefault("headers", []).extend(self._headers)
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)
