"""Adaptive inference that really stops: the paper's idea in one loop.

`classify` is `DynamicViT.forward` with the exit rule between the stages: images that are sure
enough leave, and only the others, with the features and relations already computed for them, go
on. Tensors end here.

References:
    paper, section 3.1: exit at the first stage whose largest softmax probability reaches the
    threshold; the last exit always answers.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dvt_core.errors import InputError
from dvt_core.model import DynamicViT, StageOutput
from dvt_core.results import ExitRecord, Prediction
from dvt_core.thresholds import check_thresholds


@torch.inference_mode()
def classify(
    model: DynamicViT,
    images: Tensor,
    thresholds: float | Sequence[float],
    *,
    all_exits: bool = False,
    keep_relations: bool = False,
) -> list[Prediction]:
    """One `Prediction` per image; an image is computed no further than its exit.

    Args:
        model: in eval mode; it is not changed, so several threads may share it.
        images: (B, in_chans, S, S), normalised (`model.preprocess` does it), on any device.
        thresholds: `num_exits - 1` numbers or one shared; above 1 means "never leave here".
        all_exits: compute the later exits too. The exit that fired stays the same; the records
            of the later ones say what they would have said.
        keep_relations: put each computed exit's attention logits into its record.

    Raises:
        InputError: images or thresholds that do not fit the model, or a model in training mode.
    """
    limits = (*check_thresholds(thresholds, model.num_exits), float("-inf"))
    model.check_images(images)
    if model.training:
        raise InputError("the model is in training mode, call model.eval() before classify")
    records: list[list[ExitRecord]] = [[] for _ in images]
    exits = np.full(len(images), model.num_exits - 1)
    is_open = np.ones(len(images), dtype=bool)  # the rule has not stopped yet
    alive = np.arange(len(images))  # images still being computed
    previous: StageOutput | None = None
    images, costs = images.to(next(model.parameters()).device), model.exit_macs
    began = time.perf_counter()
    for index, (stage, limit) in enumerate(zip(model.stages, limits, strict=True)):
        if not len(alive):
            break
        output: StageOutput = stage(images, previous, keep_relations)
        probs = output.logits.float().softmax(dim=1).cpu().numpy()
        milliseconds = (time.perf_counter() - began) * 1000
        for row, image in enumerate(alive):
            maps = _maps(output, row, stage.num_heads) if keep_relations else (None, None)
            record = ExitRecord(index, probs[row], costs[index], milliseconds, *maps)
            records[image].append(record)
        is_sure = probs.max(axis=1).astype(np.float64) >= limit
        fires = alive[is_sure & is_open[alive]]
        exits[fires], is_open[fires] = index, False
        if not all_exits and is_sure.any():
            stays = torch.from_numpy(~is_sure).to(images.device)
            images, output, alive = images[stays], output.select(stays), alive[~is_sure]
        previous = output
    return [Prediction(int(e), tuple(r), limits[:-1]) for e, r in zip(exits, records, strict=True)]


def _maps(
    output: StageOutput, row: int, num_heads: int
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Relations and their reused part of one image, (depth, num_heads, N, N) float32."""
    return tuple(  # type: ignore[return-value]
        None if t is None else t[row].float().unflatten(0, (-1, num_heads)).cpu().numpy()
        for t in (output.relations, output.reused)
    )
