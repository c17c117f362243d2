"""Checkpoints of the official code: what is read, what is refused, and that nothing runs."""

from __future__ import annotations

import json
import os
import pickle
import re
import zipfile
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from dvt_core.authors import AuthorsResults
from dvt_core.bundle import load_bundle, load_model
from dvt_core.checkpoint_file import read_checkpoint
from dvt_core.config import DVTConfig
from dvt_core.data import load_split
from dvt_core.data_sources import imagenet_words
from dvt_core.errors import InputError
from dvt_core.evaluate import evaluate
from dvt_core.macs import exit_macs
from dvt_core.model import build_model
from dvt_core.model.official_names import official_state
from dvt_core.official_checkpoint import convert
from dvt_core.presets import PRESETS
from tests.core.official_files import lively, numbers, save, shrunk, weights

T2T = shrunk("dvt_t2t_vit_12")
FAMILIES = {
    name: shrunk(name)
    for name in (
        "dvt_t2t_vit_12",
        "dvt_deit_small",
        "dvt_t2t_vit_12_two_exits",
        "t2t_vit_7",
        "deit_small",
    )
}


@pytest.fixture(autouse=True)
def small_presets(monkeypatch) -> None:
    """The architectures to guess among are small too: a guess takes no time."""
    monkeypatch.setattr("dvt_core.official_checkpoint.PRESETS", FAMILIES)


@pytest.fixture
def released(tmp_path) -> Path:
    return save({"model_state_dict": weights(lively(T2T)), **numbers()}, tmp_path / "T2T.pth.tar")


def refused(path: Path, config: DVTConfig = T2T) -> str:
    """The sentence about a file that cannot be converted; nothing may be left behind."""
    before = sorted(path.parent.iterdir())
    with pytest.raises(InputError) as caught:
        convert(path, config, path.parent / "models" / "out")
    assert sorted(path.parent.iterdir()) == before
    sentence = str(caught.value)
    assert "\n" not in sentence and str(path) in sentence
    return sentence


def with_numbers(state, path, **options):
    return save({"model_state_dict": state, **numbers()}, path, **options)


def as_training(state, path):
    options = Namespace(lr=0.1, model="DVT_T2t_vit_12")
    stale = {key: torch.zeros_like(value) for key, value in state.items()}
    return save({"state_dict": stale, "state_dict_ema": state, "args": options, "epoch": 3}, path)


def as_safetensors(state, path):
    path = path.with_suffix(".safetensors")
    save_file(state, path)
    return path


FLAVOURS: dict[str, Callable[..., Path]] = {
    "released": with_numbers,
    "legacy": lambda state, path: with_numbers(state, path, is_zip=False),
    "bare": save,
    "parallel": lambda state, path: save({f"module.{k}": v for k, v in state.items()}, path),
    "DeiT": lambda state, path: save({"model": state}, path),
    "training": as_training,
    "float64": lambda state, path: save({k: v.double() for k, v in state.items()}, path),
    "safetensors": as_safetensors,
}


def assert_same_logits(folder: Path, model) -> None:
    pictures = torch.randn(3, 3, model.config.img_size, model.config.img_size)
    with torch.inference_mode():
        for ours, theirs in zip(load_model(folder)(pictures), model(pictures), strict=True):
            assert ours.dtype == torch.float32 and torch.equal(ours, theirs)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_convert_keeps_the_weights_of_every_kind_of_file(tmp_path, flavour):
    model = lively(T2T)
    path = FLAVOURS[flavour](weights(model), tmp_path / "file.pth.tar")
    assert convert(path, T2T, tmp_path / "out").bundle.config == T2T
    assert_same_logits(tmp_path / "out", model)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("reuse", [(True, True), (False, True), (False, False)])
def test_convert_knows_every_architecture_and_variant(tmp_path, family, reuse):
    config = replace(FAMILIES[family], feature_reuse=reuse[0], relation_reuse=reuse[1])
    model = lively(config)
    convert(save(weights(model), tmp_path / "file.pth"), config, tmp_path / "out")
    assert_same_logits(tmp_path / "out", model)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_weights_become_float32_without_a_note_on_positions(tmp_path, dtype):
    state = {key: value.to(dtype) for key, value in weights(lively(T2T)).items()}
    done = convert(save(state, tmp_path / "half.pth"), T2T, tmp_path / "out")
    assert not any("sinusoid" in note for note in done.notes)
    filled = official_state(load_model(tmp_path / "out"))
    assert all(torch.equal(filled[key], state[key].float()) for key in state)


