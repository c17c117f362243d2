"""`GET /ready`: whether a visitor would be served, tried out; 503 and one line if not.

Streamlit's own `/_stcore/health` says that the process lives, also while every page shows an
error. Here a visitor without a browser opens each page through Streamlit's own session, and the
model classifies a blank picture on its worker. Anybody may ask: the round is made at most once in
`KEPT_S` seconds, whoever asks in between gets the last result.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio.to_thread
import torch
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from streamlit import runtime
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.session_manager import SessionClient

from app import services
from dvt_core.bundle import list_models
from dvt_core.errors import InputError
from dvt_core.inference import classify

KEPT_S = 20.0  # the container asks every 30 s
MODEL_S = 10.0  # a full queue of sixty pictures takes two
PAGE_S = 15.0  # a page takes 0.1 s; on a machine that does ten other things, one
ROUND_S = 40.0

logger = logging.getLogger(__name__)


class Unfit(Exception):
    """A visitor would not be served; one line for the operator, without paths."""


class Visitor(SessionClient):
    """A visitor without a browser: takes what the server sends and notes how a page ended.

    Attributes:
        pages: what the page list held: the key that Streamlit knows a page by -> its address.
        fault: what went wrong on the page; "" if nothing did.
        ended: set when the page has been drawn to its end.
    """

    def __init__(self) -> None:
        """Nothing seen yet."""
        self.pages: dict[str, str] = {}
        self.fault = ""
        self.ended = asyncio.Event()

    def write_forward_msg(self, msg: ForwardMsg) -> None:
        """Called by Streamlit, on the server's loop, with each message for the browser."""
        kind = msg.WhichOneof("type")
        if kind == "navigation":
            pages = msg.navigation.app_pages
            self.pages = {page.page_script_hash: f"/{page.url_pathname}" for page in pages}
        elif kind == "delta":
            if msg.delta.new_element.WhichOneof("type") == "exception":
                self.fault = "shows an exception, the log says which"
        elif kind == "page_not_found":
            self.fault = "is not found"
        elif kind == "script_finished":
            if msg.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
                self.fault = "does not compile, the log says why"
            if msg.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                self.ended.set()


async def open_every_page() -> None:
    """Opens the first page, then each other one, as a visitor who goes from page to page.

    Raises:
        Unfit: one of them shows an exception, or does not come to an end.
    """
    server, visitor = runtime.get_instance(), Visitor()
    session = server.connect_session(client=visitor, user_info={})
    try:
        await _open(server, session, visitor, "", "/")
        for key, address in list(visitor.pages.items())[1:]:
            await _open(server, session, visitor, key, address)
    finally:
        server.close_session(session)


async def _open(
    server: runtime.Runtime, session: str, visitor: Visitor, key: str, address: str
) -> None:
    visitor.ended.clear()
    message = BackMsg()
    message.rerun_script.page_script_hash = key
    server.handle_backmsg(session, message)
    try:
        async with asyncio.timeout(PAGE_S):
            await visitor.ended.wait()
    except TimeoutError:
        raise Unfit(f"page {address} does not come to an end within {PAGE_S:g} s") from None
    if visitor.fault:
        raise Unfit(f"page {address} {visitor.fault}")


async def ask_the_model() -> None:
    """A blank picture through the first model that loads, on the worker that visitors wait for.

    Raises:
        Unfit: none loads, or no answer came.
    """
    try:
        async with asyncio.timeout(MODEL_S):
            await anyio.to_thread.run_sync(_classify_a_blank, abandon_on_cancel=True)
    except TimeoutError:
        raise Unfit(f"the model gives no answer within {MODEL_S:g} s") from None


def _classify_a_blank() -> None:
    models = list_models()
    if not models:
        raise Unfit("there is no model folder")
    for name in models:
        try:
            bundle = services.get_bundle(name)
            model = services.get_model(bundle)
        except InputError as error:
            logger.warning("model %s does not load: %s", name, error)
            continue
        side = bundle.config.img_size
        blank = torch.zeros(1, bundle.config.in_chans, side, side)
        try:
            services.get_worker().run(classify, model, blank, 0.0)
        except InputError as error:
            raise Unfit(f"the model gives no answer: {error}") from error
        return
    raise Unfit(f"none of {len(models)} models loads, the log says why")


@dataclass(frozen=True)
class Finding:
    """How the last round ended.

    Attributes:
        fault: one line; "" if a visitor would be served.
        seconds: what the round took.
        at: when it ended, by the clock.
    """

    fault: str
    seconds: float
    at: float


class Health:
    """Makes rounds, at most one at a time and one in `kept_s` seconds."""

    def __init__(
        self,
        *checks: Callable[[], Awaitable[None]],
        kept_s: float = KEPT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is checked yet.

        Args:
            checks: made one after the other; each raises `Unfit` or returns.
            kept_s: seconds for which a finding is told again.
            clock: seconds.
        """
        self._checks, self._kept_s, self._clock = checks, kept_s, clock
        self._lock = asyncio.Lock()
        self._last: Finding | None = None

    async def find(self) -> Finding:
        """The last finding, or a new one if that is too old; callers at once share one round."""
        async with self._lock:
            if self._last is None or self._clock() - self._last.at >= self._kept_s:
                self._last = await self._round()
            return self._last

    async def _round(self) -> Finding:
        began, fault = self._clock(), ""
        try:
            async with asyncio.timeout(ROUND_S):
                for check in self._checks:
                    await check()
        except Unfit as error:
            fault = str(error)
        except TimeoutError:
            fault = f"a round through the pages does not end within {ROUND_S:g} s"
        except Exception as error:  # whatever it is, the answer is 503 and not a hanging probe
            logger.exception("the health check itself failed")
            fault = f"the health check failed: {type(error).__name__}, the log says why"
        if fault:
            logger.error("not ready: %s", fault)
        return Finding(fault, self._clock() - began, self._clock())

    async def answer(self, _: Request) -> Response:
        """200 "ready", or 503 with the fault; never stored by anybody on the way."""
        found = await self.find()
        return PlainTextResponse(
            f"not ready: {found.fault}" if found.fault else "ready",
            503 if found.fault else 200,
            headers={"cache-control": "no-store"},
        )


HEALTH = Health(ask_the_model, open_every_page)
ROUTES = (Route("/ready", HEALTH.answer, methods=["GET"]),)
