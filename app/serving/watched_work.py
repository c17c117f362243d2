"""The worker and the queues of long work, with every call and job counted and logged.

A call is named by the function that the model's thread runs, a job by its queue; what either is
about, a picture or a title, is not looked at.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from app.serving.counters import SERVED
from app.serving.log import event
from app.work.call import Busy, Withdrawn
from app.work.jobs import Cancelled, Job, JobQueue
from app.work.worker import Worker
from dvt_core.errors import InputError

P = ParamSpec("P")
T = TypeVar("T")
CALLS = "calls"  # of the model that wait or run
SLOW_S = 1.0  # a call that takes longer, its time in the queue included, is logged


class WatchedWorker(Worker):
    """A worker that says how long calls waited and ran."""

    def run_while(
        self,
        is_wanted: Callable[[], bool],
        function: Callable[P, T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """See `Worker.run_while`."""
        asked, ran, ended = time.perf_counter(), [], "done"  # ran: from when until when

        def noted(*args: P.args, **kwargs: P.kwargs) -> T:
            ran.append(time.perf_counter())
            try:
                return function(*args, **kwargs)
            finally:
                ran.append(time.perf_counter())

        SERVED.enter(CALLS)
        try:
            return super().run_while(is_wanted, noted, *args, **kwargs)
        except BaseException as error:
            ended = how_ended(error)
            raise
        finally:
            SERVED.leave(CALLS)
            now = time.perf_counter()  # later than the answer: the page waits for its turn, too
            began, answered = (*ran, now, now)[:2]
            name = getattr(function, "__name__", "call").strip("_<>")
            _note("call", name, answered - asked, began - asked, ended)


class WatchedQueue(JobQueue):
    """A queue that says how long jobs waited and ran, and how they ended."""

    def __init__(self, kind: str) -> None:
        """Starts with an empty queue of a kind, which names its jobs."""
        super().__init__()
        self._kind = kind

    def submit(
        self,
        owner: str,
        title: str,
        work: Callable[[Job], Any],
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> Job:
        """See `JobQueue.submit`."""
        asked = time.perf_counter()

        def noted(job: Job) -> Any:
            waited, ended = time.perf_counter() - asked, "done"
            try:
                return work(job)
            except BaseException as error:
                ended = how_ended(error)
                raise
            finally:
                _note("job", self._kind, time.perf_counter() - asked, waited, ended)

        try:
            return super().submit(owner, title, noted, is_wanted)
        except InputError:
            _note("job", self._kind, 0.0, 0.0, "refused")
            raise


def how_ended(error: BaseException) -> str:
    """One word: "refused" (there was no time), "withdrawn", "told" (a sentence), or "failed"."""
    if isinstance(error, Busy):
        return "refused"
    if isinstance(error, Withdrawn | Cancelled):
        return "withdrawn"
    return "told" if isinstance(error, InputError) else "failed"


def _note(what: str, name: str, seconds: float, waited: float, ended: str) -> None:
    """Quick calls that went well are counted only: a class makes several a second."""
    kind = "work" if what == "call" else "jobs"
    failed, refused = ended == "failed", ended in ("refused", "told")
    SERVED.add(kind, name, seconds, waited=waited, failed=failed, refused=refused)
    quiet = what == "call" and ended == "done" and seconds < SLOW_S
    event(
        what,
        logging.ERROR if failed else logging.DEBUG if quiet else logging.INFO,
        name=name,
        ended=ended,
        wait_ms=round(1000 * waited, 1),
        ms=round(1000 * seconds, 1),
        calls=SERVED.level(CALLS).now,
    )
