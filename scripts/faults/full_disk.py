"""Fills a real, tiny disk under training, tables and a download: one sentence each, nothing lost.

The disk is a tmpfs in a mount namespace of its own (Linux; `unshare` needs root or user
namespaces). Run: `make faults`, or `python -m scripts.faults.full_disk`. Prints JSON.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from app.intake import dataset_fetch
from dvt_core.attach import attach_ablation
from dvt_core.bundle import load_bundle
from dvt_core.cli import main as dvt
from dvt_core.errors import InputError
from dvt_core.presets import PRESETS
from scripts.faults.kill_training import RECIPE, TINY
from tests.core.tiny_folder import write_folder
from tests.ui.tiny_model import write_bundle

DISK_KB = 2000
REASON = "No space left on device"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder and what it holds."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@contextlib.contextmanager
def no_room(disk: Path, left_kb: int):
    """Fills the disk but for some room, and empties it again."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    os.truncate(filler, max(0, filler.stat().st_size - 1024 * left_kb))
    try:
        yield
    finally:
        filler.unlink()


def tried(disk: Path, what: str, left_kb: int, act: Callable[[], object]) -> dict[str, object]:
    """Acts without room: what was said, and whether everything on the disk is as before."""
    before, said = contents(disk), "nothing"
    errors = io.StringIO()
    with no_room(disk, left_kb), contextlib.redirect_stderr(errors):
        try:
            if act() == 2:  # a command
                said = errors.getvalue().strip().splitlines()[-1]
        except InputError as error:
            said = str(error)
    after = contents(disk)
    names = sorted(before.keys() | after.keys())
    changed = [name for name in names if before.get(name) != after.get(name)]
    return {"what": what, "said": said, "changed": changed}


def inside(disk: Path, outside: Path) -> list[dict[str, object]]:
    """Everything that is tried on the full disk."""
    os.environ |= {"ACCELERATE_USE_CPU": "true", "DVT_CACHE": str(disk / "cache")}
    PRESETS["tiny"] = TINY
    write_folder(outside / "pictures", per_class=8)
    recipe = outside / "recipe.toml"
    recipe.write_text(RECIPE.format(data=outside / "pictures", epochs=1, seconds=0))
    write_bundle(disk / "tiny")
    shutil.copytree(disk / "tiny", outside / "tiny")
    bundle = load_bundle(disk / "tiny")
    train = ["train", str(recipe), "--out", str(disk / "run")]
    told = []
    if dvt(train):
        raise SystemExit("training with room failed")
    (disk / "run" / "config.json").unlink()  # as if it had been killed at the end
    told.append(tried(disk, "training goes on", 8, lambda: dvt([*train, "--resume"])))
    other = ["train", str(recipe), "--out", str(disk / "other")]
    told.append(tried(disk, "training starts", 20, lambda: dvt(other)))
    told.append(
        tried(disk, "a table", 4, lambda: bundle.table("test").save(disk / "tiny/test.parquet"))
    )
    told.append(tried(disk, "attach", 12, lambda: attach_ablation(outside / "tiny", bundle)))
    told.append(tried(disk, "a download", 12, _fetch))
    return told


def _fetch() -> Path:
    raw = os.urandom(200_000)

    class Hub:
        """One file of 200 kB."""

        def find(self, path: str, detail: bool) -> dict[str, dict[str, int]]:
            return {f"{path}/test-0.parquet": {"size": len(raw)}}

        def open(self, path: str, mode: str) -> io.BytesIO:
            return io.BytesIO(raw)

    words = "the way to the hub is blamed", REASON
    return dataset_fetch.fetch_test_images("cifar10", lambda _: None, *words, hub=Hub)


def main() -> None:
    """Mounts the disk and runs `inside` on it; exit code 1 if anything was lost or not said."""
    if sys.argv[1:2] == ["--inside"]:
        print(json.dumps(inside(Path(sys.argv[2]), Path(sys.argv[3]))))
        return
    with tempfile.TemporaryDirectory() as disk, tempfile.TemporaryDirectory() as outside:
        mount = f"mount -t tmpfs -o size={DISK_KB}k none {disk}"
        again = f"{sys.executable} -m scripts.faults.full_disk --inside {disk} {outside}"
        command = [
            "unshare",
            *(["-r"] if os.getuid() else []),
            "-m",
            "sh",
            "-c",
            f"{mount} && exec {again}",
        ]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"it could not be tried: exit code {done.returncode}")
    told = json.loads(done.stdout.splitlines()[-1])
    print(json.dumps(told, indent=1))
    # A run that starts leaves its recipe and log, whole.
    harmless = {"other/recipe.toml", "other/training.csv", "cache/.cifar10.lock"}
    bad = [t for t in told if REASON not in t["said"] or set(t["changed"]) - harmless]
    raise SystemExit(1 if bad else 0)


if __name__ == "__main__":
    main()
