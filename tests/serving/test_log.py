"""Log lines, counters, and reading along: nothing of a visitor gets through, the numbers add up."""

import io
import json
import logging
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import streamlit.logger as streamlit_logger
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect
from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from app.serving import watched_work
from app.serving.counters import KEPT, MAX_ACTIONS, REST, Counters, percentile
from app.serving.log import JSON, TEXT, event, install, places
from app.serving.visit import UNKNOWN, Visit
from app.serving.watch import FRONT, UNROUTED, Watch
from app.serving.watched_work import WatchedQueue, WatchedWorker
from app.work.call import Busy
from dvt_core.errors import InputError

MARK = "grandma_at_the_beach"  # stands for whatever a visitor sends
ENDS_A_LINE = "a\nb\r\x1b[31m\u2028\u0085c"


@pytest.fixture(params=[JSON, TEXT])
def lines(request, monkeypatch) -> Iterator[io.StringIO]:
    """Where everything is logged that this process logs; as it was, afterwards."""
    names = ("", *logging.root.manager.loggerDict)
    loggers = {name: logging.getLogger(name) for name in names}
    before = {
        name: (each.handlers[:], each.level, each.propagate) for name, each in loggers.items()
    }
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(streamlit_logger, "setup_formatter", streamlit_logger.setup_formatter)
    stream = io.StringIO()
    install({"DVT_LOG": request.param}, stream)
    yield stream
    install({}, io.StringIO())  # the next test's handler is not this one
    streamlit_logger.set_log_level("info")
    for name, (handlers, level, propagate) in before.items():
        loggers[name].handlers[:], loggers[name].propagate = handlers, propagate
        loggers[name].setLevel(level)


def _read(lines: io.StringIO) -> list[str]:
    """The lines, each of them one event, in JSON or text."""
    found = lines.getvalue().split("\n")
    assert found.pop() == ""
    for line in found:
        assert line.isprintable()  # no control character, nothing that a terminal takes as an end
    return found


