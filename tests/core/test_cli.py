from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dvt_core.bundle import DEFAULT, Bundle, list_models, load_bundle, save_bundle
from dvt_core.cli import build_parser, main
from dvt_core.config import DVTConfig, PatchTokenizerConfig, StageConfig
from dvt_core.crop import Crop
from dvt_core.inference import classify as run_cascade
from dvt_core.model import build_model
from dvt_core.presets import PRESETS
from dvt_core.solver import solve_accuracy, solve_budget
from dvt_core.threshold_file import threshold_document
from dvt_core.thresholds import replay
from tests.core import official_files
from tests.core.synthetic_tables import cascade_table

CLASSES = ("ant", "bee", "cat", "dog")
CLASSIFY_FIELDS = {
    "image",
    "prediction",
    "class_name",
    "exit",
    "confidence",
    "confidences",
    "macs",
    "full_macs",
    "top5",
    "milliseconds",
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A whole model folder with three small exits; tables are synthetic, with its hash."""
    stages = tuple(
        StageConfig(PatchTokenizerConfig(16 // grid), grid, 16, 1, 2) for grid in (1, 2, 4)
    )
    config = DVTConfig(stages, num_classes=len(CLASSES), img_size=16)
    torch.manual_seed(0)
    model = build_model(config, class_names=CLASSES)
    path = tmp_path_factory.mktemp("models") / "tiny"
    bundle = save_bundle(model, path, name="tiny", title="Tiny", default_threshold=0.7)
    for seed, split in enumerate(("calibration", "test")):
        table = cascade_table(200, 3, seed=seed, num_classes=len(CLASSES))
        info = replace(
            table.info,
            model="tiny",
            split=split,
            weights_sha256=bundle.weights_sha256,
            exit_macs=model.exit_macs,
        )
        replace(table, info=info).save(path / f"{split}.parquet")
    return bundle


@pytest.fixture(autouse=True)
def _use_tiny(tiny: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVT_MODELS", str(tiny.path.parent))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return save_photo(tmp_path / "photo.png", seed=0)


@pytest.fixture
def damaged(tiny: Bundle, tmp_path: Path) -> Path:
    """A copy of the model folder, to spoil."""
    return Path(shutil.copytree(tiny.path, tmp_path / "damaged"))


def save_photo(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def run(*words: object) -> int:
    return main([str(word) for word in words])


def answer(capsys: pytest.CaptureFixture[str], *words: object):
    """The JSON document of a command that works."""
    code = run(*words, "--json")
    out, err = capsys.readouterr()
    assert code == 0, err
    return json.loads(out)


def complaint(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The one line of a command that must fail: exit code 2, stdout empty."""
    assert run(*words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("dvt: ") and err.endswith("\n") and err.count("\n") == 1
    return err


def test_classify_answers_in_the_agreed_fields(capsys, photo, tiny):
    (entry,) = answer(capsys, "classify", photo, "--model", "tiny", "--thresholds", "2,0")
    model = tiny.load_model()
    probs = model(model.preprocess(Image.open(photo).convert("RGB"))[None])[1].softmax(1)[0]
    assert set(entry) == CLASSIFY_FIELDS
    assert entry["image"] == str(photo)
    assert entry["exit"] == 2 and len(entry["confidences"]) == 2
    assert entry["prediction"] == int(probs.argmax())
    assert entry["class_name"] == CLASSES[entry["prediction"]] == entry["top5"][0]["class_name"]
    assert entry["confidence"] == entry["confidences"][-1] == pytest.approx(float(probs.max()))
    assert (entry["macs"], entry["full_macs"]) == model.exit_macs[1:]
    assert entry["milliseconds"] > 0


@pytest.mark.parametrize(("threshold", "exit_number"), [("0", 1), ("1.5", 3)])
def test_classify_threshold_decides_the_exit(capsys, photo, threshold, exit_number):
    (entry,) = answer(capsys, "classify", photo, "--model", "tiny", "--threshold", threshold)
    assert entry["exit"] == exit_number


def test_classify_keeps_the_order_of_the_pictures(capsys, tmp_path):
    photos = [save_photo(tmp_path / f"{seed}.png", seed) for seed in range(3)]
    entries = answer(capsys, "classify", *photos, "--model", "tiny")
    assert [entry["image"] for entry in entries] == [str(photo) for photo in photos]


def test_classify_budget_uses_thresholds_solved_on_calibration(capsys, photo, tiny):
    macs = tiny.load_model().exit_macs
    budget = (macs[0] + macs[1]) / 2
    thresholds = solve_budget(tiny.table("calibration"), budget).thresholds
    by_budget = answer(capsys, "classify", photo, "--model", "tiny", "--budget", budget / 1e9)
    text = ",".join(map(repr, thresholds))
    by_hand = answer(capsys, "classify", photo, "--model", "tiny", f"--thresholds={text}")
    assert by_budget[0]["confidences"] == by_hand[0]["confidences"]


def test_classify_looks_at_the_square_that_is_asked_for(capsys, tmp_path, tiny):
    photo = save_photo(tmp_path / "strip.png", seed=3)
    words = ("classify", photo, "--model", "tiny", "--threshold", "2")
    (entry,) = answer(capsys, *words, "--crop", "0.25,1,2.5")
    model = tiny.load_model()
    seen = model.preprocess(Image.open(photo).convert("RGB"), Crop(0.25, 1, 2.5))
    assert entry["confidence"] == pytest.approx(float(model(seen[None])[2].softmax(1).max()))
    assert entry["confidence"] != answer(capsys, *words)[0]["confidence"]
    for wrong in ("0.5,0.5", "0.5,0.5,9", "-1,0,1", "a,b,c"):
        complaint(capsys, *words, f"--crop={wrong}")


@pytest.fixture
def home_file(tiny, tmp_path) -> Path:
    """thresholds.json as the app gives it away."""
    document = threshold_document(
        tiny,
        (0.8, 0.4),
        asked={"by": "each", "value": [0.8, 0.4]},
        origin="set by hand",
        tables={split: tiny.table(split) for split in ("calibration", "test")},
        date="2026-01-31",
    )
    path = tmp_path / "thresholds.json"
    path.write_text(json.dumps(document))
    return path


def test_commands_take_the_thresholds_file(capsys, photo, tiny, home_file, tmp_path):
    document = json.loads(home_file.read_text())
    both = [["--thresholds", home_file], ["--thresholds", "0.8,0.4"]]
    by_file, by_hand = (answer(capsys, "sweep", "--model", "tiny", *each) for each in both)
    wanted = replay(tiny.table("test"), (0.8, 0.4)).to_dict()
    assert by_file == by_hand == [wanted]
    assert {k: document["test"][k] for k in ("accuracy", "macs", "exit_shares")} == {
        k: wanted[k] for k in ("accuracy", "macs", "exit_shares")
    }
    by_file, by_hand = (
        answer(capsys, "classify", photo, "--model", "tiny", *each)[0]["confidences"]
        for each in both
    )
    assert by_file == by_hand


def test_evaluate_says_what_the_thresholds_give(capsys, tiny, home_file, tmp_path):
    for index, name in enumerate(CLASSES * 3):
        save_photo(tmp_path / "data" / "test" / name / f"{index}.png", seed=index)
    words = ("evaluate", "--model", "tiny", "--data", tmp_path / "data")
    out = tmp_path / "table.parquet"
    document = answer(capsys, *words, "--thresholds", home_file, "--out", out)
    (point,) = answer(capsys, "sweep", "--model", "tiny", "--table", out, "--thresholds", home_file)
    assert document["cascade"] == point and point["thresholds"] == [0.8, 0.4]
    model, stopped = tiny.load_model(), []
    for index in range(12):  # one by one through the cascade that really stops
        path = next((tmp_path / "data").rglob(f"{index}.png"))
        tensor = model.preprocess(Image.open(path).convert("RGB"))[None]
        stopped.append(run_cascade(model, tensor, (0.8, 0.4))[0])
    assert point["macs"] == pytest.approx(np.mean([each.macs for each in stopped]))
    assert "cascade" not in answer(capsys, *words)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weights_sha256": "00" * 32}, "other weights"),
        ({"thresholds": [0.5]}, "takes 2"),
        ({"thresholds": "high"}, "expected numbers"),
        ({"format": 2}, "format 2"),
        ({"kind": "something"}, "no thresholds"),
        (None, "no valid JSON"),
    ],
    ids=str,
)
def test_a_thresholds_file_that_does_not_fit_is_refused(capsys, photo, home_file, change, said):
    text = home_file.read_text()
    home_file.write_text(text[:50] if change is None else json.dumps(json.loads(text) | change))
    line = complaint(capsys, "classify", photo, "--model", "tiny", "--thresholds", home_file)
    assert said in line and ("thresholds" in line)


