"""Watches what passes between the network and the pages, and changes nothing of it.

Requests are named by their route, never by their path; visits by a number. What it sees goes to
the log (`app.serving.log`) and to the counters (`app.serving.counters`).
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.serving.counters import SERVED, Counters
from app.serving.log import event
from app.serving.visit import Run, Visit

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
UNROUTED = "(no route)"
FRONT = "(page files)"  # Streamlit's catch-all: its own files, and the page under any address
# Asked for all the time, by browsers and by whoever watches the server.
OFTEN = (FRONT, "/_stcore/health", "/_stcore/host-config", "/status", "/status.json")
SESSIONS = "sessions"  # visitors who have the page open


@dataclass
class _Passed:
    """What has passed of one request.

    Attributes:
        status: of the answer; 0 while there is none.
        received: bytes of the request's body.
        sent: bytes of the answer's body.
    """

    status: int = 0
    received: int = 0
    sent: int = 0


class Watch:
    """The outermost middleware: it sees the answers of all the others."""

    def __init__(
        self,
        app: ASGIApp,
        counters: Counters = SERVED,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Wraps `app`; `clock` counts seconds."""
        self._app, self._counters, self._clock = app, counters, clock
        self._visits = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes everything on and takes note."""
        if scope["type"] == "http":
            await self._request(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._visit(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        passed, began = _Passed(), self._clock()

        async def received() -> Message:
            message = await receive()
            passed.received += len(message.get("body", b""))
            return message

        async def sent(message: Message) -> None:
            passed.status = message.get("status", passed.status)
            passed.sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, received, sent)
        except BaseException as error:
            passed.status = passed.status if not isinstance(error, Exception) else 500
            raise
        finally:
            self._note(scope, passed, self._clock() - began)

    def _note(self, scope: Scope, passed: _Passed, seconds: float) -> None:
        """Status 0: who asked was gone before the answer."""
        method = scope["method"] if scope["method"] in METHODS else "(other)"
        route = route_of(scope)
        failed = passed.status >= 500
        refused = 400 <= passed.status < 500
        self._counters.add("requests", f"{method} {route}", seconds, failed=failed, refused=refused)
        quiet = route in OFTEN and not failed
        event(
            "request",
            logging.ERROR if failed else logging.DEBUG if quiet else logging.INFO,
            method=method,
            route=route,
            status=passed.status,
            ms=_ms(seconds),
            bytes_in=passed.received,
            bytes_out=passed.sent,
        )

    async def _visit(self, scope: Scope, receive: Receive, send: Send) -> None:
        number, visit, began = next(self._visits), Visit(), self._clock()
        accepted: list[bool] = []

        async def received() -> Message:
            message = await receive()
            if data := message.get("bytes"):
                visit.receive(data, self._clock())
            return message

        async def sent(message: Message) -> None:
            if message["type"] == "websocket.accept" and not accepted:
                accepted.append(True)
                self._opened(number)
            await send(message)
            run = visit.send(data, self._clock()) if (data := message.get("bytes")) else None
            if run is not None:
                self._ran(number, run)

        try:
            await self._app(scope, received, sent)
        finally:
            self._closed(number, bool(accepted), self._clock() - began)

    def _opened(self, number: int) -> None:
        self._counters.enter(SESSIONS)
        event("visit", visit=number, what="open", sessions=self._counters.level(SESSIONS).now)

    def _closed(self, number: int, was_open: bool, seconds: float) -> None:
        if not was_open:  # another origin, or the server is full
            self._counters.add("requests", "WEBSOCKET refused", seconds, refused=True)
            event("visit", logging.WARNING, visit=number, what="refused")
            return
        self._counters.leave(SESSIONS)
        now = self._counters.level(SESSIONS).now
        event("visit", visit=number, what="close", s=round(seconds, 1), sessions=now)

    def _ran(self, number: int, run: Run) -> None:
        what = "poll" if run.is_poll else "part" if run.is_part else "page"
        self._counters.add(
            "pages",
            f"{run.page} {what}",
            run.seconds,
            waited=run.waited,
            failed=run.failed,
            refused=bool(run.told),
        )
        quiet = run.is_poll and not (run.failed or run.told)
        event(
            "run",
            logging.ERROR if run.failed else logging.DEBUG if quiet else logging.INFO,
            visit=number,
            page=run.page,
            what=what,
            wait_ms=_ms(run.waited),
            ms=_ms(run.seconds),
            **({"told": run.told} if run.told else {}),
        )


def route_of(scope: Scope) -> str:
    """The template of the route that a request came to, after it was answered."""
    template = getattr(scope.get("route"), "path", None)
    if template is None:
        return UNROUTED
    return template if template and not template.endswith("{path:path}") else FRONT


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 1)
