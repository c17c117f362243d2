"""`python -m scripts.load cost`: processor time of the server for one action of one person.

Nobody else is there, so the time is that action's own: user and system time of the app's
processes over many repeats, divided by them. The clock ticks every 10 ms, which 50 repeats make
0.2 ms.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

from scripts.load.person import JPEG, PAGES
from scripts.load.pictures import Answers
from scripts.load.school_class import warm_up
from scripts.load.server import Server
from scripts.load.visitor import Visitor

Do = Callable[[], Awaitable[float]]


async def measure(repeats: int, answers: Answers, server: Server) -> None:
    """Prints a row for each action."""
    await warm_up(answers, server.address)
    print(f"{'':<38}{'CPU ms':>8}{'p50 ms':>8}{'kB sent':>9}{'n':>5}")

    async def row(name: str, tab: Visitor, do: Do, n: int = repeats) -> None:
        await do()  # what is done for the first time may take longer
        before, sent = server.cpu_s(), tab.page.received
        seconds = [await do() for _ in range(n)]
        spent, sent = server.cpu_s() - before, tab.page.received - sent
        p50 = 1000 * float(np.median(seconds))
        each = f"{1000 * spent / n:>8.1f}{p50:>8.1f}{sent / n / 1000:>9.1f}{n:>5}"
        print(f"{name:<38}{each}", flush=True)

    await _openings(row, server, repeats)
    tab = Visitor(server.address)
    await tab.open()
    await _on_look(row, tab, answers)
    for page, title in list(PAGES.items())[1:]:

        async def and_back(page: str = page) -> float:
            return await tab.go(page) + await tab.go("")

        await row(f"go to {title} and back to Look", tab, and_back)
        await tab.go(page)
        if tab.page.widget("dial") is not None:
            await row(f"move the threshold on {title}", tab, _swing(tab))
        await tab.go("")
    await tab.close()


async def _openings(row: Any, server: Server, repeats: int) -> None:
    shown = Visitor(server.address)  # only counts what is sent, which a fresh tab each time cannot

    async def open_and_close() -> float:
        tab = Visitor(server.address)
        seconds = await tab.open()
        shown.page.received += tab.page.received
        await tab.close()
        return seconds

    await row("open, and close the tab", shown, open_and_close)


async def _on_look(row: Any, tab: Visitor, answers: Answers) -> None:
    ids = itertools.cycle(list(answers.samples))
    await row("pick a sample", tab, lambda: tab.pick("samples", next(ids)))
    await row("pick the same sample again", tab, lambda: tab.pick("samples", "cifar10_00"))
    await row("move the threshold on Look", tab, _swing(tab))
    await tab.choose("from", "upload")
    await row("move the threshold, own picture", tab, _swing(tab))
    (photo,) = answers.photos("cost", 1)
    numbers = itertools.count()

    async def upload() -> float:
        file = photo.again(next(numbers))
        return await tab.upload("look_upload", file.name, file.data, JPEG)

    await row(f"upload a photo of {len(photo.data) / 1e6:.1f} MB", tab, upload, 20)
    await tab.choose("from", "samples")


def _swing(tab: Visitor) -> Do:
    """Moves the threshold to and fro between values that no other row uses."""
    values = itertools.cycle((0.31, 0.52, 0.73, 0.94))
    return lambda: tab.dial(way="threshold", threshold=next(values))
