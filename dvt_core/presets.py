"""Named cascades: the only place that knows sizes, each with its source."""

from __future__ import annotations

from dvt_core.config import (
    ConvLevelConfig,
    ConvTokenizerConfig,
    DVTConfig,
    PatchTokenizerConfig,
    StageConfig,
)

CIFAR10_MEAN, CIFAR10_STD = (0.491, 0.482, 0.447), (0.247, 0.243, 0.262)


def _levels(*rows: tuple[int, int, int, int]) -> ConvTokenizerConfig:
    """Rows of (size, channels, depth, stride)."""
    return ConvTokenizerConfig(tuple(ConvLevelConfig(*row) for row in rows))


def _conv_stage(grid: int, *levels: tuple[int, int, int, int]) -> StageConfig:
    return StageConfig(_levels(*levels), grid, embed_dim=96, depth=3, num_heads=3, mlp_ratio=2.0)


def _deit_small_stage(grid: int, patch_size: int, padding: int = 0) -> StageConfig:
    return StageConfig(PatchTokenizerConfig(patch_size, padding), grid, 384, 12, num_heads=6)


PRESETS: dict[str, DVTConfig] = {
    # Ours, for 32 px: a convolutional stem does what a short schedule cannot teach attention.
    "dvt_cifar10": DVTConfig(
        stages=(
            _conv_stage(4, (16, 24, 0, 2), (8, 48, 1, 2), (4, 96, 1, 2)),
            _conv_stage(6, (24, 24, 0, 1), (12, 48, 1, 2), (6, 96, 1, 2)),
            _conv_stage(8, (32, 24, 0, 1), (16, 64, 1, 2), (8, 128, 1, 2)),
        ),
        num_classes=10,
        img_size=32,
        mean=CIFAR10_MEAN,
        std=CIFAR10_STD,
        name="dvt_cifar10",
    ),
    # The paper's DVT on DeiT-small (section 4, table 4); sizes from the official code.
    "dvt_deit_small": DVTConfig(
        stages=(
            _deit_small_stage(7, 32),
            _deit_small_stage(10, 23, padding=3),
            _deit_small_stage(14, 16),
        ),
        crop_pct=0.9,
        name="dvt_deit_small",
    ),
}
