"""What opening costs without the app: the same people open a Streamlit page of one line.

The same settings, server and driver, and none of our code: what is left of the bar for
"open at once" when Streamlit has taken its share.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from scripts.load.server import Server
from scripts.load.tally import Row
from scripts.load.visitor import Visitor

ROUNDS = 3
PAGE = 'import streamlit as st\n\nst.write("hello")\n'


class BarePage(Server):
    """A server of the one line."""

    HEALTH = "/_stcore/health", b"ok"

    def _script(self) -> str:
        """Writes it."""
        path = Path(self._folder.name) / "page.py"
        path.write_text(PAGE)
        return str(path)


async def measure(users: int) -> Row:
    """Seconds of each of `users` who open the page in the same instant, `ROUNDS` times over."""
    found = Row()
    with BarePage() as server:
        await _open(server.address, 1)  # what is done for the first time takes longer
        for _ in range(ROUNDS):
            found.seconds += await _open(server.address, users)
    return found


async def _open(address: str, users: int) -> list[float]:
    tabs = [Visitor(address) for _ in range(users)]
    seconds = await asyncio.gather(*(tab.open() for tab in tabs))
    for tab in tabs:
        await tab.close()
    return list(seconds)
