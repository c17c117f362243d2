"""What the cascade is worth: against static baselines, and without its reuse.

A model folder may hold, beside its own tables,
    baselines/GRID/     exit tables of the plain model on each token grid, trained alone
    ablation/VARIANT/   exit tables of the cascade with neither, one or both reuses
each with recipe and log. Baselines were trained with the model's own recipe, epochs and data; the
runs of an ablation share one recipe, which may have a shorter schedule. Thresholds are
solved on calibration tables only; what is claimed is shown on test tables.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dvt_core.bundle import Bundle
from dvt_core.errors import InputError
from dvt_core.exit_table import ExitTable
from dvt_core.solver import Front
from dvt_core.thresholds import OperatingPoint, exit_indices, replay

BASELINES, ABLATION = "baselines", "ablation"
VARIANT_WORDS = {
    "neither": "no reuse",
    "features": "feature reuse only",
    "relations": "relation reuse only",
    "both": "both",
}
VARIANTS = tuple(VARIANT_WORDS)  # place: feature_reuse + 2 * relation_reuse
SPLITS = ("calibration", "test")
LOG_FILES = ("recipe.toml", "training.csv", "curves.png")
_EXPECTED = {"name", "title", "only_stage", "model_options"}
_RESAMPLES, _SEED = 1000, 2105


@dataclass(frozen=True, eq=False)
class Baseline:
    """A plain model of one exit; `name` is its grid, for instance "8x8"."""

    name: str
    calibration: ExitTable
    test: ExitTable

    @property
    def macs(self) -> int:
        """Multiply-accumulates per image."""
        return self.test.info.exit_macs[0]

    @property
    def accuracy(self) -> float:
        """Share of test images answered right, 0..1."""
        return self.test.exit_accuracy[0]


@dataclass(frozen=True)
class Spread:
    """Mean, standard deviation and 95 % interval over bootstrap resamples of the test images."""

    mean: float
    std: float
    low: float
    high: float

    @classmethod
    def of(cls, values: np.ndarray) -> Spread:
        """The spread of (resamples,) values."""
        low, high = np.percentile(values, (2.5, 97.5))
        return cls(float(values.mean()), float(values.std()), float(low), float(high))


@dataclass(frozen=True)
class Saving:
    """What the cascade spends at the accuracy of a static baseline.

    Attributes:
        baseline: its name.
        baseline_accuracy: on test, 0..1.
        baseline_macs: per image.
        point: the cheapest solved point as accurate as the baseline *on calibration*; accuracy,
            macs and shares are those on test.
        times_fewer: baseline_macs / point.macs.
        times_fewer_spread, gain_spread: of `times_fewer`, and of the accuracy above the
            baseline's, 0..1, over resamples of the test images.
        read_off: the cheapest solved point as accurate as the baseline *on test*, as one reads a
            published curve; None if there is none.
        read_off_times: baseline_macs / read_off.macs, 0 where there is none.
        read_off_spread: of `read_off_times`; resamples without such a point count as 0.
    """

    baseline: str
    baseline_accuracy: float
    baseline_macs: int
    point: OperatingPoint
    times_fewer: float
    times_fewer_spread: Spread
    gain_spread: Spread
    read_off: OperatingPoint | None
    read_off_times: float
    read_off_spread: Spread


@dataclass(frozen=True, eq=False)
class Study:
    """What lies beside a model; all may be empty.

    Attributes:
        baselines: cheapest first.
        ablation: variant -> (calibration, test) tables, in the order of `VARIANTS`.
        ablation_epochs: schedule of its runs, which may be shorter than the model's; 0 unknown.
    """

    baselines: tuple[Baseline, ...]
    ablation: dict[str, tuple[ExitTable, ExitTable]]
    ablation_epochs: int


def variant_of(bundle: Bundle) -> str:
    """Which reuses a cascade has, as one of `VARIANTS`."""
    return VARIANTS[bundle.config.feature_reuse + 2 * bundle.config.relation_reuse]


def load_study(bundle: Bundle) -> Study:
    """Reads what lies beside a model.

    Raises:
        InputError: a table is damaged, or of other images than the model's.
    """
    own = {split: bundle.table(split) for split in SPLITS if bundle.has_table(split)}
    if len(own) < len(SPLITS):
        return Study((), {}, 0)
    # a hidden one is being written
    folders = sorted(path for path in (bundle.path / BASELINES).glob("[!.]*") if path.is_dir())
    baselines = [Baseline(path.name, *_tables(path, own)) for path in folders]
    ablation = {
        variant: _tables(bundle.path / ABLATION / variant, own)
        for variant in VARIANTS
        if (bundle.path / ABLATION / variant).is_dir()
    }
    epochs = {_epochs(bundle.path / ABLATION / variant) for variant in ablation}
    if len(epochs) > 1:
        raise InputError(
            f"the ablation in {bundle.path} mixes schedules of {sorted(epochs)} epochs; attach "
            "runs of one recipe"
        )
    return Study(
        tuple(sorted(baselines, key=lambda b: b.macs)), ablation, epochs.pop() if epochs else 0
    )


def _epochs(folder: Path) -> int:
    """Of the recipe beside the tables, 0 if there is none or it does not say."""
    epochs = _recipe(folder / LOG_FILES[0]).get("epochs", 0)
    return epochs if isinstance(epochs, int) else 0


def _recipe(path: Path) -> dict[str, Any]:
    """What a stored recipe says, as it stands; empty where there is none."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise InputError(f"the recipe {path} is damaged: {error}") from error


