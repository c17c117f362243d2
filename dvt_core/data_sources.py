"""Where data sets lie and how their rows are read: named sets, Parquet files, class folders.

Every source ends as `Rows`: encoded images and integer labels, nothing decoded yet. The
`datasets` library reads Parquet and the hub; it is imported when first needed, because that
takes seconds.

References:
    Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009 (CIFAR).
    Deng et al., "ImageNet: A Large-Scale Hierarchical Image Database", CVPR 2009.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dvt_core.errors import InputError
from dvt_core.images import EXTENSIONS

_TRAIN = ("train",)
_TEST = ("test", "valid", "validation", "val")


@dataclass(frozen=True)
class DatasetInfo:
    """A data set known by name. `test_splits`: stored splits that may serve as test, best first."""

    name: str
    title: str
    hub_id: str
    num_classes: int
    note: str
    test_splits: tuple[str, ...] = _TEST


DATASETS: dict[str, DatasetInfo] = {
    info.name: info
    for info in (
        DatasetInfo(
            "cifar10",
            "CIFAR-10",
            "uoft-cs/cifar10",
            10,
            "50,000 + 10,000 images of 32x32 pixels, Krizhevsky 2009; no open licence",
        ),
        DatasetInfo(
            "cifar100",
            "CIFAR-100",
            "uoft-cs/cifar100",
            100,
            "50,000 + 10,000 images of 32x32 pixels, Krizhevsky 2009; no open licence",
        ),
        DatasetInfo(
            "tiny-imagenet",
            "Tiny-ImageNet-200",
            "zh-plus/tiny-imagenet",
            200,
            "100,000 + 10,000 images of 64x64 pixels, Stanford CS231n; the stored validation "
            "split serves as test; no open licence",
            test_splits=("valid", "validation", "val"),
        ),
        DatasetInfo(
            "imagenet-1k",
            "ImageNet-1k",
            "ILSVRC/imagenet-1k",
            1000,
            "1,281,167 + 50,000 photos, Deng et al. 2009; the stored validation split serves as "
            "test; about 150 GB, the hub asks for a login and consent; research use only",
            test_splits=("validation", "valid", "val"),
        ),
    )
}


@dataclass(frozen=True, eq=False)
class Rows:
    """One stored split.

    Attributes:
        dataset: `datasets.Dataset` whose column `image` holds undecoded {bytes, path}.
        labels: (n,) int64.
        class_names: one name per class; WordNet ids are replaced by their words.
        has_files: the rows name files that we listed ourselves. Where they were stored by others
            a name could be that of any file of this machine, and none is opened.
    """

    dataset: Any
    labels: np.ndarray
    class_names: tuple[str, ...]
    has_files: bool = False

    def encoded(self, indices: Sequence[int]) -> list[bytes | Path]:
        """What `open_image` takes, for the given rows.

        Raises:
            InputError: a row holds no picture.
        """
        table = self.dataset.with_format("arrow")[list(indices)]
        cells = table["image"].to_pylist()
        if self.has_files:
            return [Path(cell["path"]) for cell in cells]
        for row, cell in zip(indices, cells, strict=True):
            if cell is None or cell["bytes"] is None:
                raise InputError(
                    f"row {row} holds no picture, expected its encoded bytes in the table itself"
                )
        return [cell["bytes"] for cell in cells]


def find_folder(name: str, data_dir: Path | None = None) -> Path | None:
    """The local folder that holds a named data set, or None.

    Without `data_dir`, looks in $DVT_DATA, ./data and the checkout's ../shared/data, in this
    order; each may hold a folder called as the set (`cifar10`, `cifar10-jpeg`) or, `data_dir`
    and $DVT_DATA only, be the set's own folder.
    """
    if data_dir is not None:
        return _find_in(name, Path(data_dir), own=True)
    from_env = os.environ.get("DVT_DATA")
    found = _find_in(name, Path(from_env), own=True) if from_env else None
    for parent in (Path("data"), Path(__file__).resolve().parents[2] / "shared" / "data"):
        found = found or _find_in(name, parent, own=False)
    return found


def _find_in(name: str, parent: Path, *, own: bool) -> Path | None:
    folders = [parent / name]
    if parent.is_dir():
        folders += sorted(
            p for p in parent.iterdir() if p.name.startswith((f"{name}-", f"{name}_"))
        )
    if own:
        folders.append(parent)
    return next((folder for folder in folders if stored_splits(folder)), None)


def stored_splits(folder: Path) -> dict[str, list[Path]]:
    """The splits a folder holds: name -> Parquet files, or one folder of class folders.

    Parquet files are called `train-*.parquet` or `train.parquet` and lie in the folder or in its
    `data` subfolder. Class folders lie under split folders, or directly in the folder, which
    then is one split called "all".
    """
    found: dict[str, list[Path]] = {}
    for place in (folder, folder / "data"):
        for path in sorted(place.glob("*.parquet")) if place.is_dir() else ():
            split = re.split(r"[-.]", path.name)[0]
            if split in _TRAIN + _TEST:
                found.setdefault(split, []).append(path)
        if found:
            return found
    for split in _TRAIN + _TEST:
        if _class_folders(folder / split):
            found[split] = [folder / split]
    if not found and _class_folders(folder):
        found["all"] = [folder]
    return found


def _class_folders(folder: Path) -> list[Path]:
    """Subfolders that hold images directly, by name."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_dir() and next(_images(p), None))


