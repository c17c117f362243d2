"""What each stage costs, by arithmetic on the configuration alone.

One multiply-accumulate is 1 MAC = 2 FLOPs; the paper's "GFLOPs" are GMACs. Counted: linear
layers, convolutions, q k^T and attention times v, in the reuse modules and tokenizers too; equal
to `torch.utils.flop_counter` / 2, tested. Not counted: norms, softmax, GELU and ReLU, additions
and biases, pooling, and the resize of reused tokens (docs/macs.md says why).
"""

from __future__ import annotations

from itertools import accumulate

from dvt_core.config import ConvTokenizerConfig, DVTConfig, StageConfig


def stage_macs(config: DVTConfig) -> tuple[int, ...]:
    """Multiply-accumulates of every stage alone, for one image, reuse modules included."""
    return tuple(_stage(config, index) for index in range(config.num_exits))


def exit_macs(config: DVTConfig) -> tuple[int, ...]:
    """Multiply-accumulates up to and including every exit, for one image."""
    return tuple(accumulate(stage_macs(config)))


def _stage(config: DVTConfig, index: int) -> int:
    stage = config.stages[index]
    previous = config.stages[index - 1] if index else None
    total = _tokenizer(stage, config.in_chans) + stage.embed_dim * config.num_classes
    context = config.context_dim if previous and config.feature_reuse else 0
    total += stage.depth * _block(stage, context)
    if previous and config.feature_reuse:
        total += stage.depth * previous.num_tokens * _feature_mlp(config, previous)
    if previous and config.relation_reuse:
        maps = previous.depth * previous.num_heads
        hidden = config.relation_hidden_ratio * maps
        total += previous.num_tokens**2 * hidden * (maps + stage.depth * stage.num_heads)
    return total


def _block(stage: StageConfig, context_dim: int) -> int:
    """qkv and proj, q k^T and attention times v, and the MLP with `context_dim` extra inputs."""
    n, c = stage.num_tokens, stage.embed_dim
    return n * 4 * c * c + 2 * n * n * c + n * int(c * stage.mlp_ratio) * (2 * c + context_dim)


def _feature_mlp(config: DVTConfig, previous: StageConfig) -> int:
    """Per token of the stage before, class token included, as in the official code."""
    return config.context_hidden * (previous.embed_dim + config.context_dim)


def _tokenizer(stage: StageConfig, in_chans: int) -> int:
    if not isinstance(stage.tokenizer, ConvTokenizerConfig):
        return in_chans * stage.tokenizer.patch_size**2 * stage.embed_dim * stage.grid_size**2
    total = 0
    for level in stage.tokenizer.levels:
        convolutions = level.channels * (in_chans + 2 * level.depth * level.channels)
        total += 9 * convolutions * level.size**2
        in_chans = level.channels
    return total + in_chans * stage.embed_dim * stage.grid_size**2
