"""`open_image` takes what people throw at it; `Preprocess` equals torchvision and timm."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from dvt_core.avif_size import decoded_pixels
from dvt_core.config import IMAGENET_MEAN, IMAGENET_STD
from dvt_core.errors import InputError
from dvt_core.images import MAX_BYTES, Crop, Preprocess, open_image


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encode(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG of some hundred bytes that claims any size."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + chunk(b"IDAT", zlib.compress(bytes(99)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "JPEG"])
def test_open_image_reads_every_kind(kind):
    pixels = np.full((20, 30, 3), (200, 40, 90), np.uint8)
    options = {"lossless": True} if kind == "WEBP" else {}
    opened = open_image(encode(Image.fromarray(pixels), kind, **options))
    assert (opened.mode, opened.size) == ("RGB", (30, 20))
    assert np.abs(np.asarray(opened).astype(int) - pixels).max() <= (3 if kind == "JPEG" else 0)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_open_image_converts_modes_like_pillow(mode):
    image = Image.fromarray(noise(9, 7)).convert(mode)
    np.testing.assert_array_equal(open_image(encode(image)), image.convert("RGB"))


def test_open_image_converts_cmyk():
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # no cyan: red
    red, green, blue = open_image(encode(image, "JPEG", quality=95)).getpixel((8, 8))
    assert red > 240 and green < 15 and blue < 15


@pytest.mark.parametrize(
    ("mode", "colour"), [("RGBA", (255, 0, 0, 0)), ("LA", (0, 0))], ids=["RGBA", "LA"]
)
def test_open_image_lays_transparency_over_white(mode, colour):
    image = Image.new(mode, (4, 4), colour)
    image.putpixel((0, 0), (*colour[:-1], 255))
    opened = open_image(encode(image))
    assert opened.getpixel((3, 3)) == (255, 255, 255)
    assert opened.getpixel((0, 0)) == image.convert("RGB").getpixel((0, 0))


def test_open_image_lays_transparent_palette_over_white():
    image = Image.new("P", (4, 4), 0)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 1), 1)
    opened = open_image(encode(image, transparency=0))
    assert opened.getpixel((0, 0)) == (255, 255, 255)
    assert opened.getpixel((1, 1)) == (40, 50, 60)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_open_image_scales_16_bit(kind):
    values = np.array([[0, 257, 32768, 65535]], np.uint16)
    opened = np.asarray(open_image(encode(Image.fromarray(values), kind)))
    np.testing.assert_array_equal(opened[0, :, 0], [0, 1, 128, 255])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 100.0, 255.0], [0, 100, 255]),
        ([-1.0, 0.0, 1.0], [0, 128, 255]),
        ([7.0, 7.0, 1e6], [0, 0, 255]),
    ],
    ids=["unit", "byte", "signed", "range"],
)
def test_open_image_scales_float_tiff(values, expected):
    image = Image.fromarray(np.array([values], np.float32))
    np.testing.assert_array_equal(np.asarray(open_image(encode(image, "TIFF")))[0, :, 0], expected)


def test_open_image_refuses_float_tiff_with_nan():
    image = Image.fromarray(np.array([[0.0, np.nan]], np.float32))
    with pytest.raises(InputError, match="not finite"):
        open_image(encode(image, "TIFF"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_open_image_applies_exif_orientation(kind, orientation):
    upright = Image.new("RGB", (48, 32), "white")
    upright.paste("black", (0, 0, 16, 16))  # a mark in the upper left corner
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Image.Transpose values
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    opened = open_image(encode(stored, kind, exif=exif))
    assert opened.size == upright.size
    assert np.abs(np.asarray(opened).astype(int) - np.asarray(upright)).mean() < 2


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG"])
def test_open_image_takes_first_frame(kind):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert open_image(data).getpixel((4, 4)) == (255, 0, 0)


def test_open_image_keeps_one_pixel():
    assert open_image(encode(Image.new("RGB", (1, 1), (1, 2, 3)))).getpixel((0, 0)) == (1, 2, 3)


def test_open_image_reduces_large_pictures():
    assert open_image(encode(Image.new("RGB", (3000, 2000)))).size == (1024, 683)
    assert open_image(encode(Image.new("L", (6000, 100)))).size == (6000, 100)


def test_open_image_reads_huge_jpeg_reduced():
    data = encode(Image.new("L", (12000, 12000), 77), "JPEG")
    opened = open_image(data)
    assert opened.size == (1024, 1024)
    assert opened.getpixel((512, 512)) == (77, 77, 77)


def test_open_image_refuses_huge_progressive_jpeg():
    data = encode(Image.new("L", (7000, 7000)), "JPEG", progressive=True)
    with pytest.raises(InputError, match="7000 x 7000 pixels, more than the limit of 40"):
        open_image(data)


@pytest.mark.parametrize("side", [12_000, 20_000, 2**31 - 1])
def test_open_image_refuses_bombs_before_decoding(side):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(InputError, match="megapixels"):
            open_image(png_header(side, side))
    assert not caught


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"hello, this is text",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7",
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"BM",
        b"II*\0",
        b"RIFF\0\0\0\0WEBP",
        png_header(0, 5),
        bytes(MAX_BYTES + 1),
    ],
    ids=lambda data: repr(data[:12]),
)
def test_open_image_refuses_what_is_no_picture(data):
    with pytest.raises(InputError) as caught:
        open_image(data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "JPEG", "AVIF"])
def test_open_image_refuses_truncated_and_survives_damage(kind):
    data = encode(Image.fromarray(noise(64, 64)), kind)
    with pytest.raises(InputError, match="damaged or incomplete"):
        open_image(data[: len(data) // 2])
    rng = np.random.default_rng(1)
    for _ in range(60):  # flipped bytes: a picture or an InputError, nothing else
        broken = bytearray(data)
        for place in rng.integers(4, len(data), 8):
            broken[place] = rng.integers(256)
        with contextlib.suppress(InputError):
            assert open_image(bytes(broken)).mode == "RGB"


def test_open_image_names_the_path(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "text.jpg").write_text("no picture")
    for name, reason in [
        (".", "is a folder"),
        ("missing.png", "does not exist"),
        ("pipe", "not a regular file"),
        ("text.jpg", "not a picture of a known kind"),
        ("nul\0byte", "cannot be read|does not exist"),
    ]:
        with pytest.raises(InputError, match=reason):
            open_image(tmp_path / name)


def test_open_image_is_the_same_from_threads():
    sources = [encode(Image.fromarray(noise(40, 40, seed=i)), "JPEG") for i in range(40)]
    alone = [open_image(source).tobytes() for source in sources]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda source: open_image(source).tobytes(), sources)) == alone


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("crop_pct", [1.0, 0.9, 0.875])
@pytest.mark.parametrize("size", [(300, 200), (97, 301), (224, 224), (20, 31)])
def test_preprocess_matches_timm(size, crop_pct, interpolation):
    from timm.data import create_transform

    image = Image.fromarray(noise(size[1], size[0]))
    preprocess = Preprocess(64, crop_pct=crop_pct, interpolation=interpolation)
    reference = create_transform(
        64,
        interpolation=interpolation,
        crop_pct=crop_pct,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
    )
    torch.testing.assert_close(preprocess(image), reference(image))


def test_preprocess_passes_images_of_its_size_unchanged():
    pixels = noise(32, 32)
    np.testing.assert_array_equal(Preprocess(32).view(Image.fromarray(pixels)), pixels)


@pytest.mark.parametrize("size", [(1, 1), (40_000, 1), (1, 5000), (7, 3000)], ids=str)
def test_preprocess_takes_any_shape(size):
    view = Preprocess(48, crop_pct=0.9).view(Image.new("RGB", size, (9, 8, 7)))
    np.testing.assert_array_equal(view, np.full((48, 48, 3), (9, 8, 7)))


def test_preprocess_denormalize_undoes_normalize():
    pixels = torch.from_numpy(noise(32, 32)).permute(2, 0, 1)[None]
    preprocess = Preprocess(32)
    assert preprocess.normalize(pixels).dtype == torch.float32
    assert torch.equal(preprocess.denormalize(preprocess.normalize(pixels)), pixels)


@pytest.mark.parametrize(
    "fields", [{"img_size": 0}, {"crop_pct": 0.0}, {"interpolation": "sinc"}], ids=str
)
def test_preprocess_refuses_bad_settings(fields):
    with pytest.raises(InputError):
        Preprocess(**{"img_size": 32, **fields})


def ftyp(brand: bytes, *others: bytes) -> bytes:
    body = brand + bytes(4) + b"".join(others)
    return (8 + len(body)).to_bytes(4, "big") + b"ftyp" + body + bytes(64)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (ftyp(b"heic", b"mif1"), "a HEIC picture, as iPhones store them, .*; export it as JPEG"),
        (ftyp(b"mif1", b"heic"), "a HEIC picture"),
        (ftyp(b"avis", b"avif"), "an animated AVIF picture, .* save one frame"),
        (ftyp(b"crx "), "raw file"),
        (ftyp(b"isom"), "a video, .* save one frame"),
        (b"\xff\x0a" + bytes(20), "a JPEG XL picture"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(20), "a JPEG XL picture"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(20), "a JPEG 2000 picture"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<svg xmlns='x'/>", "an SVG drawing"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"%PDF-1.7\n", "a PDF document, .* screenshot"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "a PostScript document"),
        (b"8BPS\0\1", "a Photoshop file"),
        (b"\0\0\1\0\1\0", "an icon file"),
        (b"PK\3\4\x14\0", "a zip archive"),
        (b"<!DOCTYPE html><html><svg/></html>", "a web page"),
        (b"<?xml version='1.0'?><note/>", "not a picture of a known kind"),
    ],
    ids=lambda value: repr(value[:16]) if isinstance(value, bytes) else "",
)
def test_open_image_names_what_it_does_not_read(data, words):
    with pytest.raises(InputError, match=words) as caught:
        open_image(data)
    assert str(caught.value).startswith("the image ") and "\n" not in str(caught.value)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_open_image_reads_avif(mode):
    colour = {"RGB": (200, 40, 90), "RGBA": (200, 40, 90, 0), "L": 70}[mode]
    wanted = {"RGB": (200, 40, 90), "RGBA": (255, 255, 255), "L": (70, 70, 70)}[mode]
    opened = open_image(encode(Image.new(mode, (30, 20), colour), "AVIF", quality=90))
    assert opened.size == (30, 20)
    assert np.abs(np.asarray(opened).astype(int) - wanted).max() <= 4


@pytest.mark.parametrize("size", [(1, 1), (64, 48), (333, 17)], ids=str)
@pytest.mark.parametrize(("mode", "items"), [("RGB", 1), ("RGBA", 2)])
def test_avif_pixels_are_read_from_the_av1_data(size, mode, items):
    data = encode(Image.new(mode, size), "AVIF", speed=10)
    assert decoded_pixels(data) == items * size[0] * size[1]
    place = data.index(b"ispe") + 8  # what the file claims; Pillow believes it
    assert data[place : place + 8] == struct.pack(">II", *size)
    liar = data[:place] + struct.pack(">II", 2, 2) + data[place + 8 :]
    assert decoded_pixels(liar) == items * size[0] * size[1]


def test_open_image_refuses_an_avif_that_decodes_to_more_than_it_claims(monkeypatch):
    data = encode(Image.new("RGB", (96, 80)), "AVIF", speed=10)
    place = data.index(b"ispe") + 8
    liar = data[:place] + struct.pack(">II", 8, 8) + data[place + 8 :]
    monkeypatch.setattr("dvt_core.images.MAX_PIXELS", 3000)
    with pytest.raises(InputError, match="megapixels"):
        open_image(liar)


def test_avif_pixels_of_damaged_files_are_refused_or_counted():
    data = encode(Image.fromarray(noise(48, 64)), "AVIF", speed=10)
    rng = np.random.default_rng(2)
    head = data.index(b"mdat")
    for _ in range(300):
        broken = bytearray(data)
        for place in rng.integers(0, head + 40, 4):
            broken[place] = rng.integers(256)
        with contextlib.suppress(ValueError, IndexError):
            assert decoded_pixels(bytes(broken)) > 0
    for cut in range(0, len(data), 37):
        with pytest.raises((ValueError, IndexError)):
            decoded_pixels(data[:cut])


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "AVIF"])
def test_open_image_keeps_the_size_it_came_with(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    opened = open_image(encode(Image.new("RGB", (2400, 1300)), kind, exif=exif))
    full = (2400, 1300) if orientation < 5 else (1300, 2400)
    assert opened.info["full_size"] == full
    assert opened.width / opened.height == pytest.approx(full[0] / full[1], rel=0.01)
    assert max(opened.size) < 1100


CROPS = [Crop(0.5, 0.5, 1), Crop(0, 1, 1), Crop(0.3, 0.7, 1.55), Crop(1, 0, 4), Crop(0.9, 0.2, 8)]


@pytest.mark.parametrize("crop", CROPS, ids=str)
@pytest.mark.parametrize("crop_pct", [1.0, 0.875])
@pytest.mark.parametrize("size", [(90, 60), (41, 70), (64, 64), (20, 31)], ids=str)
def test_crop_is_a_plain_resize_and_cut(size, crop_pct, crop):
    image = Image.fromarray(noise(size[1], size[0]))
    short = int(32 / crop_pct * crop.zoom)
    scale = short / min(size)
    large = image.resize([max(short, int(side * scale)) for side in size], Image.BICUBIC)
    left, top = round(crop.x * (large.width - 32)), round(crop.y * (large.height - 32))
    wanted = large.crop((left, top, left + 32, top + 32))
    preprocess = Preprocess(32, crop_pct=crop_pct)
    np.testing.assert_array_equal(preprocess.view(image, crop), wanted)
    pixels = torch.from_numpy(np.array(wanted)).permute(2, 0, 1)
    assert torch.equal(preprocess(image, crop), preprocess.normalize(pixels))


@pytest.mark.parametrize("crop", CROPS, ids=str)
def test_frame_is_where_the_crop_was_cut(crop):
    image = Image.fromarray(noise(300, 460)).filter(ImageFilter.GaussianBlur(9))
    preprocess = Preprocess(48, crop_pct=0.9)
    frame = preprocess.frame(image.size, crop)
    assert frame[0] >= 0 and frame[1] >= 0 and frame[2] <= 460.5 and frame[3] <= 300.5
    cut = image.resize((48, 48), Image.BICUBIC, box=tuple(np.clip(frame, 0, [460, 300] * 2)))
    difference = np.abs(np.asarray(cut).astype(int) - np.asarray(preprocess.view(image, crop)))
    assert difference.max() <= 3


def test_crop_reaches_both_ends_of_a_long_strip():
    strip = Image.new("RGB", (5000, 10), "white")
    strip.paste("red", (0, 0, 10, 10))
    strip.paste("blue", (4990, 0, 5000, 10))
    for zoom in (1, 3, 8):
        views = [Preprocess(16).view(strip, Crop(x, 0.5, zoom)) for x in (0, 0.5, 1)]
        assert [view.getpixel((8, 8)) for view in views] == [
            (255, 0, 0),
            (255, 255, 255),
            (0, 0, 255),
        ]


@pytest.mark.parametrize("fields", [{"x": -0.1}, {"y": 1.1}, {"zoom": 0.9}, {"zoom": 9}])
def test_crop_refuses_what_is_outside(fields):
    with pytest.raises(InputError, match="expected"):
        Crop(**fields)
    with pytest.raises(InputError, match="expected"):
        Crop(**{name: float("nan") for name in fields})
