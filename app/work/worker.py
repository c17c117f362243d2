"""One thread that owns the model: sixty people who click at once queue up, briefly and fairly.

What a call can do to that thread, and what becomes of it:

    it raises, `SystemExit` included    who asked is told, the thread goes on
    there is no memory for it           the same, in one sentence
    it does not end                     after `limit_s` who asked is told and a new thread takes
                                        over; Python cannot end the old one, which is lost until
                                        its call returns. More than `max_lost` are not given up:
                                        then everybody is told that the server must be restarted
    it kills its thread                 the same, and nothing is lost

All others wait a little longer, and nothing of theirs is dropped.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from threading import Condition, Thread, current_thread
from typing import Any, ParamSpec, TypeVar

from app.language import say
from app.work.call import LEAVE_S, Busy, Call, Hangs, Overdue, Stopping, Withdrawn, told
from app.work.turns import DRAWING

P = ParamSpec("P")
T = TypeVar("T")

TICK_S = 0.25  # between two looks at what a caller wants and at the thread

logger = logging.getLogger(__name__)


class Worker:
    """Runs calls one at a time, in order.

    Measured (shared design notes): one worker with one torch thread serves 30 simultaneous
    clicks in half the time and half the memory that unlocked threads take.
    """

    def __init__(
        self,
        *,
        max_waiting: int = 64,
        timeout_s: float = 60.0,
        limit_s: float = 30.0,
        max_lost: int = 3,
        setup: Callable[[], None] | None = None,
    ) -> None:
        """Starts the thread.

        Args:
            max_waiting: calls that may be queued or running before new ones are turned away.
            timeout_s: seconds a caller waits for its result, its time in the queue included.
            limit_s: seconds that a call may run; less than `timeout_s`, so that who waits behind
                a call that hangs still gets an answer.
            max_lost: threads that may hang in calls that were given up.
            setup: called once on each new thread, before its first call.
        """
        self._max_waiting, self._timeout_s = max_waiting, timeout_s
        self._limit_s, self._max_lost, self._setup = limit_s, max_lost, setup
        self._calls: deque[Call] = deque()
        self._running: Call | None = None
        self._lost = 0
        self._is_closed = False
        self._changed = Condition()
        self._thread: Thread | None = None  # the one that serves; None: too many are lost
        with self._changed:
            self._start()

    @property
    def waiting(self) -> int:
        """Calls that wait for their turn, the running one not counted; cheap, from any thread."""
        return len(self._calls)

    @property
    def lost(self) -> int:
        """Threads that hang in a call that was given up; more than 0 asks for a restart soon."""
        return self._lost

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The function's result, computed on the worker's thread; its errors are passed on.

        Raises:
            Busy: the queue is full, or the result did not come in time.
            GivenUp: it ran for too long, or had not enough memory, or ended its own thread.
        """
        return self.run_while(_always, function, *args, **kwargs)

    def run_while(
        self,
        is_wanted: Callable[[], bool],
        function: Callable[P, T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """The same as `run`, as long as it is wanted: asked every `TICK_S` on the caller's thread.

        A call that waits is taken out of the queue; one that runs is left to itself.

        Raises:
            Withdrawn: it was not wanted any more.
            Busy, GivenUp: see `run`.
        """
        call = self._queue(partial(function, *args, **kwargs))
        with DRAWING.aside():  # other pages go on meanwhile
            self._wait(call, is_wanted)
        if call.error is not None:
            raise told(call.error, self._limit_s)
        return call.result

    def close(self) -> None:
        """Ends it with the server: who waits is told, a running call has `LEAVE_S` to end.

        A thread that is inside torch while the interpreter goes would abort the process.
        """
        with self._changed:
            self._is_closed = True
            running, waiting = self._running, (*self._calls,)
            self._calls.clear()
            for call in waiting:
                call.end(Stopping())
            self._changed.notify_all()
        if running is not None:
            running.done.wait(LEAVE_S)

    # --- the caller's side ---------------------------------------------------------------

    def _queue(self, function: Callable[[], Any]) -> Call:
        self._look_after_the_thread()
        with self._changed:
            if self._is_closed:
                raise told(Stopping(), self._limit_s)
            if self._thread is None:
                raise told(Hangs(), self._limit_s)
            if len(self._calls) + (self._running is not None) >= self._max_waiting:
                raise Busy(
                    say(
                        "the model is busy with {n} other pictures, try again shortly",
                        n=self._max_waiting,
                    )
                )
            call = Call(function)
            self._calls.append(call)
            self._changed.notify()
            return call

    def _wait(self, call: Call, is_wanted: Callable[[], bool]) -> None:
        """Returns when the call has ended, and looks after the thread meanwhile."""
        deadline = time.monotonic() + self._timeout_s
        while not call.done.wait(min(TICK_S, self._timeout_s)):
            self._look_after_the_thread()
            if call.done.is_set():
                return
            if not is_wanted():
                self._take_out(call)
                raise Withdrawn
            if time.monotonic() >= deadline:
                self._take_out(call)
                raise Busy(
                    say(
                        "the model gave no answer within {n} s, try again shortly",
                        n=f"{self._timeout_s:g}",
                    )
                )

    def _take_out(self, call: Call) -> None:
        with self._changed:
            if call in self._calls:
                self._calls.remove(call)

    # --- the thread ----------------------------------------------------------------------

    def _look_after_the_thread(self) -> None:
        """Gives up a call that runs for too long, and puts a new thread where none serves."""
        with self._changed:
            running, thread = self._running, self._thread
            if thread is not None and not thread.is_alive():
                logger.error("the inference thread was killed, a new one takes over")
                self._give_up(SystemExit())
                self._start()
            elif running is not None and time.monotonic() - running.began >= self._limit_s:
                self._lost += 1
                self._give_up(Overdue())
                logger.error(
                    "a call of the model did not end within %g s and is given up, %d of at most "
                    "%d; the log cannot say whose",
                    self._limit_s,
                    self._lost,
                    self._max_lost,
                )
                if self._lost <= self._max_lost:
                    self._start()
                    return
                self._thread = None
                for call in self._calls:
                    call.end(Hangs())
                self._calls.clear()

    def _give_up(self, error: BaseException) -> None:
        if self._running is not None:
            self._running.end(error)
            self._running = None

    def _start(self) -> None:
        # A daemon: a call that hangs must not keep the server from stopping.
        self._thread = Thread(target=self._serve, name="inference", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        try:
            if self._setup is not None:
                self._setup()
        except Exception:
            logger.exception("the inference thread goes on without its set-up")
        while (call := self._next()) is not None:
            call.compute()
            if not self._note_end(call):
                return
            del call  # or its result would be kept until the next one

    def _next(self) -> Call | None:
        """The next call, noted as running; None when this thread is not needed any more."""
        with self._changed:
            while not self._calls:
                if self._is_closed or self._thread is not current_thread():
                    return None
                self._changed.wait()
            if self._thread is not current_thread():
                self._changed.notify()  # was meant for the thread that serves
                return None
            call = self._running = self._calls.popleft()
            call.began = time.monotonic()
            return call

    def _note_end(self, call: Call) -> bool:
        """Gives the result to who asked; False if this thread was replaced in the meantime."""
        with self._changed:
            if self._running is call:
                self._running = None
                call.end()
                return True
            self._lost -= 1
            logger.warning("a call that was given up has ended after all, %d are left", self._lost)
            if self._thread is None:
                self._thread = current_thread()
            return self._thread is current_thread()


def _always() -> bool:
    return True
