"""From a file of unknown origin to the picture a model sees.

`open_image` is the one gate for foreign bytes: the kind of file is read from its first bytes
against an allow-list (`picture_kinds`) and its size is checked before anything is decoded.
`Preprocess` is the resize, crop and normalisation of one model; a `Crop` moves its window.
"""

from __future__ import annotations

import io
import struct
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from PIL import ExifTags, Image

from dvt_core.avif_size import decoded_pixels
from dvt_core.config import IMAGENET_MEAN, IMAGENET_STD, DVTConfig
from dvt_core.crop import CENTRE, Crop, Layout, lay_out
from dvt_core.errors import InputError, printable
from dvt_core.picture_colours import to_rgb
from dvt_core.picture_kinds import EXTENSIONS as EXTENSIONS
from dvt_core.picture_kinds import KINDS as KINDS
from dvt_core.picture_kinds import sniff
from dvt_core.picture_parts import check_parts

MAX_BYTES = 20_000_000
MAX_PIXELS = 40_000_000  # what a decoder may produce
MAX_JPEG_PIXELS = 200_000_000  # a baseline JPEG that is decoded at 1/8 to 1/2 of its sides
KEPT_LONG_SIDE, KEPT_SHORT_SIDE = 1024, 512  # larger pictures are reduced to one of the two
FULL_SIZE = "full_size"  # key in `info` of an opened picture
LARGE_PIXELS = 4_000_000  # larger pictures are decoded one at a time, whoever brings them
_large = Lock()
# Pillow's memory comes in blocks. One as large as the picture is had from the system and goes back
# when the picture is freed; smaller ones the C library keeps, for every thread that had one.
Image.core.set_block_size(256 << 20)

_TURNS = {  # EXIF orientation -> what sets the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_DECODE_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    TypeError,
    IndexError,
    KeyError,
    EOFError,
    RuntimeError,  # of the AVIF decoder
    OverflowError,
    ZeroDivisionError,
    struct.error,
    Image.DecompressionBombError,
    Warning,  # raised where warnings are errors
)


def open_image(source: Path | str | bytes) -> Image.Image:
    """The picture in a file or in bytes as 8-bit RGB, upright, detached from the file.

    Accepts JPEG, PNG, WebP, GIF, BMP, TIFF and AVIF in any colour mode: transparency is laid
    over white, 16-bit and float values are scaled to 0..255, animations and multi-page files
    give their first frame, the EXIF orientation is applied. Pictures whose longer side exceeds
    1024 and whose shorter side exceeds 512 pixels are reduced to one of the two;
    `info["full_size"]` is (width, height) before that. Colour profiles are not applied. Safe to
    call from several threads.

    Raises:
        InputError: not a readable picture of these kinds, or too large.
    """
    if isinstance(source, bytes):
        return _decode(source, "the image")
    return _decode(_read_file(Path(source)), str(source))


