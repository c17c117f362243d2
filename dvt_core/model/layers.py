"""timm's attention and block, opened where the cascade hands things on.

References:
    timm.layers.attention.Attention and timm.models.vision_transformer.Block (parameter names are
    untouched, so plain ViT and DeiT weights load as they are); paper, section 3.2 and figure 3.
"""

from __future__ import annotations

from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from timm.layers.attention import Attention
from timm.layers.mlp import Mlp
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from dvt_core.model.reuse import FeatureReuse


class RelationAttention(Attention):
    """Self-attention whose logits can be added to and handed on.

    Modifications:
        - `bias`, the reused relations, is added to the scaled logits before the softmax.
        - with `keep_relations` the logits (scale and bias included) come back too; without,
          the fused kernel runs and they never exist.
    """

    def forward(  # type: ignore[override]
        self, x: Tensor, bias: Tensor | None = None, keep_relations: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """x (B, N, C), bias (B, heads, N, N) -> (B, N, C), relations (B, heads, N, N) | None."""
        B, N, _ = x.shape
        qkv = self.qkv(x).reshape(B, N, 3, self.num_heads, self.head_dim).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)  # (B, heads, N, head_dim)
        relations = None
        if keep_relations or self.training:  # training needs a gradient for the bias anyway
            relations = _relations(q, k, self.scale, bias)
            y = relations.softmax(dim=-1) @ v
        else:
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=self.scale)
        y = self.proj(y.transpose(1, 2).reshape(B, N, self.attn_dim))
        return y, relations if keep_relations else None


def _relations(q: Tensor, k: Tensor, scale: float, bias: Tensor | None) -> Tensor:
    """q k^T * scale + bias: (B, heads, N, head_dim) twice -> (B, heads, N, N), in one product."""
    if bias is None:
        return (q * scale) @ k.transpose(-2, -1)
    product = torch.baddbmm(
        bias.flatten(0, 1), q.flatten(0, 1), k.flatten(0, 1).transpose(-2, -1), alpha=scale
    )
    return product.unflatten(0, bias.shape[:2])


class ReuseBlock(Block):
    """A pre-norm transformer block that takes features and relations of the stage before.

    Modifications:
        - attention is `RelationAttention`.
        - with a `feature_reuse` module, the MLP (and the norm before it) reads the tokens with
          `context_dim` channels of context behind them; the residual is the tokens alone.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        *,
        mlp_ratio: float,
        qkv_bias: bool,
        drop_path: float,
        norm_eps: float,
        feature_reuse: FeatureReuse | None,
    ) -> None:
        """Builds timm's block, then widens norm2 and the MLP's input if features are reused."""
        norm_layer = partial(nn.LayerNorm, eps=norm_eps)
        super().__init__(
            dim,
            num_heads,
            mlp_ratio=mlp_ratio,
            qkv_bias=qkv_bias,
            drop_path=drop_path,
            norm_layer=cast(type[nn.Module], norm_layer),
            attn_layer=RelationAttention,
        )
        self.feature_reuse = feature_reuse
        if feature_reuse is not None:
            wide = dim + feature_reuse.fc2.out_features
            self.norm2 = norm_layer(wide)
            self.mlp = Mlp(wide, hidden_features=int(dim * mlp_ratio), out_features=dim)

    def forward(  # type: ignore[override]
        self,
        x: Tensor,
        features: Tensor | None = None,
        bias: Tensor | None = None,
        keep_relations: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """x (B, N, C), features (B, N_prev, C_prev), bias (B, heads, N, N) -> x, relations."""
        y, relations = self.attn(self.norm1(x), bias, keep_relations)
        x = x + self.drop_path1(y)
        y = x
        if self.feature_reuse is not None:
            y = torch.cat((x, self.feature_reuse(features)), dim=2)  # (B, N, C + context)
        return x + self.drop_path2(self.mlp(self.norm2(y))), relations