def _raise(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


def test_lines_of_others_lose_their_values_and_keep_one_form(lines, capsys):
    """Streamlit's loggers, one made later, uvicorn's and a library's; once each, on our stream."""
    late = streamlit_logger.get_logger(f"streamlit.made_later_{id(lines)}")
    for logger in (
        logging.getLogger("streamlit.error_util"),
        late,
        logging.getLogger("uvicorn.error"),
        logging.getLogger("PIL.Image"),
    ):
        logger.warning("cannot read %s (%r), %d bytes", MARK, [MARK], 17)
        logger.error("Uncaught app execution", exc_info=_raise(KeyError(MARK)))
        logger.warning(ValueError(MARK))
    streamlit_logger._loggers.pop("uvicorn.access", None)
    streamlit_logger.get_logger("uvicorn.access").info("%s", MARK)  # as Streamlit sets it up late
    logging.getLogger("uvicorn.error").info('%s - "WebSocket %s" [accepted]', MARK, MARK)
    found = _read(lines)
    assert len(found) == 12 and MARK not in lines.getvalue()
    assert sum("cannot read <str> (<list>), 17 bytes" in line for line in found) == 4
    assert sum("KeyError at tests/serving/test_log.py:" in line for line in found) == 4
    assert capsys.readouterr() == ("", "")


def test_an_event_is_one_line_whatever_is_in_it(lines):
    event("refused", logging.WARNING, name=ENDS_A_LINE, n=3, s=0.25)
    logging.getLogger("app.somewhere").warning("model %s is not ready", ENDS_A_LINE)
    first, second = _read(lines)
    if first.startswith("{"):
        got = json.loads(first)
        assert (got["level"], got["event"], got["n"], got["s"]) == ("warning", "refused", 3, 0.25)
        assert got["name"] == ENDS_A_LINE and json.loads(second)["words"].endswith("is not ready")
    else:
        assert " warning refused name=" in first and first.endswith(" n=3 s=0.25")


def test_what_python_prints_itself_becomes_a_line(lines, capfd):
    def fail() -> None:
        raise RuntimeError(MARK)

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        install({"DVT_LOG": "json"}, lines)  # catch_warnings has put its own in place
        warnings.warn(MARK, UserWarning, stacklevel=1)
    found = _read(lines)
    assert len(found) == 2 and MARK not in lines.getvalue()
    assert "RuntimeError at" in found[0] and "UserWarning" in found[1]
    assert capfd.readouterr() == ("", "")


def test_a_traceback_names_places_and_says_nothing():
    try:
        try:
            raise OSError(MARK)
        except OSError as error:
            raise ValueError(MARK) from error
    except ValueError as error:
        line, told = places(error), places(error, with_words=True)
    here = r"test_a_traceback_names_places_and_says_nothing"
    assert line.count(here) == 2 and "ValueError at " in line and " | after OSError at " in line
    assert MARK not in line and told.count(MARK) == 2


@pytest.mark.parametrize("size", [1, 2, 3, 19, 20, 21, 1000])
def test_percentile_matches_numpys_inverted_distribution(size):
    values = np.random.default_rng(size).exponential(size=size).tolist()
    for share in (0.01, 0.5, 0.95, 1.0):
        wanted = np.quantile(values, share, method="inverted_cdf")
        assert percentile(values, share) == wanted
    assert percentile([], 0.5) is None


def test_counters_count_all_and_keep_the_last_thousand():
    counters = Counters()
    for i in range(3 * KEPT):
        counters.add("pages", "/", float(i), waited=i / 2, failed=i % 3 == 0, refused=i % 5 == 0)
    (row,) = counters.rows("pages")
    last = np.arange(2 * KEPT, 3 * KEPT)
    assert (row.n, row.failed, row.refused) == (3 * KEPT, KEPT, 3 * KEPT // 5)
    assert (row.p50, row.max) == (np.quantile(last, 0.5, method="inverted_cdf"), last[-1])
    assert row.waited_p95 == np.quantile(last / 2, 0.95, method="inverted_cdf")
    for i in range(2 * MAX_ACTIONS):
        counters.add("requests", f"/{i}", 0.0)
    rows = {row.name: row.n for row in counters.rows("requests")}
    assert len(rows) == MAX_ACTIONS + 1 and rows[REST] == MAX_ACTIONS


def test_levels_hold_from_many_threads():
    counters, met = Counters(), threading.Barrier(8)

    def come_and_go(_: int) -> None:
        counters.enter("sessions")
        met.wait()  # all are there at once
        counters.leave("sessions")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(come_and_go, range(8)))
    level = counters.level("sessions")
    assert (level.now, level.peak, level.total) == (0, 8, 8)


# --- reading a connection along -------------------------------------------------------------


def _asks(is_poll: bool = False) -> bytes:
    message = BackMsg()
    message.rerun_script.query_string = MARK
    message.rerun_script.is_auto_rerun = is_poll
    return message.SerializeToString()


def _begins() -> bytes:
    message = ForwardMsg()
    message.new_session.name = MARK
    return message.SerializeToString()


def _is_at(path: str) -> bytes:
    message = ForwardMsg()
    for hashed, name, is_default in (("h1", "look", True), ("h2", "tradeoff", False)):
        message.navigation.app_pages.add(
            page_script_hash=hashed, url_pathname=name, is_default=is_default, page_name=MARK
        )
    message.navigation.page_script_hash = {"/": "h1", "/tradeoff": "h2"}[path]
    return message.SerializeToString()


def _shows(kind: str) -> bytes:
    message = ForwardMsg()
    element = message.delta.new_element
    if kind == "exception":
        element.exception.message = MARK
    else:
        element.alert.body = MARK
        element.alert.format = Alert.ERROR if kind == "error" else Alert.WARNING
    return message.SerializeToString()


def _ends(status: int = ForwardMsg.FINISHED_SUCCESSFULLY) -> bytes:
    message = ForwardMsg()
    message.script_finished = status  # type: ignore[assignment]
    return message.SerializeToString()


EARLY = _ends(ForwardMsg.FINISHED_EARLY_FOR_RERUN)
PART = _ends(ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        pytest.param(  # asked at 0, began at 1, ended at 3
            [_asks(), _begins(), _is_at("/"), _ends()], [("/", 1, 3)], id="one run"
        ),
        pytest.param(  # two clicks while the server was busy: the first has waited longest
            [_asks(), _asks(), _begins(), _ends()], [(UNKNOWN, 2, 3)], id="two requests, one run"
        ),
        pytest.param(  # the second click, at 2, replaces the first
            [_asks(), _begins(), _asks(), EARLY, _begins(), _ends()],
            [(UNKNOWN, 2, 3)],
            id="overtaken",
        ),
        pytest.param(  # st.rerun: the visitor waits from 0 to 5
            [_asks(), _begins(), EARLY, _begins(), _is_at("/tradeoff"), _ends()],
            [("/tradeoff", 1, 5)],
            id="asks itself for another run",
        ),
        pytest.param(  # a click at 2 while the first run ends: its own time begins at 2
            [_asks(), _begins(), _asks(), _ends(), _begins(), _ends()],
            [(UNKNOWN, 1, 3), (UNKNOWN, 2, 3)],
            id="asked in the middle",
        ),
        pytest.param([_asks(), b"\xff\xff", _begins(), _ends()], [(UNKNOWN, 2, 3)], id="noise"),
        pytest.param([_ends(), EARLY, _ends()], [], id="ends that never began"),
    ],
)
def test_a_run_counts_from_the_request_to_its_end(told, wanted):
    visit, runs = Visit(), []
    for now, data in enumerate(told):
        if data == _asks():
            visit.receive(data, now)
        elif (run := visit.send(data, now)) is not None:
            runs.append((run.page, run.waited, run.seconds))
    assert runs == wanted


