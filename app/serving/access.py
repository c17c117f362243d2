"""Who is answered, and which paths of this machine's disk may be typed into the app.

A server on loopback has one kind of visitor: somebody at this machine. Two things would fool it. A
foreign page may point its own name at 127.0.0.1 (DNS rebinding) and then talk to the server as if
it were the app's page: so names and origins that are not ours are refused before anything else
looks at the request. And a proxy in front of a loopback server passes strangers on from a loopback
address: so a request that was passed on never counts as local.

Settings: Streamlit's `server.address`, `server.allowedHosts` and `server.corsAllowedOrigins`;
`DVT_MODEL_ROOT` and `DVT_DATA_ROOT`, the folders under which paths may be typed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import streamlit as st
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

from app.language import say
from dvt_core.errors import InputError

LOOPBACK = ("127.0.0.1", "::1", "localhost")
MODEL_ROOT, DATA_ROOT = "DVT_MODEL_ROOT", "DVT_DATA_ROOT"
READING = ("GET", "HEAD", "OPTIONS")
MAX_LOOKED_AT = 20_000  # entries of a folder that are searched for links
# What proxies add to a request that they pass on; each spelling was met in one of them.
PASSED_ON = (
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-server",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
)


# --- names and origins --------------------------------------------------------------------


def host_name(text: str) -> str:
    """The name in a Host header or an origin, in lower case; "" where there is none.

    `127.0.0.1:8501`, `[::1]:8501` and `http://localhost:8501` give `127.0.0.1`, `::1`,
    `localhost`.
    """
    try:
        parts = urlsplit(text if "//" in text else f"//{text}")
        is_plain = not (parts.path or parts.query or parts.fragment or "@" in parts.netloc)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return ""
    return (parts.hostname or "").rstrip(".") if is_plain else ""


def is_own_name(host: str) -> bool:
    """Whether the server answers to this Host header.

    To loopback names always; to others if `server.allowedHosts` lists them; where that is empty,
    a server on loopback answers to no other name, a server of a network to all.
    """
    if host_name(host) in LOOPBACK:
        return True
    if st.get_option("server.allowedHosts"):
        return is_host_allowed(host)
    return not _is_on_loopback() and bool(host_name(host))


def is_own_origin(origin: str, host: str) -> bool:
    """Whether a page of this origin may change something or open the app's connection.

    The page must be ours: same name as the request's Host, and same port where Host has one (some
    proxies pass on the name alone). `server.corsAllowedOrigins` lists exceptions. Streamlit itself
    would accept any page of any port of this machine, and to find out whether a foreign name is
    this machine it would ask an outside server, while everybody waits.
    """
    if origin in st.get_option("server.corsAllowedOrigins"):
        return True
    try:
        ours, theirs = urlsplit(f"//{host}"), urlsplit(origin)
        same_port = ours.port is None or ours.port == (theirs.port or _PORTS.get(theirs.scheme))
    except ValueError:
        return False
    return bool(host_name(origin)) and host_name(origin) == host_name(host) and same_port


_PORTS = {"http": 80, "https": 443}


def objection(kind: str, method: str, headers: Headers) -> str:
    """Why a request is not answered, one sentence for an operator; "" if it is.

    Args:
        kind: "http" or "websocket".
        method: of an http request.
        headers: of the request.
    """
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not is_own_name(hosts[0]):
        return (
            "This server does not answer to that name; its operator can add it with "
            "--server.allowedHosts=NAME."
        )
    is_read = kind == "http" and method in READING
    if not is_read and not all(is_own_origin(o, hosts[0]) for o in headers.getlist("origin")):
        return (
            "This server does not take requests from another site's page; behind a proxy, pass "
            "the Host header on, or allow the page with --server.corsAllowedOrigins=ORIGIN."
        )
    return ""


class KnownAddresses:
    """Refuses requests to names, and changes from pages, that are not the server's own: 403."""

    def __init__(self, app: ASGIApp) -> None:
        """Wraps `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, or answers 403."""
        kind = scope["type"]
        why = ""
        if kind in ("http", "websocket"):
            why = objection(kind, scope.get("method", ""), Headers(scope=scope))
        if not why:
            await self._app(scope, receive, send)
        elif kind == "http":
            await PlainTextResponse(f"{why}\n", 403)(scope, receive, send)
        else:  # before it was accepted: the browser sees 403
            await send({"type": "websocket.close", "code": 1008, "reason": ""})


