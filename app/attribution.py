"""Why this class: how much each part of a picture moves one logit, exit by exit, with captum.

The logit of exit e is that of stages 1 to e together, so a map for exit 3 also holds what reached
it through the reuse of features and relations. Every call of the model goes through `run` (the
worker) in slices of about `SLICE_MACS`; on the worker's thread captum and its hooks meet nobody
else's forward, and no gradient is ever asked of a weight.

References:
    Sundararajan et al. 2017 (integrated gradients), equation 3 and section 5.
    Zeiler and Fergus 2014 (occlusion), section 4.2.
    Selvaraju et al. 2017 (Grad-CAM), equations 1 and 2.
    Kokhlikyan et al. 2020 (captum).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from captum.attr import IntegratedGradients, LayerGradCam, Occlusion
from torch import Tensor, nn

from app.figures.tokens import grid_edges
from dvt_core.errors import InputError
from dvt_core.macs import exit_macs
from dvt_core.model import DynamicViT, Stage, StageOutput

GRADIENTS, OCCLUSION, GRAD_CAM = "integrated gradients", "occlusion", "Grad-CAM"
METHODS = (GRADIENTS, OCCLUSION, GRAD_CAM)
STEPS = 64  # of the path from the baseline to the picture
WINDOWS_PER_SIDE = 7
SLICE_MACS = 1e9  # some 0.05 s on a quiet thread; one image of a large model may be more
LARGEST_BATCH = 16
PASSES = {GRADIENTS: STEPS, OCCLUSION: WINDOWS_PER_SIDE**2 + 1, GRAD_CAM: 1}  # of the model
BACKWARD = 3  # forward and backward cost about three times the forward pass

Run = Callable[..., Any]  # run(function, *args) -> the function's result
# How much is done, in [0, 1], and which exit (0-based) it is about; may raise to end the work.
Step = Callable[[float, int], object]
Tell = Callable[[float], object]  # the same within one exit


@dataclass(frozen=True, eq=False)
class Attribution:
    """How much each pixel moves one logit of one exit.

    Attributes:
        method: one of `METHODS`.
        exit_index: 0-based.
        target: the class whose logit it is.
        values: (S, S) float32 over the pixels that the model sees. Integrated gradients and
            occlusion: in logits, positive speaks for the class. Grad-CAM: >= 0, no unit.
        logit: of the target for the picture.
        baseline_logit: of the target for the baseline; None but for integrated gradients.
    """

    method: str
    exit_index: int
    target: int
    values: np.ndarray
    logit: float
    baseline_logit: float | None = None

    @property
    def delta(self) -> float | None:
        """Convergence delta: the sum of the values less the difference of the two logits."""
        if self.baseline_logit is None:
            return None
        return float(self.values.sum(dtype=np.float64)) - (self.logit - self.baseline_logit)


def exit_logits(model: DynamicViT, images: Tensor, exit_index: int) -> Tensor:
    """Logits (B, num_classes) of one exit; the stages after it do not run."""
    previous: StageOutput | None = None
    for stage in model.stages[: exit_index + 1]:
        previous = stage(images, previous)
    assert previous is not None
    return previous.logits


def attribute(
    model: DynamicViT,
    image: Tensor,
    targets: Sequence[int],
    method: str,
    *,
    run: Run,
    step: Step = lambda done, exit_index: None,
) -> tuple[Attribution, ...]:
    """One map for every exit, the same to the bit when asked again.

    Args:
        model: in eval mode; its weights, gradients and hooks stay as they are.
        image: (1, 3, S, S), normalised, so that 0 is the mean colour of the training pictures.
        targets: for each exit the class whose logit is explained.
        method: one of `METHODS`.
        run: calls a function with its arguments, for instance on the worker's thread.
        step: told after every slice how much is done; what it raises ends the work.

    Raises:
        InputError: no such method, or not one target per exit.
    """
    if method not in METHODS:
        raise InputError(f"unknown method {method!r}, known are {', '.join(METHODS)}")
    if len(targets) != model.num_exits:
        raise InputError(f"got {len(targets)} targets for {model.num_exits} exits")
    costs, image = exit_macs(model.config), image.detach().clone()
    found = []
    for index, target in enumerate(targets):
        before, share = sum(costs[:index]) / sum(costs), costs[index] / sum(costs)

        def tell(
            done: float, before: float = before, share: float = share, index: int = index
        ) -> None:
            step(before + share * done, index)

        explain = {GRADIENTS: _gradients, OCCLUSION: _occlusion, GRAD_CAM: _grad_cam}[method]
        found.append(explain(model, image, index, target, run, tell))
    return tuple(found)


def estimate_seconds(model: DynamicViT, image: Tensor, method: str, run: Run) -> float:
    """How long `attribute` takes on this computer, by MACs, from one measured slice."""
    costs, image = exit_macs(model.config), image.detach().clone()

    def seconds(index: int) -> float:
        began = time.perf_counter()
        if method == OCCLUSION:
            _plain(model, image.expand(_batch(model, index, 1), -1, -1, -1), index)
        elif method == GRADIENTS:
            _part(model, image, index, 0, (0, _batch(model, index, BACKWARD)))
        else:
            _cam_slice(model, image, index, 0)
        return time.perf_counter() - began

    run(seconds, 0)  # what is done for the first time takes longer
    last = model.num_exits - 1
    batch = {GRADIENTS: _batch(model, last, BACKWARD), OCCLUSION: _batch(model, last, 1)}
    slices = PASSES[method] / batch.get(method, 1)
    return run(seconds, last) * slices * sum(costs) / costs[last]


def count_macs(exit_costs: Sequence[int], method: str) -> int:
    """What `attribute` costs for all exits together; a backward pass counts as two forward."""
    factor = 1 if method == OCCLUSION else BACKWARD
    return PASSES[method] * factor * sum(exit_costs)


def window_px(img_size: int) -> tuple[int, int]:
    """Side of the occluding window and how far it moves: a quarter and an eighth of the side."""
    return max(1, img_size // 4), max(1, img_size // 8)


def _batch(model: DynamicViT, exit_index: int, factor: int) -> int:
    """Images per slice: by MACs and not by the clock, so that results repeat to the bit."""
    fitting = int(SLICE_MACS / (factor * exit_macs(model.config)[exit_index]))
    return min(max(fitting, 1), LARGEST_BATCH)


@torch.no_grad()
def _plain(model: DynamicViT, images: Tensor, exit_index: int) -> Tensor:
    return exit_logits(model, images, exit_index)


def _gradients(
    model: DynamicViT, image: Tensor, index: int, target: int, run: Run, tell: Tell
) -> Attribution:
    """Midpoint rule over `STEPS`; the path is a straight line, so its parts add up."""
    ends = run(_plain, model, torch.cat((image, torch.zeros_like(image))), index)[:, target]
    batch, total = _batch(model, index, BACKWARD), torch.zeros_like(image, dtype=torch.float64)
    for first in range(0, STEPS, batch):
        last = min(first + batch, STEPS)
        total += run(_part, model, image, index, target, (first, last))
        tell(last / STEPS)
    values = total[0].sum(dim=0).float().numpy()
    return Attribution(GRADIENTS, index, target, values, float(ends[0]), float(ends[1]))


def _part(
    model: DynamicViT, image: Tensor, index: int, target: int, steps: tuple[int, int]
) -> Tensor:
    """(1, 3, S, S), the integral over steps `first` to `last` of the path from 0 to the image."""
    first, last = steps
    explainer = IntegratedGradients(lambda images: exit_logits(model, images, index))
    return explainer.attribute(
        image * (last / STEPS),
        baselines=image * (first / STEPS),
        target=target,
        n_steps=last - first,
        # With one step they are the same rule, but captum allows it by the second name only.
        method="riemann_middle" if last - first > 1 else "gausslegendre",
    ).detach()


def _occlusion(
    model: DynamicViT, image: Tensor, index: int, target: int, run: Run, tell: Tell
) -> Attribution:
    """Per pixel the mean fall of the logit over the windows that cover it, mean colour inside."""
    size, stride = window_px(model.config.img_size)
    logits: list[Tensor] = []

    def forward(images: Tensor) -> Tensor:  # captum waits here; the model runs on the worker
        out = run(_plain, model, images, index)
        logits.append(out[:, target])
        tell(min(1.0, sum(map(len, logits)) / PASSES[OCCLUSION]))
        return out

    values = Occlusion(forward).attribute(
        image,
        sliding_window_shapes=(image.shape[1], size, size),
        strides=(image.shape[1], stride, stride),
        baselines=0,
        target=target,
        perturbations_per_eval=_batch(model, index, 1),
    )
    # One window covers all channels, so each holds the same value.
    return Attribution(OCCLUSION, index, target, values[0, 0].numpy(), float(logits[0][0]))


def _grad_cam(
    model: DynamicViT, image: Tensor, index: int, target: int, run: Run, tell: Tell
) -> Attribution:
    """Of the tokens that enter the last block's attention; the class token is left out."""
    cells, logit = run(_cam_slice, model, image, index, target)
    tell(1.0)
    edges = grid_edges(model.config.stages[index], model.config.img_size)
    middles = np.arange(model.config.img_size) + 0.5
    cell = np.clip(np.searchsorted(edges, middles) - 1, 0, len(cells) - 1)
    return Attribution(GRAD_CAM, index, target, cells[np.ix_(cell, cell)], logit)