def _tables(folder: Path, own: dict[str, ExitTable]) -> tuple[ExitTable, ExitTable]:
    tables = []
    for split, mine in own.items():
        table = ExitTable.load(folder / f"{split}.parquet")
        if not np.array_equal(table.indices, mine.indices) or table.info.data != mine.info.data:
            raise InputError(
                f"{folder / split}.parquet is of other images than the model's own table; "
                "compare runs that were evaluated on the same data"
            )
        tables.append(table)
    return tables[0], tables[1]


def recipe_differences(model: Bundle, folder: Path) -> dict[str, tuple[Any, Any]]:
    """Options in which a run beside a model was trained otherwise: name -> (model's, run's).

    Names, titles and what makes it a baseline or a variant are left out; empty where a recipe is
    missing.
    """
    mine, theirs = (_recipe(path / LOG_FILES[0]) for path in (model.path, folder))
    if not mine or not theirs:
        return {}
    keys = sorted((mine.keys() | theirs.keys()) - _EXPECTED)
    return {k: (mine.get(k), theirs.get(k)) for k in keys if mine.get(k) != theirs.get(k)}


def saving(front: Front, test: ExitTable, baseline: Baseline) -> Saving | None:
    """What a cascade spends at the accuracy of `baseline`; None if it never gets there.

    Args:
        front: the cascade's thresholds, solved on its calibration table (`pareto_front`).
        test: the cascade's table on which it is shown.
        baseline: a static model with tables of the same images.
    """
    wanted = baseline.calibration.exit_accuracy[0]
    if wanted > front.points[-1].accuracy:
        return None
    chosen = front.at_accuracy(wanted)
    points = _thinned(front.points)
    right, macs = _per_image(test, [p.thresholds for p in (chosen, *points)])
    weights = np.random.default_rng(_SEED).multinomial(
        test.n, np.full(test.n, 1 / test.n), size=_RESAMPLES
    )
    weights = np.vstack((np.ones(test.n, dtype=np.int64), weights)).astype(np.float32)
    accuracy, cost = weights @ right.T / test.n, weights @ macs.T / test.n  # (resamples + 1, p)
    static = weights @ baseline.test.correct[:, 0].astype(np.float32) / test.n
    times = baseline.macs / cost
    reached = np.where(accuracy[:, 1:] >= static[:, None], times[:, 1:], 0.0)
    best = reached.max(axis=1)
    picked = int(reached[0].argmax())
    return Saving(
        baseline=baseline.name,
        baseline_accuracy=baseline.accuracy,
        baseline_macs=baseline.macs,
        point=replay(test, chosen.thresholds),
        times_fewer=float(baseline.macs / replay(test, chosen.thresholds).macs),
        times_fewer_spread=Spread.of(times[1:, 0]),
        gain_spread=Spread.of(accuracy[1:, 0] - static[1:]),
        read_off=replay(test, points[picked].thresholds) if best[0] else None,
        read_off_times=float(best[0]),
        read_off_spread=Spread.of(best[1:]),
    )


def _thinned(points: Sequence[OperatingPoint], count: int = 200) -> list[OperatingPoint]:
    """At most `count` of the points, evenly spread over the cost."""
    macs = np.array([point.macs for point in points])
    places = np.searchsorted(macs, np.linspace(macs[0], macs[-1], count), side="right") - 1
    return [points[i] for i in np.unique(places)]


def _per_image(
    table: ExitTable, settings: Sequence[tuple[float, ...]]
) -> tuple[np.ndarray, np.ndarray]:
    """(p, n) float32: whether each image is answered right, and what it costs."""
    macs = np.array(table.info.exit_macs, dtype=np.float32)
    rows = np.arange(table.n)
    exits = [exit_indices(table, thresholds) for thresholds in settings]
    right = np.stack([table.correct[rows, e] for e in exits]).astype(np.float32)
    return right, np.stack([macs[e] for e in exits])
