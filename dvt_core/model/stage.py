"""One stage: picture -> tokens of one grid -> blocks -> logits, plus what it hands on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dvt_core.config import DVTConfig, StageConfig
from dvt_core.model.layers import ReuseBlock
from dvt_core.model.reuse import FeatureReuse, RelationReuse
from dvt_core.model.tokenizers import build_tokenizer


@dataclass(frozen=True, eq=False)
class StageOutput:
    """What a stage says and hands on, for a batch of B images.

    Attributes:
        logits: (B, num_classes).
        features: (B, N, C) tokens after the last block, before the final norm.
        relations: (B, depth*heads, N, N) attention logits of all blocks, block-major, reused
            part included (so they accumulate from stage to stage); None when nobody needs them.
        reused: same shape, the part that was added; None where nothing was.
    """

    logits: Tensor
    features: Tensor
    relations: Tensor | None = None
    reused: Tensor | None = None

    def select(self, index: Tensor) -> StageOutput:
        """The same for a part of the batch: `index` is (B,) bool or (b,) int64."""
        parts = (self.logits, self.features, self.relations, self.reused)
        return StageOutput(*(None if t is None else t[index] for t in parts))  # type: ignore[arg-type]

    def detached(self) -> StageOutput:
        """The same values, through which no gradient flows back."""
        parts = (self.logits, self.features, self.relations, self.reused)
        return StageOutput(*(None if t is None else t.detach() for t in parts))  # type: ignore[arg-type]


class Stage(nn.Module):
    """A transformer with its own tokenizer, class token, positions, blocks and head."""

    def __init__(self, config: DVTConfig, index: int, drop_path_rate: float = 0.0) -> None:
        """Builds stage `index` of `config`; reuse modules exist only where they are used."""
        super().__init__()
        stage = config.stages[index]
        previous = config.stages[index - 1] if index else None
        self.hands_on_relations = config.relation_reuse and index + 1 < config.num_exits
        self.num_heads = stage.num_heads
        self.reads_token = stage.global_pool == "token"
        self.tokenizer = build_tokenizer(
            stage.tokenizer, config.in_chans, stage.embed_dim, config.norm_eps
        )
        self.cls_token = nn.Parameter(torch.zeros(1, 1, stage.embed_dim))
        self.pos_embed = _pos_embed(stage)
        self.relation_reuse = _relation_reuse(config, previous, stage)
        self.blocks = nn.ModuleList(
            ReuseBlock(
                stage.embed_dim,
                stage.num_heads,
                mlp_ratio=stage.mlp_ratio,
                qkv_bias=stage.qkv_bias,
                drop_path=drop_path_rate * i / max(stage.depth - 1, 1),
                norm_eps=config.norm_eps,
                feature_reuse=_feature_reuse(config, previous, stage),
            )
            for i in range(stage.depth)
        )
        self.norm = nn.LayerNorm(stage.embed_dim, eps=config.norm_eps)
        self.head = nn.Linear(stage.embed_dim, config.num_classes)
        self.apply(_init_linear)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        if self.pos_embed.requires_grad:
            nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(
        self, images: Tensor, previous: StageOutput | None = None, keep_relations: bool = False
    ) -> StageOutput:
        """images (B, in_chans, S, S) and the stage before -> StageOutput.

        `keep_relations` asks for the relations (and the reused part) even where no later stage
        needs them.
        """
        x = self.tokenizer(images)
        x = torch.cat((self.cls_token.expand(len(x), -1, -1), x), dim=1) + self.pos_embed
        features = None if previous is None else previous.features
        mixed = None  # (B, depth*heads, N_prev, N_prev)
        if self.relation_reuse is not None:
            assert previous is not None and previous.relations is not None
            mixed = self.relation_reuse.mix(previous.relations)
        keep = keep_relations or self.hands_on_relations
        relations, reused = [], []
        for index, block in enumerate(self.blocks):
            bias = None
            if self.relation_reuse is not None and mixed is not None:
                bias = self.relation_reuse.for_block(mixed, index, self.num_heads)
                reused += [bias] if keep_relations else []
            x, relation = block(x, features, bias, keep)  # (B, N, C), (B, heads, N, N) | None
            relations.append(relation)
        read = x[:, :1] if self.reads_token else x[:, 1:].mean(dim=1, keepdim=True)  # (B, 1, C)
        return StageOutput(
            logits=self.head(self.norm(read)[:, 0]),
            features=x,
            relations=torch.cat(relations, dim=1) if keep else None,
            reused=torch.cat(reused, dim=1) if reused else None,
        )


def _pos_embed(stage: StageConfig) -> nn.Parameter:
    """(1, N, C), zeros to be learned, or the fixed sinusoid of T2T-ViT.

    The sinusoid at position p (0 is the class token) and channel j has the angle
    p / 10000**(2 (j // 2) / C), its sine in even and its cosine in odd channels.
    """
    shape = (1, stage.num_tokens, stage.embed_dim)
    if stage.pos_embed == "learned":
        return nn.Parameter(torch.zeros(shape))
    position = torch.arange(stage.num_tokens, dtype=torch.float64)[:, None]
    channel = torch.arange(stage.embed_dim)
    angle = position / 10000 ** (2 * (channel // 2).double() / stage.embed_dim)
    table = torch.where(channel % 2 == 0, angle.sin(), angle.cos())
    return nn.Parameter(table.to(torch.get_default_dtype())[None], requires_grad=False)


def _feature_reuse(
    config: DVTConfig, previous: StageConfig | None, stage: StageConfig
) -> FeatureReuse | None:
    if previous is None or not config.feature_reuse:
        return None
    return FeatureReuse(
        previous.embed_dim,
        config.context_hidden,
        config.context_dim,
        (previous.grid_size, stage.grid_size),
        config.norm_eps,
    )


def _relation_reuse(
    config: DVTConfig, previous: StageConfig | None, stage: StageConfig
) -> RelationReuse | None:
    if previous is None or not config.relation_reuse:
        return None
    in_maps = previous.depth * previous.num_heads
    return RelationReuse(
        in_maps,
        config.relation_hidden_ratio * in_maps,
        stage.depth * stage.num_heads,
        (previous.grid_size, stage.grid_size),
    )


def _init_linear(module: nn.Module) -> None:
    """ViT's initialisation; convolutions keep torch's own, as in the official code."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
