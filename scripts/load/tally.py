"""What was measured: seconds per action, what went wrong, and whether the bars are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

OPEN, AT_ONCE, SAMPLE = "open", "open at once", "pick a sample"
UPLOAD, DIAL, PAGE = "upload a photo", "move the threshold", "change page"
SOURCE = "change the source"  # of pictures: on the way to an upload, and back
BATCH, MAPS = "run a batch", "compute the maps"  # long work: no bar, checked all the same
ACTIONS = (AT_ONCE, OPEN, SAMPLE, UPLOAD, DIAL, PAGE)
BARS: dict[str, float] = {AT_ONCE: 1.0, SAMPLE: 1.0, UPLOAD: 1.0, DIAL: 0.3}  # p95, seconds
TOLD = 12  # of the failures of a kind, how many are kept in words


@dataclass
class Row:
    """One action, by everybody.

    Attributes:
        seconds: of each that was answered, rightly or not.
        errors: how many got no answer, or a page that says something failed.
        wrong: how many got another answer than the known one.
    """

    seconds: list[float] = field(default_factory=list)
    errors: int = 0
    wrong: int = 0

    def quantile(self, q: float) -> float:
        """Seconds that a share `q` of the actions stayed within; 0 without any."""
        return float(np.quantile(self.seconds, q)) if self.seconds else 0.0

    def as_json(self, action: str) -> dict[str, Any]:
        """As in `assets/benchmarks/load.json`."""
        p50, p95, worst = (round(self.quantile(q), 4) for q in (0.5, 0.95, 1.0))
        counts = {"n": len(self.seconds), "p50": p50, "p95": p95, "max": worst}
        wrong = {"errors": self.errors, "wrong": self.wrong, "bar_p95": BARS.get(action)}
        return {"action": action, **counts, **wrong}


class Tally:
    """Collects what all users measured.

    Attributes:
        rows: action -> what was measured.
        failures: what went wrong in words, with how often.
    """

    def __init__(self) -> None:
        """Begins empty."""
        self.rows: dict[str, Row] = {}
        self.failures: Counter[str] = Counter()

    def note(
        self, action: str, seconds: float, *, wrong: str = "", errors: Sequence[str] = ()
    ) -> None:
        """Notes one answered action and what was wrong with it."""
        row = self.rows.setdefault(action, Row())
        row.seconds.append(seconds)
        row.wrong += bool(wrong)
        row.errors += bool(errors)
        for words in (*((f"wrong: {wrong}",) if wrong else ()), *errors):
            self._tell(action, words)

    def fail(self, action: str, words: str) -> None:
        """Notes an action that got no answer."""
        self.rows.setdefault(action, Row()).errors += 1
        self._tell(action, words)

    def _tell(self, action: str, words: str) -> None:
        self.failures[f"{action}: {words}"[:300]] += 1

    @property
    def errors(self) -> int:
        """Of all actions."""
        return sum(row.errors for row in self.rows.values())

    @property
    def wrong(self) -> int:
        """Of all actions."""
        return sum(row.wrong for row in self.rows.values())

    def missed(self) -> list[str]:
        """Which bars were not kept, one sentence each; empty if all were."""
        found = [
            f"{action}: p95 is {row.quantile(0.95):.2f} s, allowed are {BARS[action]:g} s"
            for action, row in self.rows.items()
            if action in BARS and row.quantile(0.95) >= BARS[action]
        ]
        found += [f"{self.errors} errors, allowed are none"] * bool(self.errors)
        found += [f"{self.wrong} wrong answers, allowed are none"] * bool(self.wrong)
        return found

    def table(self) -> str:
        """All rows for people, then what went wrong."""
        known = [*ACTIONS, *(action for action in self.rows if action not in ACTIONS)]
        lines = [
            f"{'':<20}{'n':>6}{'p50':>9}{'p95':>9}{'max':>9}{'errors':>8}{'wrong':>7}{'bar':>8}"
        ]
        for action in known:
            if (row := self.rows.get(action)) is None:
                continue
            times = "".join(f"{row.quantile(q):>7.3f} s" for q in (0.5, 0.95, 1.0))
            bar = f"{BARS[action]:g} s" if action in BARS else ""
            lines.append(
                f"{action:<20}{len(row.seconds):>6}{times}{row.errors:>8}{row.wrong:>7}{bar:>8}"
            )
        lines += [f"  {n}x {words}" for words, n in self.failures.most_common(TOLD)]
        return "\n".join(lines)
