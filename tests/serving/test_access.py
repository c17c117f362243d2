"""Who is answered, and which paths may be typed: the rules one by one."""

from __future__ import annotations

import os
import pickle
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect
from streamlit import config
from streamlit.runtime.context import StreamlitHeaders
from streamlit.web.server import server_util

from app.serving import access
from app.serving.access import (
    DATA_ROOT,
    MODEL_ROOT,
    PASSED_ON,
    KnownAddresses,
    allowed_folder,
    check_links,
    host_name,
    is_local,
    is_own_name,
    is_own_origin,
    objection,
    refusal,
)
from app.serving.headers import SecurityHeaders, security_headers, server_error
from dvt_core.errors import InputError
from tests.ui.tiny_model import write_bundle

Set = Callable[..., None]
PROXY = {"x-forwarded-for": "203.0.113.7"}


@pytest.fixture(autouse=True)
def no_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MODEL_ROOT, raising=False)
    monkeypatch.delenv(DATA_ROOT, raising=False)


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Set:
    """Options of the server, until the end of the test: setting(server_address="0.0.0.0")."""
    asked: dict[str, object] = {}
    get = config.get_option
    monkeypatch.setattr(st, "get_option", lambda key: asked.get(key, get(key)))
    monkeypatch.setattr(config, "get_option", lambda key: asked.get(key, get(key)))

    def put(**values: object) -> None:
        asked.update({key.replace("_", ".", 1): value for key, value in values.items()})

    put(server_address="127.0.0.1", server_allowedHosts=[], server_corsAllowedOrigins=[])
    return put


@pytest.fixture
def visitor(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """The headers of the request that opened the page."""

    def put(**headers: str) -> None:
        said = [(name.replace("_", "-"), value) for name, value in headers.items()]
        context = type("Context", (), {"headers": StreamlitHeaders(said)})()
        monkeypatch.setattr(access.st, "context", context)

    return put


# --- names and origins --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("127.0.0.1:8501", "127.0.0.1"),
        ("[::1]:8501", "::1"),
        ("LocalHost.", "localhost"),
        ("https://Class.Example:8443", "class.example"),
        ("http://localhost:8501", "localhost"),
        ("localhost@evil.example", ""),
        ("localhost/..", ""),
        ("localhost:80x", ""),
        ("localhost:99999", ""),
        ("http://localhost#.evil.example", ""),
        ("[::1", ""),
        ("null", "null"),
        ("", ""),
    ],
)
def test_the_name_in_a_host_or_an_origin(text, name):
    assert host_name(text) == name


FOREIGN = ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "0.0.0.0:8501", "")


def test_a_loopback_server_answers_to_loopback_names_only(setting):
    assert all(map(is_own_name, ("127.0.0.1:8501", "localhost:8501", "[::1]:8501", "localhost")))
    assert not any(map(is_own_name, FOREIGN))


def test_a_server_of_a_network_answers_to_its_names(setting):
    setting(server_address="0.0.0.0")
    assert all(map(is_own_name, ("class.example", "192.0.2.7:8501", "127.0.0.1:8501")))
    assert not is_own_name("") and not is_own_name("a/b")
    setting(server_allowedHosts=["class.example", "*.school.example"])
    assert is_own_name("class.example:80") and is_own_name("b.school.example")
    assert is_own_name("localhost:8501")  # of the health check; no foreign page can ask by it
    assert not is_own_name("evil.example") and not is_own_name("192.0.2.7:8501")
    setting(server_address="127.0.0.1")  # behind a proxy on this machine
    assert is_own_name("class.example") and not is_own_name("evil.example")


@pytest.mark.parametrize(
    ("origin", "host", "is_own"),
    [
        ("http://127.0.0.1:8501", "127.0.0.1:8501", True),
        ("http://[::1]:8501", "[::1]:8501", True),
        ("https://class.example", "class.example", True),
        ("https://class.example", "class.example:443", True),
        ("http://class.example:8080", "class.example", True),  # a proxy that drops the port
        ("http://localhost:3000", "localhost:8501", False),  # another server of this machine
        ("http://localhost:8501", "127.0.0.1:8501", False),
        ("https://evil.example", "class.example", False),
        ("https://class.example.evil.example", "class.example", False),
        ("null", "127.0.0.1:8501", False),
        ("", "", False),
        ("http://127.0.0.1:x", "127.0.0.1:8501", False),
    ],
)
def test_an_origin_is_our_own_if_it_is_the_hosts(setting, origin, host, is_own):
    assert is_own_origin(origin, host) == is_own


def test_an_origin_that_the_operator_allows(setting):
    setting(server_corsAllowedOrigins=["https://school.example"])
    assert is_own_origin("https://school.example", "127.0.0.1:8501")
    assert not is_own_origin("https://school.example:99", "127.0.0.1:8501")


def test_two_hosts_are_none(setting):
    twice = Headers(raw=[(b"host", b"127.0.0.1"), (b"host", b"evil.example")])
    assert objection("http", "GET", twice) and objection("http", "GET", Headers({}))


