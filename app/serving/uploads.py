"""Uploaded files are bounded: how many and how large for one visitor, and how large for all.

Streamlit keeps what is uploaded in memory until the visitor takes it back or leaves, without a
limit on the number of files. Here a file is refused before it is read where its announced size
does not fit, and while it comes where nobody announced one. What is stored is asked of Streamlit
each time, so nothing is counted twice and what is deleted counts no more.

Settings (environment):
    DVT_UPLOAD_FILES: files that one visitor may have here at once, 4000 (a batch takes 2000).
    DVT_UPLOAD_MB: megabytes of one visitor, 220 (a batch takes 200).
    DVT_UPLOAD_MB_ALL: megabytes of all visitors, 384: six for each of sixty. Whoever has more than
        `SMALL` bytes is refused from three quarters on, so that two large zips leave room for
        everybody's photo.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartParser
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.stats import CACHE_MEMORY_FAMILY

MB = 10**6
SMALL = 24 * MB
OWN, ALL = 413, 503  # refused because of this visitor's files; of everybody's
RETRY_S, EXPIRE_S = 30, 10
STALLED_S = 60  # between two pieces of an upload
MAX_TOLD = 256  # visitors whose refusals are kept until they have seen them
logger = logging.getLogger(__name__)
_UPLOAD = re.compile(r"/_stcore/upload_file/([^/]+)/[^/]+$")

# The parser of forms would write files above 1 MB to the disk, and the pages promise otherwise.
MultiPartParser.spool_max_size = 2**40


@dataclass(frozen=True)
class Limits:
    """What may be stored at once: files and bytes of one visitor, bytes of all."""

    files: int = 4000
    own: int = 220 * MB
    all: int = 384 * MB

    @classmethod
    def from_environment(cls) -> Limits:
        """The defaults, where no variable says otherwise; a value that is no number counts not."""
        asked = [os.environ.get(f"DVT_UPLOAD_{name}", "") for name in ("FILES", "MB", "MB_ALL")]
        files, own, of_all = (int(text) if text.isdecimal() else None for text in asked)
        return cls(
            cls.files if files is None else files,
            cls.own if own is None else own * MB,
            cls.all if of_all is None else of_all * MB,
        )

    def refusal(self, stored: Stored, size: int) -> int:
        """The status for another file of `size` bytes: 0, `OWN` or `ALL`."""
        own = stored.own + size
        if stored.files >= self.files or own > self.own:
            return OWN
        of_all = self.all if own <= SMALL else self.all * 3 // 4
        return ALL if stored.all + size > of_all else 0


@dataclass(frozen=True)
class Stored:
    """What is stored, or on its way: files and bytes of one visitor, bytes of all."""

    files: int
    own: int
    all: int


def stored_uploads(session: str) -> Stored:
    """What Streamlit keeps now."""
    if not runtime.exists():
        return Stored(0, 0, 0)
    manager = runtime.get_instance().uploaded_file_mgr
    assert isinstance(manager, MemoryUploadedFileManager)
    own = [len(record.data) for record in tuple(manager.file_storage.get(session, {}).values())]
    stats = manager.get_stats().get(CACHE_MEMORY_FAMILY, ())
    return Stored(len(own), sum(own), sum(stat.byte_length for stat in stats))


class UploadLimits:
    """Refuses uploads that do not fit: 413 for this visitor's own limit, 503 for everybody's."""

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits | None = None,
        stored: Callable[[str], Stored] = stored_uploads,
    ) -> None:
        """Wraps `app`; without `limits` the environment says them."""
        self._app, self._stored = app, stored
        self._limits = limits or Limits.from_environment()
        self._files, self._bytes = Counter[str](), Counter[str]()  # on their way, by visitor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on; an upload only as far as it fits."""
        match = _UPLOAD.search(scope["path"]) if scope.get("method") == "PUT" else None
        if match is None:
            await self._app(scope, receive, send)
            return
        session = match[1]
        if status := self._refusal(session, _announced(scope)):
            _keep_for_the_page(session, status)
            answer = PlainTextResponse(_WORDS[status], status, _headers(status))
            await answer(scope, receive, send)
            return
        self._files[session] += 1
        received = 0

        async def receive_within_limits() -> Message:
            nonlocal received
            try:
                async with asyncio.timeout(STALLED_S):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, "The upload came to a halt.\n") from None
            size = len(message.get("body", b""))
            # Its own file is on its way already, and must not be one too many.
            if size and (status := self._refusal(session, size, files=-1)):
                _keep_for_the_page(session, status)
                raise HTTPException(status, _WORDS[status], _headers(status))
            received += size
            self._bytes[session] += size
            return message

        try:
            await self._app(scope, receive_within_limits, send)
        finally:
            _forget_if_gone(session)
            _subtract(self._files, session, 1)
            _subtract(self._bytes, session, received)

    def _refusal(self, session: str, size: int, files: int = 0) -> int:
        stored = self._stored(session)
        coming = Stored(
            stored.files + self._files[session] + files,
            stored.own + self._bytes[session],
            stored.all + self._bytes.total(),
        )
        return self._limits.refusal(coming, size)


