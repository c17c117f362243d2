"""What it saves: static baselines, ablation, criteria and reliability, from stored files."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from app import services
from app.figures.study import criteria_figure, reliability_alt, reliability_figure
from app.figures.theme import MacUnit, exit_colour, times_fewer
from app.figures.tradeoff import STATIC, tradeoff_alt, tradeoff_figure
from dvt_core.criteria import CRITERIA, criteria_curve
from dvt_core.exit_table import ExitTable
from dvt_core.reliability import RELIABILITY, compare, reliability
from dvt_core.solver import pareto_front
from dvt_core.study import Baseline, saving
from tests.ui.driver import LOOK, MODELS, TRADEOFF, captions, layers, metrics, open_app, rows
from tests.ui.tiny_model import write_bundle

SECTION = "what it saves"


def _tables(folder: Path) -> tuple[ExitTable, ExitTable]:
    return tuple(ExitTable.load(folder / f"{split}.parquet") for split in services.TABLES)


@pytest.fixture
def studied(models_dir: Path) -> Path:
    """The tiny model with a static model per grid, two rows of an ablation, and temperatures."""
    folder = models_dir / "tiny"
    calibration, test = _tables(folder)
    for i, name in enumerate(("2x2", "4x4", "8x8")):
        for split, table in (("calibration", calibration), ("test", test)):
            macs = table.info.exit_macs[i]
            table.exit_alone(i, macs, name).save(folder / "baselines" / name / f"{split}.parquet")
    for variant in ("neither", "both"):
        for split, table in (("calibration", calibration), ("test", test)):
            table.save(folder / "ablation" / variant / f"{split}.parquet")
        (folder / "ablation" / variant / "recipe.toml").write_text("epochs = 2\n")
    raw = compare(
        (calibration, test), (calibration, test), (1.25, 1.0, 0.5), shipped=(True, False, False)
    )
    (folder / RELIABILITY).write_text(json.dumps(raw))
    return folder


def test_section_shows_every_part_with_the_librarys_numbers(studied):
    at = open_app(MODELS, section=SECTION)
    assert not at.error and not at.info and "Trained otherwise" not in captions(at)
    calibration, test = _tables(studied)
    last = Baseline(
        "8x8", *(t.exit_alone(2, t.info.exit_macs[2], "8x8") for t in (calibration, test))
    )
    found = saving(pareto_front(calibration), test, last)
    headline = metrics(at)["At the accuracy of static 8x8"]
    assert headline == f"{times_fewer(found.times_fewer)} MACs"
    static = rows(at, 0)
    assert [row["static model"] for row in static] == ["2x2", "4x4", "8x8"]
    assert static[2]["fewer MACs"].startswith(f"{found.times_fewer:.2f}x (")
    ablation = rows(at, 1)
    assert [row["reuse"] for row in ablation] == ["no reuse", "both"]
    assert "(+0.0)" in ablation[1]["exit 3 alone"] and "2 epochs" in captions(at)
    for row, point in zip(rows(at, 2), criteria_curve(calibration, test), strict=True):
        assert row["random"] == f"{100 * point.accuracies['random']:.1f} %"
    assert "in the weights: exit 1" in captions(at)
    assert len(at.get("plotly_chart")) == 2 + 3


def test_section_says_what_is_missing_and_how_to_make_it(models_dir):
    at = open_app(MODELS, section=SECTION)
    said = " ".join(each.value for each in at.info)
    assert "--baselines" in said and "No ablation" in said and RELIABILITY in said
    assert not at.error and rows(at, 0)  # the criteria need no more than the model's own tables


def test_section_without_tables_points_to_the_trade_off_page(models_dir):
    (models_dir / "tiny" / "test.parquet").unlink()
    at = open_app(MODELS, section=SECTION)
    assert "no exit tables" in at.info[0].value and not at.error


def test_a_damaged_reliability_file_is_one_sentence(studied):
    (studied / RELIABILITY).write_text('{"temperatures": [1]}')
    at = open_app(MODELS, section=SECTION)
    assert "damaged" in at.error[0].value and len(at.error) == 1


def test_static_models_that_were_trained_otherwise_say_so(studied):
    recipe = 'name = "x"\nepochs = 2\nlr = 0.1\n'
    (studied / "recipe.toml").write_text(recipe)
    for name in ("2x2", "4x4", "8x8"):
        more = "" if name == "2x2" else 'mixed_precision = "bf16"\n'
        (studied / "baselines" / name / "recipe.toml").write_text(f"{recipe}only_stage = 1\n{more}")
    assert (
        "Trained otherwise than the cascade: 4x4, 8x8: `mixed_precision` `bf16`, the cascade's the "
        "default."
    ) in captions(open_app(MODELS, section=SECTION))


def _damage_a_baseline(folder: Path) -> None:
    (folder / "baselines" / "4x4" / "test.parquet").write_bytes(b"broken")


def test_a_damaged_baseline_leaves_the_other_parts(studied):
    _damage_a_baseline(studied)
    at = open_app(MODELS, section=SECTION)
    assert len(at.error) == 2  # baselines and ablation are read together
    assert all("test.parquet" in each.value for each in at.error)
    assert rows(at, 0)[0]["random"] and len(at.get("plotly_chart")) == 1 + 3


def test_a_damaged_baseline_leaves_the_trade_off_page(studied):
    _damage_a_baseline(studied)
    at = open_app(TRADEOFF)
    assert not at.error and "static" not in layers(at) and "shared" in layers(at)
    assert "cannot be shown" in captions(at) and "test.parquet" in captions(at)


def _give(folder: Path, name: str, macs: int, right: float) -> None:
    """Replaces the baselines by one that costs `macs` and is right on this share of images."""
    shutil.rmtree(folder / "baselines")
    for split, table in zip(services.TABLES, _tables(folder), strict=True):
        probs = np.full((table.n, 1, 10), 0.05, dtype=np.float32)
        said = np.where(np.arange(table.n) < right * table.n, table.labels, (table.labels + 1) % 10)
        probs[np.arange(table.n), 0, said] = 0.55
        info = table.exit_alone(0, macs, name).info
        ExitTable.from_probs(probs, table.labels, table.indices, info).save(
            folder / "baselines" / name / f"{split}.parquet"
        )


def test_a_cascade_that_costs_more_says_so(studied):
    first = _tables(studied)[1].info.exit_macs[0]
    _give(studied, "2x2", first // 2, right=0.0)
    at = open_app(MODELS, section=SECTION)
    assert metrics(at)["At the accuracy of static 2x2"] == "2.00x more MACs"
    assert at.metric[0].delta == "95 %: 2.00x more to 2.00x more" and "Below 1x" in captions(at)
    assert not at.error


def test_a_static_model_out_of_reach_is_said(studied):
    _give(studied, "9x9", 5_000_000, right=1.0)
    at = open_app(MODELS, section=SECTION)
    assert "does not reach the accuracy of the static 9x9 model, 100.0 %" in at.info[0].value
    assert rows(at, 0)[0]["fewer MACs"] == "not reached" and not at.error


@pytest.mark.parametrize(
    ("ratio", "words"), [(1.934, "1.93x fewer"), (0.8, "1.25x more"), (1.002, "as many")]
)
def test_ratios_in_words(ratio, words):
    assert times_fewer(ratio) == words


def test_opened_folder_is_named_by_its_path(own_folder, tiny_folder):
    for table in tiny_folder.glob("*.parquet"):
        shutil.copy(table, own_folder)
    at = open_app(MODELS, section="a model folder")
    at.text_input(key="folder_path").set_value(str(own_folder))
    next(button for button in at.button if button.label == "Open the folder").click().run()
    at.button_group(key="section").set_value(SECTION).run()
    assert f"--to {own_folder} --baselines`" in at.info[0].value and not at.error


@pytest.mark.parametrize("num_exits", [1, 2])
def test_section_follows_the_number_of_exits(models_dir, num_exits):
    folder = write_bundle(models_dir / "small", num_exits).path
    for split, table in zip(services.TABLES, _tables(folder), strict=True):
        table.exit_alone(0, table.info.exit_macs[0], "2x2").save(
            folder / "baselines" / "2x2" / f"{split}.parquet"
        )
    at = open_app(MODELS, section=SECTION, model="small")
    assert not at.error and metrics(at)["At the accuracy of static 2x2"]
    assert (len(at.get("plotly_chart")) == 1) == (num_exits == 1)


def test_static_models_stand_on_the_trade_off_page(studied):
    crosses, test = layers(open_app(TRADEOFF))["static"], _tables(studied)[1]
    assert crosses["kind"] == "crosses" and crosses["name"] == STATIC
    assert crosses["labels"] == ["2x2", "4x4", "8x8"]
    heights = [y for _, y in crosses["points"]]
    np.testing.assert_allclose(heights, [100 * share for share in test.exit_accuracy])


def test_the_trade_off_page_without_static_models_has_none(models_dir):
    assert "static" not in layers(open_app(TRADEOFF))


def test_attached_files_are_noticed_while_the_app_runs(models_dir, request):
    assert not services.get_study(services.get_bundle("tiny")).baselines
    request.getfixturevalue("studied")
    assert len(services.get_study(services.get_bundle("tiny")).baselines) == 3
    ablation = models_dir / "tiny" / "ablation"
    (ablation / "both").rename(ablation / "relations")  # no file in it is touched
    assert list(services.get_study(services.get_bundle("tiny")).ablation) == [
        "neither",
        "relations",
    ]


def test_tradeoff_alt_names_the_static_models(studied):
    test = _tables(studied)[1].exit_alone(0, 2_000_000, "x")
    words = tradeoff_alt(None, (), MacUnit.of((1, 2)), [Baseline("2x2", test, test)])
    assert "static 2x2" in words and "2.00 MMACs" in words
    assert tradeoff_figure((), (), (), None, MacUnit.of((1, 2))).data == ()


def test_reliability_figure_leaves_empty_bins_out():
    right = np.array([True, False, True, True])
    side = reliability(np.array([0.05, 0.95, 0.95, 0.99], dtype=np.float32), right).to_dict()
    drawn = reliability_figure(side, side, 1)
    honest, before, after = drawn.data
    assert tuple(honest.x) == tuple(honest.y) == (0, 100)
    assert len(before.x) == 2 and before.marker.size[0] < before.marker.size[1] == 12
    assert before.marker.color == exit_colour(1)
    assert (before.marker.symbol, after.marker.symbol) == ("circle-open", "circle")
    assert drawn.layout.title.text == "exit 2"
    assert "exit 2: expected calibration error" in reliability_alt(side, side, 1)


def test_criteria_figure_has_a_line_for_each_criterion(studied):
    points = criteria_curve(*_tables(studied))
    drawn = criteria_figure(points, MacUnit.of((10**6, 2 * 10**6)))
    assert tuple(trace.name for trace in drawn.data) == CRITERIA
    assert drawn.data[0].y[0] == pytest.approx(100 * points[0].accuracies["confidence"])
    assert "MMACs" in drawn.layout.xaxis.title.text


def test_a_model_of_two_hundred_words_works_on_every_page(models_dir):
    words = tuple(f"Thing {i}, Res {i}" for i in range(200))
    write_bundle(models_dir / "many", words=words)
    at = open_app(LOOK, model="many")
    assert "The model knows 200 words" in captions(at) and not at.error
    assert metrics(at)["Answer"].startswith("Thing ") and "Res" not in metrics(at)["Answer"]
    assert at.metric[0].help.startswith(metrics(at)["Answer"] + ", Res ")
    assert at.expander[0].label == "All 200 words" and "Thing 199" in captions(at)
    assert "a word this model does not have" in at.info[0].value  # no sample is a thing
    for page in (TRADEOFF, MODELS):
        assert not open_app(page, model="many").error
