"""Training that is cut off, told to end, or finds its checkpoint damaged or its disk full.

SIGKILL at random moments, also in the middle of a checkpoint: scripts/faults/kill_training.py.
"""

import itertools
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dvt_core.bundle import load_bundle
from dvt_core.cli import main
from dvt_core.errors import InputError
from dvt_core.presets import PRESETS
from dvt_core.training import loop
from dvt_core.training.recipe import Recipe, load_recipe
from dvt_core.training.state import Rhythm, RunState
from tests.core.tiny_folder import write_folder
from tests.faults.test_writing import contents, full_disk, run_state

RECIPE = """
name = "tiny"
title = "a tiny cascade"
model = "tiny"
data = "{data}"
epochs = 2
batch_size = 8
lr = 4e-3
drop_path = 0.2
checkpoint_seconds = {seconds}
monitor_images = 4
"""


@pytest.fixture
def recipe(tmp_path, tiny_config, monkeypatch) -> Path:
    monkeypatch.setitem(PRESETS, "tiny", tiny_config)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    write_folder(tmp_path / "pictures", per_class=8)
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE.format(data=tmp_path / "pictures", seconds=1000))
    return path


# --- when a checkpoint is due ---------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_a_kill_at_any_moment_costs_less_than_asked(seed):
    """Steps and writings of random length are played; every moment of them is tried as the end."""
    rng, now, seconds = np.random.default_rng(seed), 0.0, 60.0
    longest = rng.uniform(0.01, 7)
    rhythm = Rhythm(seconds, lambda: now)
    reached, saves, worst = 0.0, 0, 0.0  # time at which the state on the disk was reached
    for _ in range(3000):
        now += rng.uniform(0.5, 1) * longest
        worst = max(worst, now - reached)
        if rhythm.is_due():
            at = now

            def write() -> None:
                nonlocal now
                now += rng.uniform(0.1, 0.2) * longest

            rhythm.save(write)
            worst = max(worst, now - reached)
            reached, saves = at, saves + 1
    assert worst < seconds
    assert saves <= now / (seconds / 2) + 1  # and it does not write all the time


def test_steps_that_take_long_are_not_each_followed_by_a_checkpoint():
    now = 0.0
    rhythm, due = Rhythm(60.0, lambda: now), []
    for _ in range(10):
        now += 25.0
        due.append(rhythm.is_due())
        if due[-1]:
            rhythm.save(lambda: None)
    assert due == [False, True] * 5


def test_how_often_is_saved_may_change_when_a_run_goes_on(tiny_model, tmp_path):
    recipe = Recipe("t", "t", next(iter(PRESETS)), "d", epochs=1, batch_size=1, lr=0.1)
    run_state(tiny_model, 5).save(tmp_path / "c.pt", recipe)
    state = run_state(tiny_model, 0)
    state.load(tmp_path / "c.pt", replace(recipe, checkpoint_seconds=5.0))
    assert state.step == 5
    with pytest.raises(InputError, match="another recipe"):
        state.load(tmp_path / "c.pt", replace(recipe, lr=0.2))


# --- a run that is told to end --------------------------------------------------------------


