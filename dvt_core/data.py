"""Labelled images for training and measuring: splits, and all their pixels as one array.

Every set has up to three splits. `train` and `test` are stored; `calibration`, where thresholds
are solved, is cut out of the stored training rows by a fixed, stratified choice, and `train`
is what remains. The choice depends on the order of the stored rows: two copies of a set in
different order give different calibration images, so thresholds and training must use one copy.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from dvt_core.data_hub import cache_folder, load_from_hub, missing_message
from dvt_core.data_sources import (
    DATASETS,
    DatasetInfo,
    Rows,
    as_rows,
    choose_split,
    find_folder,
    read_folder,
    stored_splits,
)
from dvt_core.errors import InputError
from dvt_core.images import Preprocess, open_image
from dvt_core.whole_file import whole_folder

SPLITS = ("train", "calibration", "test")
CALIBRATION_SHARE, CALIBRATION_MAX, CALIBRATION_SEED = 0.1, 5000, 2105
_CHUNK = 64  # images one thread decodes at a time

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class ImageSplit:
    """The images of one split, decoded when asked for.

    Attributes:
        name: the data set's name, or the folder's.
        title: for people; says when the stored copy is not the original.
        split: "train", "calibration" or "test".
        class_names: one per class.
        labels: (n,) int64 class indices.
        indices: (n,) int64, row of each image in the stored split.
    """

    name: str
    title: str
    split: str
    class_names: tuple[str, ...]
    labels: np.ndarray
    indices: np.ndarray
    rows: Rows = field(repr=False)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.indices)

    def image(self, i: int) -> Image.Image:
        """Image `i` of the split as RGB.

        Raises:
            InputError: the stored image is damaged.
        """
        index = int(self.indices[i])
        return self._open(self.rows.encoded([index])[0], index)

    def arrays(
        self, preprocess: Preprocess, progress: Progress | None = None, *, threads: int = 4
    ) -> np.ndarray:
        """All images as the model sees them, before normalisation: (n, 3, s, s) uint8.

        Decoded in parallel; `progress(done, total)` is called now and then.
        """
        size = preprocess.img_size
        out = np.empty((len(self), 3, size, size), dtype=np.uint8)

        def decode(start: int) -> int:
            chunk = self.indices[start : start + _CHUNK].tolist()
            for k, source in enumerate(self.rows.encoded(chunk)):
                view = preprocess.view(self._open(source, chunk[k]))
                out[start + k] = np.asarray(view).transpose(2, 0, 1)
            return start + len(chunk)

        with ThreadPoolExecutor(threads) as pool:
            for done in pool.map(decode, range(0, len(self), _CHUNK)):
                if progress is not None:
                    progress(done, len(self))
        return out

    def subset(self, positions: np.ndarray) -> ImageSplit:
        """The images at the given positions (0 to n - 1), in that order."""
        return ImageSplit(
            self.name,
            self.title,
            self.split,
            self.class_names,
            self.labels[positions],
            self.indices[positions],
            self.rows,
        )

    def _open(self, source: bytes | Path, index: int) -> Image.Image:
        try:
            return open_image(source)
        except InputError as error:
            raise InputError(f"row {index} of {self.name} ({self.split}): {error}") from error


def load_split(
    data: str | Path, split: str, *, data_dir: Path | None = None, limit: int | None = None
) -> ImageSplit:
    """A split of a named data set or of any labelled folder.

    Args:
        data: a name from `DATASETS`, or a folder with Parquet files (`train-*.parquet`,
            `test-*.parquet` or `valid*-*.parquet`) or class folders, optionally under `train/`
            and `test/` or `val/`. A folder of class folders alone is all "test".
        split: "train", "calibration" or "test".
        data_dir: where a named set lies: its own folder, or the parent of a folder with its
            name. Without it, see `find_folder`; then the hub.
        limit: take only so many images, evenly spread over the split.

    Raises:
        InputError: unknown name or split, or data that is not there; says how to get it.
    """
    if split not in SPLITS:
        raise InputError(f"unknown split {split!r}, known are {', '.join(SPLITS)}")
    if limit is not None and limit < 1:
        raise InputError(f"limit is {limit}, expected at least 1")
    stored = "test" if split == "test" else "train"
    if isinstance(data, str) and data in DATASETS:
        name, (title, rows) = data, _load_named(DATASETS[data], stored, data_dir)
    else:
        folder = Path(data if data_dir is None else data_dir)
        name = title = folder.resolve().name
        rows = _load_path(folder, stored)
    indices = np.arange(len(rows.labels))
    if split != "test":
        chosen = _calibration_mask(rows.labels)
        indices = indices[chosen if split == "calibration" else ~chosen]
        if len(indices) == 0:
            raise InputError(f"{name} has too few training images to cut a calibration split")
    result = ImageSplit(name, title, split, rows.class_names, rows.labels[indices], indices, rows)
    if limit is not None and limit < len(result):
        result = result.subset(np.arange(limit) * len(result) // limit)
    return result


def _load_named(info: DatasetInfo, stored: str, data_dir: Path | None) -> tuple[str, Rows]:
    folder = find_folder(info.name, data_dir)
    title = info.title
    if folder is not None:
        rows = _load_path(folder, stored, info.test_splits)
        first = rows.encoded([0])[0]
        if info.name.startswith("cifar") and isinstance(first, bytes) and first[:2] == b"\xff\xd8":
            title = f"{title}, re-encoded as JPEG"  # the original is lossless
    elif data_dir is not None:
        raise InputError(f"{data_dir} does not hold {info.name}; {missing_message(info)}")
    else:
        splits = load_from_hub(info)
        name = choose_split(list(splits), stored, info.test_splits)
        if name is None:
            raise InputError(f"{info.hub_id} has the splits {', '.join(splits)}, no {stored} split")
        rows = as_rows(splits[name], info.hub_id)
    if len(rows.class_names) != info.num_classes:
        raise InputError(
            f"{folder or info.hub_id} has {len(rows.class_names)} classes, but {info.name} has "
            f"{info.num_classes}; name the right folder with --data DIR"
        )
    return title, rows


def _load_path(
    folder: Path, stored: str, test_splits: tuple[str, ...] = DatasetInfo.test_splits
) -> Rows:
    if not folder.is_dir():
        known = ", ".join(DATASETS)
        raise InputError(f"{folder} is neither a folder nor a known data set ({known})")
    splits = stored_splits(folder)
    if not splits:
        raise InputError(
            f"{folder} holds no labelled images, expected Parquet files called train-*.parquet "
            "and test-*.parquet, or one folder of images per class"
        )
    name = choose_split(list(splits), stored, test_splits)
    if name is None:
        what = "only a plain test set" if "all" in splits else f"only {', '.join(splits)}"
        raise InputError(
            f"{folder} has no {stored} split ({what}); put its images under {folder / stored}"
        )
    return read_folder(folder, name)


def _calibration_mask(labels: np.ndarray) -> np.ndarray:
    """(n,) bool: which training rows are for calibration.

    A tenth, at most 5,000, each class by its share; a class of two or more images gives at
    least one and keeps at least one.
    """
    wanted = min(CALIBRATION_MAX, round(CALIBRATION_SHARE * len(labels)))
    classes, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    shares = wanted * counts / len(labels)
    quota = np.clip(np.floor(shares).astype(int), counts > 1, counts - 1)
    by_remainder = np.argsort(quota - shares, kind="stable")
    open_classes = (c for c in by_remainder if quota[c] < counts[c] - 1)
    for c in islice(open_classes, max(0, wanted - int(quota.sum()))):
        quota[c] += 1
    # RandomState: its stream is frozen, Generator's may change with NumPy versions
    order = np.random.RandomState(CALIBRATION_SEED).permutation(len(labels))
    mask = np.zeros(len(labels), dtype=bool)
    for c in range(len(classes)):
        mask[order[inverse[order] == c][: quota[c]]] = True
    return mask


@dataclass(frozen=True)
class DatasetStatus:
    """Where a named data set was found; `place` is None when it is not on this machine."""

    info: DatasetInfo
    place: Path | None


def data_status(name: str, data_dir: Path | None = None) -> DatasetStatus:
    """Whether and where a named data set lies on this machine; never goes online."""
    info = _known(name)
    place = find_folder(name, data_dir)
    return DatasetStatus(info, place if place or data_dir else cache_folder(info))


def fetch(name: str, data_dir: Path | None = None) -> Path:
    """The folder of a named data set, downloaded from the hub when it is not on this machine.

    With `data_dir` the set is written there as Parquet files in a folder of its name, ready to
    be carried to a machine without network; otherwise it stays in the hub's cache. Progress bars
    go to stderr.

    Raises:
        InputError: unknown name, no way to the hub, or a place that cannot be written.
    """
    info = _known(name)
    found = data_status(name, data_dir).place
    if found is not None:
        return found
    splits = load_from_hub(info)
    if data_dir is None:
        return Path(next(iter(splits.values())).cache_files[0]["filename"]).parent
    folder = Path(data_dir) / name
    with whole_folder(folder) as scratch:  # half a set is never taken for a whole one
        for split, dataset in splits.items():
            dataset.to_parquet(scratch / f"{split}-00000-of-00001.parquet")
    return folder


def _known(name: str) -> DatasetInfo:
    if name not in DATASETS:
        raise InputError(f"unknown data set {name!r}, known are {', '.join(DATASETS)}")
    return DATASETS[name]
