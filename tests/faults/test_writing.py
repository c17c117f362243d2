"""A disk that is full in the middle of a file: one sentence, the old file intact, nothing left.

The kernel refuses for real: files of this process may not grow beyond a limit meanwhile.
"""

import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from timm.utils.model_ema import ModelEmaV3

from dvt_core import attach, bundle, whole_file
from dvt_core.bundle import load_bundle, save_bundle
from dvt_core.errors import InputError
from dvt_core.presets import PRESETS
from dvt_core.training import monitor, publish
from dvt_core.training.card import write_card
from dvt_core.training.recipe import Recipe
from dvt_core.training.state import RunState
from dvt_core.whole_file import remove_left_over, whole_folder, write_whole
from tests.ui.tiny_model import write_bundle

REFUSED = "File too large"  # what the kernel says at the limit, as "No space left on device"


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """No file of this process may grow beyond `room` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones included, and what it holds."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def recipe(tiny_config, monkeypatch) -> Recipe:
    monkeypatch.setitem(PRESETS, "tiny", tiny_config)
    return Recipe("tiny", "t", "tiny", "nowhere", epochs=1, batch_size=1, lr=0.1)


def run_state(model: torch.nn.Module, step: int) -> RunState:
    optimizer = torch.optim.AdamW(model.parameters())
    return RunState(model, ModelEmaV3(model), optimizer, torch.zeros(3), step=step)  # type: ignore[arg-type]


def test_a_checkpoint_that_finds_no_room(tiny_model, recipe, tmp_path):
    path = tmp_path / "run" / "checkpoint.pt"
    run_state(tiny_model, 7).save(path, recipe)
    before = contents(tmp_path)
    size = len(before["run/checkpoint.pt"])
    for room in (0, 1, 100, size // 10, size // 2, size - 1):
        with full_disk(room), pytest.raises(InputError) as told:
            run_state(tiny_model, 8).save(path, recipe)
        assert str(told.value) == (
            f"cannot write the checkpoint {path}: {REFUSED}; the one before is whole, make room "
            "and go on with --resume"
        )
        assert contents(tmp_path) == before
    restored = run_state(tiny_model, 0)
    restored.load(path, recipe)
    assert restored.step == 7
    path.unlink()
    with full_disk(100), pytest.raises(InputError, match="make room and start again"):
        run_state(tiny_model, 8).save(path, recipe)
    assert contents(tmp_path) == {}


Writer = Callable[[Path, torch.nn.Module], object]
ROWS = [{"epoch": 1.0, "train_loss_1": 1.0, "calibration_accuracy_1": 0.5}]
WRITERS: dict[str, tuple[Writer, int]] = {  # what writes, and the room it finds
    "weights": (lambda folder, model: _save(model, folder), 2000),
    "config": (lambda folder, model: _config(folder, model), 500),
    "table": (lambda folder, _: _table(folder), 9),
    "thresholds": (lambda folder, _: _thresholds(folder), 100),
    "card": (lambda folder, _: write_card(load_bundle(folder)), 1000),
    "log": (lambda folder, _: monitor.write_log(ROWS, folder), 10),
    "curves": (lambda folder, _: monitor.write_log(ROWS, folder), 1000),
    "baselines": (lambda folder, _: attach.attach_ablation(folder, load_bundle(folder)), 3000),
}


def _save(model: torch.nn.Module, folder: Path) -> None:
    save_bundle(model, folder, name="tiny", title="new", default_threshold=0.1)  # type: ignore[arg-type]


def _table(folder: Path) -> None:
    load_bundle(folder).table("test").save(folder / "test.parquet")


def _thresholds(folder: Path) -> None:
    bundle = load_bundle(folder)
    publish.write_thresholds(bundle.table("calibration"), bundle.table("test"), folder)


def _config(folder: Path, model: torch.nn.Module) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle, "WEIGHTS", "../weights")  # fits, as it were
        patch.setattr(bundle, "save_safetensors", lambda state: b"")
        _save(model, folder)


@pytest.fixture(scope="module")
def complete(tmp_path_factory) -> Path:
    """A model folder with everything that is ever written into one."""
    folder = tmp_path_factory.mktemp("complete") / "tiny"
    write_bundle(folder)
    _thresholds(folder)
    monitor.write_log([row | {"epoch": 0.0} for row in ROWS], folder)
    attach.attach_ablation(folder, load_bundle(folder))
    write_card(load_bundle(folder))
    return folder


@pytest.mark.parametrize("name", WRITERS)
def test_a_model_folder_keeps_its_files_when_there_is_no_room(name, complete, tiny_model):
    write, room = WRITERS[name]
    before = contents(complete.parent)
    with full_disk(room), pytest.raises(InputError, match=f"cannot write .*: {REFUSED}"):
        write(complete, tiny_model)
    after = contents(complete.parent)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    # the log is written before its curves; each of them is whole
    assert changed <= ({"tiny/training.csv", "weights"} if name in ("curves", "config") else set())
    (complete.parent / "weights").unlink(missing_ok=True)
    assert load_bundle(complete).load_model()


def test_a_reader_sees_a_whole_file_at_any_moment(tmp_path):
    """Two writers and a reader; every read is one of the written texts, in full."""
    path, texts, seen = tmp_path / "file", [bytes([65 + i]) * 100_000 for i in range(2)], set()
    write_whole(path, texts[0])
    writers = [
        threading.Thread(target=lambda t=text: [write_whole(path, t) for _ in range(40)])
        for text in texts
    ]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        seen.add(path.read_bytes())
    seen.add(path.read_bytes())
    assert seen <= set(texts)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_what_a_killed_process_left_is_removed_and_what_is_being_written_is_not(tmp_path):
    path, other = tmp_path / "a[1].pt", tmp_path / "b.pt"
    left = tmp_path / ".a[1].pt.99-99.part"
    others = [tmp_path / name for name in (".b.pt.99-99.part", ".a1.pt.9-9.part", "a[1].pt.part")]
    for each in (left, *others):
        each.write_bytes(b"half")
    write_whole(path, b"new")
    assert left.exists()  # perhaps it is still being written
    remove_left_over(path)
    assert not left.exists() and all(each.exists() for each in others)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole_file, "LEFT_OVER_S", 0)
        write_whole(other, b"new")
    assert not others[0].exists() and path.read_bytes() == other.read_bytes() == b"new"


def test_a_folder_is_replaced_file_by_file_or_not_at_all(tmp_path):
    folder = tmp_path / "folder"
    for texts in ({"a": b"1", "b": b"1"}, {"b": b"2", "c": b"2"}):
        with whole_folder(folder) as scratch:
            for name, text in texts.items():
                (scratch / name).write_bytes(text)
    expected = {"folder/a": b"1", "folder/b": b"2", "folder/c": b"2"}
    assert contents(tmp_path) == expected
    with pytest.raises(InputError, match=REFUSED), full_disk(10), whole_folder(folder) as scratch:
        (scratch / "a").write_bytes(b"3")
        (scratch / "b").write_bytes(bytes(100))
    with pytest.raises(KeyboardInterrupt), whole_folder(folder) as scratch:
        (scratch / "a").write_bytes(b"4")
        raise KeyboardInterrupt
    assert contents(tmp_path) == expected and len(list(tmp_path.iterdir())) == 1


def test_every_place_that_writes_into_a_final_file_is_known():
    """New code that writes must do it through `whole_file`; what is listed writes elsewhere."""
    import re

    root = Path(__file__).resolve().parents[2]
    pattern = re.compile(
        r"\.write_text\(|\.write_bytes\(|torch\.save\(|\bsave_file\(|np\.savez?\(|"
        r"pq\.write_table\(|\.to_parquet\(|copyfile\(|open\([^)]*\"[wax]b?\+?\""
    )
    allowed = {
        "dvt_core/whole_file.py",  # the helper
        "dvt_core/table_file.py",  # into memory
        "dvt_core/batch.py",  # into memory
        "dvt_core/training/state.py",  # below whole_file
        "dvt_core/attach.py",  # into the scratch of whole_folder
        "dvt_core/data.py",  # into a folder that is renamed at the end
        "app/intake/dataset_fetch.py",  # the same
    }
    found = {
        path.relative_to(root).as_posix()
        for folder in ("dvt_core", "app")
        for path in (root / folder).rglob("*.py")
        if pattern.search(path.read_text())
    }
    assert found == allowed