def test_the_authors_numbers_survive(tmp_path, released):
    bundle = convert(released, T2T, tmp_path / "out").bundle
    authors = load_bundle(tmp_path / "out").authors
    assert authors == bundle.authors and authors is not None
    assert authors.exit_macs == (0.5e9, 1.5e9, 3.5e9)
    assert authors.exit_accuracy == pytest.approx((0.69, 0.755, 0.8))
    assert [p.macs for p in authors.points] == pytest.approx([0.6e9, 1.6e9, 2.6e9, 3.6e9, 4.6e9])
    assert [p.accuracy for p in authors.points] == pytest.approx([0.7, 0.72, 0.74, 0.76, 0.78])
    assert authors.points[0].thresholds == (pytest.approx(0.9), 1e8)
    assert authors.points[4].thresholds == pytest.approx((0.5, 0.5))
    assert authors.source.startswith("T2T.pth.tar, sha256 ") and len(authors.source) == 84
    assert AuthorsResults.from_dict(json.loads(json.dumps(authors.to_dict()))) == authors
    assert bundle.default_threshold == 0.7 and bundle.title.endswith("converted weights")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| 3 | 4x4 |" in card and "| 3.500 | 80.00 % |" in card and "T2T.pth.tar" in card


def test_points_come_cheapest_first_and_a_budget_finds_the_best_within(tmp_path):
    entries = numbers()
    entries["budgeted_batch_classification"][0].reverse()
    path = save({"model_state_dict": weights(lively(T2T)), **entries}, tmp_path / "file.pth")
    authors = convert(path, T2T, tmp_path / "out").bundle.authors
    assert authors.points[0].thresholds == pytest.approx((0.5, 0.5))
    for budget in (0.6e9, 2.6e9, 2.7e9):
        within = [point for point in authors.points if point.macs <= budget]
        assert authors.at_budget(budget) == max(within, key=lambda p: (p.accuracy, -p.macs))
    with pytest.raises(InputError, match=r"0\.5 GMACs .* takes 0\.6"):
        authors.at_budget(0.5e9)


