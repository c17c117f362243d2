"""What training changes, and how it survives an interruption: the checkpoint."""

from __future__ import annotations

import os
import pickle
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor

from dvt_core.errors import InputError
from dvt_core.model import DynamicViT
from dvt_core.training.recipe import Recipe

_DEFAULTS = {f.name: f.default for f in fields(Recipe) if f.default is not MISSING}


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
        """Writes a checkpoint beside the old one, then replaces it."""
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
        partial = path.with_suffix(".partial")
        torch.save(raw, partial)
        os.replace(partial, path)

    def load(self, path: Path, recipe: Recipe) -> None:
        """Continues from a checkpoint of the same recipe.

        Raises:
            InputError: it is damaged or belongs to another recipe.
        """
        try:
            raw: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            # an option that is newer than the checkpoint was at its default then
            same = _DEFAULTS | raw["recipe"] == recipe.to_dict()
        except (
            OSError,
            RuntimeError,
            EOFError,
            KeyError,
            TypeError,
            pickle.UnpicklingError,
        ) as error:
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
        except (RuntimeError, ValueError) as error:
            raise InputError(f"{path} was made with another version of the preset") from error
        self.loss_sums.copy_(raw["loss_sums"])
        self.rows = raw["rows"]
        self.step, self.seconds = raw["step"], raw["seconds"]
