"""Files, zips and folders as the pictures of a batch: listed and bounded, none opened yet."""

from __future__ import annotations

import os
import shlex
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath

from app.intake.held import Held, hold
from app.language import say
from app.work.jobs import Job
from dvt_core.batch import Source
from dvt_core.data import load_split
from dvt_core.data_sources import DatasetInfo, choose_split, in_words, stored_splits
from dvt_core.errors import InputError
from dvt_core.images import EXTENSIONS
from dvt_core.samples import Sample
from dvt_core.zip_pictures import is_zip, list_zip

MAX_PICTURES, MAX_BATCH_BYTES = 2_000, 200_000_000
MAX_LISTED, MAX_DEPTH = 200_000, 8  # files that are looked at in a folder, and how deep it may go
FILES = "FILE ..."  # what stands in a command for files whose place nobody knows here


@dataclass(frozen=True, eq=False)
class Offer:
    """Pictures that can be run.

    Attributes:
        title: what they are, for people and as `data` in tables: "holiday.zip", "12 files".
        sources: at most `MAX_PICTURES`.
        left_out: (name, reason without a full stop) of what cannot be used.
        found: how many pictures there were before the limit.
        place: what stands for them in a command, already quoted: a folder, files; "" for none.
        depth: how many of the sources' outer folders `place` stands for; None if `place` is no
            folder.
        is_samples: whether they are the built-in samples, whose labels are words, not folders.
        held: what keeps uploaded pictures in memory; None if they lie on this machine's disk.
    """

    title: str
    sources: tuple[Source, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    found: int = 0
    place: str = FILES
    depth: int | None = None
    is_samples: bool = False
    held: Held | None = None

    @property
    def is_dropped(self) -> bool:
        """Whether its pictures have left the memory to make room for others'."""
        return self.held is not None and self.held.is_dropped

    def keep_for(self, job: Job | None) -> None:
        """Keeps the pictures at least until the job has ended."""
        if self.held is not None and job is not None:
            self.held.is_needed = partial(_is_open, weakref.ref(job))

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keeps the pictures meanwhile, before there is a job that needs them."""
        held = self.held
        if held is None:
            yield
            return
        before = held.is_needed
        held.is_needed = meanwhile = lambda: True
        try:
            yield
        finally:
            if held.is_needed is meanwhile:
                held.is_needed = before


def spread(sources: Sequence[Source]) -> tuple[Source, ...]:
    """At most `MAX_PICTURES`, evenly spread, as `dvt evaluate --limit` takes them."""
    if len(sources) <= MAX_PICTURES:
        return tuple(sources)
    return tuple(sources[i * len(sources) // MAX_PICTURES] for i in range(MAX_PICTURES))


def from_samples(samples: Sequence[Sample]) -> Offer:
    """The built-in samples, labelled by their class words."""
    sources = [Source(each.title, (each.label,), partial(_same, each.path)) for each in samples]
    return Offer("samples", spread(sources), (), len(sources), is_samples=True)


def from_files(files: Sequence[tuple[str, bytes]]) -> Offer:
    """Uploaded files and zips by name and content; folders in a name tell the label.

    Raises:
        InputError: together larger than the limit, or than what others leave.
    """
    total = sum(len(data) for _, data in files)
    if total > MAX_BATCH_BYTES:
        raise InputError(
            f"the files have {total / 1e6:,.0f} MB together, a batch takes at most "
            f"{MAX_BATCH_BYTES // 10**6} MB; choose fewer, or open them as a folder"
        )
    sources: list[Source] = []
    left_out: list[tuple[str, str]] = []
    for name, data in sorted(files, key=lambda file: _order(file[0])):
        if is_zip(data):
            _add_zip(name, data, sources, left_out)
        else:
            parts = tuple(filter(None, name.replace("\\", "/").split("/")))
            if not parts or parts[-1].startswith("."):
                continue
            sources.append(Source("/".join(parts), parts[:-1], partial(_same, data)))
    title = files[0][0] if len(files) == 1 else say("{n} files", n=f"{len(files):,}")
    held, found = hold(spread(sources), total), len(sources)
    return Offer(title, held.sources(), tuple(left_out), found, *_place(sources), held=held)


def _is_open(job: weakref.ref[Job]) -> bool:
    found = job()
    return found is not None and found.is_open


def _order(name: str) -> tuple[list[str], str]:
    *folders, last = name.split("/")
    return folders, last


def _place(sources: Sequence[Source]) -> tuple[str, int | None]:
    """What uploaded pictures are called in a command: their one outer folder, DIR, or FILE ..."""
    if not any(source.folders for source in sources):
        return FILES, None
    outer = {source.folders[0] if len(source.folders) > 1 else "" for source in sources}
    (name, *others) = outer
    return (shlex.quote(name), 1) if name and not others else ("DIR", 0)


def _same(data: bytes | Path) -> bytes | Path:
    return data


def _add_zip(
    name: str, data: bytes, sources: list[Source], left_out: list[tuple[str, str]]
) -> None:
    try:
        contents = list_zip(data)
    except InputError as error:
        left_out.append((name, str(error)))
        return
    sources += [Source(each.name, each.folders, each.read) for each in contents.pictures]
    left_out += contents.left_out
    if not contents.pictures:
        left_out.append((name, "the zip holds no pictures"))


def from_folder(folder: Path) -> Offer:
    """The pictures in a folder on this machine, as `dvt evaluate --data` reads it.

    Parquet files and folders called test or val are known; any other folder is searched with all
    that lies in it. Links that lead out of it are not followed.

    Args:
        folder: an absolute path that this visitor may open (`app.serving.access`).

    Raises:
        InputError: no folder, or no pictures in it.
    """
    try:
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder, expected one with pictures")
        splits = stored_splits(folder)
        stored = choose_split(list(splits), "test", DatasetInfo.test_splits)
        root = splits[stored][0] if stored else folder
        if any(
            not path.resolve().is_relative_to(folder.resolve())
            for path in splits.get(stored or "", ())
        ):
            raise InputError(f"{root} leads out of {folder}, name the folder that it leads to")
        sources = _stored(folder) if root.is_file() else list(_walk(root))
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror or error}") from error
    if not sources:
        raise InputError(f"{folder} holds no pictures ({', '.join(EXTENSIONS)})")
    sources.sort(key=lambda source: (source.folders, source.name))
    is_stored, place = root.is_file(), folder if root.is_file() else root
    depth = None if is_stored else 0
    return Offer(folder.name, spread(sources), (), len(sources), shlex.quote(str(place)), depth)


def _stored(folder: Path) -> list[Source]:
    """The test split of Parquet files; a row's class is its folder."""
    split = load_split(folder, "test")
    digits = len(str(len(split)))

    def read(row: int) -> bytes | Path:
        return split.rows.encoded([row])[0]

    return [
        Source(f"{i:0{digits}d}", (split.class_names[label],), partial(read, int(row)))
        for i, (row, label) in enumerate(zip(split.indices, split.labels, strict=True))
    ]


def _walk(root: Path) -> Iterator[Source]:
    """Pictures below a folder; `InputError` where there are too many files to look at."""
    looked_at = 0
    for place, folders, files in os.walk(root):
        parts = Path(place).relative_to(root).parts
        folders[:] = [] if len(parts) == MAX_DEPTH else sorted(f for f in folders if f[0] != ".")
        for file in files:
            looked_at += 1
            if looked_at > MAX_LISTED:
                raise InputError(f"{root} holds more than {MAX_LISTED:,} files, name a smaller one")
            path = Path(place) / file
            is_picture = not file.startswith(".") and file.lower().endswith(EXTENSIONS)
            if is_picture and path.resolve().is_relative_to(root.resolve()) and path.is_file():
                yield Source("/".join((*parts, file)), parts, partial(_same, path))


def command(
    offer: Offer, model: str, class_names: Sequence[str], thresholds: Sequence[float]
) -> str:
    """What gives the same numbers on the command line.

    `dvt evaluate` where the folders are exactly the model's classes in its order, which it asks
    for; else `dvt classify`, picture by picture, or "" where no pattern names just these.

    Args:
        offer: the pictures.
        model: name or folder of the model.
        class_names: of the model.
        thresholds: in force.
    """
    rule, called = _rule(thresholds), shlex.quote(model)
    if _is_model_folder(offer, class_names):
        limit = f" --limit {MAX_PICTURES}" if offer.found > MAX_PICTURES else ""
        return f"dvt evaluate --model {called} --data {offer.place}{rule}{limit}"
    if offer.depth is None:
        return f"dvt classify --model {called}{rule} --json {offer.place}" if offer.place else ""
    if offer.found > len(offer.sources):
        return ""  # no pattern names just those that were taken
    # By ending: `dvt classify` refuses what is no picture, such as a list of labels beside them.
    kinds = {(len(s.folders) - offer.depth, PurePath(s.name).suffix) for s in offer.sources}
    places = " ".join(
        f"{offer.place}/{'*/' * depth}*{shlex.quote(suffix) if suffix else ''}"
        for depth, suffix in sorted(kinds)
    )
    return f"dvt classify --model {called}{rule} --json {places}"


def _is_model_folder(offer: Offer, class_names: Sequence[str]) -> bool:
    """Whether `dvt evaluate` takes the folder: its sub-folders are the classes, in order."""
    if offer.depth is None or any(len(s.folders) != offer.depth + 1 for s in offer.sources):
        return False
    names = sorted({source.folders[-1] for source in offer.sources})
    return len(names) == len(class_names) and in_words(names) == tuple(class_names)


def _rule(thresholds: Sequence[float]) -> str:
    if not thresholds:
        return ""
    if len(set(thresholds)) == 1:
        return f" --threshold {thresholds[0]!r}"
    return f" --thresholds {','.join(map(repr, thresholds))}"