def test_classify_all_exits_adds_what_the_later_exits_say(capsys, photo):
    words = ("classify", photo, "--model", "tiny", "--threshold", "0", "--all-exits")
    (entry,) = answer(capsys, *words)
    assert entry["exit"] == 1 and len(entry["confidences"]) == 1
    assert [record["visited"] for record in entry["all_exits"]] == [True, False, False]
    assert run(*words) == 0
    assert "not needed, computed because asked" in capsys.readouterr().out


def test_sweep_replays_the_stored_test_table(capsys, tiny):
    points = answer(capsys, "sweep", "--model", "tiny")
    assert set(points[0]) == {"thresholds", "accuracy", "macs", "exit_shares"}
    wanted = replay(tiny.table("test"), points[40]["thresholds"])
    assert len(points) == 101 and points[40] == wanted.to_dict()


def test_sweep_reads_a_table_given_by_path(capsys, tiny):
    table = tiny.path / "calibration.parquet"
    points = answer(capsys, "sweep", "--model", tiny.path, "--table", table)
    assert points[0] == replay(tiny.table("calibration"), 0.0).to_dict()


def test_thresholds_are_solved_on_calibration(capsys, tiny):
    table = tiny.table("calibration")
    budget = sum(table.info.exit_macs) / 3
    point = answer(capsys, "thresholds", "--model", "tiny", "--budget", budget / 1e9)
    assert point == {**solve_budget(table, budget).to_dict(), "split": "calibration"}
    accuracy = sum(table.exit_accuracy) / 3
    point = answer(capsys, "thresholds", "--model", "tiny", "--accuracy", accuracy)
    assert point == {**solve_accuracy(table, accuracy).to_dict(), "split": "calibration"}


