"""The encoded pictures that visitors' pages keep, bounded over all visitors.

A session keeps two things: its tray (the last pictures looked at) and the pictures of its batches,
to look at one again or to run them with another model. Each is bounded for one visitor; here they
are bounded for all together. Batches leave as a whole, the oldest first, but none that waits or
runs; trays lose their oldest pictures, the largest tray first, and keep their last picture. What
was computed stays.

Settings (environment): DVT_BATCH_MB_ALL and DVT_TRAY_MB_ALL, megabytes, 256 each.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Lock

from app.intake.pictures import Picture
from app.language import say
from dvt_core.batch import Source
from dvt_core.errors import InputError

MB = 10**6
_lock = Lock()


def limit(variable: str) -> int:
    """The bytes that a setting allows; 256 MB where it is no number."""
    text = os.environ.get(variable, "")
    return (int(text) if text.isdecimal() else 256) * MB


class Held:
    """The pictures of one batch, until they are dropped or nobody has the batch any more."""

    def __init__(self, sources: Sequence[Source], size: int) -> None:
        """Holds `sources`, which keep `size` bytes alive."""
        self.size = size
        self.is_needed: Callable[[], bool] = lambda: False
        self._sources: tuple[Source, ...] = tuple(sources)

    @property
    def is_dropped(self) -> bool:
        """Whether its pictures have left."""
        return not self._sources

    def drop(self) -> None:
        """Lets the pictures go."""
        self._sources, self.size = (), 0

    def sources(self) -> tuple[Source, ...]:
        """The same sources, whose pictures leave when they are dropped."""
        return tuple(
            Source(source.name, source.folders, partial(self._read, place))
            for place, source in enumerate(self._sources)
        )

    def _read(self, place: int) -> bytes | Path:
        sources = self._sources
        if not sources:
            raise InputError(
                say("the pictures of this batch left to make room for others', choose them again")
            )
        return sources[place].read()


_batches: list[weakref.ref[Held]] = []  # oldest first


def hold(sources: Sequence[Source], size: int) -> Held:
    """Holds a batch's pictures; the oldest batches of all visitors make room.

    Raises:
        InputError: those that wait or run leave no room.
    """
    room = limit("DVT_BATCH_MB_ALL")
    with _lock:
        alive = [held for ref in _batches if (held := ref()) is not None and not held.is_dropped]
        idle = [held for held in alive if not held.is_needed()]
        over = sum(held.size for held in alive) + size - room
        if over > sum(held.size for held in idle):  # then nobody loses anything for it
            raise InputError(
                say("other visitors' batches fill this server's memory, try again in some minutes")
            )
        for held in idle:
            if over > 0:
                over -= held.size
                held.drop()
        new = Held(sources, size)
        _batches[:] = [weakref.ref(held) for held in (*alive, new) if not held.is_dropped]
    return new


class Tray(Sequence[Picture]):
    """One visitor's own pictures, oldest first.

    Attributes:
        left: how many have left for want of room.
    """

    def __init__(self) -> None:
        """Begins empty, and counts among all visitors' trays from now on."""
        self.left = 0
        self._pictures: tuple[Picture, ...] = ()
        with _lock:
            _trays.add(self)

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self._pictures)

    def __getitem__(self, place):
        """The picture at a place; -1 is the newest."""
        return self._pictures[place]

    @property
    def size(self) -> int:
        """Bytes of its pictures."""
        return sum(len(picture.data) for picture in self._pictures)

    def keep(self, pictures: tuple[Picture, ...]) -> None:
        """Replaces the pictures; other trays make room if all together have too much."""
        room = limit("DVT_TRAY_MB_ALL")
        with _lock:  # others' calls shorten this tray, too
            self._pictures = pictures
            trays = list(_trays)
            over = sum(tray.size for tray in trays) - room
            while over > 0 and (largest := max(trays, key=_can_leave)) and _can_leave(largest):
                over -= len(largest._pictures[0].data)
                largest._pictures = largest._pictures[1:]
                largest.left += 1


def _can_leave(tray: Tray) -> int:
    """Bytes of a tray without its last picture."""
    return tray.size - len(tray._pictures[-1].data) if tray._pictures else 0


_trays: weakref.WeakSet[Tray] = weakref.WeakSet()
