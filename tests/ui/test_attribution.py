"""Attributions against the formulas written out, and a model that is left as it was."""

import numpy as np
import pytest
import torch
from PIL import Image

from app import attribution
from app.attribution import (
    GRAD_CAM,
    GRADIENTS,
    METHODS,
    OCCLUSION,
    WINDOWS_PER_SIDE,
    attribute,
    count_macs,
    estimate_seconds,
    exit_logits,
    window_px,
)
from app.figures.attribution import full_colour, likeness, overlay, scale_bar, spearman, strength
from app.work.worker import Worker
from dvt_core.errors import InputError
from dvt_core.macs import exit_macs
from dvt_core.model import DynamicViT

TARGETS = (2, 0, 5)


def call(function, *args):
    return function(*args)


@pytest.fixture
def model(tiny_model: DynamicViT) -> DynamicViT:
    return tiny_model.requires_grad_(False)


@pytest.fixture
def image(images: torch.Tensor) -> torch.Tensor:
    return images[:1]


def logit(model: DynamicViT, image: torch.Tensor, index: int) -> torch.Tensor:
    """By the cascade's own forward, all exits of it."""
    return model(image)[index][0, TARGETS[index]]


def test_exit_logits_are_the_cascades(model, images):
    for index, wanted in enumerate(model(images)):
        torch.testing.assert_close(exit_logits(model, images, index), wanted)


@pytest.mark.parametrize("batch", (1, 5, 16))  # 16 = 3 * 5 + 1: the last part is one step
def test_integrated_gradients_match_the_formula(model, image, monkeypatch, batch):
    steps = 16
    monkeypatch.setattr(attribution, "STEPS", steps)
    monkeypatch.setattr(attribution, "_batch", lambda *args: batch)
    for index, found in enumerate(attribute(model, image, TARGETS, GRADIENTS, run=call)):
        total = torch.zeros_like(image, dtype=torch.float64)
        for step in range(steps):
            at = (image * ((step + 0.5) / steps)).requires_grad_()
            (gradient,) = torch.autograd.grad(logit(model, at, index), at)
            total += gradient
        wanted = (image * total / steps)[0].sum(dim=0).numpy()
        np.testing.assert_allclose(found.values, wanted, atol=2e-5)
        assert np.abs(wanted).max() > 0.01


def test_integrated_gradients_sum_to_the_difference_of_the_logits(model, image):
    for index, found in enumerate(attribute(model, image, TARGETS, GRADIENTS, run=call)):
        ends = [float(logit(model, at, index)) for at in (image, torch.zeros_like(image))]
        assert (found.logit, found.baseline_logit) == pytest.approx(ends, abs=1e-5)
        assert found.delta == pytest.approx(found.values.sum() - (ends[0] - ends[1]), abs=1e-4)
        assert abs(found.delta) < 0.01 * np.abs(found.values).sum()


def test_occlusion_matches_one_window_at_a_time(model, image):
    size, stride = window_px(model.config.img_size)
    starts = range(0, model.config.img_size - size + 1, stride)
    assert len(starts) == WINDOWS_PER_SIDE
    for index, found in enumerate(attribute(model, image, TARGETS, OCCLUSION, run=call)):
        fall, covered, whole = np.zeros((16, 16)), np.zeros((16, 16)), logit(model, image, index)
        for top in starts:
            for left in starts:
                window = np.s_[top : top + size, left : left + size]
                changed = image.clone()
                changed[(..., *window)] = 0
                fall[window] += float(whole - logit(model, changed, index))
                covered[window] += 1
        np.testing.assert_allclose(found.values, fall / covered, atol=1e-5)
        assert found.logit == pytest.approx(float(whole), abs=1e-5) and found.delta is None


