"""Look and Trade-off without a browser, on a tiny model: they answer and survive bad input."""

import csv
import re
from pathlib import Path

import pytest

from app import services
from dvt_core.images import Preprocess, open_image
from dvt_core.inference import classify
from dvt_core.samples import list_samples
from dvt_core.thresholds import replay
from tests.ui.driver import TRADEOFF, captions, chart, html, metrics, open_app, sent
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
        services, "classify", lambda *a, **k: calls.append(k["all_exits"]) or classify(*a, **k)
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
    at.button(key=f"sample_{sample.id}").click().run()
    assert sample.title in captions(at)
    assert sample.title in captions(open_app(sample=sample.id))  # the link opens the same picture
    assert not open_app(sample="nonsense").exception


def test_look_says_so_when_the_model_lacks_the_word(models_dir):
    at = open_app()
    foreign = next(s for s in list_samples() if s.id.startswith("imagenet"))
    at.button(key=f"sample_{foreign.id}").click().run()
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


def test_tradeoff_numbers_are_the_tables(models_dir):
    at = open_app(TRADEOFF)
    bundle = services.get_bundle("tiny")
    table = bundle.table("test")
    for threshold in (bundle.default_threshold, 0.9):
        at.slider(key="threshold").set_value(threshold).run()
        point = replay(table, threshold)
        assert metrics(at)["Accuracy"] == f"{100 * point.accuracy:.1f} %"
        shares = re.findall(r"<em>([\d.]+) %</em>", html(at))
        assert shares == [f"{100 * share:.1f}" for share in point.exit_shares]
        marker = chart(at)["you are here"]
        assert marker["y"] == pytest.approx([100 * point.accuracy])
    assert "calibration (400 images), shown on test (400 images)" in captions(at)


def test_tradeoff_curve_meets_the_first_and_last_exit(models_dir):
    curve = chart(open_app(TRADEOFF))
    line, ends = curve["one shared threshold"], ("exit 1 alone", "exit 3 alone")
    for index, name in zip((0, -1), ends, strict=True):
        assert (line["x"][index], line["y"][index]) == pytest.approx(
            (curve[name]["x"][0], curve[name]["y"][0])
        )


def test_tradeoff_never_runs_the_model(models_dir, monkeypatch):
    open_app()
    monkeypatch.setattr(services, "classify", None)
    at = open_app(TRADEOFF)
    at.slider(key="threshold").set_value(0.31).run()
    assert not at.exception and metrics(at)["Accuracy"]


def test_dial_solves_for_a_budget_and_for_an_accuracy(models_dir):
    at = open_app(TRADEOFF)
    front = services.get_front(services.get_bundle("tiny"))
    at.button_group(key="ask").set_value("budget").run()
    at.slider(key="budget").set_value(80).run()
    full = services.get_bundle("tiny").table("test").info.exit_macs[-1]
    shown = front.at_budget(0.8 * full).thresholds
    assert "solved for a budget of" in captions(at) and f"{shown[0]:.3g}" in captions(at)
    at.button_group(key="ask").set_value("accuracy").run()
    assert "right answers on 400 calibration images" in captions(at)


def test_dial_number_box_and_reset_move_the_slider(models_dir):
    at = open_app()
    at.number_input(key="threshold_box").set_value(0.35).run()
    assert at.slider(key="threshold").value == 0.35
    next(button for button in at.button if button.label == "reset").click().run()
    assert at.slider(key="threshold").value == 0.6


@pytest.mark.parametrize(
    ("text", "value"), [("0.25", 0.25), ("7", 0.6), ("abc", 0.6), ("nan", 0.6)]
)
def test_dial_reads_the_link_and_ignores_nonsense(models_dir, text, value):
    at = open_app(threshold=text)
    assert f"but the last: {value:g}" in captions(at)


def test_threshold_is_shared_by_both_pages(models_dir):
    at = open_app()
    at.slider(key="threshold").set_value(0.42).run()
    at.switch_page(TRADEOFF).run()
    assert at.slider(key="threshold").value == 0.42


def test_sweep_download_has_every_threshold(models_dir):
    curve = services.get_curve(services.get_bundle("tiny"))
    from app.figures.tradeoff import sweep_csv

    rows = list(csv.DictReader(sweep_csv(curve.shared[:-1]).splitlines()))
    assert len(rows) == 101 and float(rows[0]["accuracy"]) == curve.exits[0][1]


@pytest.mark.parametrize("num_exits", [1, 2])
def test_pages_follow_the_number_of_exits(models_dir, num_exits):
    write_bundle(models_dir / "small", num_exits)
    at = open_app(model="small")
    assert len(_lanes(at)) == num_exits
    at.switch_page(TRADEOFF).run()
    for way in ("budget", "accuracy", "threshold"):
        at.button_group(key="ask").set_value(way).run()
        assert not at.exception and f"exit {num_exits} alone" in chart(at)


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