def test_macs_and_models_describe_the_model(capsys, tiny):
    model = tiny.load_model()
    document = answer(capsys, "macs", "--model", "tiny")
    assert document == {
        "stage_macs": list(model.stage_macs),
        "exit_macs": list(model.exit_macs),
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    assert run("models") == 0
    bundled, architectures = capsys.readouterr().out.split("architectures without bundled weights")
    assert "tiny" in bundled and "dvt_t2t_vit_12" not in bundled
    assert "dvt_t2t_vit_12 " in architectures and "7x7 -> 10x10 -> 14x14" in architectures


def test_macs_of_an_architecture_need_no_weights(capsys):
    document = answer(capsys, "macs", "--model", "dvt_t2t_vit_12")
    assert document["exit_macs"] == [467_702_400, 1_446_098_208, 3_455_014_176]
    assert document["parameters"] == 22_461_516
    assert "'dvt convert'" in complaint(capsys, "sweep", "--model", "dvt_t2t_vit_12")


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small checkpoint of the official code; `tiny_t2t` is its architecture."""
    config = official_files.shrunk("dvt_t2t_vit_12", name="tiny_t2t")
    monkeypatch.setitem(PRESETS, "tiny_t2t", config)
    monkeypatch.setattr("dvt_core.official_checkpoint.PRESETS", {})  # nothing else to guess
    state = official_files.weights(official_files.lively(config))
    entries = {"model_state_dict": state, **official_files.numbers()}
    return official_files.save(entries, tmp_path / "tiny.pth.tar")


def test_convert_makes_a_folder_that_the_other_commands_take(capsys, checkpoint, photo, tmp_path):
    out = tmp_path / "own" / "t2t"
    words = ("convert", checkpoint, "--model", "tiny_t2t", "--out")
    document = answer(capsys, *words, out)
    bundle = load_bundle(out)
    assert bundle.authors is not None and document["authors"] == json.loads(
        (out / "authors.json").read_text()
    )
    assert document["source"]["entry"] == "model_state_dict" and len(document["notes"]) == 3
    assert answer(capsys, "classify", photo, "--model", out)[0]["class_name"].startswith("class")
    assert answer(capsys, "macs", "--model", out)["exit_macs"] == document["exit_macs"]
    assert run(*words, tmp_path / "other") == 0
    told = capsys.readouterr().out
    assert "the authors' curve: 5 points, 70.0 % at 600 MMACs to 78.0 % at 4.60 GMACs" in told
    for command in (["sweep"], ["thresholds", "--accuracy", "0.5"]):
        assert "dvt evaluate --model" in complaint(capsys, *command, "--model", out)
    assert "exists already" in complaint(capsys, *words, out)


def test_classify_budget_falls_back_on_the_authors_points(capsys, checkpoint, photo, tmp_path):
    out = tmp_path / "t2t"
    answer(capsys, "convert", checkpoint, "--model", "tiny_t2t", "--out", out)
    words = ("classify", photo, "--model", out)
    by_budget = answer(capsys, *words, "--budget", "0.7")
    by_hand = answer(capsys, *words, "--thresholds", "0.9,1e8")
    assert by_budget[0]["confidences"] == by_hand[0]["confidences"]
    assert run(*words, "--budget", "0.7") == 0
    assert "from the authors' checkpoint: 70.0 % at 600 MMACs" in capsys.readouterr().out
    assert "takes 0.6" in complaint(capsys, *words, "--budget", "0.5")
    (out / "authors.json").unlink()
    assert "--split calibration" in complaint(capsys, *words, "--budget", "0.7")


def test_convert_says_which_options_fit(capsys, checkpoint, tmp_path):
    words = ("convert", checkpoint, "--model", "tiny_t2t", "--out", tmp_path / "out")
    line = complaint(capsys, *words, "--no-feature-reuse", "--no-relation-reuse")
    assert "--no-feature-reuse --no-relation-reuse (they fit --model tiny_t2t): " in line
    assert not (tmp_path / "out").exists()
    assert "known are" in complaint(capsys, *words[:3], "nonesuch", *words[4:])


def test_evaluate_writes_a_table_that_sweep_reads(capsys, tmp_path):
    for index, name in enumerate(CLASSES * 2):
        save_photo(tmp_path / "data" / "test" / name / f"{index}.png", seed=index)
    out = tmp_path / "table.parquet"
    document = answer(
        capsys, "evaluate", "--model", "tiny", "--data", tmp_path / "data", "--out", out
    )
    assert document["n"] == 8 and document["split"] == "test"
    assert len(document["exit_accuracy"]) == len(document["exit_macs"]) == 3
    first, *_, last = answer(capsys, "sweep", "--model", "tiny", "--table", out)
    assert first["accuracy"] == document["exit_accuracy"][0]
    assert last["accuracy"] == document["exit_accuracy"][2]


@pytest.mark.parametrize(
    "words",
    [
        ["classify", "PHOTO", "--model", "tiny"],
        ["classify", "PHOTO", "--model", "tiny", "--all-exits"],
        ["sweep", "--model", "tiny"],
        ["thresholds", "--model", "tiny", "--accuracy", "0.5"],
        ["macs", "--model", "tiny"],
        ["data", "list"],
    ],
    ids=" ".join,
)
def test_text_is_aligned_and_fits_a_page(capsys, photo, words):
    assert run(*[photo if word == "PHOTO" else word for word in words]) == 0
    out, err = capsys.readouterr()
    assert err == "" and 1 < len(out.splitlines()) <= 30
    assert all(line == line.rstrip() for line in out.splitlines())


@pytest.mark.parametrize("kind", ["truncated", "empty", "text", "folder", "missing"])
def test_classify_says_what_is_wrong_with_a_file(capsys, photo, tmp_path, kind):
    bad = tmp_path / "bad.png"
    if kind == "truncated":
        bad.write_bytes(photo.read_bytes()[:200])
    elif kind == "empty":
        bad.touch()
    elif kind == "text":
        bad.write_text("not a picture")
    elif kind == "folder":
        bad.mkdir()
    line = complaint(capsys, "classify", photo, bad, "--model", "tiny", "--json")
    assert "bad.png" in line


@pytest.mark.parametrize(
    "options",
    [
        ["--threshold", "nan"],
        ["--threshold", "inf"],
        ["--threshold", "high"],
        ["--thresholds", "0.5"],
        ["--thresholds", "0.5,0.5,0.5"],
        ["--thresholds", "0.5,nan"],
        ["--thresholds", "0.5,"],
        ["--thresholds", "nonesuch.json"],
        ["--threshold", "0.5", "--budget", "1"],
        ["--budget", "0"],
        ["--budget", "-1"],
        ["--budget", "nan"],
        ["--budget", "0.000000001"],
        ["--model", "nonesuch"],
        ["--bogus"],
    ],
    ids=" ".join,
)
def test_classify_refuses_wrong_options_in_one_line(capsys, photo, options):
    model = [] if "--model" in options else ["--model", "tiny"]
    complaint(capsys, "classify", photo, *model, *options)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["bogus"],
        ["classify"],
        ["macs"],
        ["macs", "--model", "nonesuch"],
        ["thresholds", "--model", "tiny"],
        ["thresholds", "--model", "tiny", "--accuracy", "1.5"],
        ["thresholds", "--model", "tiny", "--accuracy", "1"],
        ["evaluate", "--model", "tiny", "--data", "nonesuch"],
        ["evaluate", "--model", "tiny", "--data", "cifar10", "--limit", "0"],
        ["evaluate", "--model", "tiny", "--data", "cifar10", "--limit", "1.5"],
        ["evaluate", "--model", "tiny", "--data", "cifar10", "--split", "dev"],
        ["evaluate", "--model", "tiny", "--data", "cifar10", "--out", "."],
        ["sweep", "--model", "tiny", "--table", "nonesuch.parquet"],
        ["train", "nonesuch.toml"],
        ["data", "fetch", "nonesuch"],
    ],
    ids=" ".join,
)
def test_mistakes_end_in_one_line(capsys, words):
    complaint(capsys, *words)


def test_sweep_refuses_another_models_table(capsys, tiny, tmp_path):
    table = tiny.table("test")
    foreign = replace(table, info=replace(table.info, model="other", weights_sha256="cd" * 32))
    foreign.save(tmp_path / "other.parquet")
    line = complaint(capsys, "sweep", "--model", "tiny", "--table", tmp_path / "other.parquet")
    assert "'other'" in line and "'tiny'" in line


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "test.parquet"])
@pytest.mark.parametrize("kind", ["truncated", "garbage", "missing"])
def test_a_damaged_model_folder_is_named(capsys, photo, damaged, file, kind):
    path = damaged / file
    raw = path.read_bytes()
    if kind == "missing":
        path.unlink()
    else:
        path.write_bytes(raw[: len(raw) // 2] if kind == "truncated" else b"\x00garbage" * 50)
    words = ("sweep",) if file == "test.parquet" else ("classify", photo)
    assert file in complaint(capsys, *words, "--model", damaged)


def test_one_flipped_bit_in_the_weights_is_noticed(capsys, photo, damaged):
    path = damaged / "model.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    assert "checksum" in complaint(capsys, "classify", photo, "--model", damaged)


def test_help_names_every_command_and_the_rule_for_bad_pictures(capsys):
    for words, promised in (
        (["--help"], "classify evaluate sweep thresholds macs models convert train data"),
        (["convert", "--help"], "--no-feature-reuse --no-relation-reuse Tsinghua Google Drive"),
        (["classify", "--help"], "--threshold --thresholds --budget --all-exits --json answers"),
    ):
        with pytest.raises(SystemExit) as stop:
            build_parser().parse_args(words)
        assert stop.value.code == 0
        out = capsys.readouterr().out
        assert all(word in out for word in promised.split())


def test_ctrl_c_is_no_traceback(capsys, monkeypatch):
    def interrupt(args):
        raise KeyboardInterrupt

    monkeypatch.setattr("dvt_core.commands.models.models", interrupt)
    assert run("models") == 130
    assert capsys.readouterr().err == "dvt: stopped\n"


def process(*words: object, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    """A real `python -m dvt_core ...`; the time limit only ends a hang."""
    return subprocess.run(
        [sys.executable, "-m", "dvt_core", *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=600,
        check=False,
    )


def test_process_prints_json_and_nothing_else(photo):
    done = process("classify", photo, "--model", "tiny", "--json")
    assert set(json.loads(done.stdout)[0]) == CLASSIFY_FIELDS
    assert (done.returncode, done.stderr) == (0, "")


def test_process_exits_2_with_one_line(tmp_path):
    done = process("classify", tmp_path, "--model", "tiny", "--json")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_process_survives_a_reader_that_leaves():
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = process("sweep", "--model", "tiny", "--json", stdout=write_end)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (141, "")


def test_help_needs_no_heavy_import():
    command = [sys.executable, "-X", "importtime", "-m", "dvt_core", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "argparse" in loaded and "classify" in done.stdout
    assert loaded.isdisjoint({"torch", "numpy", "PIL", "timm"})


def test_load_bundle_finds_the_folder_by_name_and_path(tiny):
    assert load_bundle("tiny").path == load_bundle(tiny.path).path


def test_classify_takes_the_model_that_the_app_opens_with(monkeypatch):
    monkeypatch.delenv("DVT_MODELS", raising=False)
    assert build_parser().parse_args(["classify", "a.jpg"]).model == DEFAULT == list_models()[0]