_WORDS = {
    OWN: "You have too many files, or too large ones, on this server. Remove some.\n",
    ALL: "The files of all visitors fill this server's memory. Try again later.\n",
}


def _forget_if_gone(session: str) -> None:
    """Lets a file go that arrived when its visit was over; Streamlit would keep it for ever."""
    if not runtime.exists():
        return
    server = runtime.get_instance()
    if server._session_mgr.get_session_info(session) is None:
        server.uploaded_file_mgr.remove_session_files(session)


def _announced(scope: Scope) -> int:
    """The bytes that the request says it has; 0 where it does not say."""
    text = Headers(scope=scope).get("content-length", "")
    return int(text[:15]) if text.isdecimal() else 0  # of more digits the first fifteen will do


def _headers(status: int) -> dict[str, str]:
    return {"retry-after": str(RETRY_S)} if status == ALL else {}


def _subtract(counter: Counter[str], session: str, amount: int) -> None:
    counter[session] -= amount
    if counter[session] <= 0:
        del counter[session]


# --- what the page says of it -------------------------------------------------------------

_refused: OrderedDict[str, Counter[int]] = OrderedDict()  # visitor -> status -> files


def _keep_for_the_page(session: str, status: int) -> None:
    """Notes a refusal and has the page drawn anew, which tells; the browser shows a number only."""
    _refused.setdefault(session, Counter())[status] += 1
    _refused.move_to_end(session)
    while len(_refused) > MAX_TOLD:
        _refused.popitem(last=False)
    if runtime.exists():
        found = runtime.get_instance()._session_mgr.get_active_session_info(session)
        # A page that is being drawn is not disturbed: it, or the next change, tells.
        if found is not None and found.session._scriptrunner is None:
            found.session.request_rerun(found.session._client_state)


def take_refusals(session: str) -> Counter[int]:
    """How many files of a visitor were refused since it was asked last, by status."""
    return _refused.pop(session, Counter())


# --- what a visitor leaves ----------------------------------------------------------------


def end_expired_sessions() -> int:
    """Ends what visitors left behind who have been gone for `server.disconnectedSessionTTL`.

    Streamlit does so only when another visitor comes or goes: the last one's pictures would stay.

    Returns:
        How many visits were ended.
    """
    storage = runtime.get_instance()._session_mgr._session_storage  # pyright: ignore
    expired = storage._cache.expire()
    for _, info in expired:
        info.session.shutdown()  # not left to the garbage collector
        _refused.pop(info.session.id, None)
    return len(expired)


@asynccontextmanager
async def ending_expired_sessions(every_s: float = EXPIRE_S) -> AsyncIterator[None]:
    """While the server runs: ends expired visits every `every_s` seconds."""

    async def forever() -> None:
        while True:
            await asyncio.sleep(every_s)
            try:
                end_expired_sessions()
            except Exception:  # the next round must come all the same
                logger.exception("expired visits were not ended")

    task = asyncio.create_task(forever())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
