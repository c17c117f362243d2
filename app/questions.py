"""A question with its right answer, as the lesson's guesses and the quiz put it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """One question; its right answer was computed, never written down.

    Attributes:
        id: what it is about; with `key` it keeps a guess apart from those of other states.
        text: the question.
        options: what can be answered.
        right: place of the right option.
        because: the computed fact behind it, one or two sentences.
        about: what it was computed from (model, thresholds, pictures), for `key`.
    """

    id: str
    text: str
    options: tuple[str, ...]
    right: int
    because: str
    about: tuple[object, ...] = ()

    @property
    def key(self) -> str:
        """The same in every language and on every run; another once another state is asked."""
        told = hashlib.sha256(repr(self.about).encode()).hexdigest()
        return f"{self.id}_{told[:12]}"
