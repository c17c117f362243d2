"""What visitors upload is bounded, stays in memory, and is gone with them."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from tempfile import SpooledTemporaryFile

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message
from streamlit.runtime.memory_session_storage import MemorySessionStorage
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.session_manager import SessionInfo
from streamlit.runtime.uploaded_file_manager import UploadedFile, UploadedFileRec

from app.intake import batch_intake, held, upload_box
from app.intake.held import MB, Held, Tray, hold
from app.intake.pictures import Picture
from app.serving import uploads
from app.serving.uploads import (
    ALL,
    OWN,
    SMALL,
    Limits,
    Stored,
    UploadLimits,
    end_expired_sessions,
    stored_uploads,
    take_refusals,
)
from dvt_core.batch import Source
from dvt_core.errors import InputError

LIMITS = Limits(files=4, own=1000, all=2000)


class Shelf:
    """A server that keeps what is put there, as Streamlit does; and how much it had read."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.files: dict[str, dict[str, int]] = {}
        self.peak = 0
        self.gate: asyncio.Event | None = None
        routes = [Route("/_stcore/upload_file/{session}/{file}", self.put, methods=["PUT"])]
        limited = Middleware(UploadLimits, limits=limits, stored=self.stored)
        self.app = Starlette(routes=routes, middleware=[limited])

    def stored(self, session: str) -> Stored:
        own = self.files.get(session, {})
        everything = sum(sum(files.values()) for files in self.files.values())
        return Stored(len(own), sum(own.values()), everything)

    async def put(self, request: Request) -> Response:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            self.peak = max(self.peak, size)
            if self.gate is not None:
                await self.gate.wait()
        asked = request.path_params
        self.files.setdefault(asked["session"], {})[asked["file"]] = size
        return Response(status_code=204)


@pytest.fixture(autouse=True)
def nothing_told() -> Iterator[None]:
    uploads._refused.clear()
    yield
    uploads._refused.clear()


async def ask(
    app: ASGIApp, method: str, path: str, pieces: Sequence[bytes], headers: dict[str, str]
) -> tuple[int, dict[str, str]]:
    """Status and headers of the answer to a request whose body comes in pieces."""
    waiting, sent = list(pieces), []

    async def receive() -> Message:
        await asyncio.sleep(0)
        body = waiting.pop(0) if waiting else b""
        return {"type": "http.request", "body": body, "more_body": bool(waiting)}

    async def send(message: Message) -> None:
        sent.append(message)

    said = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": said, "query_string": b""}
    await app(scope, receive, send)
    start = sent[0]
    return start["status"], {name.decode(): value.decode() for name, value in start["headers"]}


async def put(app: ASGIApp, session: str, file: str, size: int, *, announced: bool = True) -> int:
    pieces = [bytes(min(100, size - start)) for start in range(0, size, 100)]
    headers = {"content-length": str(size)} if announced else {"transfer-encoding": "chunked"}
    path = f"/_stcore/upload_file/{session}/{file}"
    status, answer = await ask(app, "PUT", path, pieces, headers)
    assert (status == ALL) == ("retry-after" in answer)
    return status


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
def test_a_file_that_does_not_fit_is_refused(announced):
    shelf = Shelf()

    async def go() -> None:
        assert await put(shelf.app, "a", "1", 900, announced=announced) == 204
        shelf.peak = 0
        assert await put(shelf.app, "a", "2", 150, announced=announced) == OWN
        assert shelf.peak <= (0 if announced else 100)  # read no further than it fitted
        assert await put(shelf.app, "a", "3", 100, announced=announced) == 204
        del shelf.files["a"]["1"]  # taken back: it counts no more
        assert await put(shelf.app, "a", "2", 150, announced=announced) == 204

    asyncio.run(go())
    assert take_refusals("a") == {OWN: 1} and take_refusals("a") == {}


def test_number_of_files_and_everybodys_bytes():
    shelf = Shelf()

    async def go() -> None:
        for file in "1234":
            assert await put(shelf.app, "a", file, 1) == 204
        assert await put(shelf.app, "a", "5", 1) == OWN
        assert await put(shelf.app, "b", "1", 996) == 204
        assert await put(shelf.app, "c", "1", 990) == 204
        assert await put(shelf.app, "d", "1", 11) == ALL
        assert await put(shelf.app, "d", "1", 10) == 204
        shelf.files.pop("c")  # that visitor left
        assert await put(shelf.app, "d", "2", 900) == 204

    asyncio.run(go())
    assert take_refusals("a") == {OWN: 1} and take_refusals("d") == {ALL: 1}


