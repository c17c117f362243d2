"""Look and Trade-off with a folder that has no exit tables: the authors' numbers, or none."""

import json
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app import services
from app.figures.tradeoff import AUTHORS_LINE
from dvt_core.authors import AUTHORS, AuthorsPoint, AuthorsResults
from dvt_core.macs import exit_macs
from tests.ui.driver import (
    LOOK,
    TRADEOFF,
    ask,
    captions,
    chart,
    layers,
    metrics,
    open_app,
    sent,
    setting,
)


def _open(page: str, folder: Path, **query: str) -> AppTest:
    """A page with a folder that this session opened before."""
    at = open_app(**query)
    at.session_state["model_folders"] = (str(folder),)
    at.run().selectbox(key="model").set_value(str(folder)).run()
    at.switch_page(page).run()
    assert not at.exception and at.selectbox(key="model").value == str(folder)
    return at


def _ask(at: AppTest, way: str, value: float) -> AppTest:
    return ask(at, **{"way": way, way: value})


def _ways(at: AppTest) -> list[str]:
    """The ways to ask that the dial offers."""
    return [way["id"] for way in sent(at, "dial")["ways"]]


def _origin(at: AppTest, folder: Path) -> str:
    return setting(at, services.get_bundle(str(folder))).origin


def _codes(at: AppTest) -> str:
    return "\n".join(code.value for code in at.code)


def _is_told_how_to_measure(at: AppTest, folder: Path) -> bool:
    return all(
        f"--split {split} --out {folder}/{split}.parquet" in _codes(at)
        for split in ("calibration", "test")
    )


def test_authors_curve_is_drawn_as_theirs(own_folder, authors):
    at = _open(TRADEOFF, own_folder)
    traces = chart(at)
    exits = {f"exit {i} alone" for i in (1, 2, 3)}
    assert set(traces) == {AUTHORS_LINE, "you are here", *exits}  # the dial opens on a budget
    scale = 1e6
    assert traces[AUTHORS_LINE]["x"] == pytest.approx([p.macs / scale for p in authors.points])
    assert traces[AUTHORS_LINE]["y"] == pytest.approx([100 * p.accuracy for p in authors.points])
    assert traces["exit 2 alone"]["x"] == pytest.approx([authors.exit_macs[1] / scale])
    assert traces["exit 2 alone"]["y"] == pytest.approx([72.0])
    assert "not measured here" in captions(at) and authors.source in captions(at)
    assert _is_told_how_to_measure(at, own_folder)


def test_threshold_by_hand_is_not_placed_on_the_authors_curve(own_folder, authors):
    at = _open(TRADEOFF, own_folder)
    ask(at, way="threshold")
    assert "you are here" not in chart(at) and not metrics(at)
    assert "the authors stored 6 points only" in at.info[0].value


@pytest.mark.parametrize("share", [30, 50, 75, 100])
def test_budget_takes_the_best_of_the_authors_points_within_it(own_folder, authors, share):
    at = _ask(_open(TRADEOFF, own_folder), "budget", share)
    full = exit_macs(services.get_bundle(str(own_folder)).config)[-1]
    wanted = max(
        (point for point in authors.points if point.macs <= share / 100 * full),
        key=lambda point: (point.accuracy, -point.macs),
    )
    here = chart(at)["you are here"]
    assert here["x"] == pytest.approx([wanted.macs / 1e6])
    assert here["y"] == pytest.approx([100 * wanted.accuracy])
    assert metrics(at)["Accuracy"] == f"{100 * wanted.accuracy:.1f} %"
    origin = _origin(at, own_folder)
    assert f"{wanted.thresholds[0]:.3g}" in origin and "the authors stored" in origin


@pytest.mark.parametrize("wanted", [61.0, 70.0, 74.9, 80.0])
def test_accuracy_takes_the_cheapest_of_the_authors_points(own_folder, authors, wanted):
    at = _ask(_open(TRADEOFF, own_folder), "accuracy", wanted)
    point = next(point for point in authors.points if 100 * point.accuracy >= wanted - 1e-9)
    assert metrics(at)["Accuracy"] == f"{100 * point.accuracy:.1f} %"


def test_look_uses_the_authors_thresholds(own_folder, authors):
    at = _ask(_open(LOOK, own_folder), "budget", 60)
    point = services.get_authors_front(services.get_bundle(str(own_folder))).at_budget(
        0.6 * exit_macs(services.get_bundle(str(own_folder)).config)[-1]
    )
    assert "not measured here" in _origin(at, own_folder) and "Answer" in metrics(at)
    assert sent(at, "trace")["thresholds"] == list(point.thresholds)


