"""Pages are drawn one after another, in the order in which they were asked for.

A page is Python, and one process runs one line of Python at a time, so drawing pages side by side
gains nothing. It loses much: threads that want to go on ask every few milliseconds, and sixty of
them take half of the time from the one that works (measured: 60 openings in the same instant took
3.4 to 4.3 s side by side, 1.9 to 2.2 s one after another; the first to come are served first).

What waits for something else steps aside meanwhile: for the model, or for a picture that is being
decoded, which runs beside Python. Who comes back goes before those who have not begun. A page that
takes long keeps its turn for `LEASE_S` only, and then shares the time with the next: nobody is kept
waiting by it for longer.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from streamlit.runtime.scriptrunner_utils.script_run_context import in_cached_function

LEASE_S = 0.25
LOOK_S = 0.005  # between two looks of long work at whether a page is being drawn


@dataclass(eq=False)
class Turn:
    """One thread's turn.

    Attributes:
        news: set when it was given, or when it is the next one in the row.
        is_given: it stays so when another takes over: the thread may not even have woken by then.
    """

    news: threading.Event = field(default_factory=threading.Event)
    is_given: bool = False


class Turns:
    """A queue of threads of which the first may go on."""

    def __init__(self, lease_s: float = LEASE_S) -> None:
        """Nobody has the turn yet; `lease_s` seconds after it was given the next one takes it."""
        self._lease_s = lease_s
        self._lock = threading.Lock()
        self._new: deque[Turn] = deque()
        self._back: deque[Turn] = deque()  # who had stepped aside; they go first
        self._holder: Turn | None = None
        self._since = 0.0
        self._mine = threading.local()

    @property
    def waiting(self) -> int:
        """Threads that wait for their turn; cheap, from any thread."""
        return len(self._new) + len(self._back)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Waits for this thread's turn, and ends it after the block; one inside another is one."""
        if getattr(self._mine, "turn", None) is not None:
            yield
            return
        self._mine.turn = self._take(self._new)
        try:
            yield
        finally:
            turn, self._mine.turn = self._mine.turn, None
            self._give(turn)

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Lets others go on during the block, which waits for something else than Python.

        Inside one of Streamlit's cached functions this thread holds a lock, for which who draws
        meanwhile may be waiting: it then goes on at once after the block, beside that one.
        """
        turn = getattr(self._mine, "turn", None)
        if turn is None:
            yield
            return
        self._mine.turn = None
        self._give(turn)
        try:
            yield
        finally:
            self._mine.turn = self._take(None if in_cached_function.get() else self._back)

    def wait_until_free(self, limit_s: float) -> None:
        """Returns when no page is being drawn, or after `limit_s` seconds: long work comes last."""
        until = time.monotonic() + limit_s
        while self._holder is not None and time.monotonic() < until:
            time.sleep(LOOK_S)

    def _take(self, row: deque[Turn] | None) -> Turn:
        """This thread's turn, waited for in a row; None takes it from whoever has it."""
        mine = Turn()
        with self._lock:
            if row is None or (self._holder is None and not self.waiting):
                self._hand_to(mine)
                return mine
            row.append(mine)
            left = self._left(mine)
        while True:
            mine.news.wait(left)
            with self._lock:
                mine.news.clear()
                left = self._left(mine)
                if left is not None and left <= 0:
                    self._hand_to_next()  # which is mine
                if mine.is_given:
                    return mine

    def _next(self) -> Turn | None:
        return (self._back or self._new or (None,))[0]

    def _left(self, mine: Turn) -> float | None:
        """Seconds until the next one may go on in any case; None for those behind it."""
        if self._next() is mine:
            return self._since + self._lease_s - time.monotonic()
        return None

    def _give(self, turn: Turn) -> None:
        with self._lock:
            if self._holder is not turn:  # its lease was over, another has it
                return
            self._holder = None
            if self.waiting:
                self._hand_to_next()

    def _hand_to_next(self) -> None:
        self._hand_to((self._back or self._new).popleft())

    def _hand_to(self, turn: Turn) -> None:
        self._holder, self._since = turn, time.monotonic()
        turn.is_given = True
        turn.news.set()
        if following := self._next():
            following.news.set()


DRAWING = Turns()  # all pages of this process
