"""Model folders: round trip, damage, and the bundled model's promises."""

import hashlib
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from dvt_core.authors import AUTHORS
from dvt_core.bundle import CONFIG, WEIGHTS, bundled_dir, load_bundle, load_model, save_bundle
from dvt_core.data import load_split
from dvt_core.errors import InputError
from dvt_core.evaluate import evaluate
from dvt_core.released_rule import released_rule
from dvt_core.solver import pareto_front
from dvt_core.thresholds import replay


@pytest.fixture
def folder(tmp_path, tiny_model):
    save_bundle(tiny_model, tmp_path / "tiny", name="tiny", title="Tiny", default_threshold=0.5)
    return tmp_path / "tiny"


def test_a_saved_model_comes_back_the_same(folder, tiny_model, images):
    again = load_model(folder)
    assert again.class_names == tiny_model.class_names and not again.training
    with torch.inference_mode():
        for a, b in zip(again(images), tiny_model(images), strict=True):
            assert torch.equal(a, b)


def edit_config(folder, **change):
    raw = json.loads((folder / CONFIG).read_text()) | change
    (folder / CONFIG).write_text(json.dumps(raw))


def drop_a_weight(folder):
    state = load_file(folder / WEIGHTS)
    state["stages.0.head.bias"] = torch.zeros(3)
    del state["stages.1.cls_token"]
    save_file(state, folder / WEIGHTS)
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    edit_config(folder, weights_sha256=digest)


def flip_a_bit(folder):
    raw = bytearray((folder / WEIGHTS).read_bytes())
    raw[-5] ^= 4
    (folder / WEIGHTS).write_bytes(raw)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (flip_a_bit, "damaged or replaced"),
        (drop_a_weight, r"stages.0.head.bias is \(3,\), expected \(6,\); .*cls_token is missing"),
        (lambda f: (f / WEIGHTS).unlink(), "cannot read the weights"),
        (lambda f: (f / CONFIG).write_text("{"), "no valid JSON"),
        (lambda f: (f / CONFIG).write_text("[]"), "expected an object"),
        (lambda f: edit_config(f, format=9), "format 9"),
        (lambda f: edit_config(f, architecture={}), "does not fit"),
        (lambda f: edit_config(f, class_names=["one"]), "1 class names for 6 classes"),
    ],
    ids=["bit", "weight", "no weights", "no JSON", "list", "format", "architecture", "names"],
)
def test_a_damaged_folder_is_refused_in_words(folder, damage, words):
    damage(folder)
    with pytest.raises(InputError, match=words):
        load_model(folder)


def test_a_folder_may_lack_its_tables(folder):
    bundle = load_bundle(folder)
    assert not bundle.has_table("test") and bundle.authors is None
    command = f"dvt evaluate --model {folder} --data DATA --split test --out {folder}/test.parquet"
    with pytest.raises(InputError, match=f"no table .* make it with: {command}$"):
        bundle.table("test")


@pytest.mark.parametrize("text", ["{", "{}", '{"points": [1]}'])
def test_damaged_numbers_of_the_authors_are_refused_in_words(folder, text):
    (folder / AUTHORS).write_text(text)
    with pytest.raises(InputError, match=AUTHORS):
        _ = load_bundle(folder).authors


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match="cifar10"):
        load_bundle("cifar1000")


def test_public_names_work_in_a_fresh_process():
    code = (
        "import dvt_core, timm\n"
        "assert timm.create_model('dvt_cifar10', num_classes=3).num_exits == 3\n"
        "from dvt_core import *\n"
        "from dvt_core import build_model, classify, load_model\n"
        "assert all(map(callable, (load_model, build_model, classify, open_image)))\n"
        "print(load_model('cifar10').class_names[3])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "cat\n", done.stderr


@pytest.fixture(scope="module")
def cifar10():
    return load_bundle(bundled_dir() / "cifar10")


def test_bundled_model_keeps_its_promises(cifar10):
    test, calibration = cifar10.table("test"), cifar10.table("calibration")
    assert (test.n, calibration.n) == (10_000, 5_000)
    assert (cifar10.path / WEIGHTS).stat().st_size < 40e6
    macs = test.info.exit_macs
    assert macs[-1] / macs[0] >= 5 and macs == cifar10.load_model().exit_macs
    assert test.exit_accuracy[-1] >= 0.84
    raw = json.loads((cifar10.path / "thresholds.json").read_text())["points"]
    assert len(raw) == len(cifar10.solved) > 20
    for point, stored in zip(cifar10.solved, raw, strict=True):
        assert replay(calibration, point.thresholds) == point
        assert replay(test, point.thresholds).to_dict() == stored["test"]


def test_solver_beats_the_released_rule_on_the_bundled_calibration_table(cifar10):
    calibration = cifar10.table("calibration")
    front = pareto_front(calibration)
    for released in released_rule(calibration):
        assert front.at_budget(released.macs).accuracy >= released.accuracy


@pytest.mark.data
def test_bundled_model_gives_its_stored_answers_again(cifar10):
    try:
        split = load_split("cifar10", "test", limit=200)
    except InputError as error:
        pytest.skip(str(error))
    again, stored = evaluate(cifar10.load_model(), split), cifar10.table("test")
    rows = np.searchsorted(stored.indices, again.indices)
    np.testing.assert_array_equal(stored.indices[rows], again.indices)
    np.testing.assert_allclose(stored.confidences[rows], again.confidences, atol=1e-3)
    assert (stored.predictions[rows] == again.predictions).mean() > 0.995


def test_tables_of_another_model_or_split_are_refused(cifar10, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(cifar10.path, copy)
    shutil.copy(copy / "test.parquet", copy / "calibration.parquet")
    with pytest.raises(InputError, match="holds the test split"):
        load_bundle(copy).table("calibration")
    edit_config(copy, weights_sha256="0" * 64)
    with pytest.raises(InputError, match="this table was made with model"):
        load_bundle(copy).table("test")
