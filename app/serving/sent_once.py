"""Large parts of a page cross the network once; this keeps a fast visitor's page from breaking.

A browser keeps what is large and, with every request, tells which of it it has; the server then
sends only its hash. The browser throws away what no run has used for a while, and counts runs as
their ends arrive. A request and the end of an earlier run can pass each other on the way: then the
browser has thrown away what it just said it has, cannot draw the answer, and gives up until it is
loaded again ("Cached ForwardMsg MISS", Streamlit 1.67). On Streamlit's own age of 2 runs, three
presses within half a second do it.

So the age is larger here (`global.maxCachedMessageAge`), and of what a browser says it has only
the younger half is believed: an answer comes at most a few runs after its question.

References:
    Streamlit 1.67: `runtime/forward_msg_cache.py`, and its front end's `ForwardMessageCache`.
"""

from __future__ import annotations

from google.protobuf.message import DecodeError
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import config
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg


class Kept:
    """What one visitor's browser is sure to have still when the next answer comes.

    Messages of one connection are given in their order. A new connection begins with nothing.
    """

    def __init__(self, age: int) -> None:
        """Nothing was sent yet; `age` is how many runs may have ended since a message was used."""
        self._age = age
        self._ended = 0
        self._used: dict[str, int] = {}  # hash -> how many runs had ended when it was last sent

    def send(self, data: bytes) -> None:
        """A message to the browser."""
        message = ForwardMsg()
        try:
            message.ParseFromString(data)
        except DecodeError:  # none of Streamlit's
            return
        kind = message.WhichOneof("type")
        if kind == "ref_hash":
            self._used[message.ref_hash] = self._ended
        elif message.metadata.cacheable:
            self._used[message.hash] = self._ended
        elif (
            kind == "script_finished"
            and message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN
        ):
            self._ended += 1
            oldest = self._ended - self._age
            self._used = {hash: used for hash, used in self._used.items() if used >= oldest}

    def receive(self, data: bytes) -> bytes:
        """A message of the browser, as the server may believe it."""
        message = BackMsg()
        try:
            message.ParseFromString(data)
        except DecodeError:  # the server's matter
            return data
        told = message.rerun_script.cached_message_hashes
        believed = [hash for hash in told if hash in self._used]
        if len(believed) == len(told):
            return data
        message.rerun_script.ClearField("cached_message_hashes")
        message.rerun_script.cached_message_hashes.extend(believed)
        return message.SerializeToString()


class SentOnce:
    """The middleware next to Streamlit: it sees every message of every visitor."""

    def __init__(self, app: ASGIApp) -> None:
        """Wraps `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes everything on; of a request to draw the page, what may be believed of it."""
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        kept = Kept(config.get_option("global.maxCachedMessageAge") // 2)

        async def received() -> Message:
            message = await receive()
            if data := message.get("bytes"):
                message["bytes"] = kept.receive(data)
            return message

        async def sent(message: Message) -> None:
            if data := message.get("bytes"):
                kept.send(data)
            await send(message)

        await self._app(scope, received, sent)
