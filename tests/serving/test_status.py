"""The operator's page: who may see it, that it is whole, and that no visitor is in it."""

import asyncio
import io
import json
import os
import re
import shutil
import subprocess
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from app.serving import status
from app.serving.counters import Counters
from app.serving.facts import commit, facts, memory_mb, models, peak_memory_mb
from app.serving.headers import SecurityHeaders
from app.serving.status_page import duration, seconds, status_page
from scripts.load.http_request import request
from scripts.load.server import Server
from scripts.load.visitor import Visitor
from tests.ui.tiny_model import write_bundle

TOKEN = "correct horse battery staple"
MARK = "grandma_at_the_beach"
ROOT = Path(__file__).parents[2]


def _ask(path="/status", *, client="127.0.0.1", url="http://127.0.0.1:8501", **headers):
    app = Starlette(routes=list(status.ROUTES), middleware=[Middleware(SecurityHeaders)])
    here = TestClient(app, base_url=url, client=(client, 50000), follow_redirects=False)
    return here.get(path, headers={name.replace("_", "-"): each for name, each in headers.items()})


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("models") / "tiny").path


@pytest.fixture(autouse=True)
def models_dir(monkeypatch, tiny_folder):
    """No token, and one tiny model."""
    monkeypatch.delenv(status.TOKEN_ENV, raising=False)
    monkeypatch.setenv("DVT_MODELS", str(tiny_folder.parent))
    return tiny_folder.parent


@pytest.mark.parametrize("path", ["/status", "/status.json"])
@pytest.mark.parametrize(
    ("client", "url", "headers", "code"),
    [
        ("127.0.0.1", "http://127.0.0.1:8501", {}, 200),
        ("127.8.9.1", "http://localhost", {}, 200),
        ("::1", "http://[::1]:8501", {}, 200),
        ("::ffff:127.0.0.1", "http://localhost", {}, 200),
        ("192.168.1.7", "http://127.0.0.1", {}, 404),  # the Host is the visitor's to say
        ("10.0.0.1", "http://127.0.0.1", {}, 404),
        ("::ffff:10.0.0.1", "http://localhost", {}, 404),
        ("0.0.0.0", "http://localhost", {}, 404),
        ("testclient", "http://localhost", {}, 404),  # no address at all
        ("127.0.0.1", "http://evil.example", {}, 404),  # a name that points here
        ("127.0.0.1", "http://127.0.0.1.evil.example", {}, 404),
        ("127.0.0.1", "http://localhost", {"x_forwarded_for": "127.0.0.1"}, 404),
        ("127.0.0.1", "http://localhost", {"x_forwarded_proto": "https"}, 404),
        ("127.0.0.1", "http://localhost", {"forwarded": "for=127.0.0.1"}, 404),
        ("127.0.0.1", "http://localhost", {"x_real_ip": "127.0.0.1"}, 404),
        ("127.0.0.1", "http://localhost", {"x_real_ip": ""}, 404),
        ("127.0.0.1", "http://localhost", {"via": "1.1 proxy"}, 404),
        ("127.0.0.1", "http://localhost", {"authorization": "Bearer "}, 200),
        ("10.0.0.1", "http://localhost", {"authorization": "Bearer "}, 404),  # no token is set
        ("10.0.0.1", "http://localhost", {"cookie": "dvt_status="}, 404),
    ],
)
def test_without_a_token_only_this_machine_sees_it(path, client, url, headers, code):
    answer = _ask(path, client=client, url=url, **headers)
    assert answer.status_code == code
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert (answer.text == "Not Found") == (code == 404)


@pytest.mark.parametrize("path", ["/status", "/status.json"])
@pytest.mark.parametrize(
    ("given", "code"),
    [
        (None, 404),  # also from loopback: there may be a proxy that says nothing
        ("", 404),
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (f"Bearer {TOKEN[:-1]}", 404),
        (f"Bearer {TOKEN}x", 404),
        (f"Basic {TOKEN}", 404),
        ("Bearer", 404),
        ("Bearer caf\xe9", 404),
    ],
)
@pytest.mark.parametrize("client", ["127.0.0.1", "203.0.113.9"])
def test_with_a_token_only_who_brings_it_sees_it(monkeypatch, path, given, code, client):
    monkeypatch.setenv(status.TOKEN_ENV, TOKEN)
    headers = {} if given is None else {"authorization": given.encode("latin-1")}
    assert _ask(path, client=client, **headers).status_code == code


def test_a_browser_brings_the_token_once(monkeypatch):
    monkeypatch.setenv(status.TOKEN_ENV, TOKEN)
    assert _ask("/status?token=wrong").status_code == 404
    answer = _ask(f"/status?token={TOKEN}", url="https://example.org", client="203.0.113.9")
    assert (answer.status_code, answer.headers["location"]) == (303, "/status")
    cookie = answer.headers["set-cookie"]
    for word in ("HttpOnly", "Path=/status", "SameSite=lax", "Secure", "Max-Age="):
        assert word in cookie
    assert TOKEN not in cookie and "secure" not in _ask(f"/status?token={TOKEN}").headers[
        "set-cookie"
    ].lower().split("; ")
    kept = cookie.split(";")[0]
    assert _ask(client="203.0.113.9", cookie=kept).status_code == 200
    assert _ask(client="203.0.113.9", cookie=kept[:-1]).status_code == 404
    monkeypatch.setenv(status.TOKEN_ENV, TOKEN + "2")  # the operator changed it
    assert _ask(client="203.0.113.9", cookie=kept).status_code == 404


