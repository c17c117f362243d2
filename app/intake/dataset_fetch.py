"""Where the test images of a known data set lie, and how to get them when they do not.

Pages need the test split alone: a file of some 10 to 25 MB, instead of the whole set that training
needs (`dvt data fetch`). It is kept in a folder of this app, so that a set without its training
images is never taken for a whole one.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from filelock import FileLock, Timeout

from app.language import say
from app.work.job_panel import NETWORK, current_job, forget_job, job_panel, start_job
from app.work.jobs import DONE, Cancelled, Job
from dvt_core.data import ImageSplit, load_split
from dvt_core.data_hub import cache_folder
from dvt_core.data_sources import DATASETS, DatasetInfo, as_rows, choose_split, find_folder
from dvt_core.errors import InputError

CACHE_ENV = "DVT_CACHE"
FETCHABLE = {"cifar10": 24, "cifar100": 24, "tiny-imagenet": 15}  # about how many MB
CHUNK = 1 << 19  # bytes between two looks at the cancel button
LOCK_S = 0.2  # between two looks at a download of somebody else
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}
logger = logging.getLogger(__name__)
_ARROW = re.compile(r".*-([a-z]+)(-\d+-of-\d+)?\.arrow")
_PARQUET = re.compile(r"(?:.*/)?([a-z]+)-[^/]*\.parquet")


def find_test_images(name: str) -> Path | None:
    """The folder with a data set's test images: the set itself, the hub's cache, or our own."""
    found = find_folder(name)
    if found is None and name in DATASETS:
        cached = cache_folder(DATASETS[name])
        if cached is not None and _arrow_files(DATASETS[name], cached):
            return cached
        found = own_folder(name) if own_folder(name).is_dir() else None
    return found


def own_folder(name: str) -> Path:
    """Where this app keeps what it fetched."""
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    cache = os.environ.get(CACHE_ENV) or Path(home) / "dynamic-vit-explorer"
    return Path(cache).expanduser() / name


def open_test_images(name: str, folder: Path) -> ImageSplit:
    """The test split that lies in a folder from `find_test_images`; its pictures stay on disk.

    Raises:
        InputError: it cannot be read.
    """
    if name not in DATASETS:
        return load_split(str(folder), "test")
    info = DATASETS[name]
    files = _arrow_files(info, folder)
    if not files:
        return load_split(name, "test", data_dir=folder)
    from datasets import Dataset, concatenate_datasets

    rows = as_rows(concatenate_datasets([Dataset.from_file(str(file)) for file in files]), name)
    indices = np.arange(len(rows.labels))
    return ImageSplit(name, info.title, "test", rows.class_names, rows.labels, indices, rows)


def _arrow_files(info: DatasetInfo, folder: Path) -> list[Path]:
    """The files of the test split in a folder of the hub's cache; none in any other folder."""
    splits: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("**/*.arrow")):
        found = _ARROW.fullmatch(path.name)
        if found and not path.parent.name.endswith(".incomplete"):
            splits.setdefault(found[1], []).append(path)
    return splits.get(choose_split(list(splits), "test", info.test_splits) or "", [])


def fetch_test_images(
    name: str,
    step: Callable[[float], None],
    failed: str = "the test images could not be fetched",
    no_room: str = "the test images cannot be kept here",
    hub: Callable[[], Any] | None = None,
) -> Path:
    """Downloads the test split of a data set into `own_folder`.

    Several may ask at once, also servers that share the folder: one fetches, the others wait for
    it. What a killed server left is taken away by the next one.

    Args:
        name: from `FETCHABLE`.
        step: told how far it is, 0..1, every `CHUNK` bytes; what it raises ends the download.
        failed: the sentence, without a full stop, for whatever goes wrong on the way.
        no_room: the same for this computer's own disk, full or closed to us.
        hub: makes the file system of the hub; another one in tests.

    Raises:
        InputError: no way to the hub, or no way to write; nothing is left of it.
    """
    info, folder = DATASETS[name], own_folder(name)
    if folder.is_dir():
        return folder
    unfinished = folder.with_name(f"{name}.part")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder.with_name(f".{name}.lock"), step):
            if folder.is_dir():
                return folder  # somebody else was quicker
            try:
                shutil.rmtree(unfinished, ignore_errors=True)
                unfinished.mkdir()
                _download(info, unfinished, step, (hub or _hub)())
                open_test_images(name, unfinished)
                return unfinished.rename(folder)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    except Cancelled:
        raise
    except Exception as error:  # the hub's client raises the classes of its HTTP library
        logger.warning("test images of %s: %s", name, error)
        raise InputError(no_room if _is_of_the_disk(error) else failed) from error


