"""Models & paper: the card, one's own model folder, the paper's results, speed."""

import json
import re
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app import services
from app.benchmarks.imagenet import load_benchmark
from app.sections.local_folder import RELEASED
from app.sections.paper import EXPERIMENTS
from dvt_core.macs import exit_macs
from dvt_core.paper import load_paper_results
from dvt_core.presets import PRESETS
from tests.ui.driver import LOOK, MODELS, captions, chart, figure, metrics, open_app, rows
from tests.ui.tiny_model import write_bundle

CARD, FOLDER, PAPER, SPEED = "this model", "a model folder", "the paper's results", "speed"


def _section(name: str, **query: str) -> AppTest:
    return open_app(MODELS, section=name, **query)


def _open_folder(path: Path | str, at: AppTest | None = None) -> AppTest:
    at = at or _section(FOLDER)
    at.text_input(key="folder_path").set_value(str(path))
    next(button for button in at.button if button.label == "Open the folder").click().run()
    assert not at.exception
    return at


def _codes(at: AppTest) -> str:
    return "\n".join(code.value for code in at.code)


@pytest.mark.parametrize("section", [CARD, FOLDER, PAPER, SPEED, "nonsense"])
def test_every_section_opens_through_its_link(models_dir, section):
    at = _section(section)
    shown = section if section != "nonsense" else CARD
    assert at.title[0].value == "Models & paper" and not at.error
    assert at.button_group(key="section").value == shown


def test_card_says_what_the_model_is_and_how_right_its_exits_are(models_dir):
    at = _section(CARD)
    bundle = services.get_bundle("tiny")
    weights = sum(weight.numel() for weight in bundle.load_model().parameters())
    assert metrics(at)["Parameters"] == f"{weights / 1e6:.3g} M"
    stages, accuracy = rows(at), bundle.table("test").exit_accuracy
    assert [row["tokens"] for row in stages] == ["2x2", "4x4", "8x8"]
    assert [row["accuracy of its exit"] for row in stages] == [
        f"{100 * share:.1f} %" for share in accuracy
    ]
    assert "measured on 400 test images" in captions(at)
    assert bundle.weights_sha256[:16] in " ".join(markdown.value for markdown in at.markdown)


def test_card_lists_the_papers_architectures_without_weights(models_dir):
    at = _section(CARD)
    listed = {row["name"]: row for row in rows(at, 1)}
    assert set(listed) == set(PRESETS) - {"dvt_cifar10", "dvt_tiny_imagenet"}
    assert listed["dvt_deit_small"]["parameters"] == "70.4 M"  # reference: 70,442,232
    assert listed["dvt_deit_small"]["GMACs per exit"] == "1.14, 3.64, 8.80"
    assert "no weights of them are bundled" in " ".join(text.value for text in at.markdown)


def test_card_keeps_the_authors_numbers_theirs(own_folder, authors):
    at = _open_folder(own_folder)
    at.button_group(key="section").set_value(CARD).run()
    assert [row["accuracy of its exit"] for row in rows(at)] == ["61.0 %", "72.0 %", "81.0 %"]
    assert "the authors' own numbers" in captions(at) and "not measured here" in captions(at)


def test_card_says_unknown_where_nobody_measured(own_folder):
    at = _open_folder(own_folder)
    at.button_group(key="section").set_value(CARD).run()
    assert {row["accuracy of its exit"] for row in rows(at)} == {"unknown"}
    assert "not measured yet" in captions(at)


def test_folder_joins_the_list_and_every_page_uses_it(own_folder):
    at = _open_folder(own_folder)
    assert not at.error and "tiny test model" in at.success[0].value
    assert at.selectbox(key="model").options == ["tiny", "mine (folder)"]
    assert at.selectbox(key="model").value == str(own_folder)
    at.switch_page(LOOK).run()
    assert not at.exception and not at.error and "Answer" in metrics(at)
    assert at.selectbox(key="model").value == str(own_folder)
    at.selectbox(key="model").set_value("tiny").run()
    assert not at.exception and at.selectbox(key="model").value == "tiny"


def test_folder_of_one_session_is_not_in_another(own_folder):
    _open_folder(own_folder)
    assert open_app().selectbox(key="model").options == ["tiny"]
    assert open_app(model=str(own_folder)).selectbox(key="model").value == "tiny"


def test_folders_that_share_a_name_show_their_paths(own_folder, tmp_path):
    other = tmp_path / "mine"
    shutil.copytree(own_folder, other)
    at = _open_folder(other, _open_folder(own_folder))
    _open_folder(other, at)  # once more: not listed twice
    assert at.selectbox(key="model").options == ["tiny", str(own_folder), str(other)]


def _words(markdown: str) -> str:
    """What is read of it: paths are escaped."""
    return markdown.replace("\\", "")


