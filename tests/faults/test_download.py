"""A download that goes wrong: no room, a lost connection, two at once; no half set is found."""

import errno
import io
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.intake import dataset_fetch
from app.intake.dataset_fetch import fetch_test_images, find_test_images, open_test_images
from app.work import jobs
from app.work.jobs import CANCELLED, DONE, Cancelled, JobQueue
from dvt_core import data
from dvt_core.data import fetch, load_split
from dvt_core.errors import InputError
from tests.faults.test_writing import contents, full_disk
from tests.ui.tiny_model import png

PATIENCE_S = 60
FAILED, NO_ROOM = "no way to the hub", "no room"


def parquet(n: int = 40) -> bytes:
    """A test split of `n` labelled pictures in ten classes."""
    rows = [{"bytes": png(size=(16, 16)), "path": None} for _ in range(n)]
    out = io.BytesIO()
    pq.write_table(pa.table({"img": rows, "label": np.arange(n) % 10}), out)
    return out.getvalue()


RAW = parquet()


class Source(io.BytesIO):
    """A file at the hub; `fault` is called before every read with what was read so far."""

    def __init__(self, raw: bytes, fault) -> None:
        super().__init__(raw)
        self.fault = fault

    def read(self, size=-1):
        self.fault(self.tell())
        return super().read(size)