def _cam_slice(
    model: DynamicViT, image: Tensor, index: int, target: int
) -> tuple[np.ndarray, float]:
    """(grid, grid) float32 >= 0, and the target's logit."""
    logits: list[Tensor] = []

    def forward(images: Tensor) -> Tensor:
        logits.append(exit_logits(model, images, index))
        return logits[-1]

    with _tokens_as_maps(model.stages[index], model.config.stages[index].grid_size) as layer:
        maps = LayerGradCam(forward, layer).attribute(
            image.clone().requires_grad_(), target=target, relu_attributions=True
        )
    assert isinstance(maps, Tensor)
    return maps[0, 0].detach().numpy(), float(logits[0][0, target].detach())


@contextmanager
def _tokens_as_maps(stage: Stage, grid: int) -> Iterator[nn.Module]:
    """A layer of our own through which the patch tokens pass as (B, C, grid, grid).

    captum takes the mean of gradients over what follows the second dimension, so it needs the
    tokens in the order of a convolution. The hook is gone when the block ends.
    """
    layer = nn.Identity()

    def reorder(module: nn.Module, inputs: object, tokens: Tensor) -> Tensor:
        maps = tokens[:, 1:].transpose(1, 2).unflatten(2, (grid, grid))
        return torch.cat((tokens[:, :1], layer(maps).flatten(2).transpose(1, 2)), dim=1)

    handle = stage.blocks[-1].norm1.register_forward_hook(reorder)  # type: ignore[union-attr]
    try:
        yield layer
    finally:
        handle.remove()