@contextmanager
def _alone(lock: Path, step: Callable[[float], None]) -> Iterator[None]:
    """Waits until no other process or thread holds the lock, which the system frees with it."""
    held = FileLock(lock, thread_local=False)
    while True:
        try:
            held.acquire(timeout=0)
            break
        except Timeout:
            step(0.0)
            time.sleep(LOCK_S)
    try:
        yield
    finally:
        held.release()


def _is_of_the_disk(error: BaseException | None) -> bool:
    """Whether this computer's disk refused, however deep a library has wrapped that."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            return True
        error = error.__cause__ or error.__context__
    return False


def _hub() -> Any:
    from huggingface_hub import HfFileSystem

    return HfFileSystem()


def _download(info: DatasetInfo, folder: Path, step: Callable[[float], None], hub: Any) -> None:
    sizes: dict[str, dict[str, int]] = {}
    for path, about in hub.find(f"datasets/{info.hub_id}", detail=True).items():
        if found := _PARQUET.fullmatch(path):
            sizes.setdefault(found[1], {})[path] = about["size"]
    split = choose_split(list(sizes), "test", info.test_splits)
    if split is None:
        raise InputError(f"{info.hub_id} holds no Parquet file of a test split")
    total, done = sum(sizes[split].values()), 0
    for path, size in sizes[split].items():
        received = 0
        with hub.open(path, "rb") as source, (folder / Path(path).name).open("wb") as copy:
            while chunk := source.read(CHUNK):
                copy.write(chunk)
                done += len(chunk)
                received += len(chunk)
                step(done / total)
        if received != size:
            raise ConnectionError(f"{path} ended after {received:,} of {size:,} bytes")


def has_way_out() -> bool:
    """Whether this machine has a route to the internet; nothing is sent to find out."""
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "on", "yes", "true"):
        return False
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("1.1.1.1", 443))  # of a datagram socket: only looks up the route
        return True
    except OSError:
        return False


def fetch_panel(name: str) -> None:
    """The button that fetches a data set's test images, and how far it is; nothing if offline.

    The page is run again when they are there.
    """
    key = f"fetch_{name}"
    job = current_job(key)
    if job is not None and job.state == DONE:
        forget_job(key)
        st.rerun()
    if name not in FETCHABLE or not (has_way_out() or job is not None):
        return
    if job is None or not job.is_open:
        st.button(
            say("Fetch the test images (about {size} MB)", size=FETCHABLE[name]),
            key=f"{key}_button",
            on_click=partial(_start, key, name),
            help=say(
                "From huggingface.co, once; they stay on this machine. "
                "Nothing else needs a network."
            ),
        )
    job_panel(key)


def _start(key: str, name: str) -> None:
    title = DATASETS[name].title
    failed = say(
        "the test images could not be fetched from huggingface.co: check the connection, or put "
        "the data set into ./data/{name}",
        name=name,
    )

    no_room = say(
        "the test images cannot be kept in {folder}: its disk is full or closed to this program, "
        "make room or name another folder with the environment variable {variable}",
        folder=own_folder(name).parent,
        variable=CACHE_ENV,
    )

    def work(job: Job) -> Path:
        return fetch_test_images(name, job.step, failed, no_room)

    try:
        start_job(key, say("Fetching the test images of {data}", data=title), work, NETWORK)
    except InputError as error:
        st.warning(f"{error}.")
