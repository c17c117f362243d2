"""One call of the worker: what was asked, how it ended, and how that is said to who asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from app.language import say
from dvt_core.errors import InputError

LEAVE_S = 2.0  # what runs while the server stops may go on for so long


class Busy(InputError):
    """The worker has no time now: its queue is full, or no answer came in time."""


class GivenUp(InputError):
    """The call was tried and did not come to an end; trying it at once again may not help."""


class Withdrawn(Exception):
    """Who asked does not want the answer any more."""


class Overdue(Exception):
    """The call ran for too long."""


class Hangs(Exception):
    """Too many calls ran for too long."""


class Stopping(Exception):
    """The server stops."""


@dataclass(eq=False)
class Call:
    """A function and what became of it.

    Attributes:
        function: what is computed; dropped at the end, it may hold pictures.
        began: the clock's time at which it began to run.
        result: what it returned.
        error: what it raised, or why it was given up.
        done: set when the caller may go on.
    """

    function: Callable[[], Any] = field(repr=False)
    began: float = 0.0
    result: Any = field(default=None, repr=False)
    error: BaseException | None = None
    done: Event = field(default_factory=Event)

    def compute(self) -> None:
        """Runs the function, whatever it raises: the thread must outlive it."""
        try:
            self.result = self.function()
        except BaseException as error:
            self.error = error

    def end(self, error: BaseException | None = None) -> None:
        """Lets the caller go on; with an error, that is how it ended."""
        self.error = error or self.error
        self.function = _nothing
        self.done.set()


def told(error: BaseException, limit_s: float) -> BaseException:
    """What the caller is told: an error that the function itself raised, or one sentence."""
    if isinstance(error, Overdue):
        return GivenUp(
            say(
                "the model did not finish this within {n} s, try again, or something smaller",
                n=f"{limit_s:g}",
            )
        )
    if isinstance(error, Stopping):
        return GivenUp(say("the server stops, try again when it is back"))
    if isinstance(error, Hangs):
        return GivenUp(say("the model hangs, whoever runs this server must start it again"))
    if is_out_of_memory(error):
        return GivenUp(
            say("this computer has no memory left for this, try again, or something smaller")
        )
    if isinstance(error, Exception):
        return error
    return GivenUp(say("the computation was broken off, try again"))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out; torch on the CPU says so in a RuntimeError."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def _nothing() -> None:
    return None