def test_files_on_their_way_count_and_no_count_is_left_behind():
    """Ten chunked uploads at once: what has come is what counts, and it never is over the limit."""
    shelf = Shelf()

    async def go() -> None:
        shelf.gate = asyncio.Event()
        tasks = [
            asyncio.create_task(put(shelf.app, f"v{i}", "1", 700, announced=False))
            for i in range(10)
        ]
        await asyncio.sleep(0)
        shelf.gate.set()
        said = Counter(await asyncio.gather(*tasks))
        assert said[204] == 2 and said[ALL] == 8  # 2 x 700 fit into 2000, a third does not
        limits = shelf.app.middleware_stack.app  # under Starlette's own error handler
        assert isinstance(limits, UploadLimits)
        assert not limits._files and not limits._bytes

    asyncio.run(go())


def test_the_rule_against_a_plain_one_by_one_count():
    """Random uploads and deletions: nothing above a limit gets in, and what fits does."""
    draw, shelf = random.Random(0), Shelf(Limits(files=5, own=600, all=1500))

    async def go() -> None:
        for turn in range(400):
            session = draw.choice("abcd")
            own = shelf.files.get(session, {})
            if own and draw.random() < 0.4:
                del own[draw.choice(list(own))]
                continue
            size = draw.randrange(0, 400)
            everything = sum(sum(f.values()) for f in shelf.files.values())
            fits_own = len(own) < 5 and sum(own.values()) + size <= 600
            fits_all = everything + size <= 1500
            # Of a file that nobody announced, whichever limit it meets first is told.
            broken = ({OWN} if not fits_own else set()) | ({ALL} if not fits_all else set())
            wanted = broken or {204}
            said = await put(shelf.app, session, str(turn), size, announced=turn % 2 == 0)
            assert said in wanted, (turn, size, own, everything)

    asyncio.run(go())


def test_large_files_leave_room_for_everybodys_photo():
    limits, photo, archive = Limits(), 6_000_000, 200_000_000
    first = limits.refusal(Stored(0, 0, 0), archive)
    second = limits.refusal(Stored(0, 0, archive), archive)
    assert (first, second) == (0, ALL)
    held, photos = archive, 0
    while not limits.refusal(Stored(0, 0, held), photo):
        held, photos = held + photo, photos + 1
    assert photos >= 30 and held <= limits.all
    crowd = limits.all * 3 // 4
    assert limits.refusal(Stored(1, SMALL, crowd), 1) == ALL  # a quarter is kept for the others
    assert limits.refusal(Stored(1, SMALL - 1, crowd), 1) == 0
    assert limits.all // photo >= 60


def test_settings_are_read_and_nonsense_is_not(monkeypatch):
    monkeypatch.setenv("DVT_UPLOAD_FILES", "7")
    monkeypatch.setenv("DVT_UPLOAD_MB", "-1")
    monkeypatch.setenv("DVT_UPLOAD_MB_ALL", "50")
    assert Limits.from_environment() == Limits(7, Limits.own, 50_000_000)


def test_what_is_stored_is_asked_of_streamlits_manager(monkeypatch):
    manager = MemoryUploadedFileManager("/x")
    fake = type("Runtime", (), {"uploaded_file_mgr": manager})()
    monkeypatch.setattr(uploads.runtime, "exists", lambda: True)
    monkeypatch.setattr(uploads.runtime, "get_instance", lambda: fake)
    assert stored_uploads("a") == Stored(0, 0, 0) and "a" not in manager.file_storage
    for session, file, size in (("a", "1", 5), ("a", "2", 7), ("b", "1", 11)):
        manager.add_file(session, UploadedFileRec(file, "n", "t", bytes(size)))
    assert stored_uploads("a") == Stored(2, 12, 23)
    manager.remove_file("a", "1")
    assert stored_uploads("a") == Stored(1, 7, 18)
    manager.remove_session_files("b")
    assert stored_uploads("b") == Stored(0, 0, 7)


