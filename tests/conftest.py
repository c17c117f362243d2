"""Tiny cascades and a tiny model folder, so that no test needs the trained model or a data set."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch starts its threads

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

from dvt_core.config import (
    ConvLevelConfig,
    ConvTokenizerConfig,
    DVTConfig,
    PatchTokenizerConfig,
    StageConfig,
)
from dvt_core.model import DynamicViT, build_model

CLASSES = ("apple", "bird", "cat", "dog", "egg", "fox")


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Every test starts from the same randomness and leaves torch as it found it."""
    threads = torch.get_num_threads()
    torch.manual_seed(0)
    np.random.seed(0)
    yield
    torch.set_num_threads(threads)


def conv_stage(grid: int, dim: int, depth: int, heads: int) -> StageConfig:
    levels = (ConvLevelConfig(2 * grid, 8, 1, 1), ConvLevelConfig(grid, 12, 0, 2))
    return StageConfig(ConvTokenizerConfig(levels), grid, dim, depth, heads, mlp_ratio=2.0)


def patch_stage(grid: int, dim: int, depth: int, heads: int, patch: int, pad: int = 0):
    return StageConfig(PatchTokenizerConfig(patch, pad), grid, dim, depth, heads, mlp_ratio=2.0)


TINY = DVTConfig(  # every stage differs in grid, width, depth and heads; both tokenizers occur
    stages=(conv_stage(2, 12, 2, 2), patch_stage(3, 16, 1, 4, 6, 1), conv_stage(4, 18, 3, 3)),
    num_classes=len(CLASSES),
    img_size=16,
    context_hidden=10,
    context_dim=5,
    name="tiny",
)


def make_lively(model: DynamicViT, scale: float = 2.5) -> DynamicViT:
    """Weights and statistics large enough that every path moves the logits."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            fan_in = parameter[0].numel()
            gain = scale if name.endswith(("head.weight", "qkv.weight")) else 1.0
            nn.init.normal_(parameter, std=gain * fan_in**-0.5)
        elif name.endswith("bias"):
            nn.init.normal_(parameter, std=0.1)
    return model.eval()


@pytest.fixture
def tiny_config() -> DVTConfig:
    return TINY


@pytest.fixture
def tiny_model() -> DynamicViT:
    return make_lively(build_model(TINY, class_names=CLASSES))


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(9, 3, 16, 16, generator=torch.Generator().manual_seed(1))
