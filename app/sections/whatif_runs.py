"""What was tried on one picture: numbers only, so that little is kept of a visitor."""

from __future__ import annotations

from dataclasses import dataclass, field

KEPT_RUNS = 12


@dataclass(frozen=True)
class Run:
    """One run of the model on a changed picture: numbers only.

    Attributes:
        edit: a name from `EDITS`.
        value: how much.
        exit_index: 0-based exit that answered.
        confidence: of that exit, in [0, 1].
        label: index of the answer.
        thresholds: those in force at the time.
    """

    edit: str
    value: float
    exit_index: int
    confidence: float
    label: int
    thresholds: tuple[float, ...]


@dataclass
class History:
    """What was tried on one picture with one model.

    Attributes:
        of: digests of the picture as the model sees it, and of the weights.
        runs: newest first, at most `KEPT_RUNS`.
        swept: names of the edits that were swept.
    """

    of: tuple[str, str]
    runs: list[Run] = field(default_factory=list)
    swept: set[str] = field(default_factory=set)

    def add(self, run: Run) -> None:
        """Puts a run first; an earlier one of the same change is dropped."""
        others = [r for r in self.runs if (r.edit, r.value) != (run.edit, run.value)]
        self.runs = [run, *others][:KEPT_RUNS]
