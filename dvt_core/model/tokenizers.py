"""Image -> patch tokens of one grid: the first thing every stage does with the full picture.

Each stage owns its tokenizer; all of them see the same image. `build_tokenizer` picks the class
from the configuration. Every tokenizer maps (B, in_chans, S, S) to (B, grid**2, embed_dim), in
row-major order.
"""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from timm.layers.mlp import Mlp
from torch import Tensor, nn

from dvt_core.config import (
    ConvLevelConfig,
    ConvTokenizerConfig,
    PatchTokenizerConfig,
    T2TTokenizerConfig,
    TokenizerConfig,
    UnfoldConfig,
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


class SoftSplit(nn.Module):
    """Overlapping windows of a grid, each flattened into one token (T2T-ViT).

    Modifications:
        - a window's values come position by position with the channels inside, not channel by
          channel as torch unfolds: on (B, h, h, C) that copies whole runs of memory. Weights keep
          the official order; `by_position` turns them when they are used.
    """

    def __init__(self, config: UnfoldConfig) -> None:
        """Keeps the window's size; there are no weights."""
        super().__init__()
        self.size, self.stride, self.padding = config.kernel_size, config.stride, config.padding

    def forward(self, x: Tensor) -> Tensor:
        """(B, h, h, C) -> (B, windows, size**2 * C)."""
        x = F.pad(x, (0, 0) + 2 * (self.padding, self.padding))
        x = x.unfold(1, self.size, self.stride).unfold(2, self.size, self.stride)
        return x.permute(0, 1, 2, 4, 5, 3).flatten(3).flatten(1, 2)  # B, i, j, size, size, C


def by_position(weight: Tensor, channels: int) -> Tensor:
    """(..., channels * size**2), channel by channel -> the order in which `SoftSplit` gives it."""
    return weight.unflatten(-1, (channels, -1)).transpose(-1, -2).flatten(-2)


class Performer(nn.Module):
    """One layer of linear attention that mixes tokens while they are still many.

    Single head; softmax attention is approximated with positive random features, so its cost
    grows with T instead of T**2. There is no shortcut from the input, whose width differs: the
    values are the shortcut.

    References:
        Choromanski et al. 2021 (Performer); Yuan et al. 2021 (T2T-ViT), token_performer.py.
    """

    eps = 1e-8

    def __init__(
        self, in_chans: int, window: int, config: T2TTokenizerConfig, norm_eps: float
    ) -> None:
        """Builds the layer for windows of `in_chans` channels and `window` positions.

        `w` is fixed: orthogonal rows of length sqrt(num_features).
        """
        super().__init__()
        dim, features = config.token_dim, config.num_features
        self.in_chans = in_chans
        self.norm1 = nn.LayerNorm(in_chans * window, eps=norm_eps)
        self.kqv = nn.Linear(in_chans * window, 3 * dim)
        self.w = nn.Parameter(torch.empty(features, dim), requires_grad=False)
        self.proj = nn.Linear(dim, dim)
        self.drop = nn.Dropout(config.dropout)
        self.norm2 = nn.LayerNorm(dim, eps=norm_eps)
        self.mlp = Mlp(dim, hidden_features=dim)
        nn.init.orthogonal_(self.w, gain=features**0.5)

    def forward(self, windows: Tensor) -> Tensor:
        """(B, T, window * in_chans) as `SoftSplit` gives them -> (B, T, token_dim)."""
        scale, shift, weight = (
            by_position(p, self.in_chans)
            for p in (self.norm1.weight, self.norm1.bias, self.kqv.weight)
        )
        x = F.layer_norm(windows, scale.shape, scale, shift, self.norm1.eps)
        k, q, v = F.linear(x, weight, self.kqv.bias).chunk(3, dim=2)  # in this order; (B, T, dim)
        k, q = self._features(k), self._features(q)  # (B, T, features)
        total = q @ k.sum(dim=1).unsqueeze(2)  # (B, T, 1)
        y = q @ (k.transpose(1, 2) @ v) / (total + self.eps)
        y = v + self.drop(self.proj(y))
        return y + self.drop(self.mlp(self.norm2(y)))

    def _features(self, t: Tensor) -> Tensor:
        """phi(t) = exp(t w^T - |t|^2 / 2) / sqrt(features): (B, T, dim) -> (B, T, features)."""
        half_norm = t.square().sum(dim=2, keepdim=True) / 2
        return torch.exp(t @ self.w.T - half_norm) / len(self.w) ** 0.5


class T2TTokenizer(nn.Module):
    """Tokens-to-Token: soft splits with a performer between each two, then a projection."""

    def __init__(
        self, config: T2TTokenizerConfig, in_chans: int, embed_dim: int, norm_eps: float
    ) -> None:
        """Builds the splits in order; the last one's windows are the tokens."""
        super().__init__()
        self.splits = nn.ModuleList(SoftSplit(unfold) for unfold in config.unfolds)
        self.performers = nn.ModuleList()
        for unfold in config.unfolds[:-1]:
            self.performers.append(Performer(in_chans, unfold.kernel_size**2, config, norm_eps))
            in_chans = config.token_dim
        self.in_chans = in_chans
        self.project = nn.Linear(in_chans * config.unfolds[-1].kernel_size ** 2, embed_dim)

    def forward(self, images: Tensor) -> Tensor:
        """(B, in_chans, S, S) -> (B, grid**2, embed_dim)."""
        x = images.permute(0, 2, 3, 1).contiguous()  # NCHW -> NHWC
        for split, performer in zip(self.splits[:-1], self.performers, strict=True):
            x = performer(split(x))  # (B, T, token_dim)
            side = math.isqrt(x.shape[1])
            x = x.unflatten(1, (side, side))
        weight = by_position(self.project.weight, self.in_chans)
        return F.linear(self.splits[-1](x), weight, self.project.bias)


def build_tokenizer(
    config: TokenizerConfig, in_chans: int, embed_dim: int, norm_eps: float
) -> nn.Module:
    """The tokenizer that `config` describes."""
    if isinstance(config, PatchTokenizerConfig):
        return PatchTokenizer(config, in_chans, embed_dim)
    if isinstance(config, T2TTokenizerConfig):
        return T2TTokenizer(config, in_chans, embed_dim, norm_eps)
    return ConvTokenizer(config, in_chans, embed_dim)
