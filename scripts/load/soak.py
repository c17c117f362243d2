"""`python -m scripts.load soak`: uploads over sessions that come and go; what is left behind?

A session opens the app, uploads its share of photos, each of which it must get the right answer
for, and is closed like a tab. A few sessions are there at a time. At the end the app is left alone
until the sessions' time is up (`server.disconnectedSessionTTL`), then a last visitor comes and
goes, and what the app holds is compared with what it held when it was warm.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from scripts.load.connection import Lost
from scripts.load.person import Person
from scripts.load.pictures import Answers
from scripts.load.school_class import warm_up
from scripts.load.server import Held, Server
from scripts.load.tally import UPLOAD, Row, Tally

BAR_MB, SETTLED_UPLOADS, SMOOTHED = 100, 200, 10
PHOTOS = 2  # of each session; every upload is another file all the same
THREADS_MORE, FILES_MORE = 4, 8  # pools that grow once, up to their size, are nothing left behind


@dataclass(frozen=True)
class Plan:
    """How much comes and goes.

    The pace is kept down so that 200 uploads take longer than a closed tab's pictures are kept:
    from then on as much is forgotten as comes in, and growth is a leak.

    Attributes:
        sessions: tabs in all.
        uploads: in all, evenly spread over them.
        at_once: tabs that are open at the same time.
        pause_s: between two uploads of one tab.
        photo_px: size of the photos.
        is_warmed_up: whether one person looks at all pages first.
        wait_s: pause before the last visitor, who comes only if one was there first; longer than
            `server.disconnectedSessionTTL`.
    """

    sessions: int = 100
    uploads: int = 2000
    at_once: int = 5
    pause_s: float = 3.0
    photo_px: tuple[int, int] = (2016, 1512)
    wait_s: float = 75.0
    is_warmed_up: bool = True


@dataclass
class Soaked:
    """What a soak saw.

    Attributes:
        tally: of all uploads.
        series: (uploads so far, MB).
        warm, end: what the app held before and after.
    """

    tally: Tally
    warm: Held
    end: Held
    series: list[tuple[int, float]] = field(default_factory=list)

    @property
    def growth_mb(self) -> float:
        """Since `SETTLED_UPLOADS`: median of the last ten measurements less that of the first ten.

        A single one may meet a picture while it is decoded, which takes tens of MB for a moment.
        """
        later = [memory for uploads, memory in self.series if uploads >= SETTLED_UPLOADS]
        return median(later[-SMOOTHED:]) - median(later[:SMOOTHED]) if later else 0.0

    def missed(self) -> list[str]:
        """Which bars were not kept, one sentence each."""
        found = []
        if self.growth_mb >= BAR_MB:
            found.append(
                f"memory grew by {self.growth_mb:.0f} MB after the first {SETTLED_UPLOADS} "
                f"uploads, allowed are {BAR_MB} MB"
            )
        for name, more in (("threads", THREADS_MORE), ("files", FILES_MORE), ("temporary", 0)):
            before, after = getattr(self.warm, name), getattr(self.end, name)
            if after > before + more:
                found.append(f"{name}: {after} at the end, {before} when it was warm")
        found += [f"{self.tally.errors} errors, allowed are none"] * bool(self.tally.errors)
        found += [f"{self.tally.wrong} wrong answers, allowed are none"] * bool(self.tally.wrong)
        return found


class Count:
    """Uploads so far; tells when the next measurement is due."""

    def __init__(self, every: int) -> None:
        """Begins at 0; a measurement is due after `every` uploads."""
        self.n, self._every = 0, every

    def one_more(self) -> bool:
        """Counts one; True if a measurement is due."""
        self.n += 1
        return self.n % self._every == 0


async def measure(plan: Plan, answers: Answers, server: Server) -> Soaked:
    """Runs a soak against a server that was just started."""
    if plan.is_warmed_up:
        await warm_up(answers, server.address)
    soaked = Soaked(Tally(), server.held(), server.held())
    count = Count(max(1, plan.uploads // 80))
    gc.collect()
    gc.freeze()
    shares = _shares(plan)

    async def come_and_go(place: int) -> None:
        length = plan.pause_s * plan.uploads / plan.sessions
        await asyncio.sleep(length * place / plan.at_once)  # not all end at the same moment
        for name, uploads in shares:
            photos = await asyncio.to_thread(answers.photos, name, PHOTOS, plan.photo_px)
            pause = plan.pause_s, plan.pause_s
            person = Person(name, answers, photos, soaked.tally, server.address, pause, photos)
            await _one_session(person, uploads, soaked, server, count)

    await asyncio.gather(*(come_and_go(place) for place in range(plan.at_once)))
    if plan.is_warmed_up:
        await asyncio.sleep(plan.wait_s)
        await _last_visitor(answers, server.address)
    gc.unfreeze()
    soaked.end = server.held()
    soaked.series.append((count.n, soaked.end.memory_mb))
    return soaked


def _shares(plan: Plan) -> Iterator[tuple[str, int]]:
    """(name, uploads) of every session; the workers take them from here."""
    each, more = divmod(plan.uploads, plan.sessions)
    return iter([(f"s{n}", each + (n < more)) for n in range(plan.sessions)])


async def _one_session(
    person: Person, uploads: int, soaked: Soaked, server: Server, count: Count
) -> None:
    try:
        await person.open()
        for _ in range(uploads):
            await asyncio.sleep(person.think_s[0])
            await person.upload()
            if count.one_more():
                soaked.series.append((count.n, server.held().memory_mb))
                print(f"{count.n} uploads, {soaked.series[-1][1]:.0f} MB", flush=True)
    except Lost:  # it is noted
        pass
    finally:
        await person.tab.close()


async def _last_visitor(answers: Answers, address: str) -> None:
    """Streamlit forgets sessions whose time is up when another one ends."""
    await warm_up(answers, address)
    await asyncio.sleep(2)


def report(plan: Plan, soaked: Soaked, about: dict[str, str]) -> dict[str, Any]:
    """As in `assets/benchmarks/soak.json`."""
    kept = {
        name: {"warm": getattr(soaked.warm, name), "end": getattr(soaked.end, name)}
        for name in ("threads", "files", "temporary")
    }
    return {
        **about,
        "sessions": plan.sessions,
        "uploads": len(soaked.tally.rows.get(UPLOAD, Row()).seconds),
        "errors": soaked.tally.errors,
        "wrong": soaked.tally.wrong,
        "series": [[uploads, round(memory, 1)] for uploads, memory in soaked.series],
        "growth_mb_after_200": round(soaked.growth_mb, 1),
        **kept,
    }