def _no_config(folder: Path) -> Path:
    (folder / "config.json").unlink()
    return folder


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (lambda folder: folder / "nothing", "neither a folder with a config.json"),
        (_no_config, "neither a folder with a config.json"),
        (lambda folder: folder / "config.json", "neither a folder with a config.json"),
        (lambda folder: "", "no folder was named"),
        (lambda folder: "a\0b", "is no path"),
        (lambda folder: "a" * 300, "cannot be opened"),
        (lambda folder: "~nobody-here/x", "is no path"),
    ],
    ids=["missing", "no config", "file", "empty", "null", "long", "home"],
)
def test_bad_folder_is_one_sentence_and_changes_nothing(own_folder, path, words):
    at = _open_folder(path(own_folder))
    assert len(at.error) == 1 and words in _words(at.error[0].value) and not at.success
    assert at.selectbox(key="model").options == ["tiny"]


def test_damaged_weights_are_said_when_they_are_needed(own_folder):
    (own_folder / "model.safetensors").write_bytes(b"not these")
    at = _open_folder(own_folder)
    assert not at.error
    at.switch_page(LOOK).run()
    assert len(at.error) == 1 and "damaged or replaced" in at.error[0].value
    at.selectbox(key="model").set_value("tiny").run()
    assert not at.error and "Answer" in metrics(at)


def test_folder_that_goes_away_is_said_and_a_bundled_model_shown(own_folder):
    at = _open_folder(own_folder)
    shutil.rmtree(own_folder)
    at.switch_page(LOOK).run()
    assert not at.exception and len(at.warning) == 1
    assert str(own_folder) in at.warning[0].value and "can no longer be used" in at.warning[0].value
    assert at.selectbox(key="model").value == "tiny"
    assert at.selectbox(key="model").options == ["tiny"] and "Answer" in metrics(at)
    assert not at.run().warning  # said once


def test_server_of_others_opens_no_folder_and_says_why(own_folder, public_server):
    at = _section(FOLDER)
    assert not at.text_input and "DVT_MODEL_ROOT" in at.info[0].value


def test_server_of_others_opens_folders_under_its_root_only(
    own_folder, public_server, monkeypatch, tmp_path
):
    monkeypatch.setenv("DVT_MODEL_ROOT", str(own_folder.parent))
    outside = tmp_path / "outside"
    shutil.copytree(own_folder, outside)
    (own_folder.parent / "link").symlink_to(outside)
    refused = (outside, tmp_path / "nothing", own_folder.parent / "link", f"{own_folder}/../..")
    for path in refused:
        at = _open_folder(path)
        assert "does not lie under DVT_MODEL_ROOT" in _words(at.error[0].value)
        assert at.selectbox(key="model").options == ["tiny"]
    assert not _open_folder(own_folder).error


def test_authors_weights_are_linked_and_converted_by_a_command(models_dir):
    at = _section(FOLDER)
    text = " ".join(markdown.value for markdown in at.markdown)
    assert "https://github.com/blackfeather-wang/Dynamic-Vision-Transformer#pre-trained" in text
    for name in RELEASED:
        assert f"dvt convert FILE --model {name} --out DIR" in _codes(at) and name in PRESETS


def test_experiments_show_all_that_the_paper_gives():
    shown = [point for experiment in EXPERIMENTS for point in experiment.points()]
    assert set(shown) == set(load_paper_results())


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda e: e.title)
def test_paper_experiment_is_marked_as_the_papers(models_dir, experiment):
    at = _section(PAPER)
    at.selectbox(key="experiment").set_value(experiment.title).run()
    assert not at.exception and not at.error
    layout = figure(at)["layout"]
    assert layout["title"]["text"] == f"From the paper: {experiment.title}, {experiment.source}"
    assert "from the paper" in layout["legend"]["title"]["text"]
    assert "nothing on this part of the page was measured here" in captions(at)
    alt = at.get("plotly_chart")[0].proto.alt
    assert alt.startswith("From the paper") and experiment.points()[0].series in alt
    if any(toggle.key == "paper_rows" for toggle in at.toggle):
        assert not at.table
        at.toggle(key="paper_rows").set_value(True).run()
    assert len(rows(at)) >= 2


def test_paper_numbers_can_be_downloaded(models_dir):
    (button,) = _section(PAPER).get("download_button")
    assert "CSV" in button.proto.label


def test_damaged_paper_file_is_said(models_dir, monkeypatch, tmp_path):
    services.get_paper.clear()
    monkeypatch.setattr(services, "load_paper_results", lambda: load_paper_results(tmp_path / "no"))
    at = _section(PAPER)
    services.get_paper.clear()
    assert len(at.error) == 1 and "cannot read the paper's numbers" in at.error[0].value


ABOUT = {"device": "A processor", "date": "2026-11-23", "threads": 2, "versions": "x"}
STATIC = {
    "model": "t2t_vit_12",
    "exits": 1,
    "full_macs": 1_762_638_336,
    "batch_size": 1,
    "exit_shares": [1.0],
    "images_per_s": 10.0,
    "p10": 9.0,
    "p90": 11.0,
    "mac_ratio": None,
    "time_ratio": None,
}
CASCADE = STATIC | {
    "model": "dvt_t2t_vit_12_two_exits",
    "exits": 2,
    "batch_size": 128,
    "exit_shares": [0.6, 0.4],
    "images_per_s": 87.25,
    "mac_ratio": 2.0,
    "time_ratio": 1.6,
}
PLAIN = {"model": "dvt_deit_small", "side": "plain", "batch_size": 16, "peak_mb": 100.0} | {
    "median": 2.0,
    "p10": 1.9,
    "p90": 2.1,
    "times_ours": 2.5,
}


