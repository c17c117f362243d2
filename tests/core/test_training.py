"""A recipe trained for real on a tiny folder of pictures."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from timm.models.vision_transformer import VisionTransformer

from dvt_core.bundle import load_bundle
from dvt_core.cli import main
from dvt_core.config import DVTConfig, PatchTokenizerConfig, StageConfig
from dvt_core.data import load_split
from dvt_core.errors import InputError
from dvt_core.evaluate import evaluate
from dvt_core.exit_table import ExitTable
from dvt_core.presets import PRESETS
from dvt_core.thresholds import replay
from dvt_core.training import loop
from dvt_core.training.augment import augment
from dvt_core.training.recipe import AugmentConfig, load_recipe
from tests.core.tiny_folder import write_folder

RECIPE = """
name = "tiny"
title = "a tiny cascade"
model = "tiny"
data = "{data}"
epochs = 3
batch_size = 8
lr = 4e-3
warmup_epochs = 0.5
drop_path = 0.2
checkpoint_seconds = 0
monitor_images = 4
[augment]
crop_padding = 1
cutout = 4
"""


@pytest.fixture
def recipe(tmp_path, tiny_config, monkeypatch) -> Path:
    monkeypatch.setitem(PRESETS, "tiny", tiny_config)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")  # bit for bit is a promise for the CPU
    write_folder(tmp_path / "pictures", per_class=8)
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE.format(data=tmp_path / "pictures"))
    return path


def test_train_leaves_a_complete_model_folder(recipe, tmp_path):
    loop.train(recipe, out_dir=tmp_path / "run")
    bundle = load_bundle(tmp_path / "run")
    model = bundle.load_model()
    split = load_split(tmp_path / "pictures", "test")
    table = bundle.table("test")
    again = evaluate(model, split, batch_size=5)
    np.testing.assert_array_equal(again.predictions, table.predictions)
    np.testing.assert_allclose(again.confidences, table.confidences, atol=1e-5)
    rows = list(csv.DictReader((tmp_path / "run" / "training.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert float(rows[-1]["train_loss_3"]) < float(rows[0]["train_loss_3"])
    with Image.open(tmp_path / "run" / "curves.png") as curves:
        assert curves.size[0] > 500
    solved = json.loads((tmp_path / "run" / "thresholds.json").read_text())["points"]
    for point in solved:
        assert replay(table, point["thresholds"]).to_dict() == point["test"]
    card = (tmp_path / "run" / "README.md").read_text()
    assert f"{100 * table.exit_accuracy[-1]:.1f} ±" in card


def interrupt_at_step(number: int, monkeypatch) -> None:
    """Lets training end as by Ctrl-C in its step `number`; steps after that run as usual."""
    step, calls = loop._step, []

    def interrupted(*args):
        calls.append(1)
        if len(calls) == number:
            raise KeyboardInterrupt
        return step(*args)

    monkeypatch.setattr(loop, "_step", interrupted)


def test_resume_ends_in_the_same_weights(recipe, tmp_path, monkeypatch):
    loop.train(recipe, out_dir=tmp_path / "whole")
    interrupt_at_step(5, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        loop.train(recipe, out_dir=tmp_path / "broken")
    loop.train(recipe, out_dir=tmp_path / "broken", resume=True)
    whole, broken = (load_bundle(tmp_path / n).load_model() for n in ("whole", "broken"))
    for (name, a), b in zip(whole.state_dict().items(), broken.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    logs = [(tmp_path / n / "training.csv").read_text() for n in ("whole", "broken")]
    without_time = [[row | {"seconds": ""} for row in csv.DictReader(log.split())] for log in logs]
    assert without_time[0] == without_time[1]


def test_a_second_run_into_the_same_folder_is_refused(recipe, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / loop.CHECKPOINT).write_bytes(b"")
    with pytest.raises(InputError, match="--resume"):
        loop.train(recipe, out_dir=tmp_path / "run")
    with pytest.raises(InputError, match="damaged"):
        loop.train(recipe, out_dir=tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = ", "no valid TOML"),
        ('colour = "red"', "unknown keys colour"),
        ('name = "x"', "does not fit"),
        (RECIPE.replace("epochs = 3", "epochs = 1.5"), "epochs is 1.5"),
        (RECIPE.replace("lr = 4e-3", "lr = nan"), "lr is nan"),
        (RECIPE.replace("cutout = 4", 'cutout = "4"'), "cutout is '4'"),
    ],
)
def test_a_bad_recipe_is_refused_in_words(tmp_path, text, words):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        load_recipe(path)


def test_bundled_recipes_can_be_read():
    recipes = sorted((Path(__file__).parents[2] / "assets" / "recipes").glob("*.toml"))
    assert recipes and all(load_recipe(path).epochs for path in recipes)


def test_augment_shifts_mirrors_and_cuts_like_one_image_at_a_time():
    """Every augmented picture is some shift and mirror of its original, written out naively."""
    images = torch.arange(4 * 3 * 36, dtype=torch.int64).remainder(251).to(torch.uint8)
    images = images.view(4, 3, 6, 6)
    config = AugmentConfig(crop_padding=2, flip=True, cutout=0)
    out = augment(images, config, torch.Generator().manual_seed(3))
    for before, after in zip(images, out, strict=True):
        wide = np.pad(before.numpy(), ((0, 0), (2, 2), (2, 2)), mode="reflect")
        crops = [wide[:, y : y + 6, x : x + 6] for y in range(5) for x in range(5)]
        candidates = crops + [crop[:, :, ::-1] for crop in crops]
        assert any(np.array_equal(after.numpy(), crop) for crop in candidates)


def test_augment_cuts_a_square_of_the_asked_size():
    images = torch.full((64, 3, 12, 12), 7, dtype=torch.uint8)
    config = AugmentConfig(crop_padding=0, flip=False, cutout=4)
    out = augment(images, config, torch.Generator().manual_seed(0))
    holes = (out[:, 0] == 128).sum(dim=(1, 2))
    assert holes.max() == 16 and holes.min() >= 4  # a square at the border is cut off


def test_learning_rate_warms_up_and_ends_at_zero():
    rates = [loop.learning_rate(step, 100, 10, 1.0) for step in range(101)]
    assert rates[9] == 1.0 and rates[100] == pytest.approx(0, abs=1e-9)
    assert rates[:10] == sorted(rates[:10]) and rates[10:] == sorted(rates[10:], reverse=True)


@pytest.fixture
def fine_tuning(recipe, tmp_path, monkeypatch) -> Path:
    """A recipe whose two stages start from a ViT in a file beside it."""
    torch.manual_seed(1)
    vit = VisionTransformer(img_size=16, patch_size=4, embed_dim=24, depth=2, num_heads=2)
    (tmp_path / "recipes").mkdir()
    save_file(vit.state_dict(), tmp_path / "recipes" / "vit.safetensors")
    stages = tuple(
        StageConfig(PatchTokenizerConfig(16 // grid), grid, 24, 2, num_heads=2) for grid in (2, 4)
    )
    monkeypatch.setitem(PRESETS, "patches", DVTConfig(stages, img_size=16))
    text = recipe.read_text().replace('"tiny"\ndata', '"patches"\ndata')
    text = text.replace("epochs = 3", 'epochs = 2\npretrained = "vit.safetensors"')
    path = tmp_path / "recipes" / "fine.toml"
    path.write_text(text + "[model_options]\nmean = [0.5, 0.5, 0.5]\n")
    return path


def test_fine_tuning_from_a_backbone_learns_and_is_recorded(fine_tuning, tmp_path):
    assert main(["train", str(fine_tuning), "--out", str(tmp_path / "run")]) == 0
    bundle = load_bundle(tmp_path / "run")
    rows = list(csv.DictReader((tmp_path / "run" / "training.csv").read_text().splitlines()))
    assert float(rows[1]["train_loss_2"]) < float(rows[0]["train_loss_2"])
    assert bundle.info["training"]["pretrained"] == "vit.safetensors"
    assert "started from the weights `vit.safetensors`" in (bundle.path / "README.md").read_text()
    assert bundle.config.mean == (0.5, 0.5, 0.5)


def test_only_a_new_run_reads_the_backbone(fine_tuning, tmp_path, capsys):
    fine_tuning.write_text(fine_tuning.read_text().replace("lr = 4e-3", "lr = 1e-12"))
    weights = fine_tuning.with_name("vit.safetensors")
    backbone = load_file(weights)
    command = ["train", str(fine_tuning), "--out", str(tmp_path / "run")]
    assert main(command) == 0
    first = load_bundle(tmp_path / "run").load_model().stages[0].state_dict()
    for key in ("cls_token", "blocks.1.mlp.fc1.weight", "norm.bias"):
        torch.testing.assert_close(first[key], backbone[key])
    weights.unlink()
    assert main([*command, "--resume"]) == 0
    assert main([*command[:-1], str(tmp_path / "other")]) == 2
    assert "cannot read the checkpoint" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_two_processes_give_the_same_table_as_one(recipe, tmp_path, tiny_config):
    loop.train(recipe, out_dir=tmp_path / "run")
    write_folder(tmp_path / "many", per_class=200)  # 600 images: three batches
    tables = []
    for processes in (1, 2):
        out = tmp_path / f"{processes}.parquet"
        launcher = ["-m", "accelerate.commands.launch", "--cpu", f"--num_processes={processes}"]
        launcher += ["--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no"]
        launcher += ["--main_process_port=0"] if processes > 1 else []
        command = ["-m", "dvt_core", "evaluate", "--model", str(tmp_path / "run")]
        command += ["--data", str(tmp_path / "many"), "--split", "test", "--out", str(out)]
        done = subprocess.run(
            [sys.executable, *launcher, *command, "--json"],
            capture_output=True,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert json.loads(done.stdout)["n"] == 600
        tables.append(ExitTable.load(out))
    one, two = tables
    np.testing.assert_array_equal(one.indices, two.indices)
    np.testing.assert_array_equal(one.predictions, two.predictions)
    np.testing.assert_allclose(one.confidences, two.confidences, atol=1e-6)
