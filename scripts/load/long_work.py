"""People with long work: maps of a photo (Inside), a zip of pictures (Batch), again and again.

They are there so that the queue of long work is never empty while the others are measured; what
they get is checked like any answer.
"""

from __future__ import annotations

import asyncio
import base64
import io
import itertools
import time
import zipfile
from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from scripts.load.answers import SAME
from scripts.load.connection import Lost
from scripts.load.mirror import Mirror
from scripts.load.person import Person
from scripts.load.pictures import Answers, Known
from scripts.load.tally import BATCH, MAPS

WHY = "why this class"
METHODS = ("Grad-CAM", "integrated gradients", "occlusion")
MAP_OF = ": what speaks for "  # in the alternative text of a map
FILES = "files or zips"
PATIENCE_S = 240.0  # several wait for one queue


class MapsPerson(Person):
    """Asks for the maps of every method, then uploads another photo and asks again."""

    async def stay(self, seconds: float) -> None:
        """Until the time is up; once at least, and what is under way is waited for."""
        until = time.perf_counter() + seconds
        with suppress(Lost):
            while True:
                await self.upload()
                await self.go("inside")
                await self.tab.choose("inside", WHY)
                for method in METHODS:
                    await self.tab.choose("why_method", method)
                    await self._compute()
                    if time.perf_counter() >= until:
                        return
                    await asyncio.sleep(self._chance.uniform(*self.think_s))
                await self.go("")

    async def _compute(self) -> None:
        exits = len(self._known.probs)
        began = time.perf_counter()
        try:
            await self.tab.press("why_compute")
            await self.tab.until(
                lambda page: len(maps(page)) == exits or bool(_failed(page)), PATIENCE_S
            )
        except Lost as error:
            self.tally.fail(MAPS, str(error))
            raise
        page, seconds = self.tab.page, time.perf_counter() - began
        self.tally.note(MAPS, seconds, wrong=self._wrong_maps(), errors=_failed(page))

    def _wrong_maps(self) -> str:
        answer = self.answers.classes[int(self._known.probs[-1].argmax())].split(",")[0].strip()
        wanted = f"{self._known.name}{MAP_OF}{answer} at exit "
        found = maps(self.tab.page)
        return (
            "" if all(alt.startswith(wanted) for alt in found) else f"{found} in place of {wanted}"
        )


def maps(page: Mirror) -> list[str]:
    """Alternative texts of the maps on the page."""
    return [alt for _, alt in page.pictures() if MAP_OF in alt]


def _failed(page: Mirror) -> list[str]:
    return [*page.complaints(), *page.warnings()]


class BatchPerson(Person):
    """Runs the same pictures as a batch over and over, in another file each time."""

    def __init__(self, *args: object, pictures: Sequence[Known], **more: object) -> None:
        """`pictures` are what the zip holds; the rest is as for any person."""
        super().__init__(*args, **more)  # type: ignore[arg-type]
        self._pictures = pictures

    async def stay(self, seconds: float) -> None:
        """Until the time is up; once at least, and what is under way is waited for."""
        until = time.perf_counter() + seconds
        with suppress(Lost):
            await self.go("batch")
            await self.tab.choose("batch_from", FILES)
            for number in itertools.count():
                await self._run_batch(number)
                if time.perf_counter() >= until:
                    return
                await asyncio.sleep(self._chance.uniform(*self.think_s))

    async def _run_batch(self, number: int) -> None:
        name, data = f"{self.name}_{number}.zip", zipped(self._pictures, str(number))
        began = time.perf_counter()
        try:
            await self.tab.upload("batch_files", name, data, "application/zip")
            before = _token(self.tab.page)
            await self.tab.press("batch_run")
            await self.tab.until(
                lambda page: _token(page) != before or bool(_failed(page)), PATIENCE_S
            )
            errors, wrong = _failed(self.tab.page), wrong_batch(self.tab.page, self._pictures)
            self.tally.note(BATCH, time.perf_counter() - began, wrong=wrong, errors=errors)
            await self.tab.clear("batch_files")
        except (Lost, OSError) as error:
            self.tally.fail(BATCH, str(error))
            raise Lost(str(error)) from error


def zipped(pictures: Sequence[Known], comment: str) -> bytes:
    """The pictures' files in a zip; the comment makes it another file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.comment = comment.encode()
        for each in pictures:
            file.writestr(each.name, each.data)
    return out.getvalue()


def _token(page: Mirror) -> str:
    shown = page.component("batch_live")
    return shown["signature"] if shown else ""


def wrong_batch(page: Mirror, pictures: Sequence[Known]) -> str:
    """What is wrong with the batch that a page shows; "" if it is the one of these pictures."""
    shown = page.component("batch_live")
    if shown is None or shown["all"]["n"] != len(pictures):
        return f"a batch of {shown and shown['all']['n']} pictures in place of {len(pictures)}"
    raw = base64.b64decode(shown["all"]["confidences"])
    found = np.frombuffer(raw, "<f4").reshape(-1, len(pictures)).T
    wanted = np.stack([each.confidences[:-1] for each in pictures])
    off = np.abs(found - wanted).max(axis=1)
    if (off < SAME).all():
        return ""
    return f"{(off >= SAME).sum()} pictures of the batch have other confidences, by {off.max():.3f}"


def small_pictures(answers: Answers, owner: str, count: int) -> list[Known]:
    """Pictures for a zip, in the order in which the app takes them."""
    found = answers.photos(owner, count, (640, 480))
    return sorted(found, key=lambda each: each.name)
