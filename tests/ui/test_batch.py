"""The Batch page: files, zips and folders in; answers under the dial and files to take home out."""

import glob
import io
import json
import random
import shlex
import shutil
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect
from streamlit.testing.v1 import AppTest

from app.figures.theme import MacUnit
from app.intake import batch_intake
from app.intake.batch_intake import command, from_files, from_folder
from app.sections import batch_source
from app.sections.batch_source import OFFER, SHOWN, Shown
from dvt_core.batch import answer_columns
from dvt_core.bundle import Bundle, list_models, load_bundle
from dvt_core.cli import main
from dvt_core.data import load_split
from dvt_core.errors import InputError
from dvt_core.exit_table import ExitTable
from dvt_core.intervals import compare, mean_cost, share_interval
from dvt_core.samples import list_samples
from dvt_core.thresholds import replay
from tests.ui.browser import fits, move
from tests.ui.driver import ask, captions, open_app, sent, setting
from tests.ui.node import call_js
from tests.ui.tiny_model import WORDS, png, write_bundle

BATCH = "views/batch.py"
JS = ("rule.js", "plot.js", "batch.js")


def zip_of(**files: bytes) -> bytes:
    """A zip; "__" in a name stands for the slash."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "/") + ".png", data)
    return out.getvalue()


def run(at: AppTest) -> Shown:
    """Presses the button and waits for the job; the batch that is shown then."""
    at.button(key="batch_run").click().run()
    assert not at.exception and not at.error, [e.value for e in at.error]
    deadline = time.monotonic() + 60
    while at.session_state["job_batch"].is_open:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    at.run()
    assert not at.exception
    return at.session_state[SHOWN]


def upload(at: AppTest, name: str, data: bytes) -> None:
    at.file_uploader(key="batch_files").set_value((name, data, "")).run()
    assert not at.exception


@pytest.fixture
def bundle(models_dir: Path) -> Bundle:
    return load_bundle(models_dir / "tiny")


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """A folder with three pictures for each class of the model."""
    for word in WORDS:
        (tmp_path / "own set" / word).mkdir(parents=True)
        for i in range(3):
            (tmp_path / "own set" / word / f"{i}.png").write_bytes(png())
    return tmp_path / "own set"


def test_page_opens_with_the_samples(models_dir, bundle):
    at = open_app(BATCH)
    data, samples = sent(at, "batch_live"), list_samples(WORDS)
    assert data["all"]["n"] == len(at.dataframe[0].value) == len(samples)
    assert data["labelled"]["n"] == sum(s.label in WORDS for s in samples)
    assert data["test"]["n"] == 400
    assert "FILE ..." in at.code[0].value
    strange = sum(s.label not in WORDS for s in samples)
    assert f"{strange} of {len(samples)} samples show what the model has no word" in captions(at)
    assert "folders that are no class" not in captions(at)


def test_a_zip_is_run_once_and_answers_for_every_threshold(bundle):
    at = open_app(BATCH, batch_from="files")
    broken = png()[:50]
    upload(at, "trip.zip", zip_of(Cats__1=png(), dog__2=png(), holiday__3=png(), x__4=broken))
    shown = run(at)
    assert shown.batch.names == ("Cats/1.png", "dog/2.png", "holiday/3.png")
    assert shown.batch.is_labelled.tolist() == [True, True, False]
    (unusable,) = [e for e in at.expander if "1 file cannot be used" in e.label]
    assert "1 of 3 pictures lies in a folder that is no class: holiday. It counts" in captions(at)
    assert unusable.dataframe[0].value["file"].tolist() == ["x/4.png"]
    assert "Only 2 labelled pictures" in at.info[0].value
    for threshold in (0.6, 0.0):
        ask(at, way="threshold", threshold=threshold)
        wanted = answer_columns(shown.batch, WORDS, setting(at, bundle).thresholds)
        table = at.dataframe[0].value
        assert table["exit"].tolist() == [f"exit {e}" for e in wanted["exit"]]
        assert table["class"].tolist() == wanted["class"]
        assert table["confidence"].tolist() == pytest.approx(
            [100 * c for c in wanted["confidence"]]
        )
        assert table["cost in MMACs"].tolist() == pytest.approx([m / 1e6 for m in wanted["macs"]])
    assert at.session_state[SHOWN] is shown  # nothing was run again


def test_what_cannot_be_run_is_said_in_words(bundle):
    at = open_app(BATCH, batch_from="files")
    upload(at, "notes.zip", zip_of()[:-5] + b"PK\5\6")
    assert "no picture" in at.warning[0].value
    upload(at, "broken.png", png()[:50])
    at.button(key="batch_run").click().run()
    while at.session_state["job_batch"].is_open:
        time.sleep(0.02)
    at.run()
    assert "the picture cannot be used" in " ".join(w.value for w in at.warning)
    assert len(at.dataframe[0].value) == len(list_samples(WORDS))


def test_one_labelled_picture_is_called_one(bundle):
    at = open_app(BATCH, batch_from="files")
    upload(at, "a.zip", zip_of(cat__1=png()))
    assert at.button(key="batch_run").label == "Run the picture"
    run(at)
    assert at.info[0].value.startswith("Only one labelled picture:")


@pytest.mark.parametrize("leave", ("empty", "samples"))
def test_files_that_are_no_longer_chosen_are_not_kept(bundle, leave):
    at = open_app(BATCH, batch_from="files")
    upload(at, "a.zip", zip_of(cat__1=png()))
    assert OFFER in at.session_state
    if leave == "empty":
        at.file_uploader(key="batch_files").set_value([]).run()
    else:
        at.button_group(key="batch_from").set_value("samples").run()
    assert not at.exception and OFFER not in at.session_state


def test_a_second_press_while_the_first_batch_runs_is_refused_in_words(bundle, monkeypatch):
    gate, plain = threading.Event(), batch_source.run_batch

    def run_when_let(*args, data, **more):  # the samples, which the page shows meanwhile, at once
        assert data == "samples" or gate.wait(60)
        return plain(*args, data=data, **more)

    monkeypatch.setattr(batch_source, "run_batch", run_when_let)
    at = open_app(BATCH, batch_from="files")
    upload(at, "a.zip", zip_of(cat__1=png()))
    for _ in range(2):
        at.button(key="batch_run").click().run()
    gate.set()
    assert "one long task at a time" in at.warning[0].value
    assert not at.error and at.get("progress") and len(at.dataframe) == 1  # the page is still there
    while at.session_state["job_batch"].is_open:
        time.sleep(0.02)


def test_a_folder_of_classes_gives_what_dvt_evaluate_gives(bundle, classes, tmp_path, capsys):
    at = open_app(BATCH, batch_from="folder")
    at.text_input(key="batch_folder").set_value(f" '{classes}' ").run()
    shown = run(at)
    ask(at, way="each", each=[0.31, 0.57])
    thresholds = setting(at, bundle).thresholds
    line = shlex.split(at.code[0].value)
    assert line[:2] == ["dvt", "evaluate"]
    capsys.readouterr()
    assert main([*line[1:], "--json", "--out", str(tmp_path / "t.parquet")]) == 0
    said, labelled = json.loads(capsys.readouterr().out), shown.batch.labelled
    assert labelled is not None and said["n"] == labelled.n == 30
    assert said["exit_accuracy"] == list(labelled.exit_accuracy)
    assert said["cascade"] == replay(labelled, thresholds).to_dict()
    (tmp_path / "mine.parquet").write_bytes(labelled.to_bytes())
    mine, theirs = (ExitTable.load(tmp_path / name) for name in ("mine.parquet", "t.parquet"))
    assert (mine.info.data, mine.info.weights_sha256) == ("own set", theirs.info.weights_sha256)
    for name in ("labels", "indices", "predictions"):
        np.testing.assert_array_equal(getattr(mine, name), getattr(theirs, name))
    np.testing.assert_allclose(mine.top5_probs, theirs.top5_probs, atol=1e-6)


def test_any_other_folder_gives_what_dvt_classify_gives(bundle, classes, capsys):
    shutil.rmtree(classes / "cat")
    (classes / "dog").rename(classes / "holiday")
    (classes / "holiday" / "labels.csv").write_text("0.png,dog")
    at = open_app(BATCH, batch_from="folder")
    at.text_input(key="batch_folder").set_value(str(classes)).run()
    shown = run(at)
    columns = answer_columns(shown.batch, WORDS, setting(at, bundle).thresholds)
    words = shlex.split(at.code[0].value)
    files = sorted(glob.glob(words[-1]))
    capsys.readouterr()
    assert main([*words[1:-1], *files]) == 0
    said = json.loads(capsys.readouterr().out)
    assert len(said) == len(columns["exit"]) == 27
    for key, column in (("exit", "exit"), ("class_name", "class"), ("macs", "macs")):
        assert [one[key] for one in said] == columns[column]
    assert [one["confidence"] for one in said] == pytest.approx(columns["confidence"], abs=1e-5)


def test_over_a_network_no_folder_is_opened(bundle, classes, public_server):
    at = open_app(BATCH, batch_from="folder")
    assert not at.text_input and at.session_state["batch_from"] == "samples"


def test_a_row_leads_to_look_with_its_picture(bundle):
    at = open_app(BATCH, batch_from="files")
    data = {"cat__1": png(), "holiday__2": png()}
    upload(at, "trip.zip", zip_of(**data))
    token = run(at).token
    at.session_state[f"batch_table_{token}"] = {"selection": {"rows": [1], "columns": []}}
    at.run()
    assert any("holiday/2.png" in markdown.value for markdown in at.markdown)
    at.session_state[f"batch_table_{token}"] = {"selection": {"rows": [1], "columns": []}}
    at.button(key="batch_look").click().run()
    assert not at.exception
    assert at.session_state["look_tray"][-1].data == data["holiday__2"]
    assert at.session_state["from"] == "upload"


def test_answers_of_another_model_are_not_shown(bundle, models_dir):
    write_bundle(models_dir / "zebra", num_exits=1)
    at = open_app(BATCH, batch_from="files")
    upload(at, "a.png", png())
    run(at)
    at.sidebar.selectbox(key="model").set_value("zebra").run()
    assert not at.exception
    assert "another model" in at.info[0].value
    data = sent(at, "batch_live")
    assert data["all"]["n"] == len(list_samples(WORDS)) and len(data["colours"]) == 1
    assert run(at).weights == load_bundle(models_dir / "zebra").weights_sha256  # of the same file
    at.switch_page("views/models.py").run()
    at.switch_page(BATCH).run()
    assert sent(at, "batch_live")["all"]["n"] == 1  # still there after another page


def test_a_model_without_tables_is_not_compared(bundle, models_dir):
    for table in (models_dir / "tiny").glob("*.parquet"):
        table.unlink()
    data = sent(open_app(BATCH), "batch_live")
    assert data["test"] is None and data["curves"]["test"] is None


def test_more_pictures_than_a_batch_takes_are_spread_as_by_the_command(classes, monkeypatch):
    monkeypatch.setattr(batch_intake, "MAX_PICTURES", 7)
    offer, split = from_folder(classes), load_split(classes, "test", limit=7)
    names = [f"{split.class_names[label]}/{row % 3}.png" for row, label in
             zip(split.indices, split.labels, strict=True)]  # fmt: skip
    assert [source.name for source in offer.sources] == names and offer.found == 30
    assert command(offer, "tiny", WORDS, (0.5, 0.5)) == ""  # not every class is left
    monkeypatch.setattr(batch_intake, "MAX_BATCH_BYTES", 1000)
    with pytest.raises(InputError, match="0 MB together, a batch takes at most 0 MB"):
        from_files([("a.png", bytes(600)), ("b.png", bytes(401))])


def test_links_that_lead_out_of_a_folder_are_not_followed(classes, tmp_path):
    (tmp_path / "secret.png").write_bytes(png())
    (classes / "cat" / "3.png").symlink_to(tmp_path / "secret.png")
    (classes / "cat" / "4.png").symlink_to(classes / "dog" / "0.png")
    names = [source.name for source in from_folder(classes).sources]
    assert "cat/4.png" in names and "cat/3.png" not in names
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "test").symlink_to(classes)
    with pytest.raises(InputError, match="leads out of"):
        from_folder(tmp_path / "linked")


def test_the_browser_says_what_python_says():
    draw, calls, wanted = random.Random(0), [], []
    for _ in range(60):
        macs = sorted(draw.sample(range(1, 10**9), 3))
        counts, other = ([draw.choice((0, 1, 20, 900)) for _ in macs] for _ in range(2))
        counts[0] += 1
        other[2] += 1
        mine, theirs = mean_cost(counts, macs), mean_cost(other, macs)
        low, high = share_interval(counts[0], sum(counts))
        calls += [("meanCost", [counts, macs]), ("shareInterval", [counts[0], sum(counts)])]
        calls += [("compareCosts", [mine.__dict__, theirs.__dict__])]
        wanted += [list(mine.__dict__.values()), [low, high], [compare(mine, theirs)]]
    for found, value in zip(call_js(JS, calls), wanted, strict=True):
        if isinstance(found, dict):
            values = [found[key] for key in ("n", "mean", "error", "low", "high")]
        else:
            values = found if isinstance(found, list) else [found]
        assert values == pytest.approx(value, rel=1e-9, abs=1e-3)


def test_the_answer_is_one_sentence():
    macs, unit = (10_000_000, 40_000_000, 100_000_000), MacUnit("MMACs", 1e6, "MFLOPs")
    test = mean_cost((4000, 3000, 3000), macs).__dict__
    spoken = {"name": unit.name, "scale": unit.scale}
    calls = []
    for counts in ((90, 5, 5), (2, 2, 96), (1, 0, 0), (0, 0, 4), (4, 3, 3)):
        mine = mean_cost(counts, macs).__dict__
        calls.append(("verdict", [mine, test, spoken]))
    one = mean_cost((1, 0, 0), macs).__dict__
    calls += [("verdict", [mine, None, spoken]), ("verdict", [one, None, spoken])]
    easier, harder, single, few, neither, alone, only = call_js(JS, calls)
    assert easier.startswith("Easier than the test set: 16.0 MMACs per picture")
    assert harder.startswith("Harder than the test set: 97.0 MMACs")
    assert neither.startswith("No easier and no harder than the test set, as far as 10 pictures")
    assert single.startswith("One picture cannot tell whether yours are easier")
    assert few.startswith("So few pictures, 4, cannot tell whether yours are easier")
    assert only == "The one picture costs 10.0 MMACs."
    assert alone == "10 pictures cost 46.0 MMACs each on average."


@pytest.mark.browser
def test_upload_a_zip_run_it_and_move_the_dial(page, address):
    model = list_models()[0]
    words = [name.split(",")[0].replace(" ", "_") for name in load_bundle(model).class_names[:2]]
    page.goto(f"{address}/batch?batch_from=files&model={model}")
    expect(page.locator(".verdict")).to_contain_text("test set")  # of the samples
    data = zip_of(**{f"{word}__{i}": png() for word in words for i in range(20)})
    page.locator("input[type=file]").set_input_files(
        {"name": "trip.zip", "mimeType": "application/zip", "buffer": data}
    )
    page.get_by_role("button", name="Run 40 pictures").click()
    expect(page.locator(".tile[data-id=accuracy] small")).to_contain_text("40 labelled")
    move(page, "Home")
    expect(page.locator(".shares li em").first).to_contain_text("100.0 % (40)")
    expect(page.locator(".verdict")).to_contain_text("No easier and no harder")
    page.set_viewport_size({"width": 390, "height": 844})
    fits(page, 390)
    expect(page.get_by_role("button", name="Answers (CSV)")).to_be_visible()