def _read_file(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder, expected an image file")
        if not path.exists():
            raise InputError(f"{path} does not exist, expected an image file")
        if not path.is_file():
            raise InputError(f"{path} is not a regular file, expected an image file")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read: {printable(error)}") from error


def _decode(data: bytes, name: str) -> Image.Image:
    if not data:
        raise InputError(f"{name} is empty, expected a picture")
    if len(data) > MAX_BYTES:
        raise InputError(f"{name} is larger than {MAX_BYTES // 10**6} MB, choose a smaller file")
    kind, plugin = sniff(data, name)
    try:
        check_parts(kind, data)
        if kind == "AVIF" and decoded_pixels(data) > 2 * MAX_PIXELS:  # colours and alpha
            raise Image.DecompressionBombError
        image = plugin(io.BytesIO(data))
        _check_size(image, name)
        full_size = image.size
        if image.format == "JPEG":
            image.draft("RGB", (KEPT_LONG_SIDE, KEPT_LONG_SIDE))
        is_large = image.width * image.height > LARGE_PIXELS
        with _large if is_large else nullcontext():
            image, is_turned = _upright(image)
            image = _reduce(to_rgb(image, name))
        image.info[FULL_SIZE] = full_size[::-1] if is_turned else full_size
        return image
    except InputError:
        raise
    except Image.DecompressionBombError as error:  # Pillow's own, higher limit
        raise InputError(
            f"{name} has more than the limit of {MAX_PIXELS // 10**6} megapixels; "
            "scale it down first"
        ) from error
    except _DECODE_ERRORS as error:
        reason = printable(error)
        raise InputError(
            f"{name} cannot be decoded: the {kind} data is damaged or incomplete ({reason})"
        ) from error


def _check_size(image: Image.Image, name: str) -> None:
    """Refuses before decoding what would take too much memory to decode.

    A baseline JPEG can be decoded at an eighth of its sides; a progressive one cannot without
    holding all its coefficients.
    """
    width, height = image.size
    if width < 1 or height < 1:
        raise InputError(f"{name} has {width} x {height} pixels, expected at least 1 x 1")
    reducible = image.format == "JPEG" and "progressive" not in image.info
    limit = MAX_JPEG_PIXELS if reducible and min(image.size) >= 2048 else MAX_PIXELS
    if width * height > limit:
        raise InputError(
            f"{name} has {width} x {height} pixels, more than the limit of "
            f"{limit // 10**6} megapixels; scale it down first"
        )


def _upright(image: Image.Image) -> tuple[Image.Image, bool]:
    """The decoded picture with its EXIF orientation applied, and whether it lay on its side.

    Pillow's `exif_transpose` would also write the EXIF data anew, all of it: of a hostile file
    that are millions of numbers. A TIFF turns itself while it is decoded, and forgets why.
    """
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except _DECODE_ERRORS:  # damaged EXIF data in a picture that is otherwise fine
        orientation = None
    image.load()
    if image.format == "TIFF" or not isinstance(orientation, int) or orientation not in _TURNS:
        return image, False
    return image.transpose(_TURNS[orientation]), orientation >= 5


def _reduce(image: Image.Image) -> Image.Image:
    scale = max(KEPT_LONG_SIDE / max(image.size), KEPT_SHORT_SIDE / min(image.size))
    if scale >= 1:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


@dataclass(frozen=True)
class Preprocess:
    """How a picture becomes a model's input.

    The shorter side is resized (antialiased, Pillow) to `img_size / crop_pct`, rounded down as
    in timm, and the central `img_size` x `img_size` pixels are kept. With `crop_pct=1`, a
    picture of exactly that size passes unchanged.
    """

    img_size: int
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    crop_pct: float = 1.0
    interpolation: str = "bicubic"

    def __post_init__(self) -> None:
        """Refuses settings that fit no picture."""
        if self.img_size < 1:
            raise InputError(f"img_size is {self.img_size}, it must be at least 1")
        if not 0 < self.crop_pct <= 1:
            raise InputError(f"crop_pct is {self.crop_pct}, expected above 0 and at most 1")
        if self.interpolation not in _FILTERS:
            raise InputError(
                f"unknown interpolation {self.interpolation!r}, known are {', '.join(_FILTERS)}"
            )

    @classmethod
    def from_config(cls, config: DVTConfig) -> Preprocess:
        """The preprocessing that belongs to a model."""
        return cls(
            img_size=config.img_size,
            mean=config.mean,
            std=config.std,
            crop_pct=config.crop_pct,
            interpolation=config.interpolation,
        )

    def view(self, image: Image.Image, crop: Crop = CENTRE) -> Image.Image:
        """What the model sees: 8-bit RGB, `img_size` x `img_size`."""
        image = image if image.mode == "RGB" else image.convert("RGB")
        layout = self._layout(image.size, crop)
        if layout.kept != (0, 0, *image.size):
            image = image.crop(layout.kept)
        if layout.resized != image.size:
            image = image.resize(layout.resized, _FILTERS[self.interpolation])
        return image.crop(layout.window)

    def frame(
        self, size: tuple[int, int], crop: Crop = CENTRE
    ) -> tuple[float, float, float, float]:
        """Where a crop lies in a picture of this (width, height): left, top, right, bottom.

        In pixels of the picture, with fractions. The filter looks a pixel or two further.
        """
        return self._layout(size, crop).frame

    def _layout(self, size: tuple[int, int], crop: Crop) -> Layout:
        return lay_out(size, crop, img_size=self.img_size, crop_pct=self.crop_pct)

    def __call__(self, image: Image.Image, crop: Crop = CENTRE) -> torch.Tensor:
        """The model's input for one picture: (3, img_size, img_size) float32, normalised."""
        pixels = torch.from_numpy(np.array(self.view(image, crop)))  # (H, W, 3)
        return self.normalize(pixels.permute(2, 0, 1))

    def normalize(self, images: torch.Tensor) -> torch.Tensor:
        """(..., 3, H, W) uint8 in 0..255 to float32 with `mean` and `std`, on the same device."""
        mean, std = self._scale(images.device)
        return (images.float() / 255 - mean) / std

    def denormalize(self, images: torch.Tensor) -> torch.Tensor:
        """(..., 3, H, W) normalised to uint8 in 0..255: undoes `normalize`."""
        mean, std = self._scale(images.device)
        return ((images.float() * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)

    def _scale(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        mean = torch.tensor(self.mean, device=device).view(-1, 1, 1)
        return mean, torch.tensor(self.std, device=device).view(-1, 1, 1)
