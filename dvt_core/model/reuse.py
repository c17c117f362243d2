"""What a stage takes over from the stage before: features and relations (paper, section 3.2).

Both come from a coarser (or any other) grid and are brought to this stage's grid by the same
fixed matrix. Exact definitions: the official code as written down in the project's reference
notes; `resize_matrix` is its "nearest up-sampling, then average pooling" as one matrix per axis.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn


@lru_cache(maxsize=64)
def resize_matrix(source: int, target: int) -> Tensor:
    """(target, source) float64 matrix that resizes one axis of a grid; its rows sum to 1.

    Nearest up-sampling by ceil(target / source) followed by adaptive average pooling to
    `target`: 7 -> 14 -> 10 and 10 -> 20 -> 14 in the official models, the identity for equal
    sizes, plain average pooling for a smaller target.
    """
    factor = math.ceil(target / source)
    upsampled = source * factor
    matrix = torch.zeros(target, source, dtype=torch.float64)
    for row in range(target):
        first = row * upsampled // target
        last = -(-(row + 1) * upsampled // target)  # ceil, exclusive
        for cell in range(first, last):
            matrix[row, cell // factor] += 1 / (last - first)
    return matrix


@lru_cache(maxsize=64)
def _token_matrix(
    source: int, target: int, cls: bool, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """kron(M, M) over row-major tokens, with a 1 in front for the class token if `cls`."""
    axis = resize_matrix(source, target)
    matrix = torch.kron(axis, axis)
    if cls:
        matrix = torch.block_diag(torch.ones(1, 1, dtype=matrix.dtype), matrix)
    return matrix.to(dtype=dtype, device=device)


# Custom operators, because a resize is no learned product: torch's FLOP counter gives nothing
# for up-sampling and pooling, and so neither the paper's costs nor ours count it (docs/macs.md).
# `adjoint` applies the transposed matrix: the gradient is the same operator again.
@torch.library.custom_op("dvt::resize_features", mutates_args=())
def _resize_features(x: Tensor, source: int, target: int, adjoint: bool) -> Tensor:
    matrix = _token_matrix(source, target, False, x.dtype, x.device)
    return (matrix.T if adjoint else matrix) @ x


@torch.library.custom_op("dvt::resize_relations", mutates_args=())
def _resize_relations(x: Tensor, source: int, target: int, adjoint: bool) -> Tensor:
    matrix = _token_matrix(source, target, True, x.dtype, x.device)
    matrix = matrix.T if adjoint else matrix
    return matrix @ (x @ matrix.T)


@_resize_features.register_fake
def _(x: Tensor, source: int, target: int, adjoint: bool) -> Tensor:
    return x.new_empty(x.shape[0], (source if adjoint else target) ** 2, x.shape[2])


@_resize_relations.register_fake
def _(x: Tensor, source: int, target: int, adjoint: bool) -> Tensor:
    tokens = (source if adjoint else target) ** 2 + 1
    return x.new_empty(*x.shape[:2], tokens, tokens)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, *ctx.arguments, ctx.adjoint = inputs


def _features_backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
    grad = _resize_features(grad.contiguous(), *ctx.arguments, not ctx.adjoint)
    return grad, None, None, None


def _relations_backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
    grad = _resize_relations(grad.contiguous(), *ctx.arguments, not ctx.adjoint)
    return grad, None, None, None


_resize_features.register_autograd(_features_backward, setup_context=_remember)
_resize_relations.register_autograd(_relations_backward, setup_context=_remember)


def resize_features(x: Tensor, source: int, target: int) -> Tensor:
    """(B, source**2, C) patch tokens -> (B, target**2, C), both row-major."""
    return x if source == target else _resize_features(x.contiguous(), source, target, False)


def resize_relations(x: Tensor, source: int, target: int) -> Tensor:
    """(B, H, N, N) relations, class token first -> (B, H, N', N'), N = source**2 + 1.

    r' = P r P^T with P = blockdiag(1, kron(M, M)): the class token's row is resized along keys,
    its column along queries, and the corner stays.
    """
    return x if source == target else _resize_relations(x.contiguous(), source, target, False)


class FeatureReuse(nn.Module):
    """Features of the stage before -> context channels for one block's MLP.

    LayerNorm -> Linear(hidden) -> GELU -> Linear(context), own weights per block; the class
    token's context is zero; the rest is resized to this stage's grid.
    """

    def __init__(
        self, in_dim: int, hidden_dim: int, context_dim: int, grids: tuple[int, int], eps: float
    ) -> None:
        """Builds the MLP; `grids` is (source, target) tokens per side."""
        super().__init__()
        self.grids = grids
        self.norm = nn.LayerNorm(in_dim, eps=eps)
        self.fc1 = nn.Linear(in_dim, hidden_dim)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden_dim, context_dim)

    def forward(self, features: Tensor) -> Tensor:
        """(B, N_source, in_dim), class token first -> (B, N_target, context_dim)."""
        context = self.fc2(self.act(self.fc1(self.norm(features))))
        context = resize_features(context[:, 1:], *self.grids)
        return nn.functional.pad(context, (0, 0, 1, 0))  # a zero row for the class token


class RelationReuse(nn.Module):
    """All relations of the stage before -> what is added to every block's relations here.

    1x1 convolutions heads*depth -> ratio*heads*depth -> GELU -> this stage's heads*depth mix the
    maps of all layers and heads (`mix`); then both axes are resized, one block's maps at a time
    (`for_block`), because the maps of all blocks on a fine grid are the largest tensor of the
    whole cascade.
    """

    def __init__(self, in_maps: int, hidden_maps: int, maps: int, grids: tuple[int, int]) -> None:
        """Builds the two convolutions; `grids` is (source, target) tokens per side."""
        super().__init__()
        self.grids = grids
        self.conv1 = nn.Conv2d(in_maps, hidden_maps, 1)
        self.act = nn.GELU()
        self.conv2 = nn.Conv2d(hidden_maps, maps, 1)

    def mix(self, relations: Tensor) -> Tensor:
        """(B, depth*heads, N, N) of the stage before -> (B, depth*heads, N, N) of this one."""
        maps = relations.flatten(2)
        is_inference = not (torch.is_grad_enabled() or torch.compiler.is_compiling())
        if maps.device.type == "cpu" and is_inference:
            # Image by image: up to 4 times faster, and the hidden maps never exist all at once.
            # In training the bookkeeping of so many small products costs a third of a step.
            mixed = torch.cat([self._convolve(image) for image in maps.split(1)])
        else:
            mixed = self._convolve(maps)
        return mixed.unflatten(2, relations.shape[2:])

    def _convolve(self, maps: Tensor) -> Tensor:
        """Both 1x1 convolutions, as matrix products: (B, depth*heads, N*N) -> the same."""
        return _conv_1x1(self.conv2, self.act(_conv_1x1(self.conv1, maps)))

    def for_block(self, mixed: Tensor, block: int, num_heads: int) -> Tensor:
        """The maps of one block, on this stage's grid: (B, num_heads, N_target, N_target)."""
        maps = mixed[:, block * num_heads : (block + 1) * num_heads]
        return resize_relations(maps, *self.grids)


def _conv_1x1(conv: nn.Conv2d, maps: Tensor) -> Tensor:
    assert conv.bias is not None
    weight = conv.weight.flatten(1).expand(len(maps), -1, -1)
    return torch.baddbmm(conv.bias[:, None], weight, maps)
