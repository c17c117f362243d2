"""A recipe: everything a training run depends on, in one small TOML file that reads like a note.

The comments of the file say command, hardware, time and the accuracy to expect; the values are
read here. Unknown or missing keys are refused, so a misspelt option never goes unnoticed.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from dvt_core.errors import InputError
from dvt_core.presets import PRESETS

OPTIMIZERS = ("adamw", "muon")


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes of a training picture.

    Attributes:
        crop_padding: pixels by which a crop may shift; the border is mirrored.
        flip: whether pictures are mirrored left to right half of the time.
        cutout: side in pixels of a square that is greyed out; 0 switches it off.
    """

    crop_padding: int = 4
    flip: bool = True
    cutout: int = 8

    def __post_init__(self) -> None:
        """Checks types and signs."""
        _check_types(self)
        if min(self.crop_padding, self.cutout) < 0:
            raise InputError("crop_padding and cutout must be 0 or more")


@dataclass(frozen=True)
class Recipe:
    """How to train one cascade. Rates are per step, sizes in images, times in seconds.

    Attributes:
        name: of the model folder.
        title: a few words for people.
        model: a preset.
        data: a data set's name or folder.
        pretrained: weights of one backbone for all stages (`init_from_timm`): a timm name, or a
            file, relative to the recipe's folder; empty for a start from scratch.
        model_options: fields of `DVTConfig` to change, for instance `relation_reuse = false`.
        batch_size: images per step over all processes.
        only_stage: 1-based; trains this stage alone, as a plain model of one exit on its grid: a
            static baseline. 0 trains the whole cascade.
        optimizer: "adamw", or "muon" for the matrices inside the network with AdamW for the rest.
        lr: peak learning rate, reached after `warmup_epochs`, then a cosine to zero.
        stop_gradient: a stage learns from its own exit alone, not from what later stages make of
            what it hands on; the first exit is then the plain model of its grid.
        grad_clip: largest norm of all gradients together; 0 leaves them alone.
        ema_decay: of the averaged weights, which are the ones kept.
        mixed_precision: "no" or "bf16".
        monitor_images: calibration images on which the log's accuracy is measured each epoch.
        checkpoint_seconds: how much work an interruption may cost.
    """

    name: str
    title: str
    model: str
    data: str
    epochs: int
    batch_size: int
    lr: float
    pretrained: str = ""
    only_stage: int = 0
    optimizer: str = "adamw"
    stop_gradient: bool = False
    weight_decay: float = 0.05
    warmup_epochs: float = 1.0
    label_smoothing: float = 0.1
    drop_path: float = 0.0
    ema_decay: float = 0.999
    grad_clip: float = 1.0
    seed: int = 0
    mixed_precision: str = "no"
    checkpoint_seconds: float = 60.0
    monitor_images: int = 1000
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    model_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks types, names and signs."""
        _check_types(self)
        if "num_classes" in self.model_options:
            raise InputError("model_options has num_classes, but the data set gives it; drop it")
        if self.model not in PRESETS:
            raise InputError(f"unknown model {self.model!r}, known are {', '.join(PRESETS)}")
        if self.mixed_precision not in ("no", "bf16"):
            raise InputError(f"mixed_precision is {self.mixed_precision!r}, use 'no' or 'bf16'")
        if self.optimizer not in OPTIMIZERS:
            raise InputError(f"optimizer is {self.optimizer!r}, known are {', '.join(OPTIMIZERS)}")
        if not 0 <= self.only_stage <= PRESETS[self.model].num_exits:
            raise InputError(
                f"only_stage is {self.only_stage}, but {self.model} has "
                f"{PRESETS[self.model].num_exits} stages; 0 trains them all"
            )
        if self.grad_clip < 0:
            raise InputError(f"grad_clip is {self.grad_clip}, it must be 0 (off) or more")
        for name in ("epochs", "batch_size", "lr"):
            if getattr(self, name) <= 0:
                raise InputError(f"{name} is {getattr(self, name)}, it must be above 0")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form, kept in checkpoints to refuse a resume under another recipe."""
        return asdict(self)


_KINDS = {"int": int, "float": (int, float), "str": str, "bool": bool}  # of annotations


def _check_types(options: Recipe | AugmentConfig) -> None:
    for each in fields(options):
        value, kind = getattr(options, each.name), _KINDS.get(str(each.type))
        is_wrong = kind and (
            not isinstance(value, kind) or isinstance(value, bool) != (kind is bool)
        )
        if is_wrong or (isinstance(value, float) and not math.isfinite(value)):
            raise InputError(f"{each.name} is {value!r}, expected a value of type {each.type}")


def load_recipe(path: Path) -> Recipe:
    """Reads a recipe file.

    Raises:
        InputError: the file is missing, no TOML, or has unknown, missing or ill-typed keys.
    """
    try:
        raw = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the recipe {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"the recipe {path} is no valid TOML: {error}") from error
    known = {f.name for f in fields(Recipe)}
    if unknown := sorted(set(raw) - known):
        raise InputError(f"the recipe {path} has unknown keys {', '.join(unknown)}")
    try:
        raw["augment"] = AugmentConfig(**raw.get("augment", {}))
        return Recipe(**raw)
    except TypeError as error:
        raise InputError(f"the recipe {path} does not fit: {error}") from error