@pytest.mark.parametrize(
    ("shown", "failed", "told"),
    [
        ([], False, ""),
        (["exception"], True, ""),
        (["warning"], False, "warning"),
        (["warning", "error", "warning"], False, "error"),
    ],
)
def test_a_run_knows_what_it_showed_and_keeps_none_of_it(shown, failed, told):
    visit = Visit()
    visit.receive(_asks(is_poll=True), 0)
    visit.send(_begins(), 0)
    for kind in shown:
        visit.send(_shows(kind), 0)
    run = visit.send(PART, 1)
    assert run is not None and (run.failed, run.told) == (failed, told)
    assert run.is_part and run.is_poll and MARK not in repr((run, vars(visit)))
    visit.receive(_asks(), 2)
    visit.send(_begins(), 2)
    clean = visit.send(_ends(), 3)
    assert clean is not None and not (clean.failed or clean.told or clean.is_part or clean.is_poll)


# --- the middleware -------------------------------------------------------------------------


async def _echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(await request.body())


async def _fail(_: Request) -> PlainTextResponse:
    raise RuntimeError(MARK)


async def _stream(socket: WebSocket) -> None:
    if "refuse" in socket.query_params:
        await socket.close()
        return
    await socket.accept()
    await socket.receive_bytes()
    for each in (_begins(), _is_at("/tradeoff"), _shows("error"), _ends()):
        await socket.send_bytes(each)
    with pytest.raises(WebSocketDisconnect):
        await socket.receive_bytes()


def _watched(counters: Counters) -> TestClient:
    routes = [
        Route("/echo/{name}", _echo, methods=["PUT", "GET"]),
        Route("/fail/{path:path}", _fail),
        WebSocketRoute("/stream", _stream),
        Mount("/files", PlainTextResponse("file")),
    ]
    app = Starlette(routes=routes, middleware=[Middleware(Watch, counters)])
    return TestClient(app, raise_server_exceptions=False)


