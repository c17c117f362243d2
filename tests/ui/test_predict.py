"""A picture's answers under many thresholds: as a fresh run gives them, from few runs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from app import cascade_runs, services
from dvt_core.inference import classify


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, ...]]:
    """The thresholds of every run of the model."""
    runs, quickest = [], cascade_runs._quickest

    def noted(model, image, thresholds, all_exits):
        runs.append(thresholds)
        return quickest(model, image, thresholds, all_exits)

    monkeypatch.setattr(cascade_runs, "_quickest", noted)
    cascade_runs._runs.clear()
    return runs


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_thresholds_gives_the_answers_of_fresh_runs(
    models_dir: Path, asked: list, seed: int
) -> None:
    bundle, rng = services.get_bundle("tiny"), np.random.default_rng(seed)
    model, config = bundle.load_model(), bundle.config
    shape = (1, config.in_chans, config.img_size, config.img_size)
    image = torch.from_numpy(rng.normal(size=shape).astype(np.float32))
    confidences = classify(model, image, 0.0, all_exits=True)[0].records
    # Around what the exits say: each stops sometimes, and equality stops.
    edges = [0.0, 1.0, *(r.confidence + d for r in confidences for d in (-1e-3, 0.0, 1e-3))]
    for _ in range(40):
        thresholds = tuple(map(float, rng.choice(edges, size=config.num_exits - 1)))
        all_exits = bool(rng.integers(2))
        got = cascade_runs.predict(
            bundle, f"picture {seed}", thresholds, all_exits=all_exits, _tensor=image
        )
        (fresh,) = classify(model, image, thresholds, all_exits=all_exits)
        assert (got.exit_index, got.thresholds) == (fresh.exit_index, fresh.thresholds)
        assert len(got.records) == len(fresh.records)
        for mine, theirs in zip(got.records, fresh.records, strict=True):
            assert np.array_equal(mine.probs, theirs.probs)
    assert len(asked) <= config.num_exits + 1  # once to each exit, once through all of them


def test_pictures_and_models_are_told_apart(models_dir: Path, asked: list) -> None:
    bundle = services.get_bundle("tiny")
    config = bundle.config
    shape = (1, config.in_chans, config.img_size, config.img_size)
    blank, bright = torch.zeros(shape), torch.ones(shape)
    never = (2.0,) * (config.num_exits - 1)
    one = cascade_runs.predict(bundle, "a", never, all_exits=False, _tensor=blank)
    two = cascade_runs.predict(bundle, "b", never, all_exits=False, _tensor=bright)
    assert len(asked) == 2
    assert not np.array_equal(one.probs, two.probs)
