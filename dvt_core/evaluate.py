"""A model run once over a split: every exit on every image, as an `ExitTable`.

Under `accelerate launch` the batches are shared among the processes and every process returns
the whole table. Batches are cut at the same places whatever the number of processes, so the
table is the same.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import gather_object

from dvt_core.data import ImageSplit
from dvt_core.errors import InputError
from dvt_core.exit_table import ExitTable
from dvt_core.model import DynamicViT
from dvt_core.table_file import TableInfo

Part = TypeVar("Part")


def evaluate(
    model: DynamicViT,
    split: ImageSplit,
    *,
    batch_size: int = 250,
    progress: Callable[[int, int], None] | None = None,
) -> ExitTable:
    """Runs all exits over all images of a split, on the model's device.

    Args:
        model: in eval mode.
        split: its classes must be the model's, in the same order.
        batch_size: images per forward pass.
        progress: called as progress(images done, images in all) by each process for its part.

    Raises:
        InputError: the split has other classes than the model, or no images.
    """
    return ExitTable.concat(_parts(model, split, batch_size, progress, _table))


def exit_logits(model: DynamicViT, split: ImageSplit, *, batch_size: int = 250) -> np.ndarray:
    """(n, E, C) float32 logits of every exit; takes n * E * C * 4 bytes. See `evaluate`."""
    return np.concatenate(_parts(model, split, batch_size, None, lambda m, p, logits: logits))


def table_of_logits(model: DynamicViT, split: ImageSplit, logits: np.ndarray) -> ExitTable:
    """What `evaluate` gives when the exits say (n, E, C) `logits`."""
    return _table(model, split, logits)


def _parts(
    model: DynamicViT,
    split: ImageSplit,
    batch_size: int,
    progress: Callable[[int, int], None] | None,
    make: Callable[[DynamicViT, ImageSplit, np.ndarray], Part],
) -> list[Part]:
    """`make` of every batch, in order, on every process."""
    if model.training:
        raise InputError("the model is in training mode, call model.eval() before evaluate")
    _check_classes(model, split)
    state = PartialState()
    starts = np.arange(0, len(split), batch_size)
    mine = np.array_split(starts, state.num_processes)[state.process_index]
    parts = []
    done = 0
    for start in mine:
        part = split.subset(np.arange(start, min(start + batch_size, len(split))))
        parts.append(make(model, part, _logits(model, part)))
        done += len(part)
        if progress is not None:
            progress(done, len(split))
    if state.num_processes > 1:
        parts = gather_object(parts)
    return parts


@torch.inference_mode()
def _logits(model: DynamicViT, part: ImageSplit) -> np.ndarray:
    images = torch.from_numpy(part.arrays(model.preprocess)).to(next(model.parameters()).device)
    logits = model(model.preprocess.normalize(images))
    return torch.stack(logits, dim=1).float().cpu().numpy()  # (B, E, C)


def _table(model: DynamicViT, part: ImageSplit, logits: np.ndarray) -> ExitTable:
    probs = torch.from_numpy(logits).softmax(dim=2)
    info = table_info(model, part.name, part.split)
    return ExitTable.from_probs(probs.numpy(), part.labels, part.indices, info)


def table_info(model: DynamicViT, data: str, split: str) -> TableInfo:
    """The note that goes with a table that this model makes now, on its device."""
    return TableInfo(
        model=model.name,
        weights_sha256=model.weights_sha256,
        data=data,
        split=split,
        num_classes=model.num_classes,
        exit_macs=model.exit_macs,
        device=device_name(next(model.parameters()).device),
        made_by=_program(),
    )


def device_name(device: torch.device) -> str:
    """The device in words, for a table's and a benchmark's heading."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name} (CPU, {torch.get_num_threads()} threads)"


def _check_classes(model: DynamicViT, split: ImageSplit) -> None:
    if not len(split):
        raise InputError(f"the {split.split} split of {split.name} has no images")
    same_words = not model.class_names or tuple(split.class_names) == model.class_names
    if len(split.class_names) != model.num_classes or not same_words:
        raise InputError(
            f"{split.name} has {len(split.class_names)} classes ({', '.join(split.class_names[:3])}"
            f", ...), but the model knows {model.num_classes} "
            f"({', '.join(model.class_names[:3])}, ...); they must be the same, in the same order"
        )


def _program() -> str:
    try:
        return f"dynamic-vit-explorer {version('dynamic-vit-explorer')}"
    except PackageNotFoundError:
        return "dynamic-vit-explorer"
