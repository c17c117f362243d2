"""Kills a training run at random moments, resumes it each time, and compares the end with a run
that nobody disturbed: the weights must be the same bit for bit.

Every second kill strikes while a checkpoint is being written. Run: `make faults`, or
`python -m scripts.faults.kill_training --kills 5`. Prints JSON.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch

from dvt_core.bundle import WEIGHTS
from dvt_core.config import DVTConfig, PatchTokenizerConfig, StageConfig
from dvt_core.presets import PRESETS
from dvt_core.training import loop, state
from dvt_core.training.monitor import LOG
from tests.core.tiny_folder import write_folder

TINY = DVTConfig(
    tuple(
        StageConfig(PatchTokenizerConfig(patch), 16 // patch, 16, 2, 2, mlp_ratio=2.0)
        for patch in (8, 4)
    ),
    num_classes=3,
    img_size=16,
    context_hidden=8,
    context_dim=4,
    name="tiny",
)
RECIPE = """
name = "tiny"
title = "a tiny cascade"
model = "tiny"
data = "{data}"
epochs = {epochs}
batch_size = 8
lr = 4e-3
drop_path = 0.2
checkpoint_seconds = {seconds}
monitor_images = 4
"""
TEMPORARY = "*.part"  # what a killed writer may leave


def fork(work: Callable[[], object]) -> int:
    """Runs work in a child; one import of torch serves all of them. Returns its process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  (the child's progress bar)
        work()
        code = 0
    except SystemExit as end:
        code = int(str(end.code))
    finally:
        os._exit(code)


def train(recipe: Path, out: Path, *, resume: bool, die_at_byte: int = 0) -> None:
    """Trains in this process and notes when each step was done.

    Args:
        recipe: the recipe's file.
        out: the run's folder.
        resume: go on from its checkpoint.
        die_at_byte: SIGKILL to oneself at this byte of the second checkpoint; 0 leaves it.
    """
    step, note = loop._step, os.open(f"{out}.steps", os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def noted(wrapped: Any, data: Any, run: state.RunState, *args: Any) -> Any:
        losses = step(wrapped, data, run, *args)
        os.write(note, f"{run.step + 1} {time.monotonic()}\n".encode())
        return losses

    loop._step = noted
    if die_at_byte:
        _die_while_writing(die_at_byte)
    loop.train(recipe, out_dir=out, resume=resume)


def _die_while_writing(place: int) -> None:
    save, saves = state._save, []

    class Deadly:
        """Passes bytes on until the fatal one."""

        def __init__(self, file: Any) -> None:
            self.file, self.written = file, 0

        def write(self, raw: bytes) -> int:
            part = bytes(raw)[: max(0, place - self.written)]
            self.file.write(part)
            self.file.flush()
            self.written += len(part)
            if len(part) < len(raw):
                os.kill(os.getpid(), signal.SIGKILL)
            return len(part)

        def flush(self) -> None:
            self.file.flush()

    def deadly(raw: Any, file: Any) -> None:
        saves.append(1)
        save(raw, cast(Any, Deadly(file)) if len(saves) == 2 else file)

    state._save = deadly


def kill_and_resume(recipe: Path, out: Path, kills: int, rng: random.Random) -> list[dict]:
    """Kills a run so often, at random; then lets it end. One row per kill."""
    rows = []
    while len(rows) < kills:
        checkpoint = out / loop.CHECKPOINT
        resume = checkpoint.exists()
        if not resume and out.exists():
            (out / "recipe.toml").unlink(missing_ok=True)
        in_writing = len(rows) % 2 == 1
        place = rng.randrange(1, checkpoint.stat().st_size) if in_writing and resume else 0
        pid = fork(lambda r=resume, p=place: train(recipe, out, resume=r, die_at_byte=p))
        if not place:
            _wait_for_steps(Path(f"{out}.steps"), rng.randrange(3, 12), pid)
            time.sleep(rng.random() * 0.2)
            os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        _, status = os.waitpid(pid, 0)
        if place:
            killed = time.monotonic()
        if os.waitstatus_to_exitcode(status) == 0:
            raise SystemExit("the run ended before it could be killed: more epochs are needed")
        rows.append(_row(out, place, killed))
    code = os.waitstatus_to_exitcode(
        os.waitpid(fork(lambda: train(recipe, out, resume=True)), 0)[1]
    )
    if code:
        raise SystemExit(f"the resumed run ended with {code}")
    return rows


def _wait_for_steps(path: Path, count: int, pid: int) -> None:
    before = len(_steps(path))
    while len(_steps(path)) < before + count:
        if os.waitpid(pid, os.WNOHANG)[0]:
            raise SystemExit("the run ended by itself: more epochs are needed")
        time.sleep(0.01)


def _steps(path: Path) -> list[tuple[int, float]]:
    lines = path.read_text().splitlines() if path.exists() else []
    return [(int(step), float(when)) for step, when in map(str.split, lines)]


def _row(out: Path, place: int, killed: float) -> dict:
    """What a kill cost: steps and seconds since the state that is stored."""
    steps = _steps(Path(f"{out}.steps"))
    path = out / loop.CHECKPOINT
    stored = torch.load(path, weights_only=True)["step"] if path.exists() else 0
    reached = [when for step, when in steps if step == stored]
    return {
        "killed": f"at byte {place} of a checkpoint" if place else "between two moments of a step",
        "stored_step": stored,
        "lost_steps": steps[-1][0] - stored,
        "lost_seconds": round(killed - reached[-1], 2) if reached else None,
        "left_over": len(list(out.glob(TEMPORARY))),
    }


def _log(out: Path) -> list[dict[str, str]]:
    with (out / LOG).open(newline="") as file:
        return [row | {"seconds": ""} for row in csv.DictReader(file)]


def compare(folder: Path, kills: int, epochs: int, seconds: float, seed: int) -> dict:
    """Both runs in `folder`, and in what they differ."""
    os.environ["ACCELERATE_USE_CPU"] = "true"  # bit for bit is a promise for the CPU
    torch.set_num_threads(1)
    PRESETS["tiny"] = TINY
    write_folder(folder / "pictures", per_class=8)
    recipe = folder / "recipe.toml"
    recipe.write_text(RECIPE.format(data=folder / "pictures", epochs=epochs, seconds=seconds))
    whole, broken = folder / "whole", folder / "broken"
    if os.waitpid(fork(lambda: train(recipe, whole, resume=False)), 0)[1]:
        raise SystemExit("the undisturbed run failed")
    rows = kill_and_resume(recipe, broken, kills, random.Random(seed))
    weights = [(run / WEIGHTS).read_bytes() for run in (whole, broken)]
    return {
        "kills": rows,
        "steps": _steps(Path(f"{whole}.steps"))[-1][0],
        "same_weights": weights[0] == weights[1],
        "same_log": _log(whole) == _log(broken),
        "left_over": sorted(path.name for path in broken.glob(TEMPORARY)),
    }


def main() -> None:
    """Runs the comparison; exit code 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--checkpoint-seconds", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        told = compare(Path(folder), args.kills, args.epochs, args.checkpoint_seconds, args.seed)
    print(json.dumps(told, indent=1))
    raise SystemExit(not (told["same_weights"] and told["same_log"] and not told["left_over"]))


if __name__ == "__main__":
    main()
