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
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
import torch

from app.benchmarks.imagenet import Benchmark, load_benchmark
from app.once_per_run import once_per_run
from app.serving.watched_work import WatchedWorker
from app.work.worker import Worker
from dvt_core.authors import AUTHORS
from dvt_core.bundle import CONFIG, WEIGHTS, Bundle, bundled_dir, list_models, load_bundle
from dvt_core.config import DVTConfig
from dvt_core.criteria import CriteriaPoint, criteria_curve
from dvt_core.errors import InputError
from dvt_core.exit_table import ExitTable
from dvt_core.inference import classify
from dvt_core.macs import exit_macs
from dvt_core.model import DynamicViT, build_model
from dvt_core.paper import PaperPoint, load_paper_results
from dvt_core.reliability import RELIABILITY
from dvt_core.solver import NEVER, Front, pareto_front
from dvt_core.study import ABLATION, BASELINES, Saving, Study, load_study, saving
from dvt_core.thresholds import OperatingPoint, sweep

THREADS_ENV = "DVT_THREADS"
TABLES = ("calibration", "test")
FILES = (CONFIG, WEIGHTS, AUTHORS, RELIABILITY, *(f"{split}.parquet" for split in TABLES))
SOLVED_POINTS = 100  # of the solved front, which may have thousands, are drawn

logger = logging.getLogger(__name__)


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


@st.cache_resource(show_spinner=False)
def get_worker() -> Worker:
    """The inference worker, with `DVT_THREADS` torch threads (default 1: right when shared)."""
    threads = max(1, int(os.environ.get(THREADS_ENV, "1")))
    return WatchedWorker(setup=partial(torch.set_num_threads, threads))


# Keys of caches are single strings: Streamlit takes many times longer to hash a nested tuple.
@lru_cache(maxsize=64)
def _weights(bundle: Bundle) -> str:
    """The same weights under another description, such as other heads, are another model."""
    return repr((str(bundle.path), bundle.weights_sha256, bundle.config, bundle.class_names))


@once_per_run
def _stamp(folder: Path) -> str:
    """Sizes and times of a model folder's files; changes when one is added, replaced or moved."""
    compared = sorted(path for part in (BASELINES, ABLATION) for path in folder.glob(f"{part}/*/*"))
    files = (*(folder / name for name in FILES), *compared)
    return repr([(str(path), _size_and_time(path)) for path in files])


def _size_and_time(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:  # absent or closed; whoever opens it says so
        return None
    return stat.st_size, stat.st_mtime_ns


@once_per_run
def _files(bundle: Bundle) -> str:
    return hashlib.sha256((_weights(bundle) + _stamp(bundle.path)).encode()).hexdigest()


# How the caches below tell models apart: what needs the weights alone outlives new tables.
BY_WEIGHTS: dict[str | type[Any], Callable[[Any], Any]] = {Bundle: _weights}
BY_FILES: dict[str | type[Any], Callable[[Any], Any]] = {Bundle: _files}


def signature(bundle: Bundle) -> str:
    """Changes with any file of a model folder; tells the browser whether its copy is the same."""
    return _files(bundle)


def get_bundle(model: str) -> Bundle:
    """A bundled model by name, or a model folder by its absolute path, as it is on disk now.

    Raises:
        InputError: the folder is missing or damaged.
    """
    folder = bundled_dir() / model  # an absolute path stays itself
    try:
        return _load_bundle(str(folder), _stamp(folder))
    except OSError as error:  # a path that the system refuses: too long, or not ours to read
        raise InputError(f"{folder} cannot be opened: {error.strerror}") from error


@st.cache_resource(max_entries=16, show_spinner=False)
def _load_bundle(folder: str, stamp: str) -> Bundle:
    return load_bundle(folder)


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs=BY_WEIGHTS)
def get_model(bundle: Bundle) -> DynamicViT:
    """The model itself, in eval mode, shared by everyone."""
    return bundle.load_model()


@lru_cache(maxsize=64)
def count_parameters(config: DVTConfig) -> int:
    """How many weights a model has, frozen ones included; none are made."""
    with torch.device("meta"):
        return sum(weight.numel() for weight in build_model(config).parameters())


def has_tables(bundle: Bundle) -> bool:
    """Whether the folder holds both exit tables, without which nothing can be replayed."""
    return all(bundle.has_table(split) for split in TABLES)


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=BY_FILES)
def get_table(bundle: Bundle, split: str) -> ExitTable:
    """The stored per-image results of a model on "calibration" or "test"."""
    return bundle.table(split)


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=BY_FILES)
def get_front(bundle: Bundle) -> Front:
    """All efficient settings of the thresholds, solved on the stored calibration table."""
    return pareto_front(get_table(bundle, "calibration"))


def get_authors_front(bundle: Bundle) -> Front | None:
    """The authors' stored points that no cheaper one beats, or None if there are none to use.

    Their `exit_shares` are empty: the authors did not store them.
    """
    best: list[OperatingPoint] = []
    for point in bundle.authors.points if bundle.authors else ():
        if point.thresholds and (not best or point.accuracy > best[-1].accuracy):
            if best and point.macs == best[-1].macs:
                best.pop()
            best.append(OperatingPoint(point.thresholds, point.accuracy, point.macs, ()))
    return Front(tuple(best), is_exact=False) if best else None


def get_authors_exits(bundle: Bundle) -> tuple[tuple[float, float], ...]:
    """(macs, accuracy) of every exit alone, as the authors stored them; empty without them.

    Raises:
        InputError: they are not one per exit.
    """
    results, ours = bundle.authors, exit_macs(bundle.config)
    if results is None or not results.exit_accuracy:
        return ()
    costs = results.exit_macs or ours
    if not len(costs) == len(results.exit_accuracy) == len(ours):
        raise InputError(f"{bundle.path / AUTHORS} does not have numbers for {len(ours)} exits")
    return tuple(zip(costs, results.exit_accuracy, strict=True))


@st.cache_resource(show_spinner=False)
def get_paper() -> tuple[PaperPoint, ...]:
    """The paper's own numbers."""
    return load_paper_results()


def get_benchmark() -> Benchmark:
    """Speed that this project measured; empty if it has not been."""
    return load_benchmark()


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=BY_FILES)
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


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=BY_FILES)
def get_study(bundle: Bundle) -> Study:
    """Static baselines and ablation beside a model; empty where there are none."""
    return load_study(bundle)


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=BY_FILES)
def get_savings(bundle: Bundle) -> tuple[Saving | None, ...]:
    """What the cascade spends at the accuracy of each static baseline; None: out of reach."""
    solved = get_front(bundle), get_table(bundle, "test")
    return tuple(saving(*solved, each) for each in get_study(bundle).baselines)


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=BY_FILES)
def get_criteria(bundle: Bundle) -> tuple[CriteriaPoint, ...]:
    """What exits could ask instead of their confidence, at equal exit shares."""
    return criteria_curve(get_table(bundle, "calibration"), get_table(bundle, "test"))


def warm_up() -> None:
    """Loads every bundled model and its tables and runs each once, before anyone waits for it."""
    for name in list_models():
        try:
            bundle = get_bundle(name)
            config = bundle.config
            blank = torch.zeros(1, config.in_chans, config.img_size, config.img_size)
            for _ in range(2):
                get_worker().run(classify, get_model(bundle), blank, NEVER)
            if has_tables(bundle):
                get_curve(bundle)
        except InputError as error:
            logger.warning("model %s is not ready: %s", name, error)
