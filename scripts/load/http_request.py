"""One HTTP request over asyncio: what the driver needs, and nothing that takes its time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: the HTTP status.
        headers: (name in lower case, value), in their order.
        body: as sent; chunks are put together.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def cookies(self) -> dict[str, str]:
        """Cookies to be set: name -> value."""
        pairs = (value.split(";")[0] for name, value in self.headers if name == "set-cookie")
        return dict(pair.split("=", 1) for pair in pairs)


async def request(
    address: str,
    path: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Answer:
    """Asks a server on a connection of its own.

    Args:
        address: "http://127.0.0.1:8501".
        path: with a leading slash.
        method: of HTTP.
        headers: besides host, length and connection.
        body: what is sent.

    Raises:
        OSError: no connection, or it was closed in the middle.
    """
    host = urlsplit(address)
    reader, writer = await asyncio.open_connection(host.hostname, host.port)
    try:
        fixed = {"Host": host.netloc, "Content-Length": str(len(body)), "Connection": "close"}
        lines = [f"{name}: {value}" for name, value in {**fixed, **(headers or {})}.items()]
        head = "\r\n".join((f"{method} {path} HTTP/1.1", *lines, "", ""))
        writer.write(head.encode() + body)
        await writer.drain()
        return _parse(await reader.read())
    finally:
        writer.close()


def _parse(raw: bytes) -> Answer:
    head, mark, body = raw.partition(b"\r\n\r\n")
    if not mark:
        raise ConnectionError(f"the server closed the connection after {len(raw)} bytes")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.split(":", 1) for line in lines)
    headers = tuple((name.strip().lower(), value.strip()) for name, value in pairs)
    if dict(headers).get("transfer-encoding") == "chunked":
        body = _put_together(body)
    return Answer(int(first.split()[1]), headers, body)


def _put_together(chunked: bytes) -> bytes:
    parts = []
    while chunked:
        size, _, chunked = chunked.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            break
        parts.append(chunked[:length])
        chunked = chunked[length + 2 :]
    return b"".join(parts)


def multipart(name: str, data: bytes, kind: str) -> tuple[bytes, str]:
    """A file as a browser's form sends it: the body and its content type."""
    mark = "----dvtload7f3c"
    head = (
        f'--{mark}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n'
        f"Content-Type: {kind}\r\n\r\n"
    )
    return (
        head.encode() + data + f"\r\n--{mark}--\r\n".encode(),
        f"multipart/form-data; boundary={mark}",
    )
