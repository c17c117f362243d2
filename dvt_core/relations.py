"""Relations taken apart: what is a layer's own, what was reused, and where attention comes from.

NumPy in, NumPy out. A layer's attention logits are z = q k^T / sqrt(d) + r: its own part, and the
reused part r that was brought over from the coarser grid of the stage before. Rows are queries
(the token that asks), columns are keys (the tokens it looks at); the class token is token 0.

References:
    paper, section 3.2 (relationship reuse); Abnar and Zuidema, "Quantifying Attention Flow in
    Transformers", ACL 2020, arXiv 2005.00928, section 3 (attention rollout).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dvt_core.model.reuse import resize_matrix


@dataclass(frozen=True, eq=False)
class StageRelations:
    """The attention logits of one stage for one picture, and what it took over.

    Attributes:
        relations: (depth, num_heads, N, N) float32 logits before the softmax, reused part
            included, N tokens with the class token first.
        reused: same shape, the part that came from the stage before; None where none did.
        context_norms: (depth, N) float32, the L2 norm of the reused features that each token gets
            in each layer, 0 for the class token; None where none are reused.
    """

    relations: np.ndarray
    reused: np.ndarray | None = None
    context_norms: np.ndarray | None = None

    @property
    def own(self) -> np.ndarray:
        """q k^T / sqrt(d) alone, the shape of `relations`."""
        return self.relations if self.reused is None else self.relations - self.reused

    @property
    def attention(self) -> np.ndarray:
        """Softmax of the sum over keys: the shape of `relations`, float64, rows sum to 1."""
        return softmax(self.relations)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Softmax over the last axis, in float64."""
    logits = logits.astype(np.float64)
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def reuse_share(stage: StageRelations) -> np.ndarray:
    """(depth,) how much of each layer's logits is reused, in [0, 1].

    Spread of the reused part / (spread of the own part + spread of the reused part). A spread is
    the standard deviation over the keys of one row, because the softmax does not see what is added
    to a whole row; it is summed over all heads and queries of the layer. 0 without reuse.
    """
    if stage.reused is None:
        return np.zeros(len(stage.relations))
    own, reused = (_spread(part) for part in (stage.own, stage.reused))
    return np.divide(reused, own + reused, out=np.zeros_like(own), where=own + reused > 0)


def moved_attention(stage: StageRelations) -> np.ndarray:
    """(depth,) how much of each layer's attention lies elsewhere because of the reuse, in [0, 1].

    Half the summed difference between softmax(own + reused) and softmax(own), the mean over heads
    and queries: 0 if the reuse changes nothing, 1 if all attention goes to other keys.
    """
    if stage.reused is None:
        return np.zeros(len(stage.relations))
    moved = np.abs(stage.attention - softmax(stage.own)).sum(axis=-1) / 2
    return moved.mean(axis=(1, 2))


def rollout(attention: np.ndarray) -> np.ndarray:
    """(N, N) attention rollout of one stage, from its last tokens down to its first.

    Heads are averaged and the shortcut counts as much as the attention: the product of
    (mean over heads + identity) / 2 over the layers, the last layer on the left. Rows sum to 1.

    Args:
        attention: (depth, num_heads, N, N), rows sum to 1.
    """
    total = np.eye(attention.shape[-1])
    for heads in attention.astype(np.float64):
        total = (heads.mean(axis=0) + np.eye(len(total))) / 2 @ total
    return total


def token_map(source: int, target: int) -> np.ndarray:
    """(target**2 + 1, source**2 + 1) float64: from which coarse tokens each fine token takes.

    The reuse's own matrix: blockdiag(1, M kron M), M from nearest up-sampling and average pooling.
    Row i says where fine token i takes from, column j where coarse token j lands. Rows sum to 1.
    """
    axis = resize_matrix(source, target).numpy()
    tokens = np.zeros((target**2 + 1, source**2 + 1))
    tokens[0, 0] = 1
    tokens[1:, 1:] = np.kron(axis, axis)
    return tokens


def rollout_across(rollouts: Sequence[np.ndarray], grids: Sequence[int]) -> list[np.ndarray]:
    """Rollout from the last of these stages down to the first tokens of each stage.

    Between two stages a token is followed to the coarse cells under it, weighted as the reuse
    carries them (`token_map`), the class token to the class token. How strongly a stage uses what
    it takes over is not in it.

    Args:
        rollouts: (N_k, N_k) of each stage, from `rollout`, coarse to fine.
        grids: tokens per side of the same stages.

    Returns:
        One (N_last, N_k) matrix per stage, rows sum to 1; the last one is the last stage's own.
    """
    across = [rollouts[-1]]
    for k in range(len(rollouts) - 2, -1, -1):
        across.insert(0, across[0] @ token_map(grids[k], grids[k + 1]) @ rollouts[k])
    return across


def _spread(logits: np.ndarray) -> np.ndarray:
    """(depth,) standard deviation over the keys, summed over heads and queries."""
    return logits.astype(np.float64).std(axis=-1).sum(axis=(1, 2))
