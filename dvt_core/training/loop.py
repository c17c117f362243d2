"""The training loop: joint loss over all exits, resumable at any step with the same result.

Everything random is drawn from (seed, step), never from what happened before, so a run that was
interrupted anywhere ends in the same weights. `accelerate` spreads it over processes and
machines: `accelerate launch -m dvt_core train RECIPE`.

References:
    paper, section 3.1: the sum of the exits' losses, weight 1 each.
"""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn
from tqdm import tqdm

from dvt_core.bundle import CONFIG
from dvt_core.data import ImageSplit, load_split
from dvt_core.errors import InputError
from dvt_core.evaluate import device_name
from dvt_core.model import DynamicViT, alone, build_model
from dvt_core.model.pretrained import init_from_timm, is_weights_file
from dvt_core.training.augment import augment
from dvt_core.training.monitor import Monitor, write_log
from dvt_core.training.optimizer import build_optimizer
from dvt_core.training.publish import publish
from dvt_core.training.recipe import Recipe, load_recipe
from dvt_core.training.state import Rhythm, RunState
from dvt_core.whole_file import remove_left_over, write_whole

CHECKPOINT = "checkpoint.pt"
TERMINATED = 128 + signal.SIGTERM  # exit code of a run that was told to end


class TrainingData:
    """A split held as uint8, and the batches it gives at a step."""

    def __init__(
        self, split: ImageSplit, model: DynamicViT, recipe: Recipe, device: torch.device
    ) -> None:
        """Decodes the whole split once and keeps it, as uint8, on the device."""
        self.images = torch.from_numpy(split.arrays(model.preprocess)).to(device)
        self.labels = torch.from_numpy(split.labels).to(device)
        self.recipe = recipe
        self.steps_per_epoch = len(self.labels) // recipe.batch_size
        if not self.steps_per_epoch:
            raise InputError(
                f"{len(self.labels)} training images are fewer than batch_size {recipe.batch_size}"
            )
        self._epoch, self._order = -1, torch.empty(0)

    def batch(self, step: int, rank: int, world: int) -> tuple[Tensor, Tensor]:
        """This process's augmented uint8 images and labels at `step`; depends on nothing else."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(self.recipe.seed * 100_003 + epoch)
            self._epoch, self._order = epoch, torch.randperm(len(self.labels), generator=generator)
        size = self.recipe.batch_size // world
        start = place * self.recipe.batch_size + rank * size
        index = self._order[start : start + size].to(self.images.device)
        seed = (self.recipe.seed * 1_000_003 + step) * world + rank
        generator = torch.Generator().manual_seed(seed)
        return augment(self.images[index], self.recipe.augment, generator), self.labels[index]


def train(
    recipe_path: Path, *, data_dir: Path | None = None, out_dir: Path, resume: bool = False
) -> Path:
    """Trains a recipe and leaves the averaged weights, a log and curves in `out_dir`.

    Raises:
        InputError: a recipe, data set or checkpoint that does not fit, or an `out_dir` that
            already holds a run and `resume` is off.
    """
    recipe = load_recipe(recipe_path)
    accelerator = Accelerator(mixed_precision=recipe.mixed_precision)
    if recipe.batch_size % accelerator.num_processes:
        raise InputError(
            f"batch_size {recipe.batch_size} cannot be shared evenly by "
            f"{accelerator.num_processes} processes; choose a multiple"
        )
    checkpoint = out_dir / CHECKPOINT
    if not resume and (checkpoint.exists() or (out_dir / CONFIG).exists()):
        raise InputError(f"{out_dir} already holds a run; add --resume or choose another --out")
    split = load_split(recipe.data, "train", data_dir=data_dir)
    watched = load_split(recipe.data, "calibration", data_dir=data_dir, limit=recipe.monitor_images)
    is_resumed = resume and checkpoint.exists()
    model = _build(recipe, split.class_names, None if is_resumed else Path(recipe_path).parent)
    model.to(accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    data = TrainingData(split, model, recipe, accelerator.device)
    monitor = Monitor(watched, model, accelerator.device)
    state = _start(model, recipe)
    if is_resumed:
        state.load(checkpoint, recipe)
    _claim(out_dir, Path(recipe_path), accelerator)
    wrapped, state.optimizer = accelerator.prepare(model, state.optimizer)
    with termination() as is_told_to_end:
        _run(wrapped, data, monitor, state, accelerator, out_dir, is_told_to_end)
    publish(state.ema.module, recipe, out_dir, _notes(state, data, accelerator), data_dir)
    return out_dir


@contextlib.contextmanager
def termination() -> Iterator[Callable[[], bool]]:
    """Whether SIGTERM came, as clusters and `docker stop` send it: a checkpoint can be written.

    Outside the main thread, where Python sets no handlers, it ends the process as ever.
    """
    told = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield told.is_set
        return
    before = signal.signal(signal.SIGTERM, lambda *_: told.set())
    try:
        yield told.is_set
    finally:
        signal.signal(signal.SIGTERM, before)


def _build(recipe: Recipe, class_names: tuple[str, ...], folder: Path | None) -> DynamicViT:
    """The model at step 0; without the recipe's `folder` pretrained weights are not read."""
    torch.manual_seed(recipe.seed)
    no_reuse = {"feature_reuse": False, "relation_reuse": False}
    model = build_model(
        recipe.model,
        class_names=class_names,
        drop_path_rate=recipe.drop_path,
        num_classes=len(class_names),
        **(recipe.model_options | (no_reuse if recipe.only_stage else {})),
    )
    if recipe.only_stage:
        model = alone(model, recipe.only_stage - 1)
    if recipe.pretrained and folder is not None:
        is_file = is_weights_file(recipe.pretrained)
        init_from_timm(model, folder / recipe.pretrained if is_file else recipe.pretrained)
    return model


