"""The server: warms up before it reports healthy and sends security headers with every answer.

Start: `streamlit run app/asgi.py`.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import importlib
import os
import pkgutil
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio.to_thread
import streamlit as st
import uvicorn
from starlette.middleware import Middleware

import app as app_package
from app.intake import sample_sheet, thumbnail_route
from app.serving import health, log, status
from app.serving.access import KnownAddresses
from app.serving.headers import SecurityHeaders, server_error
from app.serving.sent_once import SentOnce
from app.serving.uploads import UploadLimits, ending_expired_sessions
from app.serving.watch import Watch

# They draw at once when imported, or are this file.
NOT_IMPORTED = ("app.main", "app.views", "app.asgi")
# How long a thread keeps the interpreter when another wants it; Python's own 5 ms would be added to
# every 64 kB of an upload while a page is being drawn.
SWITCH_S = 0.001


def _prepare() -> None:
    """Imports what the pages import and loads the models."""
    importlib.import_module("pandas")  # st.table imports it late
    for module in pkgutil.walk_packages(app_package.__path__, "app."):
        if not module.name.startswith(NOT_IMPORTED):
            importlib.import_module(module.name)

    from app import services

    services.warm_up()
    sys.setswitchinterval(SWITCH_S)
    _spare_the_collector()


def _spare_the_collector() -> None:
    """Takes all that is there now, and stays, out of the garbage collector.

    A full collection with torch and plotly loaded takes 170 ms with the interpreter held.
    """
    gc.collect()
    gc.freeze()


async def _draw_every_page() -> None:
    """Once, so that no visitor waits for the seconds that the first view of a page takes."""
    await health.HEALTH.find()  # it logs what is not fit
    await anyio.to_thread.run_sync(_spare_the_collector)


def _end_work() -> None:
    """Ends long work and tells who waits for the model.

    A thread that is inside torch while the interpreter goes would abort the process.
    """
    from app import services
    from app.work.job_panel import COMPUTING, NETWORK, get_queue

    for kind in (COMPUTING, NETWORK):
        get_queue(kind).close()
    services.get_worker().close()
    handler = signal.getsignal(signal.SIGINT)
    if isinstance(getattr(handler, "__self__", None), uvicorn.Server):
        # A process of the server's own, and all is done: Python's way out would take a million
        # objects apart, for seconds, and let libraries complain of leaks.
        atexit.register(os._exit, 0)


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """Health turns ok when the models are warm; then every page is drawn once."""
    began = time.perf_counter()
    await anyio.to_thread.run_sync(_prepare)
    # Streamlit's own welcome asks an outside server for this machine's address: it is off.
    host = st.get_option("server.address") or "127.0.0.1"
    print(f"Ready: http://{host}:{st.get_option('server.port')}  (Ctrl+C ends it)", flush=True)
    log.event("ready", s=round(time.perf_counter() - began, 1))
    drawing = asyncio.create_task(_draw_every_page())
    try:
        async with ending_expired_sessions():
            yield
    finally:
        drawing.cancel()
        await anyio.to_thread.run_sync(_end_work)
        log.event("stop")


log.install()  # before the server's first line
app = st.App(
    Path(__file__).with_name("main.py"),
    routes=[
        route
        for module in (thumbnail_route, sample_sheet, status, health)
        for route in module.ROUTES
    ],
    middleware=list(
        map(Middleware, (Watch, SecurityHeaders, KnownAddresses, UploadLimits, SentOnce))
    ),
    exception_handlers={Exception: server_error},
    lifespan=lifespan,
)
