"""Long work in the background: one thing at a time, in the order asked, each can be cancelled.

Pictures that people wait for go through the inference worker (`app.worker`). Work of many seconds
(attributions, batches, downloads) runs here instead, on a thread of its own, and asks that worker
for a slice of a fraction of a second at a time, so that nobody waits for somebody's batch.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Any

from dvt_core.errors import InputError

WAITING, RUNNING, DONE, FAILED, CANCELLED = "waiting", "running", "done", "failed", "cancelled"
OPEN = (WAITING, RUNNING)

logger = logging.getLogger(__name__)


class Cancelled(Exception):
    """Raised in the work, at its next step, after someone cancelled it."""


@dataclass(eq=False)
class Job:
    """One long computation: written by its thread, read by the page.

    Attributes:
        title: what is being done, for people.
        owner: who asked, usually the id of a session.
        is_wanted: asked at every step; False ends the work (its page is gone).
        state: one of `WAITING`, `RUNNING`, `DONE`, `FAILED`, `CANCELLED`.
        fraction: done so far, in [0, 1].
        words: the step that is being done, for people.
        result: what the work returned, once it is `DONE`.
        error: one sentence without a full stop, once it has `FAILED`.
    """

    title: str
    owner: str
    is_wanted: Callable[[], bool] = field(default=lambda: True, repr=False)
    state: str = WAITING
    fraction: float = 0.0
    words: str = ""
    result: Any = field(default=None, repr=False)
    error: str = ""
    began: float = 0.0
    _stop: Event = field(default_factory=Event, repr=False)

    @property
    def is_open(self) -> bool:
        """Whether it still waits or runs."""
        return self.state in OPEN

    def cancel(self) -> None:
        """Ends it: at once if it waits, at its next step if it runs."""
        self._stop.set()
        if self.state == WAITING:
            self.state = CANCELLED

    def step(self, fraction: float, words: str = "") -> None:
        """Called by the work, often: notes how far it is.

        Raises:
            Cancelled: to be let through; the work ends here.
        """
        if self._stop.is_set() or not self.is_wanted():
            raise Cancelled
        self.fraction, self.words = min(max(fraction, 0.0), 1.0), words or self.words

    def seconds_left(self) -> float | None:
        """What is left at the pace so far; None before there is a pace."""
        spent = time.monotonic() - self.began
        if self.state != RUNNING or self.fraction <= 0 or spent < 0.5:
            return None
        return spent * (1 - self.fraction) / self.fraction


class JobQueue:
    """Runs jobs one after the other on one thread."""

    def __init__(self, *, max_waiting: int = 32, per_owner: int = 1) -> None:
        """Starts with an empty queue.

        Args:
            max_waiting: jobs of all people that may wait or run.
            per_owner: jobs of one person that may wait or run.
        """
        self._executor = ThreadPoolExecutor(1, "job")
        self._jobs: deque[Job] = deque()
        self._lock = Lock()
        self._max_waiting, self._per_owner = max_waiting, per_owner

    def submit(
        self,
        owner: str,
        title: str,
        work: Callable[[Job], Any],
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> Job:
        """Puts work at the end of the queue.

        Args:
            owner: who asks.
            title: what it is, for people.
            work: gets the job, calls its `step` often, returns the result. It runs outside any
                page: whatever it needs of the session or the caches is fetched before.
            is_wanted: False ends the work at its next step.

        Raises:
            InputError: this person's jobs, or everybody's, are too many.
        """
        with self._lock:
            waiting = [job for job in self._jobs if job.is_open]
            self._jobs = deque(waiting)
            if sum(job.owner == owner for job in waiting) >= self._per_owner:
                raise InputError(
                    "one long computation at a time: wait for yours to end, or cancel it"
                )
            if len(waiting) >= self._max_waiting:
                raise InputError(
                    f"{self._max_waiting} long computations are waiting already, try again later"
                )
            job = Job(title, owner, is_wanted)
            self._jobs.append(job)
        self._executor.submit(_run, job, work)
        return job

    def place(self, job: Job) -> int:
        """How many open jobs stand before this one; 0 while it runs."""
        with self._lock:
            before = [other for other in self._jobs if other.is_open or other is job]
        return before.index(job) if job in before else 0


def _run(job: Job, work: Callable[[Job], Any]) -> None:
    if not job.is_open:
        return
    job.state, job.began = RUNNING, time.monotonic()
    try:
        job.step(0.0)
        job.result = work(job)
        job.fraction, job.state = 1.0, DONE
    except Cancelled:
        job.state = CANCELLED
    except InputError as error:
        job.error, job.state = str(error), FAILED
    except Exception:
        logger.exception("a job failed: %s", job.title)
        job.error = "something went wrong on this computer; its log says what"
        job.state = FAILED