def test_other_requests_pass_untouched():
    seen = []

    async def endpoint(request: Request) -> Response:
        seen.append((request.method, len(await request.body())))
        return Response()

    full = Middleware(UploadLimits, limits=Limits(0, 0, 0), stored=lambda _: Stored(9, 9, 9))
    routes = [Route("/{path:path}", endpoint, methods=["PUT", "DELETE", "POST"])]
    app = Starlette(routes=routes, middleware=[full])

    async def go() -> None:
        upload, headers = "/base/_stcore/upload_file/a/1", {"content-length": "1"}
        assert (await ask(app, "PUT", upload, [b"x"], headers))[0] == OWN
        for method, path in (("DELETE", upload), ("POST", upload), ("PUT", "/other")):
            assert (await ask(app, method, path, [b"x"], headers))[0] == 200

    asyncio.run(go())
    assert seen == [("DELETE", 1), ("POST", 1), ("PUT", 1)]


def test_a_large_upload_is_not_written_to_the_disk(monkeypatch):
    """The pages say so; Starlette's parser of forms would do it from 1 MB on."""
    rolled: list[int] = []
    monkeypatch.setattr(SpooledTemporaryFile, "rollover", lambda self: rolled.append(1))
    sizes = []

    async def endpoint(request: Request) -> Response:
        async with request.form() as form:
            (file,) = form.values()
            assert not isinstance(file, str)
            sizes.append(len(await file.read()))
        return Response()

    app = Starlette(routes=[Route("/", endpoint, methods=["PUT"])])

    head = b'--x\r\ncontent-disposition: form-data; name="a"; filename="a.png"\r\n\r\n'
    pieces = [head, *[bytes(100_000)] * 30, b"\r\n--x--\r\n"]
    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert asyncio.run(ask(app, "PUT", "/", pieces, headers))[0] == 200
    assert sizes == [3_000_000] and rolled == []


# --- what pages keep ----------------------------------------------------------------------


def batch(size: int) -> Held:
    return hold([Source("a", (), partial(bytes, size)), Source("b", ("c",), bytes)], size)


@pytest.fixture
def megabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for ten megabytes of batches and ten of trays, and none of either yet."""
    monkeypatch.setenv("DVT_BATCH_MB_ALL", "10")
    monkeypatch.setenv("DVT_TRAY_MB_ALL", "10")
    monkeypatch.setattr(held, "_batches", [])
    monkeypatch.setattr(held, "_trays", weakref.WeakSet())


def test_the_oldest_batches_leave_but_none_that_runs(megabytes):
    first, second = batch(4 * MB), batch(4 * MB)
    sources = first.sources()
    assert [(s.name, s.folders) for s in sources] == [("a", ()), ("b", ("c",))]
    assert sources[0].read() == bytes(4 * MB)
    running = True
    first.is_needed = lambda: running
    third = batch(5 * MB)
    assert second.is_dropped and not first.is_dropped and not third.is_dropped
    assert second.sources() == ()
    third.is_needed = lambda: running
    with pytest.raises(InputError, match="fill this server's memory"):
        batch(2 * MB)
    running = False
    batch(2 * MB)
    with pytest.raises(InputError, match="left to make room"):
        sources[0].read()
    assert not third.is_dropped


def test_a_batch_that_nobody_has_any_more_takes_no_room(megabytes):
    for _ in range(20):
        kept = batch(9 * MB)
        assert not kept.is_dropped
        del kept
    assert not batch(10 * MB).is_dropped


def picture(size: int) -> Picture:
    return Picture(bytes(size), "a.png")


def test_trays_of_all_visitors_together_are_bounded(megabytes):
    """Against a plain count: never more than the room and everybody's last picture."""
    draw, trays = random.Random(0), [Tray() for _ in range(6)]
    for _ in range(300):
        tray = draw.choice(trays)
        new = picture(draw.randrange(1, 2 * MB))
        tray.keep((*tray, new))
        assert tray[-1] is new
        together = sum(len(each.data) for tray in trays for each in tray)
        lasts = sum(len(tray[-1].data) for tray in trays if tray)
        assert together <= max(10 * MB, lasts)
    assert all(len(tray) for tray in trays) and sum(tray.left for tray in trays) > 200
    alone = trays[0]
    trays.clear()
    del tray
    gc.collect()
    alone.keep(tuple(picture(MB) for _ in range(10)))  # those of others have left
    assert len(alone) == 10


