"""The pictures of the lesson: the one in hand, and what the model says about all samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import streamlit as st
import torch

from app import services
from app.figures.exits import word
from app.intake.chooser import LOOKED_AT, last_picture
from app.intake.pictures import Picture, View, get_view
from dvt_core.bundle import Bundle
from dvt_core.inference import classify
from dvt_core.macs import exit_macs
from dvt_core.samples import Sample, list_samples
from dvt_core.solver import NEVER

SLICE_MACS = 1.5e9  # of one turn of the worker: below 0.3 s on one core of ours
ALL_MACS = 30e9  # of all samples together: a large model is asked about fewer
FEWEST = 6
ENOUGH = 8  # samples of the model's own classes, to leave the others aside


@dataclass(frozen=True, eq=False)
class SampleRuns:
    """What every exit said about the samples.

    Attributes:
        pictures: in the samples' order.
        confidences: (n, E) in [0, 1].
        labels: (n, E) class indices.
    """

    pictures: tuple[Picture, ...]
    confidences: np.ndarray
    labels: np.ndarray


def picture_in_hand(bundle: Bundle) -> tuple[Picture, View]:
    """The picture last looked at anywhere, opened for this model."""
    picture = last_picture(bundle)
    return picture, get_view(bundle, picture)


def take_next_sample(bundle: Bundle) -> None:
    """Puts the next sample in hand, on every page."""
    samples = [sample_picture(sample) for sample in _samples(bundle)]
    contents = [picture.content for picture in samples]
    now = last_picture(bundle).content
    place = contents.index(now) + 1 if now in contents else 0
    st.session_state[LOOKED_AT] = samples[place % len(samples)]


def _samples(bundle: Bundle) -> tuple[Sample, ...]:
    """Those of the model's own classes; all if these are few."""
    samples = list_samples(bundle.class_names)
    words = {word(name).lower() for name in bundle.class_names}
    known = tuple(sample for sample in samples if word(sample.label).lower() in words)
    return known if len(known) >= ENOUGH else samples


@lru_cache(maxsize=64)
def sample_picture(sample: Sample) -> Picture:
    """A built-in sample as a picture of the app."""
    origin = f"{sample.source}, {sample.licence}"
    return Picture(sample.path.read_bytes(), sample.title, origin, sample.label)


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs=services.BY_WEIGHTS)
def get_sample_runs(bundle: Bundle) -> SampleRuns:
    """Runs all exits on the samples, once per model.

    Raises:
        InputError: no samples, or the model cannot be loaded.
    """
    count = max(FEWEST, int(ALL_MACS / exit_macs(bundle.config)[-1]))
    pictures = tuple(map(sample_picture, _samples(bundle)[:count]))
    said = list(_run(bundle, pictures))
    return SampleRuns(
        pictures,
        np.array([[confidence for confidence, _ in one] for one in said]),
        np.array([[label for _, label in one] for one in said]),
    )


def _run(bundle: Bundle, pictures: tuple[Picture, ...]) -> Iterator[list[tuple[float, int]]]:
    """(confidence, label) of every exit for each picture, in small turns of the worker."""
    model, worker = services.get_model(bundle), services.get_worker()
    step = max(1, int(SLICE_MACS / exit_macs(bundle.config)[-1]))
    for start in range(0, len(pictures), step):
        views = [get_view(bundle, picture).tensor for picture in pictures[start : start + step]]
        for one in worker.run(classify, model, torch.cat(views), NEVER, all_exits=True):
            yield [(record.confidence, record.label) for record in one.records]
