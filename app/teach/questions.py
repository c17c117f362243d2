"""A question with its right answer, and what a round of the quiz is made from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from dvt_core.config import DVTConfig
from dvt_core.exit_table import ExitTable


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


@dataclass(frozen=True, eq=False)
class Known:
    """What a round is made from.

    Attributes:
        config: the architecture.
        weights: digest of the weights.
        thresholds: in force when the round began.
        table: of the test split; None if there is none.
        confidences: (n, E) of the samples at every exit.
        names: of the samples.
    """

    config: DVTConfig
    weights: str
    thresholds: tuple[float, ...]
    table: ExitTable | None
    confidences: np.ndarray
    names: tuple[str, ...]


@dataclass(frozen=True)
class Item:
    """A question of a round, and the samples it is about."""

    question: Question
    pictures: tuple[int, ...] = ()
