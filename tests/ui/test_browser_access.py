"""Who gets in and what gets out: raw requests to the real server, and every page in Chromium."""

import http.client
import re
import socket
from contextlib import closing
from email.message import Message
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from dvt_core.bundle import list_models
from tests.ui.browser import PATIENCE_S, at_rest, metric
from tests.ui.tiny_model import png

pytestmark = pytest.mark.browser

PAGES = (
    "",
    "tradeoff",
    "tradeoff?lab=changing+resources",
    "tradeoff?lab=real+time",
    "easy-hard",
    "inside",
    "inside?inside=why",
    "batch",
    "lesson?step=3",
    "models",
    "models?section=what+it+saves",
    "models?section=the+paper%27s+results",
    "models?section=speed",
)
LISTEN = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.effectiveDirective}: ${event.blockedURI} ${event.sourceFile}`));
"""


def _answer(address: str, method: str, path: str, **headers: str) -> tuple[int, Message, str]:
    """Status, headers and text of the answer to a request with the server's own Host."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=PATIENCE_S)
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    body = b"--x\r\n\r\n--x--\r\n" if method == "PUT" else None
    with closing(connection):
        connection.request(method, path, body, said)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode(errors="replace")


def _status(address: str, method: str, path: str, **headers: str) -> int:
    return _answer(address, method, path, **headers)[0]


def _handshake(address: str, **headers: str) -> int:
    """The status of opening the app's connection."""
    place = urlsplit(address)
    said = {"host": place.netloc, **headers}
    lines = [
        "GET /_stcore/stream HTTP/1.1",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        *(f"{name}: {value}" for name, value in said.items()),
    ]
    with socket.create_connection((place.hostname, place.port), PATIENCE_S) as raw:
        raw.sendall("\r\n".join([*lines, "", ""]).encode())
        return int(raw.recv(4096).split()[1])


def test_foreign_pages_names_and_tokens_are_refused(address):
    upload = "/_stcore/upload_file/some-session/some-file"
    form = "multipart/form-data; boundary=x"
    assert _status(address, "PUT", upload, content_type=form) == 403  # no token
    forged = {"cookie": "_streamlit_xsrf=a", "x_xsrftoken": "b"}
    assert _status(address, "PUT", upload, content_type=form, **forged) == 403
    assert _status(address, "DELETE", upload) == 403
    assert "<html" in _answer(address, "GET", upload)[2]  # the empty page: no upload is served
    assert _status(address, "GET", "/", host="evil.example") == 403
    assert _status(address, "PUT", upload, origin="https://evil.example") == 403
    assert _handshake(address) == _handshake(address, origin=address) == 101
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "null"},
        {"host": "evil.example", "origin": "http://evil.example"},
    ):
        assert _handshake(address, **headers) == 403, headers


def test_every_answer_carries_the_headers_and_none_lists_files(address):
    paths = ["/", "/nothing", "/_stcore/health", "/_stcore/host-config", "/media/", "/media/0.png"]
    paths += ["/media/%2e%2e/app/main.py", "/thumbs/a/b/1.jpg", "/static/nothing.js", "/status"]
    for path in paths:
        _, headers, text = _answer(address, "GET", path)
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff", path
        assert "Traceback" not in text and "set_page_config" not in text
        assert not re.search(r"[0-9a-f]{32}\.(png|jpg)", text), path


def _drawn(page: Page) -> None:
    """Waits until the page has a title and nothing runs."""
    expect(page.locator("h1").first).to_be_visible()
    at_rest(page)


@pytest.mark.parametrize("model", list_models())
def test_every_page_keeps_to_the_policy(page, address, model):
    """That nothing outside is asked and nothing is complained about, the fixture asserts."""
    page.add_init_script(LISTEN)
    for path in PAGES:
        page.goto(f"{address}/{path}{'&' if '?' in path else '?'}model={model}")
        _drawn(page)
        assert page.evaluate("window.violations") == [], path


def test_an_upload_and_an_attribution_keep_to_the_policy(page, address):
    page.add_init_script(LISTEN)
    page.goto(f"{address}/?from=upload")
    _drawn(page)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    page.locator("input[type=file]").set_input_files(
        {"name": "mine.png", "mimeType": "image/png", "buffer": png(size=(90, 70))}
    )
    expect(page.get_by_text("mine.png, 90x70 pixels")).to_be_visible()
    expect(metric(page, "Answer")).to_be_visible()
    assert "PUT" in sent
    page.get_by_role("link", name="Inside").click()
    page.get_by_role("radio", name="why this class").click()
    page.get_by_role("button", name=re.compile("compute the maps")).click()
    expect(page.get_by_role("button", name="cancel")).to_have_count(0)
    expect(page.locator("[data-testid=stImage] img").first).to_be_visible()
    assert page.evaluate("window.violations") == []


def test_the_policy_is_in_force(browser, address):
    """Or the tests above would say nothing."""
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script(LISTEN)
    page.goto(address, timeout=PATIENCE_S * 1000)
    tried = page.evaluate(
        """async () => {
          const lost = () => "refused";
          const sockets = ["ws://192.0.2.1/", `ws://${location.host}/none`].map((url) => {
            try { new WebSocket(url).close(); return "open"; } catch { return "refused"; }
          });
          const picture = new Image();
          picture.src = "http://192.0.2.1/a.png";
          const said = await fetch("http://192.0.2.1/").catch(lost);
          await new Promise((done) => setTimeout(done, 200));
          return [said, ...sockets];
        }"""
    )
    violations = page.evaluate("window.violations")
    context.close()
    assert tried[0] == "refused"
    assert sorted(text.split(":")[0] for text in violations) == ["connect-src"] * 2 + ["img-src"]
    assert all("192.0.2.1" in text for text in violations)