def test_a_run_that_is_told_to_end_keeps_its_last_step_and_goes_on_to_the_same_weights(
    recipe, tmp_path, monkeypatch
):
    """SIGTERM, as a cluster sends it, in the middle of step 3 of 6; no checkpoint was due."""
    loop.train(recipe, out_dir=tmp_path / "whole")
    step, calls = loop._step, itertools.count(1)

    def terminated(*args):
        if next(calls) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(*args)

    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_step", terminated)
        with pytest.raises(SystemExit) as end:
            loop.train(recipe, out_dir=tmp_path / "told")
    assert end.value.code == 143 and signal.getsignal(signal.SIGTERM) == before
    stored = torch.load(tmp_path / "told" / loop.CHECKPOINT, weights_only=True)
    assert stored["step"] == 3
    (tmp_path / "told" / ".checkpoint.pt.9-9.part").write_bytes(b"of a run that was killed")
    loop.train(recipe, out_dir=tmp_path / "told", resume=True)
    whole, told = (load_bundle(tmp_path / name).load_model() for name in ("whole", "told"))
    for (name, a), b in zip(whole.state_dict().items(), told.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert not list((tmp_path / "told").glob(".*"))


# --- a full disk, on the command line ---------------------------------------------------------


def test_a_full_disk_ends_a_run_in_one_sentence_and_room_lets_it_go_on(recipe, tmp_path, capsys):
    recipe.write_text(recipe.read_text().replace("seconds = 1000", "seconds = 0"))
    command = ["train", str(recipe), "--out", str(tmp_path / "run")]
    with full_disk(20_000):
        assert main(command) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "cannot write the checkpoint" in error and "make room and start again" in error
    assert "Traceback" not in error
    assert set(contents(tmp_path / "run")) == {"recipe.toml"}
    assert main([*command, "--resume"]) == 0
    assert load_bundle(tmp_path / "run").load_model()


# --- a checkpoint that is damaged -------------------------------------------------------------


@pytest.fixture
def stored(tiny_model, tmp_path, monkeypatch, tiny_config) -> tuple[Path, Recipe, RunState]:
    monkeypatch.setitem(PRESETS, "tiny", tiny_config)
    recipe = Recipe("tiny", "t", "tiny", "d", epochs=1, batch_size=1, lr=0.1)
    run_state(tiny_model, 5).save(tmp_path / "checkpoint.pt", recipe)
    return tmp_path / "checkpoint.pt", recipe, run_state(tiny_model, 0)


def test_a_checkpoint_cut_anywhere_is_one_sentence(stored):
    path, recipe, state = stored
    whole = path.read_bytes()
    for tenth in range(10):
        path.write_bytes(whole[: len(whole) * tenth // 10])
        with pytest.raises(InputError, match=r"checkpoint .* is damaged; delete it to start anew"):
            state.load(path, recipe)
    path.write_bytes(whole)
    state.load(path, recipe)
    assert state.step == 5


@pytest.mark.parametrize(
    "raw",
    [b"x" * 5000, b"PK\3\4" + bytes(5000), b"\x80\x02}q\0.", b"<html>log in</html>", b"\x80\x05N."],
)
def test_a_checkpoint_that_is_something_else_is_one_sentence(stored, raw):
    path, recipe, state = stored
    path.write_bytes(raw)
    with pytest.raises(InputError, match="is damaged; delete it to start anew"):
        state.load(path, recipe)


def test_a_checkpoint_with_a_flipped_bit_is_refused_or_was_not_touched_where_it_counts(stored):
    """Wherever the bit is: one sentence, or exactly the stored numbers."""
    path, recipe, state = stored
    whole = path.read_bytes()
    state.load(path, recipe)
    expected = {name: value.clone() for name, value in state.model.state_dict().items()}
    rng, refused = np.random.default_rng(0), 0
    for place in rng.integers(0, len(whole), 60):
        raw = bytearray(whole)
        raw[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(raw)
        try:
            state.load(path, recipe)
        except InputError:
            refused += 1
            continue
        for name, value in state.model.state_dict().items():
            assert torch.equal(value, expected[name]), (place, name)
    assert refused > 30


def test_a_checkpoint_without_its_parts_is_one_sentence(stored):
    path, recipe, state = stored
    whole = torch.load(path, weights_only=True)
    for part in whole:
        torch.save({key: value for key, value in whole.items() if key != part}, path)
        with pytest.raises(InputError):
            state.load(path, recipe)


def test_the_recipes_that_are_shipped_lose_less_than_a_minute():
    recipes = (Path(__file__).parents[2] / "assets" / "recipes").glob("*.toml")
    seconds = [load_recipe(path).checkpoint_seconds for path in recipes]
    assert seconds and max(seconds) <= 60
