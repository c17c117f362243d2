"""Checkpoints as the official code writes them, of cascades shrunk to a few thousand weights."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dvt_core.config import DVTConfig, PatchTokenizerConfig, T2TTokenizerConfig, UnfoldConfig
from dvt_core.model import DynamicViT, build_model
from dvt_core.model.official_names import official_state
from dvt_core.presets import PRESETS
from tests.conftest import make_lively

SPLITS = {2: (7, 4, 2), 3: (3, 3, 2), 4: (3, 2, 1)}  # grid -> first soft split at 32 px
PATCHES = {2: (16, 0), 3: (11, 1), 4: (8, 0)}


def shrunk(preset: str, **change: Any) -> DVTConfig:
    """The preset at 32 px with grids 2, 3, 4 (a plain backbone: 4), width 16 and depth 2."""
    config = PRESETS[preset]
    stages = []
    for stage, grid in zip(config.stages, (2, 3, 4)[-config.num_exits :], strict=True):
        if isinstance(stage.tokenizer, T2TTokenizerConfig):
            unfolds = tuple(UnfoldConfig(*u) for u in (SPLITS[grid], (3, 2, 1), (3, 2, 1)))
            tokenizer = replace(stage.tokenizer, unfolds=unfolds, token_dim=8, num_features=4)
        else:
            tokenizer = PatchTokenizerConfig(*PATCHES[grid])
        small = {"tokenizer": tokenizer, "grid_size": grid, "embed_dim": 16, "depth": 2}
        stages.append(replace(stage, **small, num_heads=2))
    small = {"img_size": 32, "num_classes": 7, "context_hidden": 10, "context_dim": 6}
    return replace(config, **({"stages": tuple(stages)} | small | change))


@cache
def lively(config: DVTConfig) -> DynamicViT:
    """A model whose logits depend on every weight; T2T-ViT's positions stay the sinusoid."""
    fixed = build_model(config).state_dict()
    model = make_lively(build_model(config))
    for key, value in model.state_dict().items():
        if key.endswith("pos_embed") and config.stages[0].pos_embed == "sinusoid":
            value.copy_(fixed[key])
    return model


def weights(model: DynamicViT, prefix: str = "") -> dict[str, Tensor]:
    return {prefix + key: value.clone() for key, value in official_state(model).items()}


def numbers(num_points: int = 5) -> dict[str, Any]:
    """The other entries of a released checkpoint, as Python and NumPy numbers and tensors."""
    thresholds = torch.linspace(0.9, 0.5, num_points)[:, None].repeat(1, 3)
    thresholds[0, 1], thresholds[:, 2] = 1e8, -1e8
    return {
        "flops": [np.float64(0.5), np.float64(1.5), np.float64(3.5)],
        "anytime_classification": [69.0, torch.tensor(75.5), np.float32(80.0)],
        "dynamic_threshold": thresholds,
        "budgeted_batch_classification": [
            [0.6 + i for i in range(num_points)],
            list(np.linspace(70, 78, num_points)),
        ],
    }


def save(entries: Any, path: Path, *, is_zip: bool = True) -> Path:
    torch.save(entries, path, _use_new_zipfile_serialization=is_zip)
    return path
