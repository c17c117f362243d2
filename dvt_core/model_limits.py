"""What a model folder may ask for: checked on its plain numbers, before anything is built.

A configuration is a few hundred bytes of JSON and may ask for a model of any size, so a folder of
unknown origin is held to these limits. They lie far above what the paper has (50 million weights,
25 GMACs, 197 tokens) and far below what would stop a small server.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from dvt_core.config import ConvTokenizerConfig, DVTConfig, StageConfig
from dvt_core.errors import InputError
from dvt_core.macs import exit_macs

MAX_MACS = 10**12  # of one picture through all stages
MAX_RELATIONS = 1 << 27  # attention logits of one picture: 0.5 GB as float32
_MOST_PARTS = 8  # stages, levels of a stem, soft splits, channels
_WHOLE: dict[str, tuple[int, int]] = {  # name -> smallest and largest
    "padding": (0, 256),
    "depth": (0, 100),
    "num_heads": (1, 256),
    "stride": (1, 64),
    "size": (1, 4096),
    "patch_size": (1, 4096),
    "kernel_size": (1, 64),
    "grid_size": (1, 256),
    "img_size": (1, 4096),
    "in_chans": (1, _MOST_PARTS),
    "num_classes": (2, 100_000),
    "relation_hidden_ratio": (1, 16),
}
_USUAL = (1, 16_384)  # widths and numbers of features
_REAL = {"mlp_ratio": (0.01, 64.0), "dropout": (0.0, 1.0), "norm_eps": (0.0, 1.0)}


def check_limits(config: DVTConfig) -> None:
    """Raises InputError if a number is of another type or out of its range, or all are too much."""
    _check_fields(config, "")
    for index, stage in enumerate(config.stages, start=1):
        if isinstance(stage.tokenizer, ConvTokenizerConfig):
            _check_levels(stage.tokenizer, config.img_size, f"stage {index}")
    if any(deviation <= 0 for deviation in config.std):
        raise InputError(f"std is {config.std}, every value must be above 0")
    macs = exit_macs(config)[-1]
    relations = max(map(_relations, config.stages))
    if macs > MAX_MACS or relations > MAX_RELATIONS:
        raise InputError(
            f"the model takes {macs / 1e9:.3g} GMACs and {relations / 1e6:.3g} million attention "
            f"logits for a picture, more than the limit of {MAX_MACS / 1e9:,.0f} and "
            f"{MAX_RELATIONS / 1e6:.0f}; it cannot be shown here"
        )


def _relations(stage: StageConfig) -> int:
    return stage.depth * stage.num_heads * stage.num_tokens**2


def _check_levels(tokenizer: ConvTokenizerConfig, side: int, where: str) -> None:
    """A level may pool its input, not blow it up."""
    for level in tokenizer.levels:
        if level.size * level.stride > side:
            raise InputError(
                f"{where}: a level of size {level.size} and stride {level.stride} is larger than "
                f"what comes in, {side}"
            )
        side = level.size


def _check_fields(part: Any, where: str) -> None:
    for field in fields(part):
        name, value = field.name, getattr(part, field.name)
        for each in _values(value, str(field.type), f"{where}{name}"):
            if hasattr(each, "__dataclass_fields__"):
                _check_fields(each, f"{where}{name}: ")
            else:
                _check_value(name, each, str(field.type), where)


def _values(value: Any, kind: str, name: str) -> Iterator[Any]:
    if not kind.startswith("tuple"):
        yield value
        return
    if not isinstance(value, tuple):
        raise InputError(f"{name} is a {type(value).__name__}, expected a list")
    if len(value) > _MOST_PARTS:
        raise InputError(f"{name} has {len(value)} parts, more than the limit of {_MOST_PARTS}")
    yield from value


def _check_value(name: str, value: Any, kind: str, where: str) -> None:
    if kind == "int":
        low, high = _WHOLE.get(name, _USUAL)
        fits, expected = type(value) is int and low <= value <= high, f"{low} to {high}, whole"
    elif "float" in kind:
        low, high = _REAL.get(name, (-1000.0, 1000.0))
        is_number = type(value) in (int, float) and math.isfinite(value)
        fits, expected = is_number and low <= value <= high, f"{low:g} to {high:g}"
    elif kind == "bool":
        fits, expected = type(value) is bool, "true or false"
    else:
        fits, expected = type(value) is str and len(value) <= 200, "a short text"
    if not fits:
        raise InputError(f"{where}{name} is {repr(value)[:50]}, expected {expected}")