def test_watch_names_routes_counts_all_and_changes_nothing(lines):
    counters = Counters()
    with _watched(counters) as client:
        assert client.put(f"/echo/{MARK}?{MARK}", content=b"x" * 1000).text == "x" * 1000
        assert client.get(f"/echo/{MARK}").status_code == 200
        assert client.get(f"/fail/{MARK}").status_code == 500
        assert client.get(f"/{MARK}").status_code == 404
        assert client.request(MARK, "/echo/x").status_code == 405
        with client.websocket_connect(f"/stream?{MARK}") as socket:
            assert counters.level("sessions").now == 1
            socket.send_bytes(_asks())
            assert [socket.receive_bytes() for _ in range(4)][-1] == _ends()
        with pytest.raises(WebSocketDisconnect):
            client.websocket_connect("/stream?refuse=1").__enter__()
    rows = {row.name: (row.n, row.failed, row.refused) for row in counters.rows("requests")}
    assert rows == {
        "PUT /echo/{name}": (1, 0, 0),
        "GET /echo/{name}": (1, 0, 0),
        f"GET {FRONT}": (1, 1, 0),
        f"GET {UNROUTED}": (1, 0, 1),
        "(other) /echo/{name}": (1, 0, 1),
        "WEBSOCKET refused": (1, 0, 1),
    }
    (page,) = counters.rows("pages")
    assert (page.name, page.n, page.failed, page.refused) == ("/tradeoff page", 1, 0, 1)
    sessions = counters.level("sessions")
    assert (sessions.now, sessions.peak, sessions.total) == (0, 1, 1)
    found = _read(lines)
    assert MARK not in lines.getvalue()
    (put,) = (line for line in found if "PUT" in line)
    if put.startswith("{"):
        got = json.loads(put)
        assert (got["bytes_in"], got["bytes_out"], got["status"]) == (1000, 1000, 200)


# --- calls of the model and long work -------------------------------------------------------


@pytest.fixture
def counted(monkeypatch) -> Counters:
    counters = Counters()
    monkeypatch.setattr(watched_work, "SERVED", counters)
    return counters


def test_calls_are_counted_by_how_they_ended(counted, lines, monkeypatch):
    monkeypatch.setattr(watched_work, "SLOW_S", 60.0)  # the machine may be busy
    worker = WatchedWorker(max_waiting=2)
    began, go_on = threading.Event(), threading.Event()

    def slow(picture: str) -> str:
        began.set()
        go_on.wait(30)
        return picture[::-1]

    def told() -> None:
        raise InputError(MARK)

    def broken() -> None:
        raise KeyError(MARK)

    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(worker.run, slow, MARK) for _ in range(2)]
        assert began.wait(30)  # else the one that waits may be the first, on its way to the thread
        deadline = time.monotonic() + 30
        while worker.waiting < 1 and time.monotonic() < deadline:
            time.sleep(0.001)
        with pytest.raises(Busy):
            worker.run(slow, MARK)
        go_on.set()
        assert [answer.result(30) for answer in answers] == [MARK[::-1]] * 2
    for function, error in ((told, InputError), (broken, KeyError)):
        with pytest.raises(error):
            worker.run(function)
    worker.close()
    rows = {row.name: (row.n, row.failed, row.refused) for row in counted.rows("work")}
    assert rows == {"slow": (3, 0, 1), "told": (1, 0, 1), "broken": (1, 1, 0)}
    assert (counted.level("calls").now, counted.level("calls").peak) == (0, 3)
    assert MARK not in lines.getvalue()
    assert len(_read(lines)) == 3  # quick calls that went well are counted only


def test_jobs_are_counted_by_how_they_ended(counted, lines):
    queue = WatchedQueue("computing")

    def told(_: object) -> None:
        raise InputError(MARK)

    def broken(_: object) -> None:
        raise KeyError(MARK)

    for owner, work in (("a", lambda job: MARK), ("b", told), ("c", broken)):
        job = queue.submit(owner, MARK, work)
        while job.is_open:
            pass
    (row,) = counted.rows("jobs")
    assert (row.name, row.n, row.failed, row.refused) == ("computing", 3, 1, 1)
    assert MARK not in lines.getvalue()
    assert sum("KeyError" in line for line in _read(lines)) == 1
