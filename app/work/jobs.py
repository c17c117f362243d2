"""Long work in the background: one thing at a time, in the order asked, each can be cancelled.

Pictures that people wait for go through the inference worker (`app.work.worker`). Work of many
seconds (attributions, batches) runs here instead, on a thread of its own, and asks that worker for
a slice of a fraction of a second at a time, so that nobody waits for somebody's batch. Downloads
have a second queue (`app.work.job_panel.NETWORK`): a slow network holds up downloads alone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Lock, Thread, current_thread
from typing import Any

from app.language import say
from app.work.call import LEAVE_S
from dvt_core.errors import InputError

WAITING, RUNNING, DONE, FAILED, CANCELLED = "waiting", "running", "done", "failed", "cancelled"
OPEN = (WAITING, RUNNING)
SETTLED_S = 0.5  # a pace measured over less says nothing
LEFT_S, MAX_LEFT = 5.0, 3  # a cancelled job that takes no step is left behind; so many at a time

logger = logging.getLogger(__name__)


class Cancelled(Exception):
    """Raised in the work, at its next step, after someone cancelled it."""


@dataclass(eq=False)
class Job:
    """One long computation: written by its thread, read by the page.

    Attributes:
        title: what is being done, for people, in their language.
        owner: who asked, usually the id of a session.
        is_wanted: asked at every step and while it waits; False ends it (its page is gone).
        state: one of `WAITING`, `RUNNING`, `DONE`, `FAILED`, `CANCELLED`.
        fraction: done so far, in [0, 1].
        words: the step that is being done, for people, in their language.
        result: what the work returned, once it is `DONE`.
        error: once it has `FAILED`, one sentence without a full stop; "" if it was a bug of
            ours, which the log describes.
        began: the clock's time at which it began to run.
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
    _stopped: float | None = field(default=None, repr=False)  # the clock's time of the cancel
    _queue: JobQueue | None = field(default=None, repr=False)
    _work: Callable[[Job], Any] | None = field(default=None, repr=False)
    _clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    _stop: Event = field(default_factory=Event, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    @property
    def is_open(self) -> bool:
        """Whether it still waits or runs."""
        return self.state in OPEN

    @property
    def is_stopping(self) -> bool:
        """Whether it was cancelled and still runs, until its next step."""
        return self.is_open and self._stop.is_set()

    @property
    def is_stuck(self) -> bool:
        """Whether it was cancelled `LEFT_S` ago and has taken no step since: a call that hangs."""
        stopped = self._stopped
        return self.is_stopping and stopped is not None and self._clock() - stopped >= LEFT_S

    def goes_on(self) -> bool:
        """False once it was cancelled or its page is gone; asked while it waits for the worker."""
        return not self._stop.is_set() and self.is_wanted()

    def place(self) -> int:
        """How many open jobs stand before this one in its queue; 0 while it runs."""
        return self._queue.place(self) if self._queue is not None else 0

    def cancel(self) -> None:
        """Ends it: at once if it waits, at its next step if it runs; else nothing happens."""
        with self._lock:
            self._stopped = self._clock() if self._stopped is None else self._stopped
        self._stop.set()
        self._end(CANCELLED, only_if=WAITING)

    def leave(self) -> None:
        """Called by the queue: it has ended, whatever its thread still does."""
        self._end(CANCELLED)

    def step(self, fraction: float, words: str = "") -> None:
        """Called by the work, often: notes how far it is.

        Raises:
            Cancelled: to be let through; the work ends here.
        """
        if not self.goes_on():
            raise Cancelled
        self.fraction, self.words = min(max(fraction, 0.0), 1.0), words or self.words

    def seconds_left(self) -> float | None:
        """What is left at the pace so far; None before there is a pace."""
        spent = self._clock() - self.began
        if self.state != RUNNING or self.fraction <= 0 or spent < SETTLED_S:
            return None
        return spent * (1 - self.fraction) / self.fraction

    def begin(self) -> bool:
        """Called by the queue: starts the time; False if it was cancelled before its turn."""
        with self._lock:
            if self.state != WAITING:
                return False
            self.began, self.state = self._clock(), RUNNING
            return True

    def run(self) -> None:
        """Called by the queue's thread after `begin`: does the work and keeps how it ended."""
        work = self._work
        assert work is not None
        try:
            self.step(0.0)
            self._end(DONE, result=work(self))
        except Cancelled:
            self._end(CANCELLED)
        except InputError as error:
            # A visitor who cancelled is not told of what failed on the way to the next step.
            is_told = not self._stop.is_set()
            self._end(FAILED if is_told else CANCELLED, error=str(error) if is_told else "")
        except BaseException:  # Streamlit's own among them: the queue must outlive them all
            logger.exception("a job failed")  # its title may hold a file's name
            self._end(FAILED)

    def _end(
        self, state: str, *, only_if: str = RUNNING, result: Any = None, error: str = ""
    ) -> None:
        """How it ended, once: what a job that was left behind comes to is dropped."""
        with self._lock:
            if self.state != only_if:
                return
            self.result, self.error = result, error
            self.fraction = 1.0 if state == DONE else self.fraction
            self._work = None  # it may hold pictures; the session keeps the job, not those
            self.state = state  # the last: the page reads the rest once it says so


class JobQueue:
    """Runs jobs one after the other, on a thread that lives while there are any."""

    def __init__(
        self,
        *,
        max_waiting: int = 32,
        per_owner: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts with an empty queue.

        Args:
            max_waiting: jobs of all people that may wait or run.
            per_owner: jobs of one person that may wait or run.
            clock: seconds, for the pace.
        """
        self._jobs: list[Job] = []  # open ones in order, the running one first
        self._lock = Lock()
        self._thread: Thread | None = None
        self._left = 0  # threads whose job was left behind
        self._max_waiting, self._per_owner, self._clock = max_waiting, per_owner, clock

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
            title: what it is, for people, in their language.
            work: gets the job, calls its `step` often, returns the result. It runs outside any
                page: whatever it needs of the session or the caches, and the words that it will
                say, are fetched before.
            is_wanted: False ends the work at its next step.

        Raises:
            InputError: this person's jobs, or everybody's, are too many.
        """
        with self._lock:
            self._tidy()
            if sum(job.owner == owner for job in self._jobs) >= self._per_owner:
                raise InputError(
                    say("one long task at a time: wait for yours to end, or cancel it")
                )
            if len(self._jobs) >= self._max_waiting:
                raise InputError(
                    say(
                        "{n} long tasks are waiting already, try again later",
                        n=self._max_waiting,
                    )
                )
            job = Job(title, owner, is_wanted, _queue=self, _work=work, _clock=self._clock)
            self._jobs.append(job)
            if self._thread is None or not self._thread.is_alive():
                self._start()
        return job

    def close(self) -> None:
        """Cancels all jobs, when the server stops; what runs has `LEAVE_S` for its next step."""
        with self._lock:
            ended = [job.cancel() for job in self._jobs]
        if self._thread is not None and ended:
            self._thread.join(LEAVE_S)

    @property
    def length(self) -> int:
        """Jobs that wait or run; cheap, from any thread."""
        with self._lock:
            self._tidy()
            return len(self._jobs)

    def place(self, job: Job) -> int:
        """How many open jobs stand before this one; 0 while it runs."""
        with self._lock:
            self._tidy()
            return self._jobs.index(job) if job in self._jobs else 0

    def _tidy(self) -> None:
        """Takes out what has ended, what was asked by a visitor who left, and what hangs."""
        for job in self._jobs:
            if not job.goes_on():
                job.cancel()
            if job.is_stuck and self._left < MAX_LEFT:
                logger.error("a cancelled job does not end and is left behind")
                job.leave()
                self._left += 1
                self._start()
        self._jobs = [job for job in self._jobs if job.is_open]

    def _start(self) -> None:
        # A daemon: Ctrl-C on the server does not wait for somebody's batch.
        self._thread = Thread(target=self._serve, name="jobs", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while (job := self._take()) is not None:
            job.run()

    def _take(self) -> Job | None:
        with self._lock:
            if self._thread is not current_thread():  # it was left behind, and has come back
                self._left -= 1
                return None
            self._tidy()
            job = next((job for job in self._jobs if job.begin()), None)
            if job is None:
                self._thread = None
            return job