def test_grad_cam_matches_autograd_written_out(model, image):
    borders = ([0, 8, 16], [0, 5, 11, 16], [0, 4, 8, 12, 16])  # stage 2 has padded patches
    for index, found in enumerate(attribute(model, image, TARGETS, GRAD_CAM, run=call)):
        kept = []
        hook = (
            model.stages[index]
            .blocks[-1]
            .norm1.register_forward_hook(lambda module, inputs, out, kept=kept: kept.append(out))
        )
        value = logit(model, image.clone().requires_grad_(), index)
        hook.remove()
        (gradient,) = torch.autograd.grad(value, kept[0])
        weights = gradient[0, 1:].mean(dim=0)
        tokens = (kept[0][0, 1:] @ weights).clamp(min=0).detach().numpy()
        grid = model.config.stages[index].grid_size
        wanted = np.zeros((16, 16))
        for row in range(grid):
            for column in range(grid):
                rows, columns = (slice(*borders[index][i : i + 2]) for i in (row, column))
                wanted[rows, columns] = tokens[row * grid + column]
        np.testing.assert_allclose(found.values, wanted, atol=1e-6)
        assert found.logit == pytest.approx(float(value.detach()), abs=1e-5)


def fingerprint(model: DynamicViT) -> list[object]:
    """All that an attribution could leave behind on a model."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    left = [len(getattr(module, name)) for module in model.modules() for name in hooks]
    weights = [(p.grad, p.requires_grad, p.grad_fn) for p in model.parameters()]
    state = [value.numpy().tobytes() for value in model.state_dict().values()]
    return [left, weights, state, [name for name, _ in model.named_modules()]]


class Stop(Exception):
    pass


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("is_frozen", (True, False))
def test_the_model_is_left_as_it_was(tiny_model, image, method, is_frozen):
    model, given = tiny_model.requires_grad_(is_frozen), image.clone()
    before = fingerprint(model)
    worker, main = Worker(), torch.is_grad_enabled()
    first = attribute(model, image, TARGETS, method, run=worker.run)
    assert fingerprint(model) == before

    def stop(done: float, index: int) -> None:
        raise Stop

    with pytest.raises(Stop):
        attribute(model, image, TARGETS, method, run=worker.run, step=stop)
    model.stages[-1].head.forward = lambda x: 1 / 0
    with pytest.raises(ZeroDivisionError):
        attribute(model, image, TARGETS, method, run=worker.run)
    del model.stages[-1].head.forward
    assert fingerprint(model) == before and torch.is_grad_enabled() == main
    assert torch.equal(image, given) and not image.requires_grad
    again = attribute(model, image, TARGETS, method, run=worker.run)
    for a, b in zip(first, again, strict=True):
        assert a.values.tobytes() == b.values.tobytes() and a.logit == b.logit


def test_a_picture_made_in_inference_mode_will_do(model, image):
    with torch.inference_mode():
        made = image * 1.0
    found = attribute(model, made, TARGETS, GRADIENTS, run=call)
    wanted = attribute(model, image, TARGETS, GRADIENTS, run=call)
    np.testing.assert_array_equal(found[2].values, wanted[2].values)


@pytest.mark.parametrize("method", METHODS)
def test_slices_are_small_and_told(model, image, method, monkeypatch):
    costs, macs, told, sliced = exit_macs(model.config), [], [], []
    monkeypatch.setattr(attribution, "SLICE_MACS", 7 * costs[2])
    plain = attribution.exit_logits

    def counted(model, images, index):
        macs.append(len(images) * costs[index])
        return plain(model, images, index)

    def run(function, *args):
        before = sum(macs)
        result = function(*args)
        sliced.append(sum(macs) - before)
        return result

    monkeypatch.setattr(attribution, "exit_logits", counted)
    attribute(model, image, TARGETS, method, run=run, step=lambda *args: told.append(args))
    factor = 1 if method == OCCLUSION else 3
    assert max(sliced) * factor <= 7 * costs[2] and len(sliced) == len(macs)
    shares = [share for share, _ in told]
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1) and shares[0] > 0
    assert [index for _, index in told] == sorted(index for _, index in told)
    ends = 2 * sum(costs) if method == GRADIENTS else 0  # the logits at both ends of the path
    assert count_macs(costs, method) == factor * (sum(macs) - ends)


@pytest.mark.parametrize("method", METHODS)
def test_seconds_are_one_slice_scaled_to_all(model, image, method, monkeypatch):
    costs = exit_macs(model.config)
    monkeypatch.setattr(attribution, "SLICE_MACS", 8 * costs[2])
    monkeypatch.setattr(attribution, "BACKWARD", 1)
    now, plain = [0.0], attribution.exit_logits

    def slow(model, images, index):
        now[0] += len(images) * costs[index] / 1e6  # a computer of 1 MMAC/s
        return plain(model, images, index)

    monkeypatch.setattr(attribution, "exit_logits", slow)
    monkeypatch.setattr(attribution.time, "perf_counter", lambda: now[0])
    seconds = estimate_seconds(model, image, method, call)
    assert seconds == pytest.approx(count_macs(costs, method) / 1e6)


def test_what_does_not_fit_is_said(model, image):
    with pytest.raises(InputError, match=r"unknown method 'lime', known are"):
        attribute(model, image, TARGETS, "lime", run=call)
    with pytest.raises(InputError, match="2 targets for 3 exits"):
        attribute(model, image, TARGETS[:2], OCCLUSION, run=call)


# --- the figures -------------------------------------------------------------------------


def test_spearman_matches_ranks_counted_one_by_one():
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.integers(0, 6, (2, 30)).astype(float)
        ranks = [
            [sum(v < x for v in values) + (sum(v == x for v in values) + 1) / 2 for x in values]
            for values in (a, b)
        ]
        assert spearman(a, b) == pytest.approx(np.corrcoef(ranks)[0, 1])
    assert spearman(a, -a) == pytest.approx(-1)
    assert spearman(a, np.zeros(30)) is None


def test_maps_are_alike_where_their_strength_is():
    values = np.random.default_rng(1).normal(size=(32, 32)).astype(np.float32)
    field = [abs(values[4 * i : 4 * i + 4, 8:12]).mean() for i in range(8)]
    np.testing.assert_allclose(strength(values)[:, 2], field, rtol=1e-6)
    assert strength(np.ones((30, 30))).shape == (8, 8)
    assert likeness(values, -3 * values) == pytest.approx(1)  # for or against is the same place
    bump = np.zeros((32, 32))
    bump[:16] = np.linspace(1, 2, 16)[:, None]
    assert likeness(bump, bump[::-1]) < -0.5
    assert likeness(bump, np.zeros((32, 32))) is None


def test_overlay_colours_what_is_strong_and_leaves_the_rest_grey():
    seen = Image.effect_noise((32, 32), 60).convert("RGB")
    values = np.zeros((32, 32))
    values[0, 0], values[0, 1], values[0, 2] = 2.0, -2.0, 20.0
    shown = np.asarray(overlay(seen, values, 2.0, signed=True)).astype(int)
    pixels = shown[7::14, 7::14]
    assert shown.shape == (448, 448, 3) and pixels.shape == (32, 32, 3)
    spread = pixels.max(axis=2) - pixels.min(axis=2)
    assert spread[0, :3].min() > 20 and spread[1:].max() == 0 and spread[0, 3:].max() == 0
    (r, g, b), (r2, g2, b2) = pixels[0, 0], pixels[0, 1]
    assert g > max(r, b) and g2 < min(r2, b2)  # green speaks for, purple against
    order = np.argsort(np.asarray(seen.convert("L"))[1])
    assert (np.diff(pixels[1, order, 0]) >= 0).all()  # the picture is still there
    plain = np.asarray(overlay(seen, np.zeros((32, 32)), 1.0, signed=False))
    assert (plain.max(axis=2) == plain.min(axis=2)).all()


def test_full_colour_is_one_for_all_maps_and_never_zero():
    maps = [np.full((10, 10), 0.5), np.linspace(-1, 1, 100).reshape(10, 10)]
    assert full_colour(maps) == pytest.approx(np.percentile(np.abs(np.stack(maps)), 99))
    assert full_colour([np.zeros((4, 4))]) == 1.0
    one = np.zeros((32, 32))
    one[3, 3] = 0.2
    assert full_colour([one]) == pytest.approx(0.2)


def test_scale_bar_escapes_its_words():
    text = scale_bar("<b>", "for", signed=True)
    assert "<b>" not in text and text.index("&lt;b&gt;") < text.index("<img") < text.index("for<")
