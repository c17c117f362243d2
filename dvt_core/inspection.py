"""One picture through all stages with everything kept that a later stage takes over.

`inspect` is the loop of `DynamicViT.forward` once more; `inspect_stage` is one turn of it, for
callers that share the processor with others.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dvt_core.errors import InputError
from dvt_core.model import DynamicViT, StageOutput
from dvt_core.model.layers import ReuseBlock
from dvt_core.model.stage import Stage
from dvt_core.relations import StageRelations


@torch.inference_mode()
def inspect_stage(
    stage: Stage, images: Tensor, previous: StageOutput | None
) -> tuple[StageRelations, StageOutput]:
    """What a stage attends to and takes over for one image, and what it hands on.

    Args:
        stage: in eval mode; it is not changed.
        images: (1, in_chans, S, S), normalised.
        previous: what the stage before handed on; None for the first.
    """
    output: StageOutput = stage(images, previous, keep_relations=True)
    relations, reused = (
        None if maps is None else maps[0].float().unflatten(0, (-1, stage.num_heads)).cpu().numpy()
        for maps in (output.relations, output.reused)
    )
    assert relations is not None
    return StageRelations(relations, reused, _context_norms(stage, previous)), output


def inspect(model: DynamicViT, images: Tensor) -> tuple[StageRelations, ...]:
    """`inspect_stage` of every stage, for one image.

    Args:
        model: in eval mode; it is not changed.
        images: (1, in_chans, S, S), normalised.

    Raises:
        InputError: not one image of this model's size, or a model in training mode.
    """
    model.check_images(images)
    if len(images) != 1:
        raise InputError(f"got {len(images)} images, inspect takes one at a time")
    if model.training:
        raise InputError("the model is in training mode, call model.eval() before inspect")
    images = images.to(next(model.parameters()).device)
    stages, previous = [], None
    for stage in model.stages:
        relations, previous = inspect_stage(stage, images, previous)
        stages.append(relations)
    return tuple(stages)


def _context_norms(stage: Stage, previous: StageOutput | None) -> np.ndarray | None:
    """(depth, N) norms of what `FeatureReuse` adds to each token; None where there is none."""
    if previous is None:
        return None
    norms = [
        block.feature_reuse(previous.features)[0].float().norm(dim=1)
        for block in stage.blocks
        if isinstance(block, ReuseBlock) and block.feature_reuse is not None
    ]
    return torch.stack(norms).cpu().numpy() if norms else None
