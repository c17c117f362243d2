"""One visitor's connection, read along: how long each page run took, from the request to its end.

The server and the page exchange Streamlit's own messages. Only four of them count: the page asks
for a run; a run begins; it names its page; it has finished. Nothing else of a message is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import DecodeError
from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

LARGEST = 16_384  # bytes; the messages that count are smaller, figures are not taken apart
UNKNOWN = "(unknown)"


@dataclass(frozen=True)
class Run:
    """A run of a page that has ended.

    Attributes:
        page: its address, such as "/tradeoff".
        is_part: only a part of the page was drawn anew.
        is_poll: the page asked by itself, as it does while long work is shown.
        waited: seconds from the request to the beginning.
        seconds: seconds from the request to the end.
        failed: a bug of ours was shown as an error.
        told: the page shows a sentence about what cannot be done: "error", "warning" or "".
    """

    page: str
    is_part: bool
    is_poll: bool
    waited: float
    seconds: float
    failed: bool
    told: str


class Visit:
    """Reads the messages of one connection in their order; times are given, in seconds."""

    def __init__(self) -> None:
        """Begins before the first message."""
        self.page = UNKNOWN
        self._asked: float | None = None  # the oldest request that no run has taken up
        self._is_poll = False
        self._run: tuple[float, float, bool] | None = None  # asked, began, is_poll
        self._failed, self._told = False, ""

    def receive(self, data: bytes, now: float) -> None:
        """A message of the page; one that cannot be read is the server's matter."""
        message = BackMsg()
        try:
            message.ParseFromString(data)
        except DecodeError:
            return
        if message.WhichOneof("type") == "rerun_script":
            if self._asked is None:
                self._asked, self._is_poll = now, True
            self._is_poll = self._is_poll and message.rerun_script.is_auto_rerun

    def send(self, data: bytes, now: float) -> Run | None:
        """A message of the server; the run that it ends, or None."""
        if len(data) > LARGEST:
            return None
        message = ForwardMsg()
        try:
            message.ParseFromString(data)
        except DecodeError:
            return None
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self._begin(now)
        elif kind == "navigation":
            self._name(message)
        elif kind == "delta":
            self._look_at(message)
        elif kind == "script_finished":
            return self._finish(message.script_finished, now)
        return None

    def _begin(self, now: float) -> None:
        if self._asked is not None:
            self._run = self._asked, now, self._is_poll
        elif self._run is None:
            self._run = now, now, False  # the server began by itself
        # else the page asked itself for another run: the visitor still waits for the first
        self._asked, self._failed, self._told = None, False, ""

    def _name(self, message: ForwardMsg) -> None:
        current = message.navigation.page_script_hash
        for page in message.navigation.app_pages:
            if page.page_script_hash == current:
                self.page = "/" if page.is_default else f"/{page.url_pathname}"

    def _look_at(self, message: ForwardMsg) -> None:
        element = message.delta.new_element
        kind = element.WhichOneof("type")
        if kind == "exception":
            self._failed = True
        elif kind == "alert" and element.alert.format == Alert.ERROR:
            self._told = "error"
        elif kind == "alert" and element.alert.format == Alert.WARNING:
            self._told = self._told or "warning"

    def _finish(self, status: int, now: float) -> Run | None:
        if status == ForwardMsg.FINISHED_EARLY_FOR_RERUN or self._run is None:
            return None
        asked, began, is_poll = self._run
        self._run = None
        return Run(
            page=self.page,
            is_part=status == ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY,
            is_poll=is_poll,
            waited=began - asked,
            seconds=now - asked,
            failed=self._failed or status == ForwardMsg.FINISHED_WITH_COMPILE_ERROR,
            told=self._told,
        )
