"""One browser tab without a browser: Streamlit's websocket, its widgets' states, its uploads.

References:
    Streamlit 1.67: `ClientState.proto`, `WidgetStates.proto`, `starlette_routes.py` (uploads), and
    its front end (a page that is left takes its widgets' states along; a press is sent once).
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import FileURLs, UploadedFileInfo
from streamlit.proto.WidgetStates_pb2 import WidgetState

from scripts.load.connection import Connection, Lost
from scripts.load.http_request import multipart
from scripts.load.mirror import Mirror, Shown

PATIENCE_S = 60.0


class Visitor:
    """One tab of the app.

    Every method that asks the server returns the seconds from sending the first byte to the
    `script_finished` of the run that was asked for.

    Attributes:
        page: what the tab shows.
    """

    def __init__(self, address: str, *, patience_s: float = PATIENCE_S) -> None:
        """Asks nothing yet.

        Args:
            address: "http://127.0.0.1:8501".
            patience_s: after this long without the end of a run the tab is `Lost`.
        """
        self.page = Mirror()
        self._line = Connection(address, self.page, patience_s)
        self._states: dict[str, WidgetState] = {}
        self._poller: asyncio.Task[None] | None = None
        self._seen: set[str] = set()

    async def open(self, query: str = "", *, with_files: bool = False) -> float:
        """Opens the app as a browser does: document, health and cookie, socket, first run.

        Args:
            query: what stands in the address after the question mark.
            with_files: also fetch the scripts and styles that the document names, as a browser
                that was never here does.
        """
        began = time.perf_counter()
        document = await self._line.get("/")
        if with_files:
            named = re.findall(r'(?:src|href)="\./(static/[^"]+)"', document.decode())
            await asyncio.gather(*(self._line.get(f"/{name}") for name in named))
        await self._line.get("/_stcore/health")
        await self._line.get("/_stcore/host-config")
        await self._line.open()
        self._poller = asyncio.create_task(self._poll())
        self.page.query = query
        return await self._run(began)

    async def close(self) -> None:
        """Closes the tab."""
        if self._poller is not None:
            self._poller.cancel()
            with suppress(asyncio.CancelledError):
                await self._poller
        await self._line.close()

    async def press(self, key: str) -> float:
        """Presses the button with this key."""
        shown = self._widget(key)
        trigger = WidgetState(id=shown.id, trigger_value=True)
        return await self._run(time.perf_counter(), shown.fragment, trigger)

    async def choose(self, key: str, *options: str) -> float:
        """Chooses in a row of options, by what is read there or by its place (0, 1, ...)."""
        shown = self._widget(key)
        texts = [option.content for option in shown.proto.options]
        state = WidgetState(id=shown.id)
        state.string_array_value.data.extend(_one_of(texts, option) for option in options)
        return await self._set(shown, state)

    async def send(self, key: str, **values: Any) -> float:
        """Lets a live component tell its state, as `setStateValue` does."""
        shown = self._widget(key)
        return await self._set(shown, WidgetState(id=shown.id, json_value=json.dumps(values)))

    async def pick(self, key: str, thumb: str) -> float:
        """Presses a thumbnail of the row with this key."""
        if thumb not in {each["id"] for each in self.page.component(key)["thumbs"]}:
            raise Lost(f"the row {key!r} of {self.page.title()!r} has no thumbnail {thumb!r}")
        return await self.trigger(key, "pick", thumb)

    async def trigger(self, key: str, event: str, value: Any) -> float:
        """Lets a live component tell what was done there, as `setTriggerValue` does."""
        shown = self._widget(key)
        told = [{"event": event, "value": value}]
        trigger = WidgetState(id=trigger_id(shown.id), json_trigger_value=json.dumps(told))
        return await self._run(time.perf_counter(), shown.fragment, trigger)

    async def dial(self, **values: Any) -> float:
        """Lets go of the dial at these values: threshold, way, budget, ..."""
        data = self.page.component("dial")
        if data is None:
            raise Lost("the page has no dial")
        shown = self._widget("dial")
        kept = self._states.get(shown.id)
        ask = json.loads(kept.json_value)["ask"] if kept is not None else data["ask"]
        return await self.send("dial", ask={**ask, **values, "push": data["push"]})

    async def upload(self, key: str, name: str, data: bytes, kind: str) -> float:
        """Adds a file to an uploader: asks for an address, sends the file, runs the page."""
        began, shown = time.perf_counter(), self._widget(key)
        urls = await self._upload_address(name)
        body, content_type = multipart(name, data, kind)
        await self._line.change("PUT", urls.upload_url, body, content_type)
        state = self._states.get(shown.id) or WidgetState(id=shown.id)
        info = UploadedFileInfo(name=name, size=len(data), file_id=urls.file_id)
        info.file_urls.CopyFrom(urls)
        state.file_uploader_state_value.uploaded_file_info.append(info)
        self._states[shown.id] = state
        return await self._run(began, shown.fragment)

    async def clear(self, key: str) -> float:
        """Takes all files out of an uploader."""
        began, shown = time.perf_counter(), self._widget(key)
        state = self._states.pop(shown.id, WidgetState())
        for file in state.file_uploader_state_value.uploaded_file_info:
            await self._line.change("DELETE", file.file_urls.delete_url)
        empty = WidgetState(id=shown.id)
        empty.file_uploader_state_value.SetInParent()
        self._states[shown.id] = empty
        return await self._run(began, shown.fragment)

    async def _upload_address(self, name: str) -> FileURLs:
        message, asked = BackMsg(), uuid.uuid4().hex
        message.file_urls_request.request_id = asked
        message.file_urls_request.session_id = self.page.session_id
        message.file_urls_request.file_names.append(name)
        await self._line.tell(message)
        await self._line.wait(lambda: asked in self.page.uploads)
        answer = self.page.uploads.pop(asked)
        if answer.error_msg:
            raise Lost(answer.error_msg)
        return answer.file_urls[0]

    async def go(self, page: str) -> float:
        """Goes to another page by its address: "" for the first, "tradeoff", ..."""
        widgets = self.page.widgets()
        self._states = {
            id: state
            for id, state in self._states.items()
            if id in widgets and self.page.is_frames(widgets[id])
        }
        self.page.query, self.page.page = "", self.page.pages[page]
        self.page.polls.clear()
        return await self._run(time.perf_counter())

    async def until(self, holds: Callable[[Mirror], bool], patience_s: float) -> float:
        """Waits until the page, at the end of a run, is as wanted; what polls goes on polling."""
        began = time.perf_counter()
        while not holds(self.page):
            left = patience_s - (time.perf_counter() - began)
            finished = self.page.finished
            await self._line.wait(lambda before=finished: self.page.finished > before, left)
        return time.perf_counter() - began

    async def fetch_pictures(self) -> None:
        """Fetches the pictures on the page that this tab has not seen, as a browser does."""
        new = {url for url, _ in self.page.pictures() if url.startswith("/")} - self._seen
        self._seen |= new
        await asyncio.gather(*map(self._line.get, new))

    def _widget(self, key: str) -> Shown:
        shown = self.page.widget(key)
        if shown is None:
            raise Lost(f"the page {self.page.title()!r} has no widget {key!r}")
        return shown

    async def _set(self, shown: Shown, state: WidgetState) -> float:
        self._states[shown.id] = state
        return await self._run(time.perf_counter(), shown.fragment)

    async def _run(
        self, began: float, fragment: str = "", trigger: WidgetState | None = None
    ) -> float:
        """Asks for a run and waits for its end."""
        before = self.page.started
        await self._line.tell(self._ask(fragment, trigger))
        finished = self.page.finished
        await self._line.wait(lambda: self.page.finished > finished and self.page.started > before)
        self._forget_what_is_gone()
        return self._line.ended_at - began

    def _ask(self, fragment: str, trigger: WidgetState | None = None) -> BackMsg:
        message = BackMsg()
        state = message.rerun_script
        state.query_string, state.page_script_hash = self.page.query, self.page.page
        state.fragment_id = fragment
        state.cached_message_hashes.extend(self.page.hashes())
        state.widget_states.widgets.extend(self._states.values())
        if trigger is not None:
            state.widget_states.widgets.append(trigger)
        return message

    def _forget_what_is_gone(self) -> None:
        """States of widgets that are gone, or that the server has set since, are not repeated."""
        widgets = self.page.widgets()
        for id in list(self._states):
            if id not in widgets or getattr(widgets[id].proto, "set_value", False):
                del self._states[id]

    async def _poll(self) -> None:
        """Runs the fragments that are to be run again and again, as the browser's timer does."""
        due: dict[str, float] = {}
        with suppress(Lost):
            while True:
                await asyncio.sleep(0.1)
                now = time.perf_counter()
                due = {each: due.get(each, now + p) for each, p in self.page.polls.items()}
                for fragment, pause in list(self.page.polls.items()):
                    if now >= due[fragment]:
                        due[fragment] = now + pause
                        message = self._ask(fragment)
                        message.rerun_script.is_auto_rerun = True
                        await self._line.tell(message)


def trigger_id(component_id: str) -> str:
    """The id under which a live component's triggers travel."""
    return f"$$STREAMLIT_INTERNAL_KEY_{component_id}__events"


def _one_of(texts: list[str], option: str) -> str:
    if option in texts:
        return option
    if option.isdigit() and int(option) < len(texts):
        return texts[int(option)]
    raise Lost(f"{option!r} is none of {texts}")
