"""The one place for caches, the models and the worker that runs them.

Everything here is shared by all visitors: bundles and models are loaded once and never changed,
results are keyed by small hashable values and fetch the model inside.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import streamlit as st
import torch
from PIL import Image

from app.worker import Worker
from dvt_core.bundle import Bundle, bundled_dir, list_models, load_bundle
from dvt_core.errors import InputError
from dvt_core.exit_table import ExitTable
from dvt_core.images import Preprocess, open_image
from dvt_core.inference import classify
from dvt_core.model import DynamicViT
from dvt_core.results import Prediction
from dvt_core.solver import NEVER, Front, pareto_front
from dvt_core.thresholds import OperatingPoint, sweep

THREADS_ENV = "DVT_THREADS"
ORIGINAL_PX = 640
SOLVED_POINTS = 100  # of the solved front, which may have thousands, are drawn

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class View:
    """One picture, opened safely, as one model takes it.

    Attributes:
        original: RGB, at most `ORIGINAL_PX` on a side, for showing.
        size: (width, height) of the picture as it came, upright.
        seen: RGB, `img_size` x `img_size`, what the model sees.
        tensor: (1, 3, img_size, img_size) float32, normalised.
    """

    original: Image.Image
    size: tuple[int, int]
    seen: Image.Image
    tensor: torch.Tensor


@dataclass(frozen=True)
class Curve:
    """A model's trade-off on the test split, ready to draw.

    Attributes:
        shared: operating points of one shared threshold from 0 upwards.
        solved: the solved thresholds (from calibration) replayed on the test split.
        exits: (macs, accuracy) of every exit alone.
    """

    shared: tuple[OperatingPoint, ...]
    solved: tuple[OperatingPoint, ...]
    exits: tuple[tuple[float, float], ...]


def digest(data: bytes) -> str:
    """The name under which a picture's results are kept."""
    return hashlib.sha256(data).hexdigest()


@st.cache_resource(show_spinner=False)
def get_worker() -> Worker:
    """The inference worker, with `DVT_THREADS` torch threads (default 1: right when shared)."""
    threads = max(1, int(os.environ.get(THREADS_ENV, "1")))
    return Worker(setup=partial(torch.set_num_threads, threads))


def _identity(bundle: Bundle) -> tuple[str, str]:
    return str(bundle.path), bundle.weights_sha256


_KEYED: dict[str | type[Any], Callable[[Any], Any]] = {
    Bundle: _identity
}  # how the caches below tell models apart


def get_bundle(name: str) -> Bundle:
    """A bundled model by name; raises `InputError` when its folder is missing or damaged."""
    return _load_bundle(str(bundled_dir() / name))


@st.cache_resource(max_entries=16, show_spinner=False)
def _load_bundle(folder: str) -> Bundle:
    return load_bundle(folder)


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs=_KEYED)
def get_model(bundle: Bundle) -> DynamicViT:
    """The model itself, in eval mode, shared by everyone."""
    return bundle.load_model()


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=_KEYED)
def get_table(bundle: Bundle, split: str) -> ExitTable:
    """The stored per-image results of a model on "calibration" or "test"."""
    return bundle.table(split)


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=_KEYED)
def get_front(bundle: Bundle) -> Front:
    """All efficient settings of the thresholds, solved on the stored calibration table."""
    return pareto_front(get_table(bundle, "calibration"))


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=_KEYED)
def get_curve(bundle: Bundle) -> Curve:
    """The whole trade-off of a model, from its stored test table; the model is not called."""
    table = get_table(bundle, "test")
    solved = get_front(bundle).points
    step = max(1, len(solved) // SOLVED_POINTS)
    drawn = [point.thresholds for point in (*solved[:-1:step], solved[-1])]
    exits = zip(table.info.exit_macs, table.exit_accuracy, strict=True)
    return Curve(
        shared=sweep(table, np.append(np.linspace(0, 1, 101), NEVER)),
        solved=sweep(table, np.array(drawn)) if table.num_exits > 1 else (),
        exits=tuple((float(macs), float(accuracy)) for macs, accuracy in exits),
    )


@st.cache_resource(max_entries=64, show_spinner="Opening the picture", hash_funcs=_KEYED)
def get_view(bundle: Bundle, picture: str, _data: bytes) -> View:
    """A picture as the model takes it.

    Args:
        bundle: the model.
        picture: `digest` of the data.
        _data: the encoded image file.

    Raises:
        InputError: no image that can be opened safely.
    """
    image = open_image(_data)
    preprocess = Preprocess.from_config(bundle.config)
    original = image.copy()
    original.thumbnail((ORIGINAL_PX, ORIGINAL_PX))
    tensor = preprocess(image)[None]
    return View(original, image.size, preprocess.view(image), tensor)


@st.cache_data(max_entries=512, show_spinner="Running the cascade", hash_funcs=_KEYED)
def predict(
    bundle: Bundle,
    picture: str,
    thresholds: tuple[float, ...],
    *,
    all_exits: bool,
    _tensor: torch.Tensor,
) -> Prediction:
    """One picture through the cascade; it really stops unless all exits are asked for.

    Args:
        bundle: the model.
        picture: `digest` of the picture's data.
        thresholds: `num_exits - 1` numbers.
        all_exits: run every exit, also those after the one that answers.
        _tensor: (1, 3, H, W), from the picture's `View`.
    """
    model, run = get_model(bundle), get_worker().run
    return run(classify, model, _tensor, thresholds, all_exits=all_exits)[0]


def warm_up() -> None:
    """Loads every bundled model and its tables and runs each once, before anyone waits for it."""
    for name in list_models():
        try:
            bundle = get_bundle(name)
            config = bundle.config
            blank = torch.zeros(1, config.in_chans, config.img_size, config.img_size)
            for _ in range(2):
                get_worker().run(classify, get_model(bundle), blank, NEVER)
            get_curve(bundle)
        except InputError as error:
            logger.warning("model %s is not ready: %s", name, error)