def _claim(out_dir: Path, recipe_path: Path, accelerator: Accelerator) -> None:
    """Makes the folder and puts the recipe into it, once nothing can refuse the run any more."""
    if not accelerator.is_main_process:
        return
    try:
        text = recipe_path.read_bytes()
        write_whole(out_dir / "recipe.toml", text)
        remove_left_over(out_dir / CHECKPOINT)  # of a run that was killed while it wrote one
    except OSError as error:
        raise InputError(f"cannot write into {out_dir}: {error.strerror}") from error


def _notes(state: RunState, data: TrainingData, accelerator: Accelerator) -> dict[str, Any]:
    """What the model card says about the run."""
    return {
        "pretrained": data.recipe.pretrained,
        "images": len(data.labels),
        "epochs": data.recipe.epochs,
        "minutes": round(state.seconds / 60, 1),
        "device": device_name(accelerator.device),
        "processes": accelerator.num_processes,
        "precision": data.recipe.mixed_precision,
        "torch": torch.__version__,
    }


def learning_rate(step: int, total: int, warmup: int, peak: float) -> float:
    """Linear warm-up to `peak`, then a cosine to zero."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(total - warmup, 1)))


def exit_losses(logits: tuple[Tensor, ...], labels: Tensor, smoothing: float) -> Tensor:
    """(num_exits,) cross-entropy of every exit; training minimises their sum (section 3.1)."""
    return torch.stack(
        [F.cross_entropy(each.float(), labels, label_smoothing=smoothing) for each in logits]
    )


def _start(model: DynamicViT, recipe: Recipe) -> RunState:
    optimizer = build_optimizer(model, recipe)
    ema = ModelEmaV3(model, decay=recipe.ema_decay, use_warmup=True)
    device = next(model.parameters()).device
    return RunState(model, ema, optimizer, torch.zeros(model.num_exits, device=device))


def _run(
    wrapped: nn.Module,
    data: TrainingData,
    monitor: Monitor,
    state: RunState,
    accelerator: Accelerator,
    out_dir: Path,
    is_told_to_end: Callable[[], bool],
) -> None:
    """All steps from `state.step` on, with checkpoints, the log and a progress bar.

    Raises:
        SystemExit: it was told to end; the step that was being done is kept.
    """
    recipe = data.recipe
    total = recipe.epochs * data.steps_per_epoch
    warmup = int(recipe.warmup_epochs * data.steps_per_epoch)
    main = accelerator.is_main_process
    spent, began, rhythm = state.seconds, time.monotonic(), Rhythm(recipe.checkpoint_seconds)
    with tqdm(total=total, initial=state.step, unit="step", disable=not main, mininterval=5) as bar:
        while state.step < total:
            rate = learning_rate(state.step, total, warmup, recipe.lr)
            state.loss_sums += _step(wrapped, data, state, rate, accelerator)
            state.step += 1
            state.seconds = spent + time.monotonic() - began
            bar.update()
            if state.step % data.steps_per_epoch == 0:
                state.rows.append(_row(monitor, data, state, rate, accelerator))
                state.loss_sums.zero_()
                if main:
                    write_log(state.rows, out_dir)
            is_told = is_told_to_end()
            if main and (rhythm.is_due() or state.step == total or is_told):
                rhythm.save(lambda: state.save(out_dir / CHECKPOINT, recipe))
            if is_told:
                raise SystemExit(TERMINATED)
    if main and state.rows:
        write_log(state.rows, out_dir)  # a resumed run may have had nothing left to do


def _row(
    monitor: Monitor, data: TrainingData, state: RunState, rate: float, accelerator: Accelerator
) -> dict[str, float]:
    """The log's row of the epoch that has just ended; losses are the mean over all processes."""
    losses = cast(Tensor, accelerator.reduce(state.loss_sums, "mean"))
    return monitor.row(
        state.ema.module,
        losses / data.steps_per_epoch,
        epoch=state.step // data.steps_per_epoch,
        step=state.step,
        seconds=round(state.seconds, 1),
        lr=rate,
    )


def _step(
    wrapped: nn.Module, data: TrainingData, state: RunState, rate: float, accelerator: Accelerator
) -> Tensor:
    """One optimiser step; returns this process's (num_exits,) losses."""
    recipe = data.recipe
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    torch.manual_seed(recipe.seed * 1_000_003 + state.step)  # stochastic depth
    images, labels = data.batch(state.step, accelerator.process_index, accelerator.num_processes)
    wrapped.train()
    with accelerator.autocast():
        pixels = state.model.preprocess.normalize(images)
        logits = wrapped(pixels, stop_gradient=recipe.stop_gradient)
    losses = exit_losses(logits, labels, recipe.label_smoothing)
    state.optimizer.zero_grad()
    accelerator.backward(losses.sum())
    if recipe.grad_clip:
        accelerator.clip_grad_norm_(wrapped.parameters(), recipe.grad_clip)
    state.optimizer.step()
    state.ema.update(state.model, step=state.step)
    return losses.detach()
