"""What training changes, and how it survives an interruption: the checkpoint."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor

from dvt_core.errors import InputError
from dvt_core.model import DynamicViT
from dvt_core.training.recipe import Recipe
from dvt_core.whole_file import whole_file

_DEFAULTS = {f.name: f.default for f in fields(Recipe) if f.default is not MISSING}
_FREE = {"checkpoint_seconds"}  # may change between two parts of a run: no weight depends on it


@dataclass
class RunState:
    """What training changes; all of it goes into the checkpoint.

    Attributes:
        model: the cascade itself, not a distributed wrapper.
        ema: its averaged weights.
        step: steps done.
        seconds: wall time spent on them.
        loss_sums: (num_exits,) losses of the epoch so far, added up.
        rows: the log, one row per finished epoch.
    """

    model: DynamicViT
    ema: ModelEmaV3
    optimizer: torch.optim.Optimizer
    loss_sums: Tensor
    step: int = 0
    seconds: float = 0.0
    rows: list[dict[str, float]] = field(default_factory=list)

    def save(self, path: Path, recipe: Recipe) -> None:
        """Writes a checkpoint beside the old one, then replaces it.

        Raises:
            InputError: it cannot be written; the old one is untouched, and the sentence says so.
        """
        raw = {
            "model": self.model.state_dict(),
            "ema": self.ema.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "loss_sums": self.loss_sums,
            "step": self.step,
            "seconds": self.seconds,
            "rows": self.rows,
            "recipe": recipe.to_dict(),
        }
        try:
            with whole_file(path, "the checkpoint ") as part, part.open("wb") as file:
                _save(raw, file)
        except InputError as error:
            kept = "the one before is whole, make room and " if path.exists() else "make room and "
            how = "go on with --resume" if path.exists() else "start again"
            raise InputError(f"{error}; {kept}{how}") from error

    def load(self, path: Path, recipe: Recipe) -> None:
        """Continues from a checkpoint of the same recipe.

        Raises:
            InputError: it is damaged or belongs to another recipe.
        """
        try:
            _check_sums(path)
            raw: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            # an option that is newer than the checkpoint was at its default then
            same = _bound(_DEFAULTS | raw["recipe"]) == _bound(recipe.to_dict())
        except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
            raise InputError(f"cannot read the checkpoint {path}: {error.strerror}") from error
        except Exception as error:  # torch's reader raises many classes on damage
            raise InputError(
                f"the checkpoint {path} is damaged; delete it to start anew"
            ) from error
        if not same:
            raise InputError(
                f"{path} was made with another recipe; choose another --out or drop --resume"
            )
        try:
            self.model.load_state_dict(raw["model"])
            self.ema.module.load_state_dict(raw["ema"])
            self.optimizer.load_state_dict(raw["optimizer"])
            self.loss_sums.copy_(raw["loss_sums"])
            self.rows = raw["rows"]
            self.step, self.seconds = raw["step"], raw["seconds"]
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} was made with another version of the preset") from error


@dataclass
class Rhythm:
    """When a checkpoint is due, so that a run that is killed at any moment loses less than asked.

    What a kill costs is the time since the stored state was reached: the steps since then, the
    one that is being done, and the writing that has not ended.

    Attributes:
        seconds: what may be lost; kept while a step and a writing together take less than a
            quarter of it, and neither is ever more than twice as long as the longest before.
        clock: seconds.
        stored: the clock's time at which the stored state was reached.
    """

    seconds: float
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        """Begins with nothing lost."""
        self.stored = self._last = self.clock()
        self._step = 0.0  # the longest so far
        self._writing: float | None = None  # the same; None: taken to be as long as a step

    def is_due(self) -> bool:
        """Asked after every step: whether another one could cost too much."""
        now = self.clock()
        self._step, self._last = max(self._step, now - self._last), now
        writing = self._step if self._writing is None else self._writing
        ahead = min(2 * (self._step + writing), self.seconds / 2)  # the next may take twice as long
        return now - self.stored + ahead >= self.seconds

    def save(self, write: Callable[[], None]) -> None:
        """Writes a checkpoint and notes how long that takes."""
        self.stored = self._last
        write()
        now = self.clock()
        self._writing, self._last = max(self._writing or 0.0, now - self.stored), now


def _save(raw: dict[str, Any], file: BinaryIO) -> None:
    """`torch.save`, with the disk's own error where the disk refused."""
    try:
        torch.save(raw, file)
    except RuntimeError as error:  # torch finds its archive at odds with what was written
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def _check_sums(path: Path) -> None:
    """Compares every record with its checksum, which torch stores and does not look at."""
    with zipfile.ZipFile(path) as archive:
        if (damaged := archive.testzip()) is not None:
            raise zipfile.BadZipFile(damaged)


def _bound(recipe: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in recipe.items() if name not in _FREE}
