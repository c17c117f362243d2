"""The built-in sample pictures: 25 of our own, 20 of CIFAR-10 and 20 of ImageNet.

Ours are stamps of Tux Paint (`assets/pictures`). The others are shipped by PyPI's foolbox, which is
installed for these files alone and never imported (slow, and it brings in much). The repository
itself holds no data-set images.

References:
    Rauber et al., "Foolbox Native", JOSS 2020, https://github.com/bethgelab/foolbox.
"""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dvt_core.errors import InputError

_PICTURES = Path(__file__).resolve().parents[1] / "assets" / "pictures"
_CIFAR10 = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
_SHIPPED = "shipped by the PyPI package foolbox"
_LICENCE = "no open licence: for research and teaching; foolbox's MIT licence covers its code"
_SETS = {
    "cifar10": f"CIFAR-10 test image (Krizhevsky 2009), {_SHIPPED}",
    "imagenet": f"ImageNet validation photo (Deng et al. 2009), {_SHIPPED}",
}


@dataclass(frozen=True)
class Sample:
    """A picture with a known answer.

    Attributes:
        id: stable, fit for a link: "cifar10_00".
        title: for people: "cat (CIFAR-10 no. 1)".
        source: whose picture it is and how it got here.
        licence: what may be done with it, as far as known.
        label: the true class in words.
        path: the file.
    """

    id: str
    title: str
    source: str
    licence: str
    label: str
    path: Path


def list_samples(model_classes: Sequence[str] | None = None) -> tuple[Sample, ...]:
    """All samples, those whose class the model knows first.

    Raises:
        InputError: foolbox is not installed.
    """
    samples = _all_samples()
    if model_classes is None:
        return samples
    known = {_key(name) for name in model_classes}
    return tuple(sorted(samples, key=lambda sample: _key(sample.label) not in known))


def get_sample(sample_id: str) -> Sample:
    """The sample with this id.

    Raises:
        InputError: there is none.
    """
    for sample in _all_samples():
        if sample.id == sample_id:
            return sample
    ids = [sample.id for sample in _all_samples()]
    raise InputError(f"unknown sample {sample_id!r}, known are {ids[0]} to {ids[-1]}")


def _key(class_name: str) -> str:
    """A class name without its synonyms: "tench, Tinca tinca" is "tench"."""
    return class_name.split(",")[0].strip().lower()


@lru_cache(maxsize=1)
def _all_samples() -> tuple[Sample, ...]:
    from timm.data.imagenet_info import ImageNetInfo  # late: timm takes seconds to import

    imagenet = ImageNetInfo()
    folder = _folder()
    paths = [path for name in _SETS for path in sorted(folder.glob(f"{name}_*_*.*"))]
    if not paths:
        raise InputError(f"{folder} holds no sample pictures, install foolbox 3.3 again")
    shipped = (_sample(path, imagenet.index_to_description) for path in paths)
    return (*_own(), *shipped)


def _own() -> Iterator[Sample]:
    """The stamps, in the order of their list."""
    with (_PICTURES / "pictures.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            path = _PICTURES / row["file"]
            yield Sample(
                id=f"stamp_{path.stem}",
                title=f"{row['label']} (stamp {path.stem})",
                source="a photographic stamp of Tux Paint (Bill Kendrick and contributors)",
                licence="GPL 2",
                label=row["label"],
                path=path,
            )


def _sample(path: Path, imagenet_words: Callable[[int], str]) -> Sample:
    name, number, label_index = path.stem.split("_")
    if name == "cifar10":
        label, collection = _CIFAR10[int(label_index)], "CIFAR-10"
    else:
        label, collection = imagenet_words(int(label_index)), "ImageNet"
    return Sample(
        id=f"{name}_{number}",
        title=f"{label.split(',')[0]} ({collection} no. {int(number) + 1})",
        source=_SETS[name],
        licence=_LICENCE,
        label=label,
        path=path,
    )


def _folder() -> Path:
    spec = importlib.util.find_spec("foolbox")
    if spec is None or not spec.submodule_search_locations:
        raise InputError("the sample pictures are missing: install foolbox (`make setup` does)")
    return Path(spec.submodule_search_locations[0]) / "data"