async def _socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


async def _fine(request: Request) -> Response:
    return Response()


async def _bug(request: Request) -> Response:
    raise ZeroDivisionError


@pytest.fixture
def server(setting) -> TestClient:
    routes = [
        Route("/", _fine, methods=["GET", "PUT", "DELETE", "POST"]),
        Route("/bug", _bug),
        WebSocketRoute("/stream", _socket),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(SecurityHeaders), Middleware(KnownAddresses)],
        exception_handlers={Exception: server_error},
    )
    return TestClient(app, base_url="http://127.0.0.1:8501", raise_server_exceptions=False)


def test_the_wall_lets_our_page_in_and_others_not(server, monkeypatch):
    def outside() -> str:
        raise AssertionError("an outside server was asked who we are")

    monkeypatch.setattr(server_util.net_util, "get_external_ip", outside)
    stream = "ws://127.0.0.1:8501/stream"
    own, foreign = {"origin": "http://127.0.0.1:8501"}, {"origin": "https://evil.example"}
    for method in ("GET", "PUT", "DELETE", "POST"):
        assert server.request(method, "/", headers=own).status_code == 200
        assert server.request(method, "/").status_code == 200  # no browser
        refused = server.request(method, "/", headers=foreign).status_code
        assert refused == (200 if method == "GET" else 403)  # it cannot read what it gets
        assert server.request(method, "/", headers={"host": "evil.example"}).status_code == 403
    for headers in (own, {}):
        with server.websocket_connect(stream, headers=headers):
            pass
    for headers in (foreign, {"host": "evil.example"}, {"origin": "http://127.0.0.1:3000"}):
        with (
            pytest.raises(WebSocketDisconnect),
            server.websocket_connect(stream, headers=headers),
        ):
            pass


def test_security_headers_are_on_every_answer_errors_too(server):
    for path, status in (("/", 200), ("/nothing", 404), ("/bug", 500)):
        answer = server.get(path)
        assert answer.status_code == status
        for name, value in security_headers("127.0.0.1:8501", path).items():
            assert answer.headers.get_list(name) == [value], (path, name)
    assert server.post("/nothing").headers["x-content-type-options"] == "nosniff"
    refused = server.get("/", headers={"host": "evil.example"})
    assert "default-src 'none'" in refused.headers["content-security-policy"]
    assert "ZeroDivision" not in server.get("/bug").text


def test_the_policy_names_the_servers_own_host_alone():
    def sockets(host: str) -> str:
        policy = security_headers(host)["content-security-policy"]
        (found,) = [part for part in policy.split("; ") if part.startswith("connect-src")]
        return found

    assert (
        sockets("class.example:80")
        == "connect-src 'self' ws://class.example:* wss://class.example:*"
    )
    for host in ("", "[::1]:8501", "a b", "a; script-src *", "a:1\r\nx: y", "*", "é"):
        assert sockets(host) == "connect-src 'self'", host


def test_frames_of_others_only_where_the_operator_says_so(monkeypatch):
    plain = security_headers("a")
    assert plain["x-frame-options"] == "SAMEORIGIN"
    assert plain["content-security-policy"].endswith("frame-ancestors 'self'")
    open_to = security_headers("a", "/", ("https://huggingface.co",))
    assert "x-frame-options" not in open_to
    assert open_to["content-security-policy"].endswith("'self' https://huggingface.co")
    monkeypatch.setenv("DVT_EMBED_IN", "https://a.example; script-src *")
    with pytest.raises(ValueError, match="is no origin"):
        SecurityHeaders(Starlette())


def test_a_visitors_pictures_are_kept_by_no_cache():
    assert security_headers("a", "/media/1.png")["cache-control"] == "private, no-store"
    assert "cache-control" not in security_headers("a", "/static/media/font.woff2")


# --- typed paths --------------------------------------------------------------------------


def test_who_sits_at_the_machine(setting, visitor):
    visitor(host="localhost:8501", origin="http://localhost:8501")
    assert is_local()
    visitor(host="127.0.0.1:8501")
    assert is_local()
    setting(server_address="0.0.0.0")
    assert not is_local()
    setting(server_address="")  # Streamlit's default: every address
    assert not is_local()


@pytest.mark.parametrize("name", PASSED_ON)
def test_a_proxy_in_front_of_loopback_is_not_this_machine(setting, visitor, name):
    visitor(host="127.0.0.1:8501", **{name: "127.0.0.1"})
    assert not is_local() and MODEL_ROOT in refusal(MODEL_ROOT)
    with pytest.raises(InputError, match="over a network"):
        allowed_folder("/", MODEL_ROOT)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example", "origin": "http://evil.example"},  # DNS rebinding
        {"host": "127.0.0.1:8501", "origin": "https://class.example"},  # a proxy that says nothing
        {"host": "class.example"},
    ],
)
def test_foreign_names_are_not_this_machine(setting, visitor, headers):
    visitor(**headers)
    assert not is_local()


