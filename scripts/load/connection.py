"""A tab's ways to the server: plain requests with its cookies, and Streamlit's websocket.

References:
    Streamlit 1.67: `starlette_websocket.py` (the tokens travel as subprotocols),
    `starlette_routes.py` (which requests set the cookie), `BackMsg.proto`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from scripts.load.http_request import request
from scripts.load.mirror import Mirror

XSRF = "_streamlit_xsrf"


class Lost(Exception):
    """The tab got no answer: the connection is gone, a request was refused, or time is up."""


class Connection:
    """What one tab sends and receives; every message from the server goes into its mirror.

    Attributes:
        ended_at: when the end of the last run arrived, by `time.perf_counter`.
    """

    def __init__(self, address: str, page: Mirror, patience_s: float) -> None:
        """Asks nothing yet.

        Args:
            address: "http://127.0.0.1:8501".
            page: takes in the messages.
            patience_s: after this long without what is waited for the tab is `Lost`.
        """
        self.ended_at = 0.0
        self._address, self._page, self._patience_s = address, page, patience_s
        self._cookies: dict[str, str] = {}
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    async def get(self, path: str) -> bytes:
        """Fetches something, and keeps the cookies that come with it."""
        answer = await request(self._address, path, headers={"Cookie": self._cookie()})
        if answer.status != 200:
            raise Lost(f"{path} was answered with {answer.status}")
        self._cookies |= answer.cookies()
        return answer.body

    async def change(self, method: str, path: str, body: bytes = b"", kind: str = "") -> None:
        """Sends or deletes something, with the token that shows it is this tab's own wish."""
        headers = {"Cookie": self._cookie(), "X-Xsrftoken": self._cookies[XSRF]}
        if kind:
            headers["Content-Type"] = kind
        answer = await request(self._address, path, method=method, headers=headers, body=body)
        if answer.status != 204:
            raise Lost(f"{method} was refused with {answer.status}: {answer.body[:200]!r}")

    def _cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self._cookies.items())

    async def open(self) -> None:
        """Opens the socket; the cookie must have been fetched before."""
        try:
            self._socket = await connect(
                f"{self._address.replace('http', 'ws', 1)}/_stcore/stream",
                subprotocols=["streamlit", self._cookies[XSRF]],  # type: ignore[list-item]
                origin=self._address,  # type: ignore[arg-type]
                additional_headers={"Cookie": self._cookie()},
                max_size=None,
                open_timeout=self._patience_s,
                ping_interval=None,
            )
        except (KeyError, WebSocketException) as error:
            raise Lost(f"no socket was opened: {error!r}") from error
        self._reader = asyncio.create_task(self._read(self._socket))

    async def close(self) -> None:
        """Closes the socket; the server hears of it as of any tab that is closed."""
        if self._socket is not None and self._reader is not None:
            self._reader.cancel()
            with suppress(asyncio.CancelledError):
                await self._reader
            await self._socket.close()

    async def tell(self, message: BackMsg) -> None:
        """Sends a message."""
        if self._socket is None:
            raise Lost("the tab is not open")
        try:
            await self._socket.send(message.SerializeToString())
        except ConnectionClosed as error:
            raise Lost(f"the connection is gone: {error}") from error

    async def wait(self, holds: Callable[[], bool], patience_s: float | None = None) -> None:
        """Waits until something holds; asked again at the end of every run."""
        patience_s = self._patience_s if patience_s is None else patience_s
        try:
            async with asyncio.timeout(patience_s):
                while not holds():
                    self._news.clear()
                    if self._reader is None or self._reader.done():
                        raise Lost("the server closed the connection")
                    await self._news.wait()
        except TimeoutError:
            raise Lost(f"no answer within {patience_s:.0f} s") from None

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for raw in socket:
                assert isinstance(raw, bytes)
                kind = self._page.take(raw)
                if kind == "end":
                    self.ended_at = time.perf_counter()
                if kind in ("end", "file_urls_response"):
                    self._news.set()
        except ConnectionClosed:
            pass
        finally:  # once this task is done, whoever waits is told
            asyncio.get_running_loop().call_soon(self._news.set)
