"""Photos that nobody else has, and what the cascade says of each: the answers known beforehand."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageChops, ImageEnhance, ImageOps

from dvt_core.images import open_image
from dvt_core.inference import classify
from dvt_core.model import DynamicViT
from dvt_core.samples import list_samples
from dvt_core.solver import NEVER

PHONE = (4032, 3024)  # 12 megapixels, what phones send
GRAIN_PX, GRAIN = 1024, 7.0  # side of the grain that is laid over a photo; its deviation
SAFE = 2e-3  # no threshold is put closer to a confidence than this
ON_ITS_SIDE = 6  # EXIF orientation of a phone that is held upright


@dataclass(frozen=True, eq=False)
class Known:
    """A picture and what every exit says of it, computed in this process.

    Attributes:
        name: of the file.
        data: the file.
        seen: (S, S, 3) uint8, what the model sees of it.
        probs: (num_exits, num_classes) float32.
    """

    name: str
    data: bytes = field(repr=False)
    seen: np.ndarray = field(repr=False)
    probs: np.ndarray = field(repr=False)

    @classmethod
    def of(cls, model: DynamicViT, name: str, data: bytes) -> Known:
        """Runs all exits, as `dvt classify` would."""
        image, preprocess = open_image(data), model.preprocess
        (prediction,) = classify(model, preprocess(image)[None], NEVER, all_exits=True)
        probs = np.stack([record.probs for record in prediction.records])
        return cls(name, data, np.asarray(preprocess.view(image)), probs)

    @property
    def digest(self) -> str:
        """The name under which the app keeps what it knows of the file."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def confidences(self) -> np.ndarray:
        """(num_exits,) largest probability of each exit."""
        return self.probs.max(axis=1)

    def exit_at(self, thresholds: Sequence[float]) -> int:
        """The exit that answers, 0-based: the first that is sure enough, else the last."""
        for index, (sure, limit) in enumerate(zip(self.confidences, thresholds, strict=False)):
            if float(sure) >= limit:
                return index
        return len(self.probs) - 1

    def is_clear(self, threshold: float) -> bool:
        """Whether no exit's confidence lies so close that rounding could decide."""
        return bool((abs(self.confidences[:-1].astype(float) - threshold) > SAFE).all())

    def again(self, number: int) -> Known:
        """The same pixels in another file: a JPEG with a comment, which no cache knows."""
        words = f"{self.name} no. {number}".encode()
        mark = b"\xff\xfe" + (len(words) + 2).to_bytes(2, "big") + words
        assert self.data[:2] == b"\xff\xd8", "only a JPEG can be given a comment"
        name = f"{Path(self.name).stem}_{number}.jpg"
        return Known(name, self.data[:2] + mark + self.data[2:], self.seen, self.probs)


def photo(seed: int, size: tuple[int, int] = PHONE) -> bytes:
    """A JPEG made of a sample by crop, flip, colour and grain; every seed gives another.

    Args:
        seed: decides everything.
        size: (width, height) of the pixels as they are stored.
    """
    chance = np.random.default_rng(seed)
    samples = _sources()
    with Image.open(samples[chance.integers(len(samples))]) as source:
        image = source.convert("RGB")
    share = chance.uniform(0.55, 0.95)
    width, height = (max(8, int(side * share)) for side in image.size)
    left = int(chance.integers(image.width - width + 1))
    top = int(chance.integers(image.height - height + 1))
    image = image.crop((left, top, left + width, top + height))
    if chance.random() < 0.5:
        image = ImageOps.mirror(image)
    bands = [band.point(_gain(chance.uniform(0.75, 1.25))) for band in image.split()]
    image = ImageEnhance.Contrast(Image.merge("RGB", bands)).enhance(chance.uniform(0.8, 1.2))
    image = ImageChops.add(image.resize(size, Image.Resampling.BICUBIC), _grain(size), 1, -128)
    exif = Image.Exif()
    if chance.random() < 0.3:
        exif[0x0112] = ON_ITS_SIDE
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90, exif=exif)
    return out.getvalue()


def _gain(factor: float) -> list[int]:
    return [min(255, round(value * factor)) for value in range(256)]


@lru_cache(maxsize=1)
def _sources() -> tuple[Path, ...]:
    """The larger built-in samples; the 32-pixel ones would give blurs."""
    return tuple(s.path for s in list_samples() if not s.id.startswith("cifar10"))


@lru_cache(maxsize=4)
def _grain(size: tuple[int, int]) -> Image.Image:
    """Sensor noise around 128; without it a photo this large is a file this small."""
    noise = np.random.default_rng(0).normal(128, GRAIN, (GRAIN_PX, GRAIN_PX, 3))
    tile = Image.fromarray(noise.clip(0, 255).astype(np.uint8))
    grain = Image.new("RGB", size)
    for x in range(0, size[0], GRAIN_PX):
        for y in range(0, size[1], GRAIN_PX):
            grain.paste(tile, (x, y))
    return grain


@dataclass(frozen=True)
class Answers:
    """What there is to know of one model before anybody asks it.

    Attributes:
        classes: its class names.
        default: its thresholds before anyone moves the dial.
        samples: id -> the built-in picture, in the order of the page.
    """

    classes: tuple[str, ...]
    default: float
    samples: dict[str, Known]
    model: DynamicViT = field(repr=False)

    @classmethod
    def of(cls, name: str) -> Answers:
        """Those of a bundled model."""
        from dvt_core.bundle import load_bundle

        torch.set_num_threads(1)
        bundle = load_bundle(name)
        model = bundle.load_model()
        samples = {
            sample.id: Known.of(model, sample.title, sample.path.read_bytes())
            for sample in list_samples(bundle.class_names)
        }
        shared = min(max(round(bundle.default_threshold, 2), 0.0), 1.0)
        return cls(tuple(bundle.class_names), shared, samples, model)

    @property
    def gates(self) -> int:
        """Thresholds of a run: exits but the last."""
        return self.model.num_exits - 1

    def photos(self, owner: str, count: int, size: tuple[int, int] = PHONE) -> list[Known]:
        """Photos of one person; the name decides them."""
        seeds = (int.from_bytes(f"{owner} {n}".encode(), "big") for n in range(count))
        return [
            Known.of(self.model, f"{owner}_{n}.jpg", photo(seed, size))
            for n, seed in enumerate(seeds)
        ]