# --- typed paths --------------------------------------------------------------------------


def _is_on_loopback() -> bool:
    return st.get_option("server.address") in LOOPBACK


def is_local() -> bool:
    """Whether the visitor whose page is being drawn sits at this machine.

    True if the server listens on loopback alone, the browser asked for it by a loopback name, and
    no proxy passed the request on. An account on this machine, or an ssh tunnel to it, counts as
    sitting at it. Outside any request (a test of a page) the server's address decides alone.
    """
    headers = st.context.headers
    said = [text for name in ("host", "origin") for text in headers.get_all(name)]
    return (
        _is_on_loopback()
        and not any(headers.get_all(name) for name in PASSED_ON)
        and all(host_name(text) in LOOPBACK for text in said)
    )


def _root(variable: str) -> Path | None:
    named = os.environ.get(variable, "").strip()
    return Path(named).expanduser().resolve() if named else None


def refusal(variable: str) -> str:
    """Why this visitor can type no path; "" if one can be typed.

    Args:
        variable: `MODEL_ROOT` or `DATA_ROOT`.
    """
    if _root(variable) or is_local():
        return ""
    return say(
        "A folder can be opened only by a person at the machine that runs this app (server "
        "address {address}, no proxy), or under the folder that its owner names with the "
        "environment variable {variable}. This server answers to others and names none.",
        address=LOOPBACK[0],
        variable=variable,
    )


def allowed_folder(text: str, variable: str) -> Path:
    """The absolute path behind a typed text, links followed.

    A named root holds for everybody, also for a person at the machine; a relative path begins
    there. Without one, a person at the machine may name any folder, others none.

    Args:
        text: as typed.
        variable: `MODEL_ROOT` or `DATA_ROOT`.

    Raises:
        InputError: no path, or not one that this visitor may open.
    """
    text = text.strip().strip("\"'").strip()
    if not text:
        raise InputError(say("no folder was named, type the path of one"))
    root = _root(variable)
    if root is None and not is_local():
        raise InputError(say("no folder can be opened over a network on this server"))
    # A path of two slashes may be another machine's: looking at it would log in there.
    if not text.isprintable() or text.startswith(("\\\\", "//")):
        raise InputError(say("{text} is no path on this machine", text=repr(text)))
    try:
        folder = ((root or Path.cwd()) / Path(text).expanduser()).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        if root is None:
            raise InputError(
                say("{text} is no path: {error}", text=repr(text), error=error)
            ) from error
        folder = None  # what lies outside the root is not told apart
    if root is not None and (folder is None or not folder.is_relative_to(root)):
        raise InputError(
            say(
                "{text} does not lie under {variable}, name a folder there",
                text=repr(text),
                variable=variable,
            )
        )
    assert folder is not None
    return folder


def check_links(folder: Path, variable: str) -> None:
    """Makes sure that no link in a folder leads out of the named root, if one is named.

    Args:
        folder: an allowed one.
        variable: `MODEL_ROOT` or `DATA_ROOT`.

    Raises:
        InputError: one does, or there is too much to look through.
    """
    root = _root(variable)
    if root is None:
        return
    for looked_at, entry in enumerate(_entries(folder)):
        if looked_at >= MAX_LOOKED_AT:
            raise InputError(say("{folder} holds too many files to be looked at", folder=folder))
        if entry.is_symlink() and not entry.resolve().is_relative_to(root):
            raise InputError(
                say(
                    "{entry} is a link that leads out of {variable}, put the file itself there",
                    entry=entry,
                    variable=variable,
                )
            )


def _entries(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        yield from (Path(place) / name for name in (*folders, *files))
