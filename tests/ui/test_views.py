"""Look and Trade-off without a browser, on a tiny model: they answer and survive bad input."""

from pathlib import Path

import pytest

from app import cascade_runs, services
from dvt_core.images import Preprocess, open_image
from dvt_core.inference import classify
from dvt_core.samples import list_samples
from tests.ui.driver import TRADEOFF, captions, metrics, open_app, pick, sent
from tests.ui.tiny_model import png, write_bundle


def _lanes(at):
    return sent(at, "trace")["lanes"]


def test_look_shows_the_answer_of_classify(models_dir):
    at = open_app()
    bundle = services.get_bundle("tiny")
    sample = list_samples(bundle.class_names)[0]
    tensor = Preprocess.from_config(bundle.config)(open_image(sample.path))[None]
    wanted = classify(bundle.load_model(), tensor, bundle.default_threshold)[0]
    shown = metrics(at)
    assert shown["Answer"] == bundle.class_names[wanted.label]
    assert shown["Stopped at"] == f"exit {wanted.exit_index + 1}"
    assert shown["Labelled"] == sample.label
    assert sample.source in captions(at) and sample.licence in captions(at)


@pytest.mark.parametrize(("threshold", "stop"), [(0.0, "exit 1"), (1.0, "exit 3")])
def test_look_stops_where_the_threshold_says(models_dir, threshold, stop):
    at = open_app(threshold=str(threshold))
    assert metrics(at)["Stopped at"] == stop
    computed = [f"exit {i + 1}" for i, lane in enumerate(_lanes(at)) if lane["said"]]
    assert computed[-1] == stop


def test_look_computes_later_exits_only_when_asked(models_dir, monkeypatch):
    calls = []
    monkeypatch.setattr(
        cascade_runs, "classify", lambda *a, **k: calls.append(k["all_exits"]) or classify(*a, **k)
    )
    at = open_app(threshold="0.0")
    assert calls and not any(calls)
    before = metrics(at)
    at.toggle(key="look_later").set_value(True).run()
    assert calls[-1] is True
    assert all(lane["said"] for lane in _lanes(at)) and sent(at, "trace")["asked"]
    assert metrics(at) == before


def test_look_takes_another_sample(models_dir):
    at = open_app()
    sample = list_samples(services.get_bundle("tiny").class_names)[5]
    pick(at, "samples", sample.id)
    assert sample.title in captions(at)
    assert sample.title in captions(open_app(sample=sample.id))  # the link opens the same picture
    assert not open_app(sample="nonsense").exception


def test_look_says_so_when_the_model_lacks_the_word(models_dir):
    at = open_app()
    foreign = next(s for s in list_samples() if s.id.startswith("imagenet"))
    pick(at, "samples", foreign.id)
    assert "a word this model does not have" in at.info[0].value


def test_look_takes_an_upload_and_keeps_it_when_the_next_is_broken(models_dir):
    at = open_app()
    at.button_group(key="from").set_value("upload").run()
    at.file_uploader(key="look_upload").upload("mine.png", png()).run()
    assert "mine.png, 60x40 pixels" in captions(at) and not at.warning
    at.file_uploader(key="look_upload").set_value([("bad.png", png()[:80], "image/png")]).run()
    assert len(at.warning) == 1 and at.warning[0].value.startswith("bad.png: ")
    assert "mine.png, 60x40 pixels" in captions(at) and "Answer" in metrics(at)


def test_look_does_not_trust_a_file_name(models_dir):
    at = open_app()
    at.button_group(key="from").set_value("upload").run()
    at.file_uploader(key="look_upload").upload("![x](http://a.b/c).png", png()).run()
    assert "http:" not in captions(at) and "60x40 pixels" in captions(at)


@pytest.mark.parametrize("data", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n"], ids=str)
def test_look_explains_a_bad_file_in_one_sentence(models_dir, data):
    at = open_app()
    at.button_group(key="from").set_value("upload").run()
    at.file_uploader(key="look_upload").upload("odd.bin", data).run()
    assert not at.exception and len(at.warning) == 1 and "Answer" in metrics(at)


def test_look_takes_a_photograph(models_dir):
    at = open_app()
    at.button_group(key="from").set_value("camera").run()
    at.camera_input(key="look_camera").upload("shot.jpg", png("L")).run()
    assert "camera, 60x40 pixels" in captions(at)


@pytest.mark.parametrize("num_exits", [1, 2])
def test_pages_follow_the_number_of_exits(models_dir, num_exits):
    write_bundle(models_dir / "small", num_exits)
    at = open_app(model="small")
    assert len(_lanes(at)) == num_exits


def _damage(folder: Path, file: str) -> None:
    (folder / file).write_bytes(b"broken")


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_look_names_a_damaged_model_folder(models_dir, file):
    _damage(models_dir / "tiny", file)
    at = open_app()
    assert len(at.error) == 1 and file in at.error[0].value


@pytest.mark.parametrize("split", ["calibration", "test"])
def test_damaged_table_stops_the_tradeoff_page_only(models_dir, split):
    _damage(models_dir / "tiny", f"{split}.parquet")
    at = open_app(TRADEOFF)
    assert len(at.error) == 1 and f"{split}.parquet" in at.error[0].value
    assert "Answer" in metrics(open_app())


def test_no_models_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("DVT_MODELS", str(tmp_path / "nothing"))
    at = open_app()
    assert len(at.error) == 1 and "No model" in at.error[0].value
