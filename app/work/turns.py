"""Pages are drawn one after another, in the order in which they were asked for.

A page is Python, and one process runs one line of Python at a time, so drawing pages side by side
gains nothing. It loses much: threads that want to go on ask every few milliseconds, and sixty of
them take half of the time from the one that works (measured: 60 openings in the same instant took
3.4 to 4.3 s side by side, 1.9 to 2.2 s one after another; the first to come are served first).

What waits for something else steps aside meanwhile: for the model, or for a picture that is being
decoded, which runs beside Python. A page that takes long keeps its turn for `LEASE_S` only, and
then shares the time with the next: nobody is kept waiting by it for longer.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator

LEASE_S = 0.25
LOOK_S = 0.005  # between two looks of long work at whether a page is being drawn


class Turns:
    """A queue of threads of which the first may go on."""

    def __init__(self, lease_s: float = LEASE_S) -> None:
        """Nobody has the turn yet; `lease_s` seconds after it was given the next one takes it."""
        self._lease_s = lease_s
        self._lock = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._holder: threading.Event | None = None  # which stands for a thread's turn
        self._since = 0.0
        self._mine = threading.local()

    @property
    def waiting(self) -> int:
        """Threads that wait for their turn; cheap, from any thread."""
        return len(self._waiting)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Waits for this thread's turn, and ends it after the block; one inside another is one."""
        if getattr(self._mine, "turn", None) is not None:
            yield
            return
        self._mine.turn = self._take()
        try:
            yield
        finally:
            turn, self._mine.turn = self._mine.turn, None
            self._give(turn)

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Lets others go on during the block, which waits for something else than Python."""
        turn = getattr(self._mine, "turn", None)
        if turn is None:
            yield
            return
        self._give(turn)
        try:
            yield
        finally:
            self._mine.turn = self._take(is_back=True)

    def wait_until_free(self, limit_s: float) -> None:
        """Returns when no page is being drawn, or after `limit_s` seconds: long work comes last."""
        until = time.monotonic() + limit_s
        while self._holder is not None and time.monotonic() < until:
            time.sleep(LOOK_S)

    def _take(self, *, is_back: bool = False) -> threading.Event:
        """This thread's turn; who `is_back` from waiting for something else had come before."""
        mine = threading.Event()  # set when there is news: it is this one's turn, or it is next
        with self._lock:
            if self._holder is None and not self._waiting:
                self._hand_to(mine)
                return mine
            if is_back:
                self._waiting.appendleft(mine)
            else:
                self._waiting.append(mine)
            left = self._left(mine)
        while True:
            mine.wait(left)
            with self._lock:
                mine.clear()
                left = self._left(mine)
                if self._holder is not mine and left is not None and left <= 0:
                    self._hand_to(self._waiting.popleft())
                if self._holder is mine:
                    return mine

    def _left(self, mine: threading.Event) -> float | None:
        """Seconds until the next in the row may go on in any case; None for those behind it."""
        if self._waiting and self._waiting[0] is mine:
            return self._since + self._lease_s - time.monotonic()
        return None

    def _give(self, turn: threading.Event) -> None:
        with self._lock:
            if self._holder is not turn:  # its lease was over, another has it
                return
            self._holder = None
            if self._waiting:
                self._hand_to(self._waiting.popleft())

    def _hand_to(self, turn: threading.Event) -> None:
        self._holder, self._since = turn, time.monotonic()
        turn.set()
        if self._waiting:
            self._waiting[0].set()


DRAWING = Turns()  # all pages of this process