def test_files_of_a_widget_that_is_gone_leave_the_server(monkeypatch):
    manager = MemoryUploadedFileManager("/x")
    context = type("Context", (), {"uploaded_file_mgr": manager, "session_id": "s"})()
    state: dict[str, object] = {}
    monkeypatch.setattr(upload_box, "get_script_run_ctx", lambda: context)
    monkeypatch.setattr(upload_box.st, "session_state", state)

    def choose(key: str, *ids: str) -> None:
        records = [UploadedFileRec(each, "n", "t", b"12345") for each in ids]
        for record in records:
            manager.add_file("s", record)
        state[key] = [UploadedFile(record, None) for record in records]  # pyright: ignore
        upload_box.note(key, state[key])  # pyright: ignore

    def stored() -> set[str]:
        return set(manager.file_storage["s"])

    upload_box.forget_uploads("look")
    choose("upload", "1", "2")
    choose("camera", "3")
    upload_box.forget_uploads("look")
    assert stored() == {"1", "2", "3"}  # drawn anew
    del state["camera"]  # another source was chosen: Streamlit drops the widget's state
    upload_box.forget_uploads("look")
    assert stored() == {"1", "2"}
    upload_box.forget_uploads("batch")
    assert stored() == set()
    choose("files", "4")
    upload_box.forget_uploads("batch")
    assert stored() == {"4"}


def test_visits_that_are_over_end_though_nobody_else_comes(monkeypatch):
    """Streamlit's own storage: nothing of an expired visit is left, one that may return stays."""
    ended: list[str] = []

    def info(name: str) -> SessionInfo:
        ending = type("Session", (), {"id": name, "shutdown": lambda self: ended.append(name)})()
        return SessionInfo(client=None, session=ending, script_run_count=0)

    storage = MemorySessionStorage(ttl_seconds=60)
    manager = type("Manager", (), {"_session_storage": storage})()
    fake = type("Runtime", (), {"_session_mgr": manager})()
    monkeypatch.setattr(uploads.runtime, "get_instance", lambda: fake)
    now = [0.0]
    monkeypatch.setattr(storage._cache, "_timer", lambda: now[0])
    storage.save(info("first"))
    now[0] = 50
    storage.save(info("second"))
    assert end_expired_sessions() == 0 and ended == []
    now[0] = 61
    assert end_expired_sessions() == 1 and ended == ["first"]
    assert storage.get("second") is not None and end_expired_sessions() == 0


def test_a_batch_that_cannot_fit_drives_nobody_out(megabytes):
    running, idle = batch(6 * MB), batch(3 * MB)
    running.is_needed = lambda: True
    with pytest.raises(InputError, match="fill this server's memory"):
        batch(5 * MB)
    assert not idle.is_dropped and not running.is_dropped
    assert not batch(4 * MB).is_dropped and idle.is_dropped


def test_a_batch_keeps_its_pictures_from_the_click_on(megabytes):
    mine = batch_intake.from_files([("a.png", bytes(6 * MB))])
    assert mine.held is not None
    with mine.kept(), pytest.raises(InputError):
        batch(9 * MB)
    assert not mine.held.is_dropped
    batch(9 * MB)  # no job was started after all
    assert mine.held.is_dropped


def test_a_file_that_arrives_when_its_visit_is_over_is_forgotten(monkeypatch):
    shelf, manager = Shelf(), MemoryUploadedFileManager("/x")
    alive = {"here"}
    sessions = type("Sessions", (), {"get_session_info": lambda self, s: s in alive or None})()
    fake = type("Runtime", (), {"uploaded_file_mgr": manager, "_session_mgr": sessions})()
    monkeypatch.setattr(uploads.runtime, "exists", lambda: True)
    monkeypatch.setattr(uploads.runtime, "get_instance", lambda: fake)
    for session in ("here", "gone"):
        manager.add_file(session, UploadedFileRec("1", "n", "t", bytes(5)))
        assert asyncio.run(put(shelf.app, session, "2", 50)) == 204
    assert set(manager.file_storage) == {"here"}


def test_an_upload_that_comes_to_a_halt_ends_and_counts_no_more(monkeypatch):
    monkeypatch.setattr(uploads, "STALLED_S", 0.01)

    async def app(scope, receive, send):
        await receive()
        await receive()

    limited, pieces = UploadLimits(app, LIMITS, lambda session: Stored(0, 0, 0)), [bytes(10)]

    async def receive() -> Message:
        if pieces:
            return {"type": "http.request", "body": pieces.pop(), "more_body": True}
        await asyncio.sleep(60)
        raise AssertionError

    scope = {"type": "http", "method": "PUT", "path": "/_stcore/upload_file/a/1", "headers": []}
    with pytest.raises(HTTPException) as error:
        asyncio.run(limited(scope, receive, lambda message: asyncio.sleep(0)))
    assert error.value.status_code == 408
    assert not limited._files and not limited._bytes
