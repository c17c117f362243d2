"""A trained cascade with a reuse switched off while it runs: an experiment, not a model.

The stages were trained together with what they reuse, so this says what the trained weights rely
on. It does not say how good a cascade without reuse can be: that takes training one.
"""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import TypeVar

from torch import Tensor, nn

from dvt_core.errors import InputError
from dvt_core.model.cascade import DynamicViT
from dvt_core.model.reuse import FeatureReuse

REUSES = ("features", "relations")
M = TypeVar("M", bound=nn.Module)


class _NoFeatures(nn.Module):
    """Zeros in the place of a `FeatureReuse`'s context."""

    def __init__(self, replaced: FeatureReuse) -> None:
        super().__init__()
        self.num_tokens = replaced.grids[1] ** 2 + 1
        self.context_dim = replaced.fc2.out_features

    def forward(self, features: Tensor) -> Tensor:
        """(B, N_source, in_dim) -> zeros (B, N_target, context_dim)."""
        return features.new_zeros(len(features), self.num_tokens, self.context_dim)


def reuses_of(model: DynamicViT) -> tuple[str, ...]:
    """What this cascade hands on from stage to stage: of `REUSES`, in this order."""
    if model.num_exits == 1:
        return ()
    is_on = (model.config.feature_reuse, model.config.relation_reuse)
    return tuple(kind for kind, on in zip(REUSES, is_on, strict=True) if on)


def without_reuse(model: DynamicViT, kinds: Collection[str]) -> DynamicViT:
    """The same cascade without these reuses: nothing added to the logits, zeros as features.

    The weights are shared, not copied, and the given model is not changed, so others may go on
    using it. The costs it states are still those of the whole model.

    Args:
        model: a cascade.
        kinds: of `REUSES`, what is switched off.

    Raises:
        InputError: this model has no such reuse.
    """
    known = reuses_of(model)
    if unknown := sorted(set(kinds) - set(known)):
        raise InputError(
            f"{model.name} reuses {' and '.join(known) or 'nothing'}, so {unknown[0]!r} cannot be "
            "switched off"
        )
    switched = _shell(model)
    stages = [_shell(stage) for stage in model.stages]
    for stage in stages:
        if "relations" in kinds:
            stage.relation_reuse = None
        if "features" in kinds:
            stage.blocks = nn.ModuleList(_shell(block) for block in stage.blocks)
            for block in stage.blocks:
                if isinstance(block.feature_reuse, FeatureReuse):
                    block.feature_reuse = _NoFeatures(block.feature_reuse)
    switched.stages = nn.ModuleList(stages)  # type: ignore[assignment]
    return switched.eval()


def _shell(module: M) -> M:
    """A module with the same parameters and parts, whose parts can be exchanged."""
    shell = copy.copy(module)
    shell._modules = dict(module._modules)
    return shell
