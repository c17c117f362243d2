"""`/ready` against Streamlit's real runtime: whole, with broken pages, without models, stuck."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import streamlit as st
from starlette.routing import Route
from starlette.testclient import TestClient
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime import Runtime

from app import services
from app.serving import health
from app.serving.health import Health, Unfit, Visitor
from app.serving.probe import default_address, probe
from app.work.worker import Worker
from dvt_core.bundle import WEIGHTS
from tests.ui.tiny_model import write_bundle

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test machine may be busy with something else."""
    for limit in ("MODEL_S", "PAGE_S", "ROUND_S"):
        monkeypatch.setattr(health, limit, 300.0)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("models") / "tiny").path


@pytest.fixture
def models(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    shutil.copytree(tiny, folder / "tiny")
    monkeypatch.setenv("DVT_MODELS", str(folder))
    return folder


@pytest.fixture
def app_copy(tmp_path: Path) -> Path:
    """The app's frame and pages in a folder of their own, to be broken; the rest is imported."""
    folder = tmp_path / "app"
    shutil.copytree(ROOT / "app" / "views", folder / "views")
    shutil.copy(ROOT / "app" / "main.py", folder)
    (tmp_path / "assets").mkdir()
    shutil.copy(ROOT / "assets" / "favicon.png", tmp_path / "assets")
    return folder


@contextmanager
def serving(script: Path) -> Iterator[TestClient]:
    """Streamlit's own server around a script, in this process."""
    checks = health.ask_the_model, health.open_every_page
    routes = [Route("/ready", Health(*checks, kept_s=0).answer)]
    before = Runtime._instance
    Runtime._instance = None
    try:
        with TestClient(st.App(script, routes=routes)) as client:
            try:
                yield client
            finally:
                while any("ScriptRunner" in thread.name for thread in threading.enumerate()):
                    time.sleep(0.05)  # or its event loop would never be closed
                client.get("/_stcore/health")  # the server's own loop hears of its end first
    finally:
        Runtime._instance = before


def ready(client: TestClient) -> tuple[int, str]:
    answer = client.get("/ready")
    assert answer.headers["cache-control"] == "no-store"
    return answer.status_code, answer.text


def test_a_whole_app_is_ready_and_every_page_was_opened(
    models: Path, app_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds, take = [], Visitor.write_forward_msg

    def note(visitor: Visitor, msg: ForwardMsg) -> None:
        kinds.append(msg.WhichOneof("type"))
        take(visitor, msg)

    monkeypatch.setattr(Visitor, "write_forward_msg", note)
    for view in (app_copy / "views").glob("*.py"):
        note = f"with open({str(tmp_path / 'opened')!r}, 'a') as opened:\n    "
        view.write_text(f"{view.read_text()}\n{note}opened.write({view.stem!r} + ' ')\n")
    with serving(app_copy / "main.py") as client:
        assert ready(client) == (200, "ready")
        assert client.get("/_stcore/health").text == "ok"
        assert not Runtime.instance()._session_mgr.list_sessions()  # the visitor has left
    views = sorted(view.stem for view in (ROOT / "app" / "views").glob("[!_]*.py"))
    assert sorted((tmp_path / "opened").read_text().split()) == views
    # A browser that lost its server asks for the page again where something on it asks anyway.
    assert kinds.count("auto_rerun") >= len(views)


@pytest.mark.parametrize(
    ("view", "lines", "line"),
    [
        ("look", "raise ValueError('broken')", "page / shows an exception, the log says which"),
        ("batch", "import nothing_like_it", "page /batch shows an exception, the log says which"),
        ("lesson", "def", "page /lesson shows an exception, the log says which"),
    ],
)
def test_a_broken_page_is_found_while_the_process_lives(
    models: Path, app_copy: Path, view: str, lines: str, line: str
) -> None:
    page = app_copy / "views" / f"{view}.py"
    page.write_text(f"{page.read_text()}\n{lines}\n")
    with serving(app_copy / "main.py") as client:
        assert ready(client) == (503, f"not ready: {line}")
        assert client.get("/_stcore/health").status_code == 200  # why this alone does not do


def test_a_page_without_end_is_found(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PAGE_S", 0.3)
    (tmp_path / "slow.py").write_text("import time\n\ntime.sleep(2)\n")
    with serving(tmp_path / "slow.py") as client:
        assert ready(client) == (503, "not ready: page / does not come to an end within 0.3 s")


def test_a_frame_that_does_not_compile_is_found(models: Path, app_copy: Path) -> None:
    (app_copy / "main.py").write_text("def")
    with serving(app_copy / "main.py") as client:
        assert ready(client) == (503, "not ready: page / does not compile, the log says why")


def test_no_models_and_broken_models_are_found_and_one_good_one_is_enough(
    models: Path, app_copy: Path
) -> None:
    with serving(app_copy / "main.py") as client:
        shutil.copytree(models / "tiny", models / "broken")
        (models / "broken" / WEIGHTS).write_bytes(b"not weights")
        assert ready(client) == (200, "ready")
        shutil.rmtree(models / "tiny")
        status, line = ready(client)
        assert (status, line) == (503, "not ready: none of 1 models loads, the log says why")
        shutil.rmtree(models / "broken")
        assert ready(client) == (503, "not ready: there is no model folder")


def test_a_worker_that_hangs_is_found(
    models: Path, app_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, release = Worker(), threading.Event()
    monkeypatch.setattr(services, "get_worker", lambda: worker)
    monkeypatch.setattr(health, "MODEL_S", 0.5)
    holder = threading.Thread(target=worker.run, args=(release.wait,))
    holder.start()
    try:
        with serving(app_copy / "main.py") as client:
            line = "not ready: the model gives no answer within 0.5 s"
            assert ready(client) == (503, line)
            monkeypatch.setattr(health, "MODEL_S", 300)
            release.set()
            assert ready(client) == (200, "ready")
    finally:
        release.set()
        holder.join()


def test_many_who_ask_cost_one_round() -> None:
    rounds, now = [], [0.0]

    async def check() -> None:
        rounds.append(now[0])
        await asyncio.sleep(0.01)
        if len(rounds) == 2:
            raise Unfit("page / is gone")
        if len(rounds) == 3:
            raise KeyError("a bug of the check")

    async def ask() -> list[str]:
        subject = Health(check, kept_s=20, clock=lambda: now[0])
        said = {found.fault for found in await asyncio.gather(*(subject.find() for _ in range(50)))}
        for at in (19.9, 20.0, 39.0, 40.0):
            now[0] = at
            said.add((await subject.find()).fault)
        return sorted(said)

    faults = asyncio.run(ask())
    assert rounds == [0.0, 20.0, 40.0]
    broken, bug = "page / is gone", "the health check failed: KeyError, the log says why"
    assert faults == sorted(["", broken, bug])


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        log_message: Callable = lambda *_: None

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/ready"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "body", "found"),
    [
        (200, b"ready", (True, "ready")),
        (503, b"not ready: page /", (False, "not ready: page /")),
        (200, b"<!doctype html>\n<html>", (False, "<!doctype html>")),  # the route is missing
    ],
)
def test_the_probe_believes_only_the_word(
    status: int, body: bytes, found: tuple[bool, str]
) -> None:
    with answering(status, body) as address:
        assert probe(address, 60) == found
    assert probe(address, 5)[0] is False  # nobody listens any more


def test_the_probe_asks_the_port_that_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STREAMLIT_SERVER_PORT", raising=False)
    assert default_address() == "http://127.0.0.1:8501/ready"
    monkeypatch.setenv("STREAMLIT_SERVER_PORT", "7860")
    assert default_address() == "http://127.0.0.1:7860/ready"
