"""Trade-off without a browser, on a tiny model: what the lab in the browser is given."""

import csv

import numpy as np
import pytest

from app import services
from app.figures.theme import exit_colour
from app.figures.tradeoff import STATIC, sweep_csv
from app.replay.replay_data import MAX_EXITS, table_data
from dvt_core.errors import InputError
from dvt_core.inference import classify
from dvt_core.reference_curves import bootstrap_band, oracle_line, random_line
from dvt_core.solver import NEVER
from dvt_core.thresholds import sweep
from tests.core.synthetic_tables import MACS, cascade_table
from tests.ui.driver import TRADEOFF, ask, captions, layers, open_app, pick, sent
from tests.ui.node import call_js
from tests.ui.tiny_model import write_bundle


def test_the_browser_gets_the_test_table(models_dir):
    at = open_app(TRADEOFF)
    table = services.get_bundle("tiny").table("test")
    made = {"make": ["makeTable", sent(at, "tradeoff")["table"]]}
    points = sweep(table, np.array([[0.3, 0.9], [0.6, 0.6]]))
    got = call_js(("rule.js",), [("evaluate", [made, list(p.thresholds)]) for p in points])
    assert [each["accuracy"] for each in got] == [point.accuracy for point in points]
    assert [each["macs"] for each in got] == [point.macs for point in points]
    assert "calibration (400 images), shown on test (400 images)" in captions(at)


def test_the_curve_meets_the_first_and_last_exit(models_dir):
    data = sent(open_app(TRADEOFF), "tradeoff")
    curve = next(layer["points"] for layer in data["layers"] if layer["id"] == "shared")
    assert curve[0] == pytest.approx(data["exits"][0])
    assert curve[-1] == pytest.approx(data["exits"][-1])
    assert [colour["colour"] for colour in data["colours"]] == [exit_colour(i) for i in range(3)]


def test_reference_lines_are_those_of_the_table(models_dir):
    lines = layers(open_app(TRADEOFF))
    bundle = services.get_bundle("tiny")
    table, curve = bundle.table("test"), services.get_curve(bundle)
    for name, line in (
        ("oracle", oracle_line(table)),
        ("random", random_line(table, curve.shared)),
    ):
        wanted = [[macs / 1e6, 100 * accuracy] for macs, accuracy in line]
        assert np.array(lines[name]["points"]) == pytest.approx(np.array(wanted))
    shared = np.append(np.linspace(0, 1, 101), NEVER)
    band = 100 * bootstrap_band(table, shared)
    assert pytest.approx(band) == np.array([lines["band"]["low"], lines["band"]["high"]]).T
    assert STATIC not in [layer["name"] for layer in lines.values()]


def test_the_lab_never_runs_the_model_for_a_threshold(models_dir, monkeypatch):
    calls = []
    monkeypatch.setattr(services, "classify", lambda *a, **k: calls.append(k) or classify(*a, **k))
    at = open_app(TRADEOFF)
    before = len(calls)
    for threshold in (0.1, 0.31, 0.9):
        ask(at, threshold=threshold)
    assert len(calls) == before


def test_the_picture_is_the_one_from_look(models_dir):
    at = open_app()
    pick(at, "samples", "cifar10_05")
    at.switch_page(TRADEOFF).run()
    picture = sent(at, "tradeoff")["picture"]
    bundle = services.get_bundle("tiny")
    assert picture["name"].endswith("(CIFAR-10 no. 6)") and len(picture["confidences"]) == 3
    assert set(picture["words"]) <= set(bundle.class_names)


def test_weights_that_cannot_be_read_cost_the_picture_only(models_dir):
    (models_dir / "tiny" / "model.safetensors").write_bytes(b"broken")
    at = open_app(TRADEOFF)
    assert not at.error and sent(at, "tradeoff")["picture"] is None


def test_sweep_download_has_every_threshold(models_dir):
    curve = services.get_curve(services.get_bundle("tiny"))
    rows = list(csv.DictReader(sweep_csv(curve.shared[:-1]).splitlines()))
    assert len(rows) == 101 and float(rows[0]["accuracy"]) == curve.exits[0][1]


@pytest.mark.parametrize("num_exits", [1, 2])
def test_the_lab_follows_the_number_of_exits(models_dir, num_exits):
    write_bundle(models_dir / "small", num_exits)
    at = open_app(TRADEOFF, model="small")
    assert len(sent(at, "tradeoff")["exits"]) == num_exits
    ways = [way["id"] for way in sent(at, "dial")["ways"]]
    assert ways == ([] if num_exits == 1 else ["threshold", "budget", "accuracy"])
    for way in ways:
        assert len(ask(at, way=way).session_state["dial_ask"]["each"]) == num_exits - 1


def test_more_exits_than_bits_are_refused():
    table = cascade_table(n=20, num_exits=len(MACS))
    assert table_data(table)["n"] == 20
    object.__setattr__(table.info, "exit_macs", tuple(range(1, MAX_EXITS + 2)))
    with pytest.raises(InputError, match="at most 8"):
        table_data(table)


@pytest.mark.parametrize("part", ["changing resources", "real time", "nonsense"])
def test_the_other_parts_open_by_link(models_dir, part):
    at = open_app(TRADEOFF, lab=part)
    assert not at.error
    titles = [heading.value for heading in at.subheader]
    assert any(title.lower().startswith(part) for title in titles) == (part != "nonsense")