KINDS: dict[str, Callable[[np.ndarray], Any]] = {
    "lists": lambda a: a.tolist(),
    "tuples of NumPy numbers": lambda a: tuple(list(row) if row.ndim else row for row in a),
    "array": np.asarray,
    "Fortran array": np.asfortranarray,
    "tensor": torch.from_numpy,
    "tensors": lambda a: [torch.from_numpy(np.array(row)) for row in a],
    "tensors of one": lambda a: [torch.from_numpy(np.array([row])) for row in a],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_numbers_may_be_stored_in_any_way(tmp_path, kind, dtype):
    plain = numbers()
    entries = {
        "flops": KINDS[kind](np.array([0.5, 1.5, 3.5], dtype)),
        "anytime_classification": KINDS[kind](np.array([69.0, 75.5, 80.0], dtype)),
        "budgeted_batch_classification": KINDS[kind](
            np.array(plain["budgeted_batch_classification"], dtype)
        ),
        "dynamic_threshold": plain["dynamic_threshold"].numpy().tolist(),
    }
    state = weights(lively(T2T))
    found = convert(save({"model": state, **entries}, tmp_path / "a"), T2T, tmp_path / "out")
    wanted = convert(save({"model": state, **plain}, tmp_path / "b"), T2T, tmp_path / "out2")
    for ours, theirs in zip(found.bundle.authors.points, wanted.bundle.authors.points, strict=True):
        assert ours.thresholds == theirs.thresholds
        assert (ours.macs, ours.accuracy) == pytest.approx((theirs.macs, theirs.accuracy))
    assert found.bundle.authors.exit_macs == wanted.bundle.authors.exit_macs


@pytest.mark.parametrize("is_zip", [True, False])
def test_files_of_numpy_1_are_read(tmp_path, is_zip):
    entries = {"x": np.float64(1.25), "rows": np.arange(6, dtype=">i4").reshape(2, 3)}
    path = save(entries, tmp_path / "new.pth", is_zip=is_zip)
    if is_zip:
        with zipfile.ZipFile(path) as new, zipfile.ZipFile(tmp_path / "old.pth", "w") as old:
            for name in new.namelist():
                old.writestr(name, as_numpy_1(new.read(name)))
    else:
        (tmp_path / "old.pth").write_bytes(as_numpy_1(path.read_bytes()))
    found = read_checkpoint(tmp_path / "old.pth")
    assert found["x"] == 1.25 and type(found["x"]) is float
    np.testing.assert_array_equal(np.asarray(found["rows"]), [[0, 1, 2], [3, 4, 5]])


def as_numpy_1(raw: bytes) -> bytes:
    return raw.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def test_weights_saved_on_a_gpu_are_read_without_one(tmp_path):
    path = save({"model": {"a": torch.arange(4.0)}}, tmp_path / "gpu.pth", is_zip=False)
    raw = path.read_bytes()
    for ours, theirs in (
        (b"ctorch\nFloatStorage", b"ctorch.cuda\nFloatStorage"),
        (b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"),
    ):
        assert ours in raw
        raw = raw.replace(ours, theirs)
    path.write_bytes(raw)
    assert read_checkpoint(path)["model"]["a"].tolist() == [0, 1, 2, 3]


def test_what_a_file_lacks_is_said(tmp_path):
    path = save({"model_state_dict": weights(lively(T2T)), "flops": [1, 2, 3]}, tmp_path / "file")
    done = convert(path, T2T, tmp_path / "out")
    assert done.bundle.authors == AuthorsResults(
        (1e9, 2e9, 3e9), (), (), done.bundle.authors.source
    )
    assert done.bundle.default_threshold == 0.7
    absent = "the file holds no anytime_classification, dynamic_threshold, budgeted_batch"
    assert done.notes[0].startswith(absent)
    bare = convert(save(weights(lively(T2T)), tmp_path / "bare"), T2T, tmp_path / "out2").bundle
    assert bare.authors is None and not (tmp_path / "out2" / "authors.json").exists()
    assert bare.title == "DVT on T2T-ViT-12, converted weights"


def test_the_authors_costs_are_compared_with_ours(tmp_path):
    close = np.array(exit_macs(T2T)) / 1e9 * [1.0, 1.04, 1.06]
    path = save({"model": weights(lively(T2T)), "flops": close}, tmp_path / "file")
    (note,) = [n for n in convert(path, T2T, tmp_path / "out").notes if "5 %" in n]
    assert note.startswith("exit 3 costs")


def test_positions_that_are_not_the_sinusoid_are_kept_and_told(tmp_path):
    state = weights(lively(T2T))
    state["less_token.pos_embed"] += 0.25
    done = convert(save(state, tmp_path / "file"), T2T, tmp_path / "out")
    assert done.notes[0] == (
        "less_token.pos_embed is not the sinusoid (off by 0.25); kept as it is"
    )
    stored = load_model(tmp_path / "out").stages[1].pos_embed
    assert torch.equal(stored, state["less_token.pos_embed"])


class Runs:
    """A pickle of it runs a shell command when it is read carelessly."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


class Address:
    """A pickle of it makes a Python object of the bytes of an address."""

    def __reduce__(self):
        return np.ndarray, ((1,), "O", bytearray(id(None).to_bytes(8, "little")))


@pytest.mark.parametrize("kind", ["zip", "legacy", "plain pickle", "newest pickle"])
def test_code_in_a_pickle_never_runs(tmp_path, kind):
    marker, path = tmp_path / "marker", tmp_path / "evil.pth"
    entries = {"flops": Runs(f"touch {marker}"), "model_state_dict": weights(lively(T2T))}
    if "pickle" in kind:
        path.write_bytes(pickle.dumps(entries, 2 if kind == "plain pickle" else 5))
    else:
        save(entries, path, is_zip=kind == "zip")
    sentence = refused(path)
    assert not marker.exists()
    if kind != "newest pickle":  # torch stops at its first byte
        assert "asks for 'posix.system'" in sentence and "not opened further" in sentence
    if kind == "plain pickle":
        pickle.loads(path.read_bytes())
        assert marker.exists()  # the command would have worked


def test_bytes_never_become_addresses(tmp_path):
    found = read_checkpoint(save({"flops": Address()}, tmp_path / "evil.pth"))
    assert np.asarray(found["flops"]).dtype != object
    with pytest.raises(InputError, match=r"asks for .numpy.dtype"):
        read_checkpoint(save({"flops": np.array([None])}, tmp_path / "objects.pth"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    weight = torch.load(path, weights_only=False)["model_state_dict"]["normal_token.head.weight"]
    raw[raw.index(weight.numpy().tobytes())] ^= 1
    path.write_bytes(raw)


def replaced_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def recompressed(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "no checkpoint")


BROKEN = {
    "missing": (Path.unlink, "No such file"),
    "folder": (replaced_by_folder, "is a folder"),
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "text": (lambda path: path.write_text("not a checkpoint " * 9), "no checkpoint of torch.save"),
    "web page": (lambda path: path.write_text("<!DOCTYPE html><html>"), "is a web page"),
    "truncated": (cut, "is cut off"),
    "flipped bit": (flip, "a checksum is wrong"),
    "other zip": (recompressed, "no checkpoint of torch.save"),
    "list": (lambda path: save([1, 2], path), "holds a list, expected a dict"),
    "no weights": (lambda path: save({"epoch": 3}, path), "no weights: .* found epoch"),
    "odd weights": (lambda path: save({"model": {"a": torch.ones(1), "b": 1}}, path), "b, a int"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_gets_one_sentence(released, kind):
    spoil, words = BROKEN[kind]
    spoil(released)
    sentence = refused(released)
    assert re.search(words, sentence)


def test_a_cut_legacy_file_gets_one_sentence(tmp_path):
    path = save({"model": weights(lively(T2T))}, tmp_path / "old.pth", is_zip=False)
    cut(path)
    assert "or it is damaged" in refused(path)


def drop(state):
    del state["less_token.head.bias"]


def add(state):
    state["less_token.extra"] = torch.ones(1)


def reshape(state):
    state["normal_token.head.weight"] = torch.ones(3, 4)


def rename_all(state):
    for key in list(state):
        state["x" + key] = state.pop(key)


def put(key: str, value: Any):
    def change(state) -> None:
        state[key] = state[key].clone().to(torch.int64) if value is int else state[key]
        if value is not int:
            state[key].view(-1)[1] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (drop, "fit --model dvt_t2t_vit_12: less_token.head.bias is missing"),
        (add, "fit --model dvt_t2t_vit_12: less_token.extra is unknown"),
        (reshape, "normal_token.head.weight is (3, 4), expected (7, 16)"),
        (rename_all, f"and {2 * len(official_state(build_model(T2T))) - 5} more"),
        (put("normal_token.norm.bias", float("nan")), "(NaN): normal_token.norm.bias"),
        (put("normal_token.norm.bias", float("inf")), "(NaN): normal_token.norm.bias"),
        (put("normal_token.norm.bias", int), "normal_token.norm.bias is torch.int64"),
    ],
    ids=["missing", "extra", "shape", "all", "nan", "inf", "whole numbers"],
)
def test_weights_that_do_not_fit_are_named(tmp_path, change, words):
    state = weights(lively(T2T))
    change(state)
    assert words in refused(save(state, tmp_path / "file.pth"))


def test_weights_of_another_architecture_are_recognised(tmp_path):
    deit, bare = FAMILIES["dvt_deit_small"], replace(T2T, relation_reuse=False)
    path = save(weights(lively(deit)), tmp_path / "deit.pth")
    assert "do not fit --model dvt_t2t_vit_12 (they fit --model dvt_deit_small): " in refused(path)
    path = save(weights(lively(bare)), tmp_path / "bare.pth")
    assert "(they fit --model dvt_t2t_vit_12 --no-relation-reuse): " in refused(path)
    assert "12 --no-relation-reuse (they fit --model dvt_t2t_vit_12): " in refused(
        save(weights(lively(T2T)), tmp_path / "full.pth"), bare
    )
    state = weights(lively(deit))
    drop(state)
    path = save(state, tmp_path / "holed.pth")
    assert "(closest is --model dvt_deit_small): " in refused(path)


def test_weights_of_full_size_are_recognised(tmp_path, monkeypatch):
    monkeypatch.setattr("dvt_core.official_checkpoint.PRESETS", PRESETS)
    with torch.device("meta"):
        shapes = official_state(build_model(PRESETS["dvt_t2t_vit_14"], relation_reuse=False))
    state = {key: torch.zeros(1).expand(value.shape) for key, value in shapes.items()}
    sentence = refused(save(state, tmp_path / "T2T14.pth"))
    assert "(they fit --model dvt_t2t_vit_14 --no-relation-reuse): " in sentence


@pytest.mark.parametrize(
    ("entry", "value", "words"),
    [
        ("flops", [0.5, 1.5], "flops holds 2 numbers, expected one for each exit"),
        ("flops", "much", "flops holds something else than finite numbers"),
        ("flops", [0.5, 1.5, float("nan")], "flops holds something else than finite numbers"),
        ("flops", [0.5, -1.5, 3.5], "from 0 to inf"),
        ("anytime_classification", [70, 75, 180], "from 0 to 100"),
        ("dynamic_threshold", torch.ones(5, 2), "shape (5, 2), expected (5, 3)"),
        ("dynamic_threshold", torch.ones(4, 3), "shape (4, 3), expected (5, 3)"),
        ("dynamic_threshold", {"a": 1}, "dynamic_threshold holds something else"),
        ("budgeted_batch_classification", [[1, 2], [50]], "rows of equal length"),
        ("budgeted_batch_classification", [1, 2, 3], "must hold two lists"),
        ("budgeted_batch_classification", [[1, 2], [50, 150]], "accuracies in percent"),
    ],
)
def test_malformed_numbers_are_named(tmp_path, entry, value, words):
    entries = {"model": weights(lively(T2T)), **numbers(), entry: value}
    sentence = refused(save(entries, tmp_path / "file.pth"))
    assert entry in sentence and words in sentence


def test_a_folder_with_something_in_it_is_never_touched(tmp_path, released):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("precious")
    for out in (tmp_path / "full", released):
        with pytest.raises(InputError, match="exists already"):
            convert(released, T2T, out)
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["mine.txt"]
    (tmp_path / "empty").mkdir()
    assert convert(released, T2T, tmp_path / "empty").bundle.name == "empty"
    with pytest.raises(InputError, match="cannot write"):
        convert(released, T2T, released / "inside")


def save_folder(root: Path) -> None:
    from timm.data.imagenet_info import ImageNetInfo

    for index, name in enumerate(ImageNetInfo("imagenet-1k").label_names()):
        (root / "val" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8), (index % 256, 0, 0)).save(root / "val" / name / "0.png")


def save_hub_copy(root: Path) -> None:
    names = list(imagenet_words())
    names[517] = "crane2"  # the hub's names must differ
    image = root / "one.png"
    root.mkdir()
    Image.new("RGB", (8, 8)).save(image)
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = [{"bytes": image.read_bytes(), "path": None}] * 4
    table = pa.table({"image": pa.array(cells, struct), "label": pa.array([0, 1, 2, 999])})
    label = {"names": names, "_type": "ClassLabel"}
    features = {"image": {"_type": "Image"}, "label": label}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(metadata), root / "validation-0.parquet")


@pytest.mark.parametrize("write", [save_folder, save_hub_copy])
def test_a_converted_model_can_be_evaluated_on_imagenet(tmp_path, monkeypatch, write):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    config = shrunk("dvt_t2t_vit_12", num_classes=1000)
    model = lively(config)
    bundle = convert(save(weights(model), tmp_path / "file.pth"), config, tmp_path / "out").bundle
    assert bundle.class_names[0] == "tench, Tinca tinca" and bundle.info["data"] == "ImageNet-1k"
    write(tmp_path / "imagenet")
    split = load_split(tmp_path / "imagenet", "test", limit=20)
    table = evaluate(bundle.load_model(), split)
    table.save(bundle.path / "test.parquet")
    assert bundle.has_table("test") and not bundle.has_table("calibration")
    assert bundle.table("test").n == len(split)
    with pytest.raises(InputError, match="--data imagenet-1k --split calibration --out"):
        bundle.table("calibration")
