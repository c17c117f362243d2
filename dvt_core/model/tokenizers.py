"""Image -> patch tokens of one grid: the first thing every stage does with the full picture.

Each stage owns its tokenizer; all of them see the same image. `build_tokenizer` picks the class
from the configuration. Every tokenizer maps (B, in_chans, S, S) to (B, grid**2, embed_dim), in
row-major order.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dvt_core.config import (
    ConvLevelConfig,
    ConvTokenizerConfig,
    PatchTokenizerConfig,
    TokenizerConfig,
)


class PatchTokenizer(nn.Module):
    """ViT's and DeiT's: one convolution with kernel = stride = patch size."""

    def __init__(self, config: PatchTokenizerConfig, in_chans: int, embed_dim: int) -> None:
        """Builds the projection; `config.padding` widens the image with zeros on each side."""
        super().__init__()
        size = config.patch_size
        self.proj = nn.Conv2d(in_chans, embed_dim, size, stride=size, padding=config.padding)

    def forward(self, images: Tensor) -> Tensor:
        """(B, in_chans, S, S) -> (B, grid**2, embed_dim)."""
        return self.proj(images).flatten(2).transpose(1, 2)  # NCHW -> NLC


class ConvNorm(nn.Sequential):
    """3x3 convolution and batch norm: the unit of the convolutional stem."""

    def __init__(self, in_chans: int, out_chans: int, stride: int = 1) -> None:
        """Builds the pair; the convolution has no bias, the norm has one."""
        super().__init__(
            nn.Conv2d(in_chans, out_chans, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(out_chans),
        )


class ResidualPair(nn.Module):
    """x + two 3x3 convolutions of x, as in a ResNet's basic block."""

    def __init__(self, channels: int) -> None:
        """Builds the two convolutions; the second starts at zero so that the pair is identity."""
        super().__init__()
        self.conv1 = ConvNorm(channels, channels)
        self.conv2 = ConvNorm(channels, channels)
        nn.init.zeros_(cast(nn.BatchNorm2d, self.conv2[1]).weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, h, w)."""
        return F.relu(x + self.conv2(F.relu(self.conv1(x))))


class ConvLevel(nn.Module):
    """One resolution of the stem: pool if the stride does not fit, convolve, refine."""

    def __init__(self, config: ConvLevelConfig, in_chans: int) -> None:
        """Builds the level for `in_chans` channels coming in."""
        super().__init__()
        self.entry_size = config.size * config.stride
        self.conv = ConvNorm(in_chans, config.channels, config.stride)
        self.pairs = nn.Sequential(*(ResidualPair(config.channels) for _ in range(config.depth)))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, h) -> (B, channels, size, size)."""
        if x.shape[-1] != self.entry_size:
            x = F.adaptive_avg_pool2d(x, self.entry_size)
        return self.pairs(F.relu(self.conv(x)))


class ConvTokenizer(nn.Module):
    """A small convolutional stem for small images; its last grid cells are the tokens."""

    def __init__(self, config: ConvTokenizerConfig, in_chans: int, embed_dim: int) -> None:
        """Builds the levels in order and a 1x1 projection to `embed_dim`."""
        super().__init__()
        self.levels = nn.Sequential()
        for level in config.levels:
            self.levels.append(ConvLevel(level, in_chans))
            in_chans = level.channels
        self.proj = nn.Conv2d(in_chans, embed_dim, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(B, in_chans, S, S) -> (B, grid**2, embed_dim)."""
        images = images.contiguous(memory_format=torch.channels_last)  # CPU convolutions: 1.3x
        return self.proj(self.levels(images)).flatten(2).transpose(1, 2)


def build_tokenizer(config: TokenizerConfig, in_chans: int, embed_dim: int) -> nn.Module:
    """The tokenizer that `config` describes."""
    if isinstance(config, PatchTokenizerConfig):
        return PatchTokenizer(config, in_chans, embed_dim)
    return ConvTokenizer(config, in_chans, embed_dim)