@pytest.mark.parametrize("page", [LOOK, TRADEOFF])
def test_without_anything_the_threshold_alone_is_offered(own_folder, page):
    at = _open(page, own_folder, ask="budget")
    if page == LOOK:
        assert _ways(at) == ["threshold", "each"] and "Answer" in metrics(at)
        assert at.session_state["dial_ask"]["threshold"] == 0.6
    else:
        assert not at.get("plotly_chart") and _is_told_how_to_measure(at, own_folder)


def test_one_table_alone_is_not_enough(own_folder, tiny_folder):
    shutil.copy(tiny_folder / "test.parquet", own_folder)
    at = _open(TRADEOFF, own_folder)
    assert "calibration.parquet" in _codes(at) and "test.parquet" not in _codes(at)


def test_tables_and_authors_are_two_labelled_lines(own_folder, authors, tiny_folder):
    plain = _open(TRADEOFF, own_folder)
    for table in tiny_folder.glob("*.parquet"):
        shutil.copy(table, own_folder)
    at = plain.run()
    lines = layers(at)
    assert "shared" in lines and lines["authors"]["name"] == AUTHORS_LINE
    assert lines["authors"]["points"][0] == pytest.approx(
        [authors.points[0].macs / 1e6, 100 * authors.points[0].accuracy]
    )
    table = services.get_bundle(str(own_folder)).table("test")
    assert sent(at, "tradeoff")["exits"][-1][1] == pytest.approx(100 * table.exit_accuracy[-1])
    _ask(at, "budget", 80)
    assert "400 calibration images" in _origin(at, own_folder)  # ours come first


def _store(folder: Path, **changes: object) -> None:
    raw = json.loads((folder / AUTHORS).read_text())
    (folder / AUTHORS).write_text(json.dumps({**raw, **changes}))


def test_curve_without_thresholds_is_drawn_but_not_offered(own_folder, authors):
    _store(
        own_folder,
        points=[{"thresholds": [], "macs": p.macs, "accuracy": p.accuracy} for p in authors.points],
    )
    at = _open(TRADEOFF, own_folder)
    assert AUTHORS_LINE in chart(at) and "stored no thresholds" in at.info[0].value
    assert _ways(at) == ["threshold", "each"]


def test_exits_without_costs_stand_at_ours(own_folder, authors):
    _store(own_folder, exit_macs=[], points=[])
    at = _open(TRADEOFF, own_folder)
    ours = exit_macs(services.get_bundle(str(own_folder)).config)
    assert chart(at)["exit 3 alone"]["x"] == pytest.approx([ours[-1] / 1e6])
    assert "the authors stored no thresholds" in at.info[0].value


@pytest.mark.parametrize("changes", [{"exit_accuracy": [0.5, 0.6]}, {"points": 3}], ids=str)
def test_damaged_authors_numbers_stop_the_tradeoff_page_only(own_folder, authors, changes):
    _store(own_folder, **changes)
    at = _open(TRADEOFF, own_folder)
    assert len(at.error) == 1 and "stored results cannot be used" in at.error[0].value
    assert "Answer" in metrics(_open(LOOK, own_folder))


def test_tables_that_go_away_while_the_dial_moves_are_no_crash(own_folder, tiny_folder):
    for table in tiny_folder.glob("*.parquet"):
        shutil.copy(table, own_folder)
    at = _open(TRADEOFF, own_folder)
    for table in own_folder.glob("*.parquet"):
        table.unlink()
    ask(at, threshold=0.9)
    assert not at.exception and _is_told_how_to_measure(at, own_folder)


def test_authors_front_keeps_what_no_cheaper_point_beats(own_folder):
    rows = [(5, 0.5), (5, 0.6), (6, 0.6), (7, 0.55), (8, 0.7), (9, 0.7)]
    points = tuple(AuthorsPoint((0.5, 0.5), macs, accuracy) for macs, accuracy in rows)
    results = AuthorsResults((), (), (*points, AuthorsPoint((), 10, 0.9)), "x")
    (own_folder / AUTHORS).write_text(json.dumps(results.to_dict()))
    front = services.get_authors_front(services.get_bundle(str(own_folder)))
    assert [(point.macs, point.accuracy) for point in front.points] == [(5, 0.6), (8, 0.7)]
