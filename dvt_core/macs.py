"""What each stage costs, by arithmetic on the configuration alone.

One multiply-accumulate is 1 MAC = 2 FLOPs; the paper's "GFLOPs" are GMACs. Counted: linear
layers, convolutions, q k^T and attention times v, in the reuse modules and tokenizers too; equal
to `torch.utils.flop_counter` / 2, tested. Not counted: norms, softmax, GELU and ReLU, additions
and biases, pooling, and the resize of reused tokens (docs/macs.md says why).
"""

from __future__ import annotations

from itertools import accumulate

from dvt_core.config import ConvTokenizerConfig, DVTConfig, StageConfig, T2TTokenizerConfig


def stage_macs(config: DVTConfig) -> tuple[int, ...]:
    """Multiply-accumulates of every stage alone, for one image, reuse modules included."""
    return tuple(_stage(config, index) for index in range(config.num_exits))


def exit_macs(config: DVTConfig) -> tuple[int, ...]:
    """Multiply-accumulates up to and including every exit, for one image."""
    return tuple(accumulate(stage_macs(config)))


def _stage(config: DVTConfig, index: int) -> int:
    stage = config.stages[index]
    previous = config.stages[index - 1] if index else None
    total = _tokenizer(stage, config) + stage.embed_dim * config.num_classes
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


def _tokenizer(stage: StageConfig, config: DVTConfig) -> int:
    tokens = stage.embed_dim * stage.grid_size**2
    if isinstance(stage.tokenizer, T2TTokenizerConfig):
        return _t2t(stage.tokenizer, config.in_chans, config.img_size, tokens)
    if isinstance(stage.tokenizer, ConvTokenizerConfig):
        return _conv(stage.tokenizer, config.in_chans, tokens)
    return config.in_chans * stage.tokenizer.patch_size**2 * tokens


def _conv(tokenizer: ConvTokenizerConfig, in_chans: int, tokens: int) -> int:
    total = 0
    for level in tokenizer.levels:
        convolutions = level.channels * (in_chans + 2 * level.depth * level.channels)
        total += 9 * convolutions * level.size**2
        in_chans = level.channels
    return total + in_chans * tokens


def _t2t(tokenizer: T2TTokenizerConfig, in_chans: int, img_size: int, tokens: int) -> int:
    """Performers (per token: kqv; both features; k^T v, q of it and its sum; proj; MLP)."""
    dim, features = tokenizer.token_dim, tokenizer.num_features
    total, width = 0, in_chans
    for unfold, side in zip(
        tokenizer.unfolds[:-1], tokenizer.grid_sizes(img_size)[:-1], strict=True
    ):
        width *= unfold.kernel_size**2
        per_token = 3 * width * dim + 4 * dim * features + features + 3 * dim * dim
        total, width = total + side**2 * per_token, dim
    return total + width * tokenizer.unfolds[-1].kernel_size ** 2 * tokens
