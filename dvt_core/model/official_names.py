"""Our parameter names <-> those of the authors' released checkpoints.

A cascade's stages are called `less_less_token`, `less_token` and `normal_token` there, from coarse
to fine; a plain backbone (T2T-ViT, DeiT) has no prefix. Spelling is theirs, misspelling included.

References:
    github.com/blackfeather-wang/Dynamic-Vision-Transformer, github.com/yitu-opensource/T2T-ViT,
    github.com/facebookresearch/deit: the keys of their state dicts.
"""

from __future__ import annotations

import re

from torch import Tensor

from dvt_core.errors import InputError
from dvt_core.model.cascade import DynamicViT

STAGE_PREFIXES: dict[int, tuple[str, ...]] = {
    1: ("",),
    # The official code has no such model; of its three stages these are the two grids.
    2: ("less_less_token.", "normal_token."),
    3: ("less_less_token.", "less_token.", "normal_token."),
}
# Of a key within a stage, first match first.
_RENAMED = (
    (r"^tokenizer\.performers\.(\d+)\.mlp\.fc1\.", "tokens_to_token.attention{}.mlp.0."),
    (r"^tokenizer\.performers\.(\d+)\.mlp\.fc2\.", "tokens_to_token.attention{}.mlp.2."),
    (r"^tokenizer\.performers\.(\d+)\.", "tokens_to_token.attention{}."),
    (r"^tokenizer\.project\.", "tokens_to_token.project."),
    (r"^tokenizer\.proj\.", "patch_embed.proj."),
    (r"^relation_reuse\.conv1\.", "relation_reuse_conv.0."),
    (r"^relation_reuse\.conv2\.", "relation_reuse_conv.2."),
    (r"^(blocks\.\d+)\.feature_reuse\.norm\.", "{}.feature_resuse_mlp.0."),
    (r"^(blocks\.\d+)\.feature_reuse\.", "{}.feature_resuse_mlp.1."),
)


def official_names(model: DynamicViT) -> dict[str, str]:
    """Our key -> official key, for every entry of the model's state dict, in its order.

    Raises:
        InputError: a cascade of more than three stages, for which there are no official names.
    """
    if model.num_exits not in STAGE_PREFIXES:
        raise InputError(
            f"{model.name} has {model.num_exits} stages; official names exist for 1 to 3"
        )
    prefixes = STAGE_PREFIXES[model.num_exits]
    names = {}
    for key in model.state_dict():
        _, index, inner = key.split(".", 2)
        names[key] = prefixes[int(index)] + _official(inner)
    return names


def official_state(model: DynamicViT) -> dict[str, Tensor]:
    """Official key -> the model's own tensor: `copy_` into it to fill the model."""
    state = model.state_dict()
    return {official: state[own] for own, official in official_names(model).items()}


def _official(key: str) -> str:
    for pattern, replacement in _RENAMED:
        if match := re.match(pattern, key):
            part = match.group(1) if match.groups() else ""
            if part.isdecimal():
                part = str(int(part) + 1)  # performers are numbered from 1 there
            return replacement.format(part) + key[match.end() :]
    return key
