"""Large parts of a page cross the network once; this keeps a fast visitor's page from breaking.

A browser keeps what is large and, with every request, tells which of it it has; the server then
sends only its hash. The browser throws away what no run has used for a while, and counts runs as
their ends arrive. A request and the end of an earlier run can pass each other on the way: then the
browser has thrown away what it just said it has, cannot draw the answer, and gives up until it is
loaded again ("Cached ForwardMsg MISS", Streamlit 1.67). On Streamlit's own age of 2 runs, three
presses within half a second do it.

So the age is larger here (`global.maxCachedMessageAge`), and of what a browser says it has only
the younger half is believed; nothing after many requests while the network takes no more.

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
    """What one visitor's browser still has when the next answer comes.

    Messages of one connection are given in their order. A new connection begins with nothing.
    """

    def __init__(self, age: int) -> None:
        """Nothing was sent yet; after `age` ended runs without use a browser may throw away."""
        self._age = age // 2  # the other half is for what is on its way
        self._ended = 0
        self._held_up = 0  # requests that came since the network last took all there was
        self._used: dict[str, int] = {}  # hash -> how many runs had ended when it was last sent

    def send(self, data: bytes) -> None:
        """A message to the browser, as the network takes it."""
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

    def receive(self, data: bytes, *, is_held_up: bool) -> bytes:
        """A message of the browser, as the server may believe it.

        Args:
            data: the message.
            is_held_up: earlier messages to the browser still wait for the network; ends of runs
                may be among them.
        """
        message = BackMsg()
        try:
            message.ParseFromString(data)
        except DecodeError:  # the server's matter
            return data
        told = message.rerun_script.cached_message_hashes
        self._held_up = self._held_up + 1 if is_held_up else 0
        is_far_behind = self._held_up >= self._age
        believed = [hash for hash in told if hash in self._used and not is_far_behind]
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
        kept = Kept(config.get_option("global.maxCachedMessageAge"))
        waiting = 0  # messages that the network has not taken; one, as Streamlit sends

        async def received() -> Message:
            message = await receive()
            if data := message.get("bytes"):
                message["bytes"] = kept.receive(data, is_held_up=waiting > 0)
            return message

        async def sent(message: Message) -> None:
            nonlocal waiting
            waiting += 1
            try:
                await send(message)
            finally:
                waiting -= 1
            if data := message.get("bytes"):
                kept.send(data)

        await self._app(scope, received, sent)
