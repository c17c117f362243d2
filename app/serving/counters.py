"""Counts and times since the start, in memory: bounded, and written from any thread."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock

KEPT = 1000  # times of an action that the percentiles are taken of
MAX_ACTIONS = 200  # of one kind; more are counted together
REST = "(others)"


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least this share of all values does not exceed; None of none.

    Args:
        values: in any order.
        share: in (0, 1].
    """
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


@dataclass
class Action:
    """One kind of thing that is done again and again.

    Attributes:
        n: how often, since the start.
        failed: how often something broke that is our matter.
        refused: how often a visitor was told that something cannot be done.
        seconds: of the last `KEPT`, from the request to the end.
        waited: seconds of them before it began; empty where nothing waits.
    """

    n: int = 0
    failed: int = 0
    refused: int = 0
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    waited: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))


@dataclass(frozen=True)
class Row:
    """An action as the status page shows it; times in seconds, None if there are none.

    Attributes:
        name: of the action.
        n: how often, since the start.
        failed: see `Action`.
        refused: see `Action`.
        p50: half of the last `KEPT` took no longer.
        p95: 95 % took no longer.
        max: the longest.
        waited_p95: 95 % began no later after they were asked for.
    """

    name: str
    n: int
    failed: int
    refused: int
    p50: float | None
    p95: float | None
    max: float | None
    waited_p95: float | None


@dataclass
class Level:
    """How many there are now, the most there were, and how many came in all."""

    now: int = 0
    peak: int = 0
    total: int = 0


class Counters:
    """What has happened since the start."""

    def __init__(self) -> None:
        """Starts at nothing, now."""
        self.started, self._began = datetime.now(UTC), time.monotonic()
        self._lock = Lock()
        self._actions: dict[str, dict[str, Action]] = {}
        self._levels: dict[str, Level] = {}

    @property
    def uptime_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def add(
        self,
        kind: str,
        name: str,
        seconds: float,
        *,
        waited: float | None = None,
        failed: bool = False,
        refused: bool = False,
    ) -> None:
        """Counts one action.

        Args:
            kind: "requests", "pages", "work" or "jobs"; few.
            name: which of them; beyond `MAX_ACTIONS` names they are counted as `REST`.
            seconds: from the request to the end.
            waited: seconds of them before it began.
            failed: something broke that is our matter.
            refused: a visitor was told that something cannot be done.
        """
        with self._lock:
            actions = self._actions.setdefault(kind, {})
            if name not in actions and len(actions) >= MAX_ACTIONS:
                name = REST
            action = actions.setdefault(name, Action())
            action.n += 1
            action.failed += failed
            action.refused += refused
            action.seconds.append(seconds)
            if waited is not None:
                action.waited.append(waited)

    def enter(self, name: str) -> None:
        """One more of something that comes and goes: a visitor, a call in the queue."""
        with self._lock:
            level = self._levels.setdefault(name, Level())
            level.now += 1
            level.total += 1
            level.peak = max(level.peak, level.now)

    def leave(self, name: str) -> None:
        """One less."""
        with self._lock:
            self._levels.setdefault(name, Level()).now -= 1

    def level(self, name: str) -> Level:
        """How many there are; a copy."""
        with self._lock:
            level = self._levels.get(name, Level())
            return Level(level.now, level.peak, level.total)

    def rows(self, kind: str) -> tuple[Row, ...]:
        """The actions of a kind, the most frequent first."""
        with self._lock:
            found = [
                (name, each.n, each.failed, each.refused, list(each.seconds), list(each.waited))
                for name, each in self._actions.get(kind, {}).items()
            ]
        rows = [
            Row(
                name,
                n,
                failed,
                refused,
                percentile(seconds, 0.5),
                percentile(seconds, 0.95),
                max(seconds, default=None),
                percentile(waited, 0.95),
            )
            for name, n, failed, refused, seconds, waited in found
        ]
        return tuple(sorted(rows, key=lambda row: (-row.n, row.name)))


SERVED = Counters()  # of this process, from its first line on