def test_a_short_token_opens_nothing(monkeypatch):
    monkeypatch.setenv(status.TOKEN_ENV, "short")
    assert _ask(authorization="Bearer short").status_code == 404
    assert _ask("/status?token=short").status_code == 404


def test_facts_are_those_of_this_process(tiny_folder, tmp_path, monkeypatch):
    found = facts(Counters())
    assert json.loads(json.dumps(found)) == found
    resident = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert resident and memory_mb() == pytest.approx(int(resident[1]) * 1024 / 1e6, rel=0.1)
    assert (peak_memory_mb() or 0) > 0.9 * (memory_mb() or 0)
    asked = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    head = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    assert commit() in (os.environ.get("DVT_COMMIT"), head, "unknown")
    (weights,) = models().values()
    assert re.fullmatch("[0-9a-f]{12}", weights)
    shutil.copytree(tiny_folder, tmp_path / "tiny")
    (tmp_path / "tiny" / "config.json").write_text("{")
    monkeypatch.setenv("DVT_MODELS", str(tmp_path))
    assert models() == {"tiny": "damaged"}


class _Strict(HTMLParser):
    """Collects texts and complains about tags that are not closed in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_is_whole_and_escaped():
    evil = "<script>alert('x')</script>\"&"
    counters = Counters()
    counters.add("pages", evil, 1.2, waited=0.05, refused=True)
    counters.add("requests", "GET /media/{file_id:path}", 0.0853, failed=True)
    page = _Strict()
    page.feed(status_page({**facts(counters), "models": {evil: evil}, "version": evil}))
    page.close()
    assert page.open == [] and "script" not in page.tags and {"meta", "table"} <= page.tags
    text = " ".join(page.texts)
    assert text.count("<script>") == 4 and "1.20 s" in text and "85 ms" in text
    assert "GET /media/{file_id:path}" in text


@pytest.mark.parametrize(
    ("value", "words"), [(None, ""), (0.0, "0 ms"), (0.9994, "999 ms"), (0.9996, "1.00 s")]
)
def test_times_are_written_for_people(value, words):
    assert seconds(value) == words


def test_long_times_are_written_for_people():
    assert [duration(s) for s in (59, 3660, 90_000)] == ["0 min", "1 h 1 min", "1 d 1 h"]


# --- the whole server -----------------------------------------------------------------------


def _picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 48), (200, 120, 40)).save(out, "PNG")
    return out.getvalue()


async def _visit(address: str) -> dict:
    """Leaves the mark wherever a visitor can; what the status page says in the end."""
    tab = Visitor(address)
    await tab.open(f"model={MARK}&section={MARK}&{MARK}={MARK}")
    await tab.choose("from", "upload")
    await tab.upload("look_upload", f"{MARK}.png", _picture(), "image/png")
    await tab.clear("look_upload")
    await tab.upload("look_upload", f"{MARK}.jpg", MARK.encode(), "image/jpeg")
    await tab.go("tradeoff")
    marked = {"X-Name": MARK, "User-Agent": MARK, "Cookie": f"{MARK}={MARK}", "Referer": MARK}
    for path in (f"/{MARK}?{MARK}", f"/media/{MARK}.png", f"/thumbs/{MARK}/{MARK}/1.jpg"):
        await request(address, path, headers=marked)
    upload = f"/_stcore/upload_file/{MARK}/{MARK}"
    await request(address, upload, method="PUT", headers=marked, body=MARK.encode())
    await request(address, "/", headers={**marked, "Origin": f"http://{MARK}.example"})
    answers = [await request(address, path) for path in ("/status", "/status.json")]
    await tab.close()
    assert all(answer.status == 200 and MARK.encode() not in answer.body for answer in answers)
    return json.loads(answers[1].body)


def test_nothing_of_a_visitor_is_in_the_log_or_on_the_status_page(models_dir):
    quiet = {status.TOKEN_ENV: "", "DVT_LOG": "json", "DVT_LOG_LEVEL": "info"}
    with Server(DVT_MODELS=str(models_dir), **quiet) as server:
        found = asyncio.run(_visit(server.address))
        log = server.log.read_text()
    assert MARK not in log and "127.0.0.1" not in log.replace(f"Ready: {server.address}", "")
    lines = [line for line in log.splitlines() if line and not line.startswith("Ready: ")]
    events = [json.loads(line) for line in lines]  # each line is one, also Streamlit's
    assert not [each for each in events if each["level"] == "error"]
    runs = [each for each in events if each["event"] == "run" and each["what"] == "page"]
    pages = {row["name"]: row for row in found["actions"]["pages"]}
    for page in ("/", "/tradeoff"):
        logged = [each for each in runs if each["page"] == page]
        assert pages[f"{page} page"]["n"] == len(logged) > 0
    assert pages["/ page"]["refused"] >= 1  # the file that is no picture
    assert [each["told"] for each in runs if "told" in each]
    assert found["actions"]["work"] and found["sessions"]["now"] == 1
    uploads = [each for each in events if "upload_file" in each.get("route", "")]
    assert {(each["method"], each["status"]) for each in uploads} >= {("PUT", 204), ("PUT", 403)}


def test_facts_row_is_what_the_page_reads():
    counters = Counters()
    counters.add("jobs", "network", 2.0)
    assert facts(counters)["actions"]["jobs"] == [asdict(row) for row in counters.rows("jobs")]
