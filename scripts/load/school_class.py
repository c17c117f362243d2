"""`python -m scripts.load class`: many people at once for a minute, every answer checked.

Seconds run from sending the first byte of an action to the `script_finished` of the run that it
asked for, on the driver's clock; the page must then hold the known answer. For "open" they begin
with the request of the document, for an upload with asking where the file may go, so that both
hold all their requests. Not in them, as no browser is here: drawing, and (unless `--files`) the
scripts that Streamlit itself consists of, which a browser fetches once and keeps.
On Look the dial answers in the browser while it is dragged; "move the threshold" is its release.
"""

from __future__ import annotations

import asyncio
import datetime
import gc
import os
import time
from dataclasses import dataclass
from typing import Any

from scripts.load.connection import Lost
from scripts.load.long_work import BatchPerson, MapsPerson, small_pictures
from scripts.load.person import Person
from scripts.load.pictures import PHONE, Answers
from scripts.load.server import Elsewhere, Held, Server
from scripts.load.tally import ACTIONS, AT_ONCE, BATCH, MAPS, Row, Tally

PHOTOS = 2  # of each person


@dataclass(frozen=True)
class Plan:
    """How many people do how much.

    Attributes:
        users: people.
        seconds: that they stay after everybody has opened the app.
        think_s: shortest and longest pause between two actions of one person.
        photo_px: size of what they upload.
        with_files: whether opening fetches Streamlit's own scripts, too.
        is_warmed_up: whether one person looks at all pages before anybody is measured.
        maps, batches: how many of the people have long work under way all the time.
        batch_pictures: in the zip of each of the latter.
    """

    users: int = 60
    seconds: float = 60.0
    think_s: tuple[float, float] = (4.0, 12.0)
    photo_px: tuple[int, int] = PHONE
    with_files: bool = False
    is_warmed_up: bool = True
    maps: int = 2
    batches: int = 2
    batch_pictures: int = 50


@dataclass(frozen=True)
class Measured:
    """What a class took.

    Attributes:
        tally: of all actions.
        memory_mb: "warm", "peak" and "end" of the server; empty if it is not ours.
        bare: how long a page of one line takes to open (`bare.measure`); None if it was not asked.
        driver_cpu: share of one core that this process took.
        server_cpu: the same of the server.
    """

    tally: Tally
    memory_mb: dict[str, float]
    driver_cpu: float
    server_cpu: float
    bare: Row | None = None


def people(plan: Plan, answers: Answers, tally: Tally, address: str) -> list[Person]:
    """Everybody, with photos of their own."""
    photos = [answers.photos(f"u{n}", PHOTOS, plan.photo_px) for n in range(plan.users)]
    everybody = [*answers.samples.values(), *(each for own in photos for each in own)]
    found: list[Person] = []
    for n, own in enumerate(photos):
        values = (f"u{n}", answers, own, tally, address, plan.think_s, everybody)
        if n < plan.maps:
            found.append(MapsPerson(*values))
        elif n < plan.maps + plan.batches:
            pictures = small_pictures(answers, f"b{n}", plan.batch_pictures)
            found.append(BatchPerson(*values, pictures=pictures))
        else:
            found.append(Person(*values))
    return found


async def warm_up(answers: Answers, address: str) -> None:
    """One person looks at every page before anybody is measured."""
    tally = Tally()
    first = Person("warm", answers, answers.photos("warm", 1), tally, address)
    await first.open()
    await first.upload()
    for page in list(first.tab.page.pages):
        await first.go(page)
    await first.tab.close()
    if tally.errors or tally.wrong:
        raise Lost(f"the app does not work for one person alone:\n{tally.table()}")


async def lesson(plan: Plan, everybody: list[Person]) -> None:
    """Everybody opens the app at the same moment, stays, and leaves."""
    start = asyncio.Event()
    opened = [
        asyncio.create_task(each.open_at_once(start, with_files=plan.with_files))
        for each in everybody
    ]
    await asyncio.sleep(0)
    start.set()
    results = await asyncio.gather(*opened, return_exceptions=True)
    here = [each for each, lost in zip(everybody, results, strict=True) if lost is None]
    ended = await asyncio.gather(
        *(each.stay(plan.seconds) for each in here), return_exceptions=True
    )
    await asyncio.gather(*(each.tab.close() for each in everybody), return_exceptions=True)
    for error in ended:
        if not isinstance(error, TimeoutError | Lost | None):
            raise error


async def watch(server: Server | Elsewhere, seen: list[Held]) -> None:
    """Notes twice a second what the server holds."""
    while True:
        seen.append(server.held())
        await asyncio.sleep(0.5)


async def measure(plan: Plan, answers: Answers, server: Server | Elsewhere) -> Measured:
    """Runs a class against a server that nobody else uses."""
    tally = Tally()
    everybody = people(plan, answers, tally, server.address)
    if plan.is_warmed_up:
        await warm_up(answers, server.address)
    gc.collect()
    gc.freeze()  # a pause of this process would be counted as the server's
    seen = [server.held()]
    watcher = asyncio.create_task(watch(server, seen))
    began, driver, app = time.perf_counter(), time.process_time(), server.cpu_s()
    await lesson(plan, everybody)
    spent = time.perf_counter() - began
    driver, app = time.process_time() - driver, server.cpu_s() - app
    watcher.cancel()
    gc.unfreeze()
    memory = [held.memory_mb for held in seen]
    values = {"warm": memory[0], "peak": max(memory), "end": server.held().memory_mb}
    return Measured(
        tally, {name: round(mb, 1) for name, mb in values.items()}, driver / spent, app / spent
    )


def report(plan: Plan, model: str, measured: Measured, about: dict[str, str]) -> dict[str, Any]:
    """As in `assets/benchmarks/load.json`."""
    rows = measured.tally.rows
    return {
        **about,
        "users": plan.users,
        "model": model,
        "seconds": plan.seconds,
        "think_s": list(plan.think_s),
        "rows": [rows[action].as_json(action) for action in ACTIONS if action in rows],
        "memory_mb": measured.memory_mb,
        "bare_page": measured.bare.as_json(AT_ONCE) if measured.bare else None,
        "long_work": _long_work(plan, rows) if plan.maps + plan.batches else None,
    }


def _long_work(plan: Plan, rows: dict[str, Row]) -> dict[str, Any]:
    maps, batches = (rows.get(action, Row()) for action in (MAPS, BATCH))
    note = (
        f"{plan.maps} of the people asked for maps and {plan.batches} for batches of "
        f"{plan.batch_pictures} pictures all the time; with the wait for their turn they took "
        f"{maps.quantile(0.5):.0f} s and {batches.quantile(0.5):.0f} s (medians)"
    )
    return {"batches": len(batches.seconds), "attributions": len(maps.seconds), "note": note}


def about_here(device: str, commit: str) -> dict[str, str]:
    """Where and when, as every benchmark says it."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"device": f"{device}, {os.cpu_count()} cores", "date": now, "commit": commit}
