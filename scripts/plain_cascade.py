"""The cascade's forward written plainly: the other side of `make bench-imagenet`, and an oracle.

It runs a `DynamicViT`'s own weights the way the official PyTorch code does where ours is faster:
windows unfolded by torch, attention unfused and its relations kept in all stages, all relations
concatenated and mixed by convolutions, reused tokens resized as four-dimensional pictures (nearest
up-sampling, then adaptive average pooling, keys first, then queries), the batch cut into pieces
there. Same values, no other tricks.

References:
    the official code as formulas in the project's reference notes, section 4.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from dvt_core.model import DynamicViT, Stage
from dvt_core.model.tokenizers import Performer, T2TTokenizer


@torch.inference_mode()
def plain_forward(model: DynamicViT, images: Tensor, pieces: int = 4) -> tuple[Tensor, ...]:
    """Logits of every exit for (B, in_chans, S, S) images; `pieces` of the batch are resized."""
    logits, features, relations = [], None, []
    grids = (0, *model.config.grid_sizes)
    for index, stage in enumerate(model.stages):
        reused: list[Tensor | None] = [None] * len(stage.blocks)
        if stage.relation_reuse is not None:
            mix = stage.relation_reuse
            maps = mix.conv2(mix.act(mix.conv1(torch.cat(relations, dim=1))))  # (B, L*H, N, N)
            parts = [
                _resize_relations(part, grids[index], grids[index + 1])
                for part in maps.chunk(pieces)
            ]
            reused = list(torch.cat(parts).chunk(len(stage.blocks), dim=1))
        x, relations = _blocks(stage, images, features, reused, grids[index : index + 2])
        logits.append(stage.head(stage.norm(x)[:, 0]))
        features = x
    return tuple(logits)


def _blocks(
    stage: Stage,
    images: Tensor,
    features: Tensor | None,
    reused: list[Tensor | None],
    grids: tuple[int, ...],
) -> tuple[Tensor, list[Tensor]]:
    """Tokens after the last block, and the relations of all blocks."""
    tokenizer = stage.tokenizer
    x = _t2t(tokenizer, images) if isinstance(tokenizer, T2TTokenizer) else tokenizer(images)
    x = torch.cat((stage.cls_token.expand(len(x), -1, -1), x), dim=1) + stage.pos_embed
    relations = []
    for block, bias in zip(stage.blocks, reused, strict=True):
        y, relation = _attention(block.attn, block.norm1(x), bias)  # type: ignore[arg-type]
        relations.append(relation)
        x = y = x + y
        if block.feature_reuse is not None:
            y = torch.cat((x, _context(block.feature_reuse, features, *grids)), dim=2)  # type: ignore[arg-type]
        x = x + block.mlp(block.norm2(y))  # type: ignore[operator]
    return x, relations


def _t2t(tokenizer: T2TTokenizer, images: Tensor) -> Tensor:
    """Tokens-to-Token with torch's own unfold: (B, in_chans, S, S) -> (B, grid**2, embed_dim)."""
    x = images
    for split, performer in zip(tokenizer.splits, tokenizer.performers, strict=False):
        x = _performer(performer, _unfold(split, x)).transpose(1, 2)  # type: ignore[arg-type]
        side = math.isqrt(x.shape[2])
        x = x.reshape(len(x), -1, side, side)
    return tokenizer.project(_unfold(tokenizer.splits[-1], x))


def _unfold(split: torch.nn.Module, x: Tensor) -> Tensor:
    size, stride, padding = split.size, split.stride, split.padding
    return F.unfold(x, size, stride=stride, padding=padding).transpose(1, 2)  # type: ignore[arg-type]


def _performer(layer: Performer, x: Tensor) -> Tensor:
    k, q, v = layer.kqv(layer.norm1(x)).split(layer.proj.in_features, dim=2)
    k, q = (
        torch.exp(t @ layer.w.T - t.square().sum(2, keepdim=True) / 2) / len(layer.w) ** 0.5
        for t in (k, q)
    )
    total = torch.einsum("btf,bf->bt", q, k.sum(dim=1)).unsqueeze(2)
    y = torch.einsum("btf,bdf->btd", q, torch.einsum("btd,btf->bdf", v, k)) / (total + 1e-8)
    y = v + layer.proj(y)
    return y + layer.mlp(layer.norm2(y))


def _attention(attn: torch.nn.Module, x: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    B, N, C = x.shape
    qkv = attn.qkv(x).reshape(B, N, 3, attn.num_heads, -1).permute(2, 0, 3, 1, 4)  # type: ignore[operator]
    q, k, v = qkv[0], qkv[1], qkv[2]
    relation = (q @ k.transpose(-2, -1)) * attn.scale
    if bias is not None:
        relation = relation + bias
    y = (relation.softmax(dim=-1) @ v).transpose(1, 2).reshape(B, N, C)
    return attn.proj(y), relation  # type: ignore[operator]


def _context(reuse: torch.nn.Module, features: Tensor, source: int, target: int) -> Tensor:
    y = reuse.fc2(reuse.act(reuse.fc1(reuse.norm(features))))[:, 1:]  # type: ignore[operator]
    maps = y.transpose(1, 2).reshape(len(y), -1, source, source)
    y = _resize(maps, target).flatten(2).transpose(1, 2)
    return torch.cat((y.new_zeros(len(y), 1, y.shape[2]), y), dim=1)


def _resize_relations(r: Tensor, source: int, target: int) -> Tensor:
    """(B, H, N, N) -> (B, H, N', N'): along keys, then along queries."""
    for _ in range(2):
        B, H, rows, _ = r.shape
        maps = r[..., 1:].reshape(B, H * rows, source, source)
        wide = _resize(maps, target).reshape(B, H, rows, target**2)
        r = torch.cat((r[..., :1], wide), dim=-1).transpose(-1, -2)
    return r


def _resize(maps: Tensor, target: int) -> Tensor:
    factor = math.ceil(target / maps.shape[-1])
    return F.adaptive_avg_pool2d(F.interpolate(maps, scale_factor=factor, mode="nearest"), target)
