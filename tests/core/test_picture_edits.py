"""Every edit against its formula, or against another library's doing of it."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from dvt_core.errors import InputError
from dvt_core.picture_edits import EDITS, apply_edit

SIDES = [32, 33]


def picture(side: int = 32, seed: int = 0) -> Image.Image:
    """Smooth blobs with some grain, so that no edit can hide."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), dtype=float)
    return Image.fromarray(np.clip(smooth + rng.normal(0, 8, smooth.shape), 0, 255).astype("uint8"))


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(float)


def edited(name: str, value: float, side: int = 32, **kwargs) -> tuple[np.ndarray, np.ndarray]:
    image = picture(side)
    return pixels(image), pixels(apply_edit(name, image, value, **kwargs))


@pytest.mark.parametrize("name", EDITS)
def test_neutral_value_gives_the_very_same_pixels_and_any_other_does_not(name):
    edit, image = EDITS[name], picture()
    before = image.tobytes()
    assert apply_edit(name, image, edit.neutral).tobytes() == before
    for value in edit.values():
        out = apply_edit(name, image, value)
        assert (out.mode, out.size) == ("RGB", image.size)
        assert (out.tobytes() == before) == (value == edit.neutral)
    assert image.tobytes() == before


@pytest.mark.parametrize("name", EDITS)
def test_values_of_a_sweep_are_on_the_slider_and_evenly_spread(name):
    edit = EDITS[name]
    values = edit.values()
    assert len(values) == 9 and (values[0], values[-1]) == (edit.low, edit.high)
    np.testing.assert_allclose(np.diff(values), (edit.high - edit.low) / 8)
    steps = (np.array(values) - edit.low) / edit.step
    np.testing.assert_allclose(steps, steps.round())
    assert edit.neutral in values


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("times", [1.5, 2, 4])
def test_zoom_out_is_torchs_antialiased_bicubic_in_mean_grey(side, times):
    before, after = edited("zoom out", times, side)
    small = round(side / times)
    at = (side - small) // 2
    wanted = torch.nn.functional.interpolate(
        torch.from_numpy(before).permute(2, 0, 1)[None],
        size=(small, small),
        mode="bicubic",
        antialias=True,
    )[0].permute(1, 2, 0)
    inside = (slice(at, at + small),) * 2
    off = np.abs(after[inside] - wanted.clamp(0, 255).numpy())
    assert off.max() < 3 and off.mean() < 0.4  # Pillow rounds and clips between rows and columns
    frame = np.ones((side, side), dtype=bool)
    frame[inside] = False
    assert (after[frame] == round(before.mean())).all()


@pytest.mark.parametrize("percent", [3, 5, 8])
def test_blur_is_a_convolution_with_a_gaussian(percent):
    side = 64
    before, after = edited("blur", percent, side)
    sigma = side * percent / 100
    reach = math.ceil(4 * sigma)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    taps /= taps.sum()
    wanted = np.pad(before, ((reach, reach), (reach, reach), (0, 0)), "edge")
    for axis in (0, 1):
        wanted = np.apply_along_axis(np.convolve, axis, wanted, taps, "valid")
    assert np.abs(after - wanted).max() < 6  # Pillow's is three box filters
    assert np.abs(after - wanted).mean() < 1


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("percent", [5, 40, 80])
def test_occlude_covers_a_centred_square_and_nothing_else(side, percent):
    before, after = edited("occlude", percent, side)
    covered = (after == round(before.mean())).all(axis=2)
    size = max(1, round(side * percent / 100))
    rows = np.flatnonzero(covered.sum(axis=1) >= size)
    assert abs(rows[0] - (side - 1 - rows[-1])) <= 1  # centred to a pixel
    square = np.zeros((side, side), dtype=bool)
    square[rows[0] : rows[0] + size, rows[0] : rows[0] + size] = True
    assert covered[square].all()
    np.testing.assert_array_equal(after[~square], before[~square])


@pytest.mark.parametrize("percent", [4, 48, 96])
def test_darken_multiplies(percent):
    before, after = edited("darken", percent)
    assert np.abs(after - before * (100 - percent) / 100).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("quarters", [1, 2])
def test_rotate_by_right_angles_is_exact(side, quarters):
    before, after = edited("rotate", 90 * quarters, side)
    np.testing.assert_array_equal(after, np.rot90(before, quarters))


