"""One person of a class: what they do next, what they must see then, and how it is noted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from scripts.load.answers import whose, wrong_trace
from scripts.load.connection import Lost
from scripts.load.pictures import Answers, Known
from scripts.load.tally import AT_ONCE, DIAL, OPEN, PAGE, SAMPLE, SOURCE, UPLOAD, Tally
from scripts.load.visitor import Visitor

# Address of a page -> its heading.
PAGES = {
    "": "Look",
    "tradeoff": "Trade-off",
    "easy-hard": "Easy & hard",
    "inside": "Inside",
    "batch": "Batch",
    "lesson": "Lesson",
    "models": "Models & paper",
}
LOOK = ""
SAMPLES, OWN = "samples", "upload"  # sources of pictures, as they are read
WISHES = {SAMPLE: 0.34, DIAL: 0.34, UPLOAD: 0.12, PAGE: 0.20}  # of a person on Look
GO_BACK = 0.6  # share of those elsewhere who go back to Look next; the others look further
JPEG = "image/jpeg"


@dataclass(eq=False)
class Person:
    """One person with a tab of their own, who changes their mind every few seconds.

    Attributes:
        name: seeds what they do, and begins the names of their files.
        answers: what is known of the model.
        photos: theirs alone; an upload takes the next one, in a file that no cache knows.
        tally: where it is noted.
        address: of the server.
        think_s: shortest and longest pause before the next action.
        everybody: all pictures that are known, to say whose was seen by mistake.
    """

    name: str
    answers: Answers
    photos: Sequence[Known]
    tally: Tally
    address: str
    think_s: tuple[float, float] = (2.0, 6.0)
    everybody: Sequence[Known] = ()
    tab: Visitor = field(init=False)

    def __post_init__(self) -> None:
        """Looks at the first sample, as a new tab does."""
        self.tab = Visitor(self.address)
        self._chance = np.random.default_rng(int.from_bytes(self.name.encode(), "big"))
        self._sample = self._known = next(iter(self.answers.samples.values()))
        self._own: Known | None = None
        self._threshold, self._source = self.answers.default, SAMPLES
        self._place, self._uploads, self._to_see = LOOK, 0, list(PAGES)[1:]
        self._chance.shuffle(self._to_see)

    @property
    def thresholds(self) -> tuple[float, ...]:
        """In force in this tab."""
        return (self._threshold,) * self.answers.gates

    async def open(self, action: str = OPEN, *, with_files: bool = False) -> None:
        """Opens the app; `action` is what it is noted as."""
        await self._do(action, lambda: self.tab.open(with_files=with_files))

    async def open_at_once(self, start: asyncio.Event, *, with_files: bool = False) -> None:
        """Opens the app together with everybody else."""
        await start.wait()
        await self.open(AT_ONCE, with_files=with_files)

    async def stay(self, seconds: float) -> None:
        """Does one thing after another; what was begun in time is waited for."""
        until = time.perf_counter() + seconds
        while (pause := self._chance.uniform(*self.think_s)) < until - time.perf_counter():
            await asyncio.sleep(pause)
            with suppress(Lost):
                await self._act_or_reload()

    async def _act_or_reload(self) -> None:
        try:
            await self.act()
        except Lost:  # it is noted; a person reloads the page and goes on
            await self.reload()

    async def act(self) -> None:
        """Does what this person wants next."""
        if self._place != LOOK:
            await self.go(LOOK if self._chance.random() < GO_BACK else self._next_page())
            return
        wish = self._chance.choice(list(WISHES), p=list(WISHES.values()))
        if wish == SAMPLE:
            samples = self.answers.samples
            clear = [name for name, known in samples.items() if known.is_clear(self._threshold)]
            await self.pick(self._chance.choice(clear))
        elif wish == DIAL:
            await self.move(self._clear_threshold())
        elif wish == UPLOAD:
            await self.upload()
        else:
            await self.go(self._next_page())

    async def reload(self) -> None:
        """A fresh tab: the session of the old one is gone with it."""
        await self.tab.close()
        self.__post_init__()
        await self.open()

    async def pick(self, sample: str) -> None:
        """Presses the thumbnail of a sample."""
        await self._from(SAMPLES)
        self._sample = self._known = self.answers.samples[sample]
        await self._do(SAMPLE, lambda: self.tab.pick("samples", sample))

    async def move(self, threshold: float) -> None:
        """Lets go of the dial at a threshold."""
        self._threshold = threshold
        await self._do(DIAL, lambda: self.tab.dial(way="threshold", threshold=threshold))

    async def upload(self) -> None:
        """Uploads the next photo."""
        await self._from(OWN)
        photo = self.photos[self._uploads % len(self.photos)].again(self._uploads)
        self._uploads += 1
        if not photo.is_clear(self._threshold):
            await self.move(self._clear_threshold(photo))
        self._own = self._known = photo
        await self._do(UPLOAD, lambda: self.tab.upload("look_upload", photo.name, photo.data, JPEG))

    async def go(self, page: str) -> None:
        """Goes to another page."""
        self._place = page
        await self._do(PAGE, lambda: self.tab.go(page))

    async def _from(self, source: str) -> None:
        """Chooses where pictures come from; the page shows the last one from there, if any."""
        if self._source == source:
            return
        self._source = source
        self._known = (self._own or self._sample) if source == OWN else self._sample
        await self._do(SOURCE, lambda: self.tab.choose("from", source))
        await asyncio.sleep(self._chance.uniform(*self.think_s) / 2)

    async def _do(self, action: str, ask: Callable[[], Awaitable[float]]) -> None:
        """Does something, checks what the page says, and notes both."""
        try:
            seconds = await ask()
            errors = list(self.tab.page.complaints())
            self.tally.note(action, seconds, wrong=self._wrong(), errors=errors)
            await self.tab.fetch_pictures()
        except (Lost, OSError) as error:
            self.tally.fail(action, str(error) or type(error).__name__)
            raise Lost(str(error)) from error

    def _wrong(self) -> str:
        """What is wrong with the page, in words; "" if it is as it must be."""
        page, title = self.tab.page, PAGES[self._place]
        if page.title() != title:
            return f"the page is called {page.title()!r} in place of {title!r}"
        if self._place == "inside":
            shown = page.component("microscope")
            digest = self._known.digest
            if shown is None or digest not in shown["id"].split():
                return f"the microscope shows another picture than {self._known.name}"
        if self._place != LOOK:
            return ""
        wrong = wrong_trace(page, self._known, self.thresholds, self.answers.classes)
        if wrong and (owner := whose(page, self._known, self.everybody)):
            wrong += f", it is that of {owner}"
        return f"{self.name}: {wrong}" if wrong else ""

    def _next_page(self) -> str:
        if not self._to_see:
            self._to_see = [page for page in list(PAGES)[1:] if page != self._place]
            self._chance.shuffle(self._to_see)
        return self._to_see.pop()

    def _clear_threshold(self, *coming: Known) -> float:
        """Any at which rounding cannot decide about what is looked at now, or next."""
        while True:
            threshold = round(float(self._chance.uniform(0.1, 1.0)), 2)
            is_clear = all(each.is_clear(threshold) for each in (self._known, *coming))
            if threshold != self._threshold and is_clear:
                return threshold
