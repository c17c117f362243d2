"""Really stopping, against one image at a time and against the run of all exits."""

import numpy as np
import pytest

from dvt_core.errors import InputError
from dvt_core.inference import classify

THRESHOLDS = [(0.0, 0.0), (0.35, 0.45), (0.5, 0.4), (1.01, 0.45), (0.45, 1.01), (1.01, 1.01)]


def mixed(model, images) -> tuple[float, float]:
    """Thresholds under which every exit of these images is used."""
    first, second, _ = (e.detach().softmax(1).max(1).values for e in model(images))
    t1 = float(first.sort().values[-3])
    t2 = float(second[first < t1].sort().values[-3])
    return t1, t2


def expected_exits(model, images, thresholds) -> list[int]:
    """The rule, applied afterwards to the logits of all exits."""
    probs = [exit.softmax(1).max(1).values.tolist() for exit in model(images)]
    limits = (*thresholds, -1)
    return [
        next(e for e in range(len(limits)) if probs[e][i] >= limits[e]) for i in range(len(images))
    ]


def test_classify_uses_every_exit_and_matches_the_run_of_all_exits(tiny_model, images):
    thresholds = mixed(tiny_model, images)
    got = classify(tiny_model, images, thresholds)
    assert [p.exit_index for p in got] == expected_exits(tiny_model, images, thresholds)
    assert {p.exit_index for p in got} == {0, 1, 2}
    logits = tiny_model(images)
    for i, prediction in enumerate(got):
        want = logits[prediction.exit_index][i].softmax(0).detach().numpy()
        np.testing.assert_allclose(prediction.probs, want, atol=1e-5)
        assert len(prediction.records) == prediction.exit_index + 1


@pytest.mark.parametrize("thresholds", THRESHOLDS)
def test_classify_of_a_batch_equals_one_image_at_a_time(tiny_model, images, thresholds):
    together = classify(tiny_model, images, thresholds)
    for i, prediction in enumerate(together):
        alone = classify(tiny_model, images[i : i + 1], thresholds)[0]
        assert alone.exit_index == prediction.exit_index
        for a, b in zip(alone.records, prediction.records, strict=True):
            np.testing.assert_allclose(a.probs, b.probs, atol=1e-5)


def test_classify_really_stops(tiny_model, images):
    """A stage sees exactly the images that the exits before it were not sure about."""
    seen = []
    for stage in tiny_model.stages:
        stage.register_forward_pre_hook(lambda module, args: seen.append(len(args[0])))
    thresholds = mixed(tiny_model, images)
    exits = expected_exits(tiny_model, images, thresholds)
    seen.clear()
    classify(tiny_model, images, thresholds)
    assert seen == [sum(e >= stage for e in exits) for stage in range(3)]
    seen.clear()
    classify(tiny_model, images, 0.0)
    assert seen == [len(images)]


def test_asking_for_all_exits_moves_no_exit(tiny_model, images):
    thresholds = mixed(tiny_model, images)
    stopped = classify(tiny_model, images, thresholds)
    full = classify(tiny_model, images, thresholds, all_exits=True)
    for a, b in zip(stopped, full, strict=True):
        assert a.exit_index == b.exit_index and len(b.records) == 3
        assert a.macs == b.macs and len(b.visited) == len(a.records)
        np.testing.assert_allclose(a.probs, b.probs, atol=1e-5)


def test_relations_come_only_when_asked_for(tiny_model, tiny_config, images):
    plain = classify(tiny_model, images[:2], 1.01)[0]
    assert all(r.relations is None and r.reused_relations is None for r in plain.records)
    kept = classify(tiny_model, images[:2], 1.01, keep_relations=True)[1]
    for record, stage in zip(kept.records, tiny_config.stages, strict=True):
        n = stage.num_tokens
        assert record.relations.shape == (stage.depth, stage.num_heads, n, n)
        assert (record.reused_relations is None) == (record.exit_index == 0)


def test_records_carry_cost_and_time(tiny_model, images):
    prediction = classify(tiny_model, images[:1], 1.01)[0]
    assert tuple(r.macs for r in prediction.records) == tiny_model.exit_macs
    times = [r.milliseconds for r in prediction.records]
    assert times == sorted(times) and times[0] > 0


def test_an_empty_batch_gives_no_predictions(tiny_model, images):
    assert classify(tiny_model, images[:0], 0.5) == []


@pytest.mark.parametrize(
    "thresholds", [(0.5,), (0.1, 0.2, 0.3), (0.5, float("nan")), float("inf"), "high"]
)
def test_bad_thresholds_are_refused(tiny_model, images, thresholds):
    with pytest.raises(InputError, match="thresholds"):
        classify(tiny_model, images, thresholds)


def test_a_model_in_training_mode_is_refused(tiny_model, images):
    with pytest.raises(InputError, match="eval"):
        classify(tiny_model.train(), images, 0.5)
