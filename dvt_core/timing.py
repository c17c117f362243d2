"""Real time beside counted MACs: early exit really on against all exits, measured in turns.

Both sides are `classify`, once with the thresholds and once with thresholds that no confidence
reaches. Warm-up first; then the sides alternate (A B, B A, ...) in slices of a fraction of a
second, so that a slow moment of the machine hits both, with the garbage collector off. One
repetition is one pass over all images; its parts are added up.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dvt_core.errors import InputError
from dvt_core.evaluate import device_name
from dvt_core.inference import classify
from dvt_core.model import DynamicViT
from dvt_core.solver import NEVER
from dvt_core.thresholds import check_thresholds

SLICE_S = 0.2  # how long one uninterrupted piece of work may take, if a batch is shorter
LONGEST_BATCH_S = 1.0  # a batch cannot be interrupted; others wait for it
MIN_REPEATS = 3  # fewer have no spread

Progress = Callable[[int, int], None]
Run = Callable[..., Any]


@dataclass(frozen=True)
class PerImage:
    """Milliseconds per image over the repetitions.

    Attributes:
        median: half of the repetitions were quicker.
        p10: one in ten was quicker.
        p90: one in ten was slower.
    """

    median: float
    p10: float
    p90: float

    @property
    def images_per_s(self) -> float:
        """Images per second at the median."""
        return 1000 / self.median

    @classmethod
    def of(cls, seconds: Sequence[float] | np.ndarray, images: int) -> PerImage:
        """From the seconds of passes over so many images."""
        middle, low, high = np.quantile(1000 * np.asarray(seconds) / images, (0.5, 0.1, 0.9))
        return cls(float(middle), float(low), float(high))


@dataclass(frozen=True)
class Timing:
    """Early exit against all exits on the same images, measured and counted.

    Attributes:
        batch_size: images per batch.
        images: images per repetition.
        repeats: repetitions of each side.
        adaptive: time with the thresholds, early exit really on.
        full: time with all exits computed.
        exit_shares: share of the images that left at each exit, as it happened.
        macs: mean multiply-accumulates per image of the adaptive side.
        full_macs: of all exits.
        device: in words.
        threads: torch threads that ran it (CPU).
    """

    batch_size: int
    images: int
    repeats: int
    adaptive: PerImage
    full: PerImage
    exit_shares: tuple[float, ...]
    macs: float
    full_macs: int
    device: str
    threads: int

    @property
    def mac_ratio(self) -> float:
        """How many times fewer MACs the adaptive side needs: the simulated saving, at least 1."""
        return self.full_macs / self.macs

    @property
    def time_ratio(self) -> float:
        """How many times faster the adaptive side is, by the medians; below 1 it is slower."""
        return self.full.median / self.adaptive.median

    @property
    def real_share(self) -> float | None:
        """Share of the spared MACs that is spared time: 1 is all of it, below 0 it is slower.

        None where no MACs are spared.
        """
        if self.mac_ratio <= 1:
            return None
        return (1 - 1 / self.time_ratio) / (1 - 1 / self.mac_ratio)

    @property
    def is_clear(self) -> bool:
        """Whether the sides differ by more than their spread, and time saves no more than MACs."""
        is_apart = self.adaptive.p90 < self.full.p10 or self.full.p90 < self.adaptive.p10
        return is_apart and (self.real_share is None or self.real_share <= 1.1)


@dataclass(frozen=True)
class FirstPass:
    """Seconds per image from a look at a few: enough to say how many can be measured.

    Attributes:
        adaptive_s: with the thresholds.
        full_s: all exits.
    """

    adaptive_s: float
    full_s: float

    def images_within(self, seconds: float, batch_size: int, available: int) -> int:
        """How many images, in whole batches, can be passed over four times in that time.

        0 if not even one batch can, or if one would hold the model for longer than a second.
        """
        passes = 1 + MIN_REPEATS  # the warm-up and the least
        possible = int(seconds / (passes * (self.adaptive_s + self.full_s)))
        if batch_size * self.full_s > LONGEST_BATCH_S:
            return 0
        return min(available, possible) // batch_size * batch_size


def first_pass(
    model: DynamicViT,
    images: Tensor,
    thresholds: float | Sequence[float],
    *,
    batch_size: int = 1,
    run: Run | None = None,
) -> FirstPass:
    """Times both sides on the first 4 images, or on the first batch if it is larger.

    Raises:
        InputError: fewer images than a batch, or arguments that do not fit the model.
    """
    if len(images) < batch_size:
        raise InputError(f"got {len(images)} images, expected at least {batch_size}")
    limits, call = check_thresholds(thresholds, model.num_exits), run or _call
    few = images[: max(4 // batch_size, 1) * batch_size]
    batches = few.split(batch_size)
    _pass(call, model, batches[:1], limits, 1, False)  # the very first calls are slow
    (adaptive, full), _ = _pass(call, model, batches, limits, 1, False)
    return FirstPass(adaptive / len(few), full / len(few))


def measure(
    model: DynamicViT,
    images: Tensor,
    thresholds: float | Sequence[float],
    *,
    batch_size: int,
    repeats: int,
    limit_s: float = math.inf,
    progress: Progress | None = None,
    run: Run | None = None,
) -> Timing:
    """Times early exit and all exits over the same images, in turns.

    Args:
        model: in eval mode, on the device to be measured.
        images: (n, in_chans, S, S), normalised; the last `n % batch_size` are left out, so that
            every batch is full.
        thresholds: as in `classify`.
        batch_size: images per batch.
        repeats: passes over the images, per side; one more warms up and is not counted.
        limit_s: after so many seconds no further pass begins, but for the first three.
        progress: called as progress(passes done, passes in all), the warm-up included; what it
            raises ends the measurement.
        run: called as run(function, *arguments) for every slice of work, `SLICE_S` long or one
            batch, and returns the function's result; to run on another thread. Default: here.

    Raises:
        InputError: arguments that do not fit the model or each other.
    """
    if batch_size < 1 or repeats < 1:
        raise InputError(
            f"batch_size is {batch_size} and repeats is {repeats}, both must be at least 1"
        )
    if len(images) < batch_size:
        raise InputError(f"got {len(images)} images, expected at least one batch of {batch_size}")
    limits = check_thresholds(thresholds, model.num_exits)
    call, began = run or _call, time.perf_counter()
    batches = images[: len(images) // batch_size * batch_size].split(batch_size)
    report = progress or (lambda done, total: None)

    (_, slowest), *_ = _pass(call, model, batches, limits, 1, False)  # the first calls, to be timed
    per_slice = max(1, int(SLICE_S * len(batches) / max(slowest, 1e-9)))
    report(1, repeats + 1)
    seconds: list[tuple[float, float]] = []
    exits = np.zeros(model.num_exits)
    while len(seconds) < repeats:
        if len(seconds) >= MIN_REPEATS and time.perf_counter() - began >= limit_s:
            break
        both, counts = _pass(call, model, batches, limits, per_slice, len(seconds) % 2 == 1)
        seconds.append(both)
        exits += counts
        report(len(seconds) + 1, repeats + 1)
    return _timing(model, batch_size, np.array(seconds), exits, *call(_where, model))


def _timing(
    model: DynamicViT,
    batch_size: int,
    seconds: np.ndarray,
    exits: np.ndarray,
    device: str,
    threads: int,
) -> Timing:
    """Of (repeats, 2) seconds per pass and the number of images that left at each exit."""
    repeats, shares = len(seconds), exits / exits.sum()
    n = round(exits.sum() / repeats)
    return Timing(
        batch_size=batch_size,
        images=n,
        repeats=repeats,
        adaptive=PerImage.of(seconds[:, 0], n),
        full=PerImage.of(seconds[:, 1], n),
        exit_shares=tuple(map(float, shares)),
        macs=float(shares @ np.array(model.exit_macs)),
        full_macs=model.exit_macs[-1],
        device=device,
        threads=threads,
    )


def _pass(
    call: Run,
    model: DynamicViT,
    batches: Sequence[Tensor],
    limits: tuple[float, ...],
    per_slice: int,
    is_full_first: bool,
) -> tuple[tuple[float, float], np.ndarray]:
    """Seconds of both sides (adaptive, full) over all batches, and images per adaptive exit."""
    never = (NEVER,) * len(limits)
    adaptive, full, counts = 0.0, 0.0, np.zeros(model.num_exits)
    for start in range(0, len(batches), per_slice):
        part = batches[start : start + per_slice]
        if is_full_first:
            full += call(timed, model, part, never)[0]
        took, exits = call(timed, model, part, limits)
        if not is_full_first:
            full += call(timed, model, part, never)[0]
        adaptive += took
        counts += np.bincount(exits, minlength=model.num_exits)
        is_full_first = not is_full_first
    return (adaptive, full), counts


def timed(
    model: DynamicViT, batches: Sequence[Tensor], thresholds: Sequence[float]
) -> tuple[float, list[int]]:
    """Seconds that `classify` takes over some batches, and the exit of every image."""
    device = next(model.parameters()).device
    was_on = gc.isenabled()
    gc.disable()
    try:
        _wait_for(device)
        start = time.perf_counter()
        predictions = [classify(model, batch, thresholds) for batch in batches]
        _wait_for(device)
        seconds = time.perf_counter() - start
    finally:
        if was_on:
            gc.enable()
    return seconds, [p.exit_index for part in predictions for p in part]


def _wait_for(device: torch.device) -> None:
    """Until an accelerator has done what was asked of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _where(model: DynamicViT) -> tuple[str, int]:
    """Device and threads of the thread that calls this: threads may differ in both."""
    return device_name(next(model.parameters()).device), torch.get_num_threads()


def _call(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)