def test_a_person_at_the_machine_names_any_folder_unless_a_root_is_named(
    setting, visitor, tmp_path, monkeypatch
):
    visitor(host="localhost")
    assert allowed_folder(f' "{tmp_path}" ', DATA_ROOT) == tmp_path.resolve()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert allowed_folder("~/a", DATA_ROOT) == tmp_path.resolve() / "a"
    monkeypatch.setenv(DATA_ROOT, str(tmp_path / "root"))
    with pytest.raises(InputError, match="does not lie under DVT_DATA_ROOT"):
        allowed_folder(str(tmp_path), DATA_ROOT)
    assert allowed_folder(str(tmp_path), MODEL_ROOT) == tmp_path.resolve()  # each has its own root


BAD = (
    "/", "/etc/passwd", "..", "../outside", "a/../../outside", "link", "link/inner", "deep/up",
    "~", "~root", "~nobody-here/x", "loop/x", "//server/share", r"\\server\share", "a\0b", "a\nb",
    "\u202e/etc", "file:///etc", "C:\\Windows", "", "  ", '""', "a" * 5000,
)  # fmt: skip


def test_nothing_typed_leaves_the_root(setting, visitor, tmp_path, monkeypatch):
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "deep").mkdir(parents=True)
    (outside / "inner").mkdir(parents=True)
    (root / "link").symlink_to(outside)
    (root / "deep" / "up").symlink_to("../..")
    (root / "loop").symlink_to(root / "loop")
    monkeypatch.setenv(DATA_ROOT, str(root))
    setting(server_address="0.0.0.0")
    visitor(host="class.example", **PROXY)
    assert not refusal(DATA_ROOT) and refusal(MODEL_ROOT)
    assert allowed_folder("deep", DATA_ROOT) == allowed_folder(f"{root}/deep", DATA_ROOT)
    draw = random.Random(0)
    words = ["..", ".", "deep", "link", "up", "loop", "~", "", "inner", "outside", "root", "/"]
    mixed = ["/".join(draw.choices(words, k=draw.randint(1, 7))) for _ in range(500)]
    for text in (*BAD, *mixed):
        try:
            found = allowed_folder(text, DATA_ROOT)
        except InputError as error:
            assert "\n" not in str(error) and "outside'" not in str(error).replace(repr(text), "")
            continue
        real = os.path.realpath(found)
        assert real == str(root) or real.startswith(f"{root}/"), text


def test_links_inside_a_model_folder_do_not_lead_out(setting, tmp_path, monkeypatch):
    root = tmp_path / "root"
    (root / "models" / "a").mkdir(parents=True)
    (root / "blobs").mkdir()
    (root / "blobs" / "w").write_bytes(b"w")
    (root / "models" / "a" / "weights").symlink_to(root / "blobs" / "w")
    (tmp_path / "secret").write_bytes(b"s")
    check_links(root / "models" / "a", MODEL_ROOT)  # no root, no rule
    monkeypatch.setenv(MODEL_ROOT, str(root))
    check_links(root / "models" / "a", MODEL_ROOT)
    (root / "models" / "a" / "config.json").symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match="leads out of DVT_MODEL_ROOT"):
        check_links(root / "models" / "a", MODEL_ROOT)
    monkeypatch.setattr(access, "MAX_LOOKED_AT", 0)
    with pytest.raises(InputError, match="too many files"):
        check_links(root / "models" / "a", MODEL_ROOT)


# --- model folders are data ---------------------------------------------------------------

CODE = "import pathlib, sys\npathlib.Path({flag!r}).write_text('ran')\n"


class Trap:
    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self):
        return exec, (self.code,)


LOADER = """
import sys
from pathlib import Path
from dvt_core.bundle import load_bundle
bundle = load_bundle(sys.argv[1])
bundle.load_model()
for split in ("calibration", "test"):
    bundle.table(split)
print(bundle.title)
"""


def test_a_model_folder_is_data_and_runs_nothing(tmp_path):
    """With code under every name that Python or a library would run, from inside the folder."""
    folder, flag = write_bundle(tmp_path / "trap").path, tmp_path / "ran"
    code = CODE.format(flag=str(flag))
    for name in ("sitecustomize", "usercustomize", "__init__", "torch", "numpy", "model", "config",
                 "modeling_dvt", "conftest", "setup", "json"):  # fmt: skip
        (folder / f"{name}.py").write_text(code)
    (folder / "a.pth").write_text(f"import os; open({str(flag)!r}, 'w')")
    pickled = pickle.dumps(Trap(code))
    pickle.loads(pickled)
    assert flag.read_text() == "ran"  # the trap is set
    flag.unlink()
    for name in ("model.pt", "pytorch_model.bin", "model.pkl", "training.pt", "checkpoint.pt"):
        (folder / name).write_bytes(pickled)
    command = [sys.executable, "-P", "-c", LOADER, str(folder)]
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "tiny test model" in done.stdout and not flag.exists()
