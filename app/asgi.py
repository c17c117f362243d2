"""The server: warms up before it reports healthy and sends security headers with every answer.

Start: `streamlit run app/asgi.py`.
"""

from __future__ import annotations

import gc
import importlib
import pkgutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio.to_thread
import streamlit as st
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import app as app_package
from app.intake.thumbnail_route import ROUTES

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


# They draw at once when imported, or are this file.
NOT_IMPORTED = ("app.main", "app.views", "app.asgi")


class SecurityHeaders:
    """Adds `SECURITY_HEADERS` to every HTTP answer."""

    def __init__(self, app: ASGIApp) -> None:
        """Wraps `app`."""
        self._app = app
        self._headers = [(k.encode(), v.encode()) for k, v in SECURITY_HEADERS.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on and the answer back with the headers."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message.setdefault("headers", []).extend(self._headers)
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def _prepare() -> None:
    """Imports what the pages import, loads the models, and takes all of it out of the collector.

    Streamlit collects garbage after every run with the interpreter held: 170 ms with torch and
    plotly loaded, nothing once they are frozen.
    """
    importlib.import_module("pandas")  # st.table imports it late
    for module in pkgutil.walk_packages(app_package.__path__, "app."):
        if not module.name.startswith(NOT_IMPORTED):
            importlib.import_module(module.name)

    from app import services

    services.warm_up()
    gc.collect()
    gc.freeze()


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """Health turns ok only when the models are warm."""
    await anyio.to_thread.run_sync(_prepare)
    # Streamlit's own welcome asks an outside server for this machine's address: it is off.
    host = st.get_option("server.address") or "127.0.0.1"
    print(f"Ready: http://{host}:{st.get_option('server.port')}  (Ctrl+C ends it)", flush=True)
    yield


app = st.App(
    Path(__file__).with_name("main.py"),
    routes=ROUTES,
    middleware=[Middleware(SecurityHeaders)],
    lifespan=lifespan,
)
