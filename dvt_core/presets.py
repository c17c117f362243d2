"""Named cascades: the only place that knows sizes, each with its source."""

from __future__ import annotations

from dvt_core.config import (
    ConvLevelConfig,
    ConvTokenizerConfig,
    DVTConfig,
    PatchTokenizerConfig,
    StageConfig,
    T2TTokenizerConfig,
    UnfoldConfig,
)

CIFAR10_MEAN, CIFAR10_STD = (0.491, 0.482, 0.447), (0.247, 0.243, 0.262)
TINY_IMAGENET_MEAN, TINY_IMAGENET_STD = (0.480, 0.448, 0.398), (0.277, 0.269, 0.282)


def _levels(*rows: tuple[int, int, int, int]) -> ConvTokenizerConfig:
    """Rows of (size, channels, depth, stride)."""
    return ConvTokenizerConfig(tuple(ConvLevelConfig(*row) for row in rows))


def _conv_stage(
    grid: int, dim: int, depth: int, *levels: tuple[int, int, int, int], pool: str = "token"
) -> StageConfig:
    """Blocks with heads of 32 channels behind a convolutional stem."""
    return StageConfig(
        _levels(*levels), grid, dim, depth, dim // 32, mlp_ratio=2.0, global_pool=pool
    )


# The paper's backbones at 224 px (T2T-ViT: Yuan et al. 2021; DeiT: Touvron et al. 2021). A grid
# is reached through the first soft split or the patch size; sizes from the official code.
_T2T_ENTRIES = {7: (14, 8, 3), 10: (11, 6, 5), 14: (7, 4, 2)}
_DEIT_PATCHES = {7: (32, 0), 10: (23, 3), 14: (16, 0)}
_T2T_EPS = 1e-5


def _crop(grids: tuple[int, ...]) -> float:
    """The official evaluation takes 224 of 256 px; the backbones' own repositories 0.9."""
    return 0.9 if len(grids) == 1 else 0.875


def _t2t_stage(grid: int, depth: int, *, wide: bool = False) -> StageConfig:
    """A stage of T2T-ViT-7, -10 and -12, or with `wide` of T2T-ViT-14."""
    unfolds = (_T2T_ENTRIES[grid], (3, 2, 1), (3, 2, 1))
    return StageConfig(
        T2TTokenizerConfig(tuple(UnfoldConfig(*unfold) for unfold in unfolds)),
        grid,
        embed_dim=384 if wide else 256,
        depth=depth,
        num_heads=6 if wide else 4,
        mlp_ratio=3.0 if wide else 2.0,
        qkv_bias=False,
        pos_embed="sinusoid",
    )


def _t2t(name: str, grids: tuple[int, ...], depth: int, *, wide: bool = False) -> DVTConfig:
    stages = tuple(_t2t_stage(grid, depth, wide=wide) for grid in grids)
    return DVTConfig(stages, norm_eps=_T2T_EPS, crop_pct=_crop(grids), name=name)


def _deit_small(name: str, grids: tuple[int, ...]) -> DVTConfig:
    stages = tuple(
        StageConfig(PatchTokenizerConfig(*_DEIT_PATCHES[grid]), grid, 384, 12, num_heads=6)
        for grid in grids
    )
    return DVTConfig(stages, crop_pct=_crop(grids), name=name)


# Ours, for small pictures: a convolutional stem does what a short schedule cannot teach attention.
_CIFAR10 = DVTConfig(
    stages=(
        _conv_stage(4, 96, 3, (16, 24, 0, 2), (8, 48, 1, 2), (4, 96, 1, 2)),
        _conv_stage(6, 96, 3, (24, 24, 0, 1), (12, 48, 1, 2), (6, 96, 1, 2)),
        _conv_stage(8, 96, 3, (32, 24, 0, 1), (16, 64, 1, 2), (8, 128, 1, 2)),
    ),
    num_classes=10,
    img_size=32,
    mean=CIFAR10_MEAN,
    std=CIFAR10_STD,
    name="dvt_cifar10",
)
_TINY_IMAGENET = DVTConfig(
    stages=(
        _conv_stage(4, 128, 2, (16, 32, 0, 2), (8, 64, 1, 2), (4, 128, 0, 2), pool="avg"),
        _conv_stage(6, 128, 2, (32, 32, 0, 2), (12, 64, 0, 2), (6, 128, 1, 2), pool="avg"),
        _conv_stage(8, 128, 2, (32, 32, 0, 2), (16, 64, 1, 2), (8, 128, 1, 2), pool="avg"),
    ),
    num_classes=200,
    img_size=64,
    mean=TINY_IMAGENET_MEAN,
    std=TINY_IMAGENET_STD,
    name="dvt_tiny_imagenet",
)

PRESETS: dict[str, DVTConfig] = {
    config.name: config
    for config in (
        _CIFAR10,
        _TINY_IMAGENET,
        # The paper's three released cascades (section 4, tables 4 to 6 and 10).
        _t2t("dvt_t2t_vit_12", (7, 10, 14), 12),
        _t2t("dvt_t2t_vit_14", (7, 10, 14), 14, wide=True),
        _deit_small("dvt_deit_small", (7, 10, 14)),
        # Table 2's cascade of two exits, made for speed; the official code cannot express it.
        _t2t("dvt_t2t_vit_12_two_exits", (7, 14), 12),
        # The plain backbones they are compared with.
        _t2t("t2t_vit_7", (14,), 7),
        _t2t("t2t_vit_10", (14,), 10),
        _t2t("t2t_vit_12", (14,), 12),
        _t2t("t2t_vit_14", (14,), 14, wide=True),
        _deit_small("deit_small", (14,)),
    )
}