@pytest.fixture
def benchmark(tmp_path, monkeypatch) -> Path:
    """A benchmark file as scripts/bench_imagenet.py writes it, used by the app during the test."""
    throughput = [STATIC | ABOUT, CASCADE | ABOUT, CASCADE | ABOUT | {"device": "A graphics card"}]
    path = tmp_path / "imagenet.json"
    path.write_text(json.dumps({"forward": [PLAIN | ABOUT], "throughput": throughput}))
    monkeypatch.setattr(services, "load_benchmark", lambda: load_benchmark(path))
    return path


def test_stored_benchmark_can_be_read():
    measured = load_benchmark()
    for row in measured.throughput:
        assert row.model in PRESETS and sum(row.exit_shares) == pytest.approx(1, abs=0.01)
        assert row.exits == len(row.exit_shares) and row.p10 <= row.images_per_s <= row.p90
    assert {row.model for row in measured.forward} <= set(PRESETS)


def test_speed_shows_ours_beside_the_papers_each_labelled(models_dir, benchmark):
    at = _section(SPEED)
    headers = [header.value for header in at.subheader]
    assert headers[:3] == [
        "Images per second, measured by this project",
        "Images per second, from the paper",
        "All exits, measured by this project",
    ]
    assert at.selectbox(key="speed_device").options == ["A processor", "A graphics card"]
    (ours,) = rows(at)  # the largest batch first
    assert ours["leave at each exit, %"] == "60 / 40" and ours["images/s"] == "87.2 (9.0 to 11.0)"
    assert (ours["fewer MACs"], ours["faster"], ours["real, %"]) == (
        "2.00x",
        "1.60x",
        "75",
    )  # (1 - 1/1.6) / (1 - 1/2)
    assert "2026-11-23" in captions(at) and "exit shares are forced" in captions(at)
    assert list(rows(at, 1)[-1].values()) == [
        "T2T-ViT-19",
        "382",
        "81.93",
        "666",
        "81.93",
        "1.74x",
    ]
    assert "2080Ti" in captions(at)
    assert rows(at, 2)[0]["against ours"] == "2.50x the time"
    at.button_group(key="speed_batch").set_value(1).run()
    assert [row["model"] for row in rows(at)] == ["t2t_vit_12"] and rows(at)[0]["real, %"] == ""
    at.selectbox(key="speed_device").set_value("A graphics card").run()
    headers = [header.value for header in at.subheader]
    assert not at.exception and "All exits, measured by this project" not in headers


def test_speed_says_how_to_measure_if_nobody_did(models_dir, benchmark):
    benchmark.unlink()
    at = _section(SPEED)
    assert "make bench-imagenet" in at.info[0].value
    assert rows(at)[0]["images/s"] == "1,574"


@pytest.mark.parametrize(
    "raw", ["", "{}", "[1]", "null", "\0", '{"forward": [], "throughput": [{"model": "x"}]}']
)
def test_damaged_benchmark_is_said(models_dir, benchmark, raw):
    benchmark.write_text(raw)
    at = _section(SPEED)
    assert len(at.error) == 1 and re.search(r"imagenet\.json cannot be read", at.error[0].value)


def test_reuse_ablation_draws_exits_in_their_colours(models_dir):
    at = _section(PAPER)
    at.selectbox(key="experiment").set_value("Reuse on and off").run()
    assert list(chart(at)) == ["exit 1", "exit 2", "exit 3"]
    assert rows(at)[-1]["exit 3"] == "80.00 % at 3.50 GMACs, 11.1 % extra"


def test_count_of_parameters_needs_no_weights():
    for name, wanted in (("dvt_t2t_vit_12", 22_461_516), ("dvt_t2t_vit_14", 67_881_836)):
        assert services.count_parameters(PRESETS[name]) == wanted  # shared reference, section 3
    assert exit_macs(PRESETS["dvt_deit_small"])[-1] == 8_800_629_120


def test_new_tables_are_seen_without_reading_the_weights_again(own_folder, tiny_folder):
    bundle = services.get_bundle(str(own_folder))
    model = services.get_model(bundle)
    assert not services.has_tables(bundle)
    for table in tiny_folder.glob("*.parquet"):
        shutil.copy(table, own_folder)
    assert services.has_tables(services.get_bundle(str(own_folder)))
    assert services.get_model(services.get_bundle(str(own_folder))) is model


def test_replaced_weights_are_read_again(own_folder):
    before = services.get_model(services.get_bundle(str(own_folder)))
    shutil.rmtree(own_folder)
    write_bundle(own_folder, num_exits=2)
    after = services.get_model(services.get_bundle(str(own_folder)))
    assert before.num_exits == 3 and after.num_exits == 2