class Hub:
    """Stands in for `HfFileSystem`, with one test file; counts the downloads."""

    def __init__(self, fault=lambda place: None, raw: bytes = RAW, size: int = len(RAW)) -> None:
        self.fault, self.raw, self.size, self.opened = fault, raw, size, 0

    def find(self, path, detail):
        return {f"{path}/plain_text/test-00000-of-00001.parquet": {"size": self.size}}

    def open(self, path, mode):
        self.opened += 1
        return Source(self.raw, self.fault)


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch) -> Path:
    """An empty folder for what is fetched; nothing else on this machine is found."""
    monkeypatch.setattr(dataset_fetch, "find_folder", lambda name: None)
    monkeypatch.setattr(dataset_fetch, "cache_folder", lambda info: None)
    monkeypatch.setattr(dataset_fetch, "CHUNK", 4096)
    monkeypatch.setattr(dataset_fetch, "LOCK_S", 0.01)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.setenv("DVT_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


def get(hub: Hub, step=lambda fraction: None) -> Path:
    return fetch_test_images("cifar10", step, FAILED, NO_ROOM, hub=lambda: hub)


def is_clean(kept: Path) -> bool:
    """Nothing is found, and nothing is left but the lock."""
    left = [path.name for path in kept.rglob("*")]
    return find_test_images("cifar10") is None and left in ([], [".cifar10.lock"])


@pytest.mark.parametrize("room", [0, 5000, len(RAW) - 1])
def test_a_full_disk_is_said_and_room_helps(kept, room):
    with full_disk(room), pytest.raises(InputError, match=f"^{NO_ROOM}$"):
        get(Hub())
    assert is_clean(kept)
    assert len(open_test_images("cifar10", get(Hub()))) == 40


def test_a_full_disk_is_recognised_under_what_libraries_make_of_it(kept, monkeypatch):
    def full(*_):
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise ValueError("could not prepare the data set") from error

    monkeypatch.setattr(dataset_fetch, "open_test_images", full)
    with pytest.raises(InputError, match=f"^{NO_ROOM}$"):
        get(Hub())
    assert is_clean(kept)


def lost(place: int) -> None:
    if place > 10_000:
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")


def timed_out(place: int) -> None:
    if place > 10_000:
        raise TimeoutError("The read operation timed out")


@pytest.mark.parametrize(
    "hub",
    [Hub(lost), Hub(timed_out), Hub(raw=RAW[:-100]), Hub(raw=RAW + b"more"), Hub(raw=b"")],
    ids=["reset", "timeout", "shorter", "longer", "empty"],
)
def test_a_lost_connection_is_said_and_the_next_try_starts_anew(kept, hub):
    with pytest.raises(InputError, match=f"^{FAILED}$"):
        get(hub)
    assert is_clean(kept)
    assert len(open_test_images("cifar10", get(Hub()))) == 40


def test_a_read_that_hangs_is_left_behind_by_cancel_and_the_next_download_runs(kept, monkeypatch):
    monkeypatch.setattr(jobs, "LEFT_S", 0.1)
    hangs, free = threading.Event(), threading.Event()

    def hang(place: int) -> None:
        if place > 10_000:
            hangs.set()
            assert free.wait(PATIENCE_S)

    queue = JobQueue()
    job = queue.submit("a", "fetch", lambda job: get(Hub(hang), job.step))
    assert hangs.wait(PATIENCE_S)
    other = queue.submit("b", "another", lambda job: "done")
    job.cancel()
    deadline = time.monotonic() + PATIENCE_S
    while other.state != DONE:
        assert queue.length >= 0 and time.monotonic() < deadline
        time.sleep(0.01)
    assert job.state == CANCELLED
    free.set()
    while not is_clean(kept):  # what hung comes back, and cleans up behind itself
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_two_at_once_download_once(kept):
    started, free = threading.Event(), threading.Event()

    def slow(place: int) -> None:
        started.set()
        assert free.wait(PATIENCE_S)

    first, second, steps = Hub(slow), Hub(), []
    with ThreadPoolExecutor(2) as people:
        one = people.submit(get, first)
        assert started.wait(PATIENCE_S)
        two = people.submit(get, second, steps.append)
        while not steps:  # it waits, and can be cancelled meanwhile
            time.sleep(0.005)
        free.set()
        assert one.result(PATIENCE_S) == two.result(PATIENCE_S) == kept / "cifar10"
    assert (first.opened, second.opened) == (1, 0)
    assert sorted(path.name for path in kept.iterdir()) == [".cifar10.lock", "cifar10"]


def test_a_download_that_waits_for_another_can_be_cancelled(kept):
    started, free = threading.Event(), threading.Event()

    def slow(place: int) -> None:
        started.set()
        assert free.wait(PATIENCE_S)

    def cancel(fraction: float) -> None:
        raise Cancelled

    with ThreadPoolExecutor(1) as people:
        one = people.submit(get, Hub(slow))
        assert started.wait(PATIENCE_S)
        with pytest.raises(Cancelled):
            get(Hub(), cancel)
        free.set()
        assert one.result(PATIENCE_S) == kept / "cifar10"


HOLDER = """
import pathlib, sys, time
from filelock import FileLock
kept = pathlib.Path(sys.argv[1])
with FileLock(kept / ".cifar10.lock"):
    (kept / "cifar10.part").mkdir()
    (kept / "cifar10.part" / "test-half.parquet").write_bytes(b"half")
    print("held", flush=True)
    time.sleep(600)
"""


def test_another_server_that_is_killed_in_the_middle_leaves_nothing_that_holds_us_up(kept):
    kept.mkdir()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(kept)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    with holder, ThreadPoolExecutor(1) as people:
        assert holder.stdout.readline() == "held\n"
        waits, hub = threading.Event(), Hub()
        mine = people.submit(get, hub, lambda fraction: waits.set())
        assert waits.wait(PATIENCE_S) and hub.opened == 0
        holder.kill()
        assert mine.result(PATIENCE_S) == kept / "cifar10"
    assert len(open_test_images("cifar10", kept / "cifar10")) == 40
    assert sorted(path.name for path in kept.iterdir()) == [".cifar10.lock", "cifar10"]


# --- dvt data fetch ------------------------------------------------------------------------


class Part:
    """A split as `datasets` gives it."""

    def __init__(self, raw: bytes = RAW) -> None:
        self.raw = raw

    def to_parquet(self, path: Path) -> None:
        Path(path).write_bytes(self.raw)


@pytest.fixture
def hub_gives(monkeypatch):
    monkeypatch.setattr(data, "load_from_hub", lambda info: {"train": Part(), "test": Part()})


def test_fetch_into_a_full_folder_leaves_nothing_and_says_so(tmp_path, hub_gives):
    with full_disk(5000), pytest.raises(InputError, match=r"cannot write .*cifar10: File too lar"):
        fetch("cifar10", tmp_path / "data")
    assert contents(tmp_path / "data") == {}
    folder = fetch("cifar10", tmp_path / "data")
    assert contents(folder) == {f"{s}-00000-of-00001.parquet": RAW for s in ("train", "test")}
    assert len(load_split("cifar10", "test", data_dir=tmp_path / "data")) == 40


def test_two_fetches_into_one_folder_both_end_with_the_whole_set(tmp_path, monkeypatch):
    both = threading.Barrier(2, timeout=PATIENCE_S)

    class Slow(Part):
        def to_parquet(self, path: Path) -> None:
            both.wait()
            super().to_parquet(path)

    monkeypatch.setattr(data, "load_from_hub", lambda info: {"train": Slow(), "test": Slow()})
    with ThreadPoolExecutor(2) as people:
        folders = [people.submit(fetch, "cifar10", tmp_path) for _ in range(2)]
        assert {folder.result(PATIENCE_S) for folder in folders} == {tmp_path / "cifar10"}
    assert contents(tmp_path) == {
        f"cifar10/{split}-00000-of-00001.parquet": RAW for split in ("train", "test")
    }


def test_fetch_from_a_hub_that_breaks_off_is_one_sentence(tmp_path, monkeypatch):
    def breaks(*_, **__):
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")

    monkeypatch.setattr("datasets.load_dataset", breaks)
    api = SimpleNamespace(dataset_info=lambda *_, **__: None)
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: api)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(InputError, match=r"the hub did not give it .*Connection reset by peer"):
        fetch("cifar10", tmp_path / "data")
    assert not (tmp_path / "data").exists()
