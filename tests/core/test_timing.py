"""Timing against a clock that is told what each stage costs: every number can be computed."""

import gc

import numpy as np
import pytest
import torch

from dvt_core import timing
from dvt_core.errors import InputError
from dvt_core.inference import classify
from dvt_core.solver import NEVER
from dvt_core.timing import FirstPass, PerImage, Timing, first_pass, measure

STAGE_S = (1.0, 10.0, 100.0)  # per image
CALL_S = 0.5  # per call of classify: what early exit cannot save


class Clock:
    """Time that passes only when a stage computes images; each pass of it may be slower."""

    def __init__(self, model, monkeypatch):
        self.now, self.slowness, self.model, self.calls = 0.0, 1.0, model, []
        for stage, cost in zip(model.stages, STAGE_S, strict=True):
            stage.register_forward_pre_hook(
                lambda module, args, cost=cost: self.tick(cost * len(args[0]))
            )
        monkeypatch.setattr(timing.time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(timing, "classify", self.classify)

    def tick(self, seconds: float) -> None:
        self.now += self.slowness * seconds

    def classify(self, model, images, thresholds):
        self.calls.append((tuple(thresholds), len(images), gc.isenabled()))
        self.tick(CALL_S)
        return classify(model, images, thresholds)


@pytest.fixture
def clock(tiny_model, monkeypatch) -> Clock:
    return Clock(tiny_model, monkeypatch)


def mixed(model, images) -> tuple[float, float]:
    """Thresholds under which every exit of these images is used."""
    first, second, _ = (e.detach().softmax(1).max(1).values for e in model(images))

    def between(values):  # no image stands on a threshold: batches round differently
        return float(values.sort().values[-4:-2].mean())

    t1 = between(first)
    return t1, between(second[first < t1])


def exits_of(model, images, thresholds) -> np.ndarray:
    return np.array([p.exit_index for p in classify(model, images, thresholds)])


@pytest.mark.parametrize("batch_size", [1, 2, 4, 9])
def test_measure_gives_the_times_shares_and_macs_of_these_images(
    tiny_model, images, batch_size, monkeypatch
):
    thresholds = mixed(tiny_model, images)
    n = len(images) // batch_size * batch_size
    exits = exits_of(tiny_model, images[:n], thresholds)
    Clock(tiny_model, monkeypatch)
    got = measure(tiny_model, images, thresholds, batch_size=batch_size, repeats=4)
    calls = CALL_S / batch_size
    adaptive = np.cumsum(STAGE_S)[exits].mean() + calls
    assert got.adaptive.median == pytest.approx(1000 * adaptive)
    assert got.full.median == pytest.approx(1000 * (sum(STAGE_S) + calls))
    assert got.adaptive.p10 == pytest.approx(got.adaptive.p90)  # an even clock: no spread
    assert got.adaptive.images_per_s == pytest.approx(1 / adaptive)
    assert got.exit_shares == pytest.approx(np.bincount(exits, minlength=3) / n)
    assert got.macs == pytest.approx(np.array(tiny_model.exit_macs)[exits].mean())
    assert got.full_macs == tiny_model.exit_macs[-1]
    assert (got.batch_size, got.images, got.repeats) == (batch_size, n, 4)
    assert got.mac_ratio == pytest.approx(tiny_model.exit_macs[-1] / got.macs)
    assert got.time_ratio == pytest.approx((sum(STAGE_S) + calls) / adaptive)
    spared_macs, spared_time = 1 - got.macs / got.full_macs, 1 - adaptive / (sum(STAGE_S) + calls)
    assert got.real_share == pytest.approx(spared_time / spared_macs)
    assert got.threads == torch.get_num_threads() and "CPU" in got.device


def test_measure_takes_median_and_percentiles_of_the_repetitions(tiny_model, images, clock):
    slowness = [7.0, 1.0, 1.5, 4.0, 2.0, 1.2]  # the warm-up first, which must not count
    passes = iter(slowness[1:])
    clock.slowness = slowness[0]
    once = sum(STAGE_S) + CALL_S

    def next_pass(done, total):
        assert total == len(slowness)
        clock.slowness = next(passes, 0.0)

    got = measure(tiny_model, images, NEVER, batch_size=1, repeats=5, progress=next_pass)
    wanted = 1000 * once * np.array(slowness[1:])
    for side in (got.adaptive, got.full):
        assert side.median == pytest.approx(np.median(wanted))
        assert side.p10 == pytest.approx(np.percentile(wanted, 10))
        assert side.p90 == pytest.approx(np.percentile(wanted, 90))
    assert got.time_ratio == pytest.approx(1) and got.mac_ratio == 1 and got.real_share is None


def test_measure_takes_turns_so_that_drift_hits_both(tiny_model, images, clock):
    """A B, B A, ... on every slice; a machine that slows down steadily shifts no ratio."""
    limits = (0.0, 0.0)
    measure(tiny_model, images[:4], limits, batch_size=1, repeats=2)
    order = "".join("A" if thresholds == limits else "B" for thresholds, _, _ in clock.calls)
    assert order == "ABBAABBA" + "ABBAABBA" + "BAABBAAB"

    def drifting(model, images, thresholds):
        clock.slowness *= 1.002
        return clock.classify(model, images, thresholds)

    timing.classify = drifting  # the fixture's monkeypatch puts it back
    got = measure(tiny_model, images, (NEVER, NEVER), batch_size=1, repeats=6)
    assert got.time_ratio == pytest.approx(1, abs=0.003)  # not 1.002 to one side


def test_measure_works_in_slices_and_each_is_short(tiny_model, images, clock, monkeypatch):
    monkeypatch.setattr(timing, "SLICE_S", 3.2 * (sum(STAGE_S) + CALL_S))
    sizes, seconds = [], []

    def run(function, *args):
        before = clock.now
        result = function(*args)
        if function is timing.timed:
            sizes.append(len(args[1]))
            seconds.append(clock.now - before)
        return result

    measure(tiny_model, images, NEVER, batch_size=1, repeats=2, run=run)
    assert sizes == [1] * 18 + [3] * 12 and max(seconds) <= timing.SLICE_S


def test_measure_stops_at_its_limit_but_not_before_three(tiny_model, images, clock):
    one = 2 * len(images) * (sum(STAGE_S) + CALL_S)  # a pass, both sides
    for limit, wanted in ((0.0, 3), (4.5 * one, 4), (1e9, 8)):
        got = measure(tiny_model, images, NEVER, batch_size=1, repeats=8, limit_s=limit)
        assert got.repeats == wanted


def test_measure_reports_every_pass_and_can_be_ended(tiny_model, images):
    seen = []
    measure(
        tiny_model, images, 0.5, batch_size=9, repeats=3, progress=lambda *step: seen.append(step)
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(tiny_model, images, 0.5, batch_size=9, repeats=3, progress=stop)


@pytest.mark.parametrize("is_on", [True, False])
def test_measure_leaves_the_garbage_collector_as_it_was(tiny_model, images, clock, is_on):
    try:
        gc.enable() if is_on else gc.disable()
        measure(tiny_model, images, 0.5, batch_size=3, repeats=1)
        assert gc.isenabled() is is_on
        with pytest.raises(InputError):
            timing.timed(tiny_model.train(), images.split(3), (0.5, 0.5))
        assert gc.isenabled() is is_on
    finally:
        gc.enable()
    assert not any(was_on for _, _, was_on in clock.calls)


def test_real_time_of_a_real_model_is_a_time(tiny_model, images):
    got = measure(tiny_model, images, 0.0, batch_size=3, repeats=5)
    assert 0 < got.adaptive.p10 <= got.adaptive.median <= got.adaptive.p90 < 1000
    assert got.exit_shares == (1.0, 0.0, 0.0) and got.macs == tiny_model.exit_macs[0]
    assert got.time_ratio > 1  # two of three stages are left out


def timing_of(adaptive: float, full: float, macs: float) -> Timing:
    sides = (PerImage(adaptive, adaptive, adaptive), PerImage(full, full, full))
    return Timing(1, 9, 3, *sides, (1.0,), macs, 100, "CPU", 1)


@pytest.mark.parametrize(
    ("adaptive", "macs", "share"),
    [(50, 50, 1.0), (75, 50, 0.5), (100, 50, 0.0), (110, 50, -0.2), (90, 100, None)],
    ids=["all of it", "half", "nothing", "slower", "nothing to save"],
)
def test_real_share_is_spared_time_over_spared_macs(adaptive, macs, share):
    got = timing_of(adaptive, 100, macs).real_share
    assert got is None if share is None else got == pytest.approx(share)


@pytest.mark.parametrize(("batch_size", "n"), [(1, 4), (2, 4), (3, 3), (7, 7)])
def test_first_pass_gives_seconds_per_image(tiny_model, images, monkeypatch, batch_size, n):
    thresholds = mixed(tiny_model, images)
    exits = exits_of(tiny_model, images[:n], thresholds)
    clock = Clock(tiny_model, monkeypatch)
    got = first_pass(tiny_model, images, thresholds, batch_size=batch_size)
    assert got.full_s == pytest.approx(sum(STAGE_S) + CALL_S / batch_size)
    assert got.adaptive_s == pytest.approx(np.cumsum(STAGE_S)[exits].mean() + CALL_S / batch_size)
    assert {size for _, size, _ in clock.calls} == {batch_size}


@pytest.mark.parametrize("batch_size", [1, 16])
@pytest.mark.parametrize("full_s", [0.001, 0.01, 0.03, 0.05, 0.2, 2.0])
def test_images_within_is_the_largest_number_that_fits(batch_size, full_s):
    cost, budget, available = FirstPass(full_s / 2, full_s), 5.0, 64
    fits = [
        n
        for n in range(0, available + 1, batch_size)
        if n * 1.5 * full_s * 4 <= budget and batch_size * full_s <= 1
    ]
    assert cost.images_within(budget, batch_size, available) == max(fits, default=0)


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"batch_size": 0, "repeats": 1}, "batch_size is 0 and repeats is 1"),
        ({"batch_size": 1, "repeats": 0}, "both must be at least 1"),
        ({"batch_size": 10, "repeats": 1}, "got 9 images, expected at least one batch of 10"),
    ],
)
def test_measure_says_what_it_expects(tiny_model, images, kwargs, words):
    with pytest.raises(InputError, match=words):
        measure(tiny_model, images, 0.5, **kwargs)


def test_first_pass_needs_a_batch(tiny_model, images):
    with pytest.raises(InputError, match="got 0 images, expected at least 1"):
        first_pass(tiny_model, images[:0], 0.5)
