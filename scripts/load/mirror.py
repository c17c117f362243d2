"""What a browser knows of its page, kept up to date from the server's messages.

References:
    Streamlit 1.67: `ForwardMsg.proto` (deltas by path, messages sent once and then by their hash),
    `runtime/forward_msg_cache.py` (which are), and its front end (what is stale when a run ends).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

ERROR, WARNING = 1, 2  # Alert.Format


@dataclass(slots=True)
class Shown:
    """One element of the page.

    Attributes:
        kind: which of Streamlit's elements: "button", "metric", ...
        proto: its message.
        run: number of the run that last drew it.
        fragment: id of the fragment that it lies in, "" for none.
        script: hash of the script that drew it: the frame's, or the page's.
    """

    kind: str
    proto: Any
    run: int
    fragment: str
    script: str

    @property
    def id(self) -> str:
        """The widget's id, "" for what is no widget."""
        return getattr(self.proto, "id", "")


class Mirror:
    """The page as its messages describe it.

    Attributes:
        session_id: of this tab, "" before the first run.
        page: hash of the page's script.
        query: what stands in the address after the question mark.
        pages: address of a page, "" for the first -> its hash.
        finished: how many runs, of the page or of a fragment, came to their end.
        polls: fragment id -> seconds between its automatic runs.
        broken: what no browser could have made sense of.
        received: bytes of all messages.
        uploads: id of a question where a file may go -> the answer.
    """

    def __init__(self) -> None:
        """Knows nothing yet."""
        self.session_id = self.page = self.query = ""
        self.pages: dict[str, str] = {}
        self.finished = self.started = self.received = 0
        self.polls: dict[str, float] = {}
        self.broken: list[str] = []
        self._main = ""
        self._shown: dict[tuple[int, ...], Shown] = {}
        self._blocks: dict[tuple[int, ...], tuple[Any, str]] = {}
        self._cache: dict[str, tuple[ForwardMsg, int]] = {}  # and how many runs had ended then
        self._kept_runs = 0  # after this many ends of runs without use a message is thrown away
        self._fragments: tuple[str, ...] = ()  # of the run in progress
        self.uploads: dict[str, Any] = {}

    def take(self, raw: bytes) -> str:
        """Takes in one message from the wire and returns its kind.

        "end" stands for the end of a run that was not cut short by another.
        """
        self.received += len(raw)
        message = ForwardMsg.FromString(raw)
        kind = message.WhichOneof("type") or ""
        if kind == "ref_hash":
            known = self._cache.get(message.ref_hash)
            if known is None:
                self.broken.append("a message was sent by a hash that this tab does not have")
                return kind
            self._cache[message.ref_hash] = known[0], self.finished
            self._draw(known[0].delta, message.metadata)
        elif kind == "delta":
            if message.metadata.cacheable:
                self._cache[message.hash] = message, self.finished
            self._draw(message.delta, message.metadata)
        elif kind == "script_finished":
            return self._end(message.script_finished)
        else:
            self._note(kind, message)
        return kind

    def _note(self, kind: str, message: ForwardMsg) -> None:
        if kind == "new_session":
            self.started += 1
            new = message.new_session
            self._kept_runs = new.config.max_cached_message_age
            self.session_id, self._main = new.initialize.session_id, new.main_script_hash
            self.page, self._fragments = (
                new.page_script_hash,
                tuple(message.metadata.run.fragment_ids),
            )
        elif kind == "navigation":
            self.pages = {
                "" if page.is_default else page.url_pathname: page.page_script_hash
                for page in message.navigation.app_pages
            }
            self.page = message.navigation.page_script_hash
        elif kind == "page_info_changed":
            self.query = message.page_info_changed.query_string
        elif kind == "auto_rerun":
            self.polls[message.auto_rerun.fragment_id] = message.auto_rerun.interval
        elif kind == "stop_auto_rerun":
            for fragment in message.stop_auto_rerun.fragment_ids:
                self.polls.pop(fragment, None)
        elif kind == "file_urls_response":
            self.uploads[message.file_urls_response.response_id] = message.file_urls_response

    def _draw(self, delta: Any, metadata: Any) -> None:
        path, kind = tuple(metadata.delta_path), delta.WhichOneof("type")
        if kind == "add_block":
            self._shown.pop(path, None)
            self._blocks[path] = delta.add_block, delta.fragment_id
        elif kind == "new_element":
            if path in self._blocks:  # what lay in it goes with it
                self._drop(lambda each: each[: len(path)] == path)
            name = delta.new_element.WhichOneof("type")
            self._shown[path] = Shown(
                name,
                getattr(delta.new_element, name),
                self.started,
                delta.fragment_id,
                metadata.active_script_hash,
            )

    def _drop(self, is_gone: Any) -> None:
        for places in (self._shown, self._blocks):
            for path in [path for path in places if is_gone(path)]:
                del places[path]

    def _end(self, status: int) -> str:
        if status == ForwardMsg.FINISHED_EARLY_FOR_RERUN:
            return "cut short"
        if status == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
            self.broken.append("the script could not be compiled")
        is_whole = status != ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY
        for path, shown in list(self._shown.items()):
            if shown.run < self.started and (is_whole or shown.fragment in self._fragments):
                del self._shown[path]
        alive = {shown.fragment for shown in self._shown.values()}
        self.polls = {each: pause for each, pause in self.polls.items() if each in alive}
        self.finished += 1
        for key, (kept, used) in list(self._cache.items()):
            is_looked_at = is_whole or kept.delta.fragment_id in self._fragments
            if is_looked_at and self.finished - used > self._kept_runs:
                del self._cache[key]
        return "end"

    def hashes(self) -> list[str]:
        """Which messages this tab need not be sent again."""
        return list(self._cache)

    def all(self, kind: str) -> Iterator[Any]:
        """The messages of all elements of a kind, in the order of the page."""
        return (
            shown.proto
            for _, shown in sorted(self._shown.items(), key=_place)
            if shown.kind == kind
        )

    def widget(self, key: str) -> Shown | None:
        """The widget with this key of the app's, or None if the page has none."""
        for shown in self._shown.values():
            parts = shown.id.split("-", 2)
            if len(parts) == 3 and parts[2] == key:
                return shown
        return None

    def widgets(self) -> dict[str, Shown]:
        """All widgets of the page by their id."""
        return {shown.id: shown for shown in self._shown.values() if shown.id}

    def is_frames(self, shown: Shown) -> bool:
        """Whether an element belongs to the frame of the app, which all pages share."""
        return shown.script == self._main

    def component(self, key: str) -> Any:
        """What Python sends to a live component, or None if the page has none with this key."""
        shown = self.widget(key)
        return None if shown is None else json.loads(shown.proto.json)["page"]

    def metrics(self) -> dict[str, tuple[str, str]]:
        """Label of a metric -> (its value, the remark below it)."""
        return {metric.label: (metric.body, metric.delta) for metric in self.all("metric")}

    def title(self) -> str:
        """The page's heading."""
        return next((heading.body for heading in self.all("heading") if heading.tag == "h1"), "")

    def pictures(self) -> list[tuple[str, str]]:
        """(address, alternative text) of the pictures on the page."""
        return [(each.url, each.alt) for one in self.all("imgs") for each in one.imgs]

    def complaints(self) -> list[str]:
        """What the page says went wrong, and what no browser could have understood."""
        said = [f"{one.type}: {one.message}" for one in self.all("exception")]
        said += [one.body for one in self.all("alert") if one.format == ERROR]
        return said + self.broken

    def warnings(self) -> list[str]:
        """What the page warns of: a file it cannot use, long work that failed."""
        return [one.body for one in self.all("alert") if one.format == WARNING]


def _place(item: tuple[tuple[int, ...], Shown]) -> tuple[int, ...]:
    return item[0]