@pytest.mark.parametrize("degrees", [22.5, 45, 135])
def test_rotate_turns_a_slope_anticlockwise(degrees):
    """Bicubic filters keep straight slopes, so the middle can be computed."""
    side = 64
    y, x = np.mgrid[:side, :side] - (side - 1) / 2

    def slope(x, y):
        return 128 + 1.2 * x - 0.7 * y

    image = Image.fromarray(np.rint(slope(x, y)).astype(np.uint8)).convert("RGB")
    after = pixels(apply_edit("rotate", image, degrees))[..., 0]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    wanted = slope(cos * x - sin * y, sin * x + cos * y)  # y points down
    middle = np.hypot(x, y) < side / 2 - 3
    assert np.abs(after - wanted)[middle].max() < 1.6


def test_rotate_mirrors_what_comes_in_from_outside():
    """A grey picture stays grey up to its corners, at any angle."""
    image = Image.new("RGB", (32, 32), (90, 90, 90))
    for degrees in EDITS["rotate"].values():
        assert (pixels(apply_edit("rotate", image, degrees)) == 90).all()
    corner = np.zeros((64, 64, 3), dtype=np.uint8)
    corner[:16] = 255  # a bar at the top: turned by 45 degrees, its mirror image fills a corner
    turned = pixels(apply_edit("rotate", Image.fromarray(corner), 45))
    assert turned[1, 1].min() > 250 and turned[-2, -2].max() < 5


def test_noise_has_the_stated_mean_and_spread():
    image = Image.new("RGB", (224, 224), (128, 128, 128))
    for percent in (2.5, 10, 15):
        noise = pixels(apply_edit("noise", image, percent)) - 128
        sigma, n = 2.55 * percent, noise.size
        assert abs(noise.mean()) < 5 * sigma / math.sqrt(n)
        assert noise.var() == pytest.approx(sigma**2 + 1 / 12, rel=0.02)  # 1/12: rounding
        flat = noise.reshape(-1, 3)
        assert np.abs(np.corrcoef(flat.T) - np.eye(3)).max() < 0.03  # channels on their own
        assert abs(np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1]) < 0.03


def test_noise_repeats_itself_and_only_grows_with_the_value():
    image = Image.new("RGB", (32, 32), (128, 128, 128))
    first, second = (pixels(apply_edit("noise", image, v)) - 128 for v in (5, 10))
    np.testing.assert_array_equal(pixels(apply_edit("noise", image, 5)) - 128, first)
    assert np.abs(second - 2 * first).max() <= 1.5
    other = pixels(apply_edit("noise", image, 5, seed=1)) - 128
    assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.1


def test_noise_does_not_wrap_around():
    for level, end in ((0, 0), (255, 255)):
        image = Image.new("RGB", (32, 32), (level,) * 3)
        out = pixels(apply_edit("noise", image, 10))
        assert 0.4 < (out == end).mean() < 0.6 and np.abs(out - level).max() < 160


@pytest.mark.parametrize(
    ("name", "value", "size", "words"),
    [
        ("sharpen", 1, (8, 8), "unknown edit 'sharpen', known are zoom out, blur"),
        ("blur", 9, (8, 8), "blur is 9, expected 0 to 8 %"),
        ("blur", -0.5, (8, 8), "blur is -0.5, expected"),
        ("rotate", math.nan, (8, 8), "rotate is nan, expected 0 to 180°"),
        ("blur", 1, (8, 9), "8 x 9 pixels, expected a square"),
    ],
)
def test_apply_edit_says_what_it_expects(name, value, size, words):
    with pytest.raises(InputError, match=words):
        apply_edit(name, Image.new("RGB", size), value)


def test_every_edit_works_on_the_smallest_pictures():
    for name, edit in EDITS.items():
        for side in (1, 2, 5):
            out = apply_edit(name, Image.new("L", (side, side), 77), edit.high)
            assert (out.mode, out.size) == ("RGB", (side, side))


def test_labels_read_well():
    assert EDITS["blur"].label(3.0) == "blur 3 %"
    assert EDITS["zoom out"].label(2.5) == "zoom out 2.5x"
    assert EDITS["rotate"].label(22.5) == "rotate 22.5°"
