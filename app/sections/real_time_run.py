"""What is measured for "real time", and on which pictures.

The model runs in the inference worker in slices of a fraction of a second, so other people's
pictures get their turn in between.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from app import services
from app.figures.exits import word
from app.intake.dataset_fetch import find_test_images, open_test_images
from app.language import say
from app.work.job_panel import is_crowded
from app.work.jobs import Job
from app.work.slices import patient_run
from dvt_core.bundle import Bundle
from dvt_core.data_sources import DATASETS
from dvt_core.errors import InputError
from dvt_core.images import Preprocess, open_image
from dvt_core.model import DynamicViT
from dvt_core.samples import list_samples
from dvt_core.timing import LONGEST_BATCH_S, Progress, Timing, first_pass, measure

BATCH_SIZES = (1, 16)
IMAGES, REPEATS = 64, 15  # at most
LEAST_IMAGES = 4
LIMIT_S = 4.0  # for each batch size
IMAGENET = "imagenet-1k"

Run = Callable[..., Any]  # the worker's: calls a function with its arguments on its own thread


@dataclass(frozen=True)
class Measured:
    """One press of the button: numbers and words only.

    Attributes:
        timings: one per batch size that was measured.
        source: what the images were.
        date: local date and time.
    """

    timings: tuple[Timing, ...]
    source: str
    date: str


def about_seconds() -> float:
    """How long it takes on a computer that does nothing else."""
    return len(BATCH_SIZES) * LIMIT_S + 2


def measuring(bundle: Bundle, thresholds: tuple[float, ...]) -> Callable[[Job], Measured]:
    """The work: a first pass over a few images, then every batch size that can be done in time.

    Everything of the session, words too, is taken here; the work runs in the queue.

    Args:
        bundle: the model.
        thresholds: those in force.

    Raises:
        InputError: there are no pictures that can be opened.
    """
    images, source = _pictures(bundle)
    model, worker = services.get_model(bundle), services.get_worker()
    words = [_words(size) for size in BATCH_SIZES]

    def work(job: Job) -> Measured:
        timings: list[Timing] = []
        run = patient_run(job, worker.run_while, is_crowded)
        for index, size in enumerate(BATCH_SIZES):
            tell = _progress(job, index, words[index])
            part = _share(model, run, thresholds, images, size, timings)
            if len(part):
                options = {"batch_size": size, "repeats": REPEATS, "limit_s": LIMIT_S}
                timings.append(measure(model, part, thresholds, **options, progress=tell, run=run))
        date = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
        return Measured(tuple(timings), source, date)

    return work


def _words(size: int) -> str:
    seconds = f"{LIMIT_S:.0f}"
    if size == 1:
        return say("one picture at a time, about {seconds} s", seconds=seconds)
    return say("{n} pictures at a time, about {seconds} s", n=size, seconds=seconds)


def _progress(job: Job, index: int, words: str) -> Progress:
    """Moves the bar while one of `BATCH_SIZES` is measured; lets a cancelled job end."""
    began = time.perf_counter()

    def tell(done: int, passes: int) -> None:
        here = max(done / passes, (time.perf_counter() - began) / LIMIT_S)
        job.step((index + min(1.0, here)) / len(BATCH_SIZES), words)

    tell(0, 1)
    return tell


def _share(
    model: DynamicViT,
    run: Run,
    thresholds: tuple[float, ...],
    images: torch.Tensor,
    batch_size: int,
    before: list[Timing],
) -> torch.Tensor:
    """As many images as can be measured in time, by a first pass over a few; maybe none."""
    too_slow = 2000 * LONGEST_BATCH_S  # ms; a batch takes less per image than one alone
    if len(images) < batch_size or any(batch_size * t.full.median > too_slow for t in before):
        return images[:0]
    cost = first_pass(model, images, thresholds, batch_size=batch_size, run=run)
    if before:  # the same pictures as one at a time, if they fill a batch
        available = max(batch_size, before[0].images)
        return images[: cost.images_within(LIMIT_S, batch_size, min(available, len(images)))]
    count, full_batch = cost.images_within(LIMIT_S, 1, len(images)), BATCH_SIZES[-1]
    if count < full_batch <= min(len(images), cost.images_within(1.5 * LIMIT_S, 1, len(images))):
        count = full_batch
    if count >= full_batch:
        return images[: count // full_batch * full_batch]
    return images[: max(count, LEAST_IMAGES)]  # a few, however slow the model is


def _pictures(bundle: Bundle) -> tuple[torch.Tensor, str]:
    """(n, 3, S, S) normalised, and what they are: test images, or the built-in samples.

    Nothing is downloaded: only a data set that lies on this machine is taken.
    """
    preprocess = Preprocess.from_config(bundle.config)
    name = _data_name(bundle)
    why = say("built-in samples, as the test images are not on this machine")
    folder = find_test_images(name) if name in DATASETS else None
    if folder is not None:
        try:
            split = open_test_images(name, folder)
            if len(split) > IMAGES:
                split = split.subset(np.arange(IMAGES) * len(split) // IMAGES)
            arrays = torch.from_numpy(split.arrays(preprocess, threads=1))
            return preprocess.normalize(arrays), say("test images of {data}", data=split.title)
        except InputError as error:
            why = say("built-in samples, as the test images cannot be used: {error}", error=error)
    known = {word(label).lower() for label in bundle.class_names}
    samples = list_samples(bundle.class_names)
    fitting = [sample for sample in samples if word(sample.label).lower() in known] or samples
    tensors = [preprocess(open_image(sample.path)) for sample in fitting[:IMAGES]]
    return torch.stack(tensors), why


def _data_name(bundle: Bundle) -> str:
    """The data set whose test images the model was measured on."""
    if bundle.has_table("test"):
        return services.get_table(bundle, "test").info.data
    is_imagenet = bundle.config.num_classes == DATASETS[IMAGENET].num_classes
    return IMAGENET if is_imagenet else ""