def _images(folder: Path) -> Iterator[Path]:
    return (p for p in folder.iterdir() if p.suffix.lower() in EXTENSIONS and p.is_file())


def choose_split(splits: Sequence[str], wanted: str, test_splits: tuple[str, ...]) -> str | None:
    """The stored split to read for "train" or "test", or None."""
    names = _TRAIN if wanted == "train" else (*test_splits, "all")
    return next((name for name in names if name in splits), None)


def read_folder(folder: Path, split: str) -> Rows:
    """One stored split of a local folder.

    Raises:
        InputError: the files cannot be read, or have no image and label columns.
    """
    splits = stored_splits(folder)
    sources = splits[split]
    if sources[0].is_dir():
        # one numbering of the classes for all splits of the folder
        names = sorted({p.name for parents in splits.values() for p in _class_folders(parents[0])})
        return _read_class_folders(sources[0], names)
    from datasets import load_dataset
    from datasets.exceptions import DatasetGenerationError

    try:
        dataset = load_dataset("parquet", data_files=[str(p) for p in sources], split="train")
    except (OSError, ValueError, DatasetGenerationError) as error:
        reason = error.__cause__ or error
        raise InputError(f"{folder} cannot be read as Parquet: {reason}") from error
    return as_rows(dataset, str(folder))


def _read_class_folders(folder: Path, names: list[str]) -> Rows:
    from datasets import ClassLabel, Dataset, Features, Image

    pairs = [
        (str(path), names.index(sub.name))
        for sub in _class_folders(folder)
        for path in sorted(_images(sub))
    ]
    columns = {"image": [path for path, _ in pairs], "label": [label for _, label in pairs]}
    features = Features({"image": Image(decode=False), "label": ClassLabel(names=names)})
    rows = as_rows(Dataset.from_dict(columns, features=features), str(folder))
    return replace(rows, has_files=True)


def as_rows(dataset: Any, name: str) -> Rows:
    """A `datasets.Dataset` with its image and label columns found and undecoded.

    Raises:
        InputError: no such columns, or rows without a label.
    """
    from datasets import Image

    image = _first(dataset.column_names, ("image", "img"))
    label = _first(dataset.column_names, ("label", "fine_label", "labels"))
    if image is None or label is None:
        raise InputError(
            f"{name} has the columns {', '.join(dataset.column_names)}, "
            "expected `image` (or `img`) and `label` (or `fine_label`)"
        )
    names = getattr(dataset.features[label], "names", None)
    dataset = dataset.select_columns([image, label]).cast_column(image, Image(decode=False))
    if image != "image":
        dataset = dataset.rename_column(image, "image")
    labels = dataset.data.column(label).to_numpy()
    if len(labels) == 0 or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise InputError(f"{name} holds no rows with labels, expected whole numbers from 0 up")
    names = names or [str(i) for i in range(int(labels.max()) + 1)]
    return Rows(dataset, labels.astype(np.int64), in_words(names))


def _first(available: Sequence[str], wanted: tuple[str, ...]) -> str | None:
    return next((name for name in wanted if name in available), None)


def imagenet_words() -> tuple[str, ...]:
    """The 1,000 classes of ImageNet-1k in words, in the order of their WordNet ids."""
    from timm.data.imagenet_info import ImageNetInfo

    return tuple(ImageNetInfo("imagenet-1k").label_descriptions())


def in_words(names: Sequence[str]) -> tuple[str, ...]:
    """Class names with WordNet ids ("n01443537") replaced by their words, if all are such ids."""
    if all(re.fullmatch(r"n\d{8}", name) for name in names):
        from timm.data.imagenet_info import ImageNetInfo

        words = ImageNetInfo("imagenet-22k")
        # One class of the 1,000 (n04399382, teddy) is not among timm's 22,000.
        known = {*words.label_names(), *ImageNetInfo("imagenet-1k").label_names()}
        return tuple(words.label_name_to_description(n) if n in known else n for n in names)
    if len(names) == DATASETS["imagenet-1k"].num_classes:
        # The hub's copy has the same words but for a few, as it needs them unique ("crane2").
        words = imagenet_words()
        if sum(map(str.__eq__, names, words)) > 0.9 * len(words):
            return words
    return tuple(names)
