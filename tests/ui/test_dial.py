"""The dial without a browser: what it reads, refuses, remembers and puts into the link."""

import math

import pytest

from app import services
from app.replay.ask import Ask, Range, ask_from, ask_from_query
from app.replay.dial import get_choices
from dvt_core.solver import NEVER
from tests.ui.driver import LOOK, TRADEOFF, ask, open_app, sent, setting
from tests.ui.tiny_model import write_bundle

DEFAULT = Ask("threshold", 0.6, 50, 84.0, (0.6, 0.6))
RANGES = {
    "threshold": Range(0, 1),
    "budget": Range(10, 100, 1e8),
    "accuracy": Range(60, 90),
    "each": Range(0, 1),
}


@pytest.mark.parametrize(
    "raw",
    [
        None,
        7,
        "threshold",
        [],
        {"way": "magic"},
        {"threshold": 1.2},
        {"threshold": float("nan")},
        {"threshold": True},
        {"threshold": [0.2]},
        {"budget": 9, "accuracy": "1e999"},
        {"each": [0.5]},
        {"each": [0.5, "x"]},
        {"each": [0.5, math.inf]},
        {"each": "0.5,0.5"},
    ],
    ids=str,
)
def test_an_ask_that_is_no_sense_is_the_default(raw):
    assert ask_from(raw, DEFAULT, RANGES) == DEFAULT


def test_an_ask_keeps_what_is_good_and_rounds_to_the_knobs_steps():
    raw = {"way": "each", "threshold": 0.333, "budget": "80", "each": [0, NEVER], "accuracy": -1}
    wanted = Ask("each", 0.33, 80, 84.0, (0.0, NEVER))
    assert ask_from(raw, DEFAULT, RANGES) == wanted
    offered = {way: RANGES[way] for way in ("threshold", "each")}
    assert ask_from({"way": "budget", "budget": 80}, DEFAULT, offered) == DEFAULT


@pytest.mark.parametrize(
    "wanted",
    [
        Ask("threshold", 0.25, 50, 84.0, (0.6, 0.6)),
        Ask("budget", 0.6, 80, 84.0, (0.6, 0.6)),
        Ask("accuracy", 0.6, 50, 71.3, (0.6, 0.6)),
        Ask("each", 0.6, 50, 84.0, (0.25, NEVER)),
    ],
    ids=lambda each: each.way,
)
def test_a_link_brings_the_ask_back(wanted):
    assert ask_from_query(wanted.to_query(), DEFAULT, RANGES) == wanted
    assert ask_from(wanted.to_dict(), DEFAULT, RANGES) == wanted


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ({"threshold": "0.25"}, 0.25),
        ({"threshold": "7"}, 0.6),
        ({"threshold": "abc"}, 0.6),
        ({"threshold": "nan"}, 0.6),
        ({"ask": "nonsense", "threshold": "0.3"}, 0.3),
        ({"each": "0.1,0.2"}, 0.6),
        ({"ask": "each", "each": "0.1;0.2"}, 0.6),
    ],
    ids=str,
)
def test_dial_reads_the_link_and_ignores_nonsense(models_dir, query, value):
    at = open_app(TRADEOFF, **query)
    assert setting(at, services.get_bundle("tiny")).thresholds == (value, value)


def test_dial_is_remembered_by_all_pages_and_written_into_the_link(models_dir):
    at = open_app(LOOK)
    assert "threshold" not in at.query_params  # as long as nobody moved it
    ask(at, threshold=0.42)
    assert at.query_params["threshold"] == "0.42"
    at.switch_page(TRADEOFF).run()
    assert sent(at, "dial")["ask"]["threshold"] == 0.42
    ask(at, way="budget", budget=80)
    assert at.query_params["budget"] == "80" and "threshold" not in at.query_params
    at.switch_page(LOOK).run()
    assert sent(at, "dial")["ask"] | {"each": 0} == {
        "way": "budget",
        "threshold": 0.42,
        "budget": 80,
        "accuracy": get_choices(services.get_bundle("tiny")).default.accuracy,
        "each": 0,
    }


def test_a_release_resends_nothing_to_the_browser(models_dir):
    at = open_app(TRADEOFF)
    before = [each.proto.json for each in at.get("bidi_component")]
    ask(at, threshold=0.9)
    assert [each.proto.json for each in at.get("bidi_component")] == before


def test_what_an_earlier_page_sent_last_no_longer_counts(models_dir):
    at = open_app(LOOK)
    late = {**at.session_state["dial_ask"], "threshold": 0.11, "push": 999}
    at.session_state["dial"] = {"ask": late}
    at.run()
    assert at.session_state["dial_ask"]["threshold"] == 0.6


def test_budget_and_accuracy_use_solved_thresholds(models_dir):
    at = open_app(TRADEOFF)
    bundle = services.get_bundle("tiny")
    front, full = services.get_front(bundle), bundle.table("test").info.exit_macs[-1]
    ask(at, way="budget", budget=80)
    assert setting(at, bundle).thresholds == front.at_budget(0.8 * full).thresholds
    assert "solved for a budget of" in setting(at, bundle).origin
    ask(at, way="accuracy")
    wanted = at.session_state["dial_ask"]["accuracy"]
    assert setting(at, bundle).thresholds == front.at_accuracy(wanted / 100).thresholds
    assert "right answers on 400 calibration images" in setting(at, bundle).origin


def test_another_model_starts_at_its_own_default(models_dir):
    write_bundle(models_dir / "zwei", 2)
    at = ask(open_app(LOOK), way="each", each=[0.1, 0.2])
    at.selectbox(key="model").set_value("zwei").run()
    assert not at.exception and at.session_state["dial_ask"]["each"] == [0.6]
    assert at.session_state["dial_ask"]["way"] == "threshold" and "each" not in at.query_params


def test_a_damaged_calibration_table_leaves_the_threshold_alone(models_dir):
    (models_dir / "tiny" / "calibration.parquet").write_bytes(b"broken")
    at = open_app(LOOK)
    assert not at.error
    assert [way["id"] for way in sent(at, "dial")["ways"]] == ["threshold", "each"]


def test_a_page_without_a_dial_keeps_what_is_asked_in_its_link(models_dir):
    at = open_app("views/tradeoff.py", threshold="0.25")
    at.query_params.clear()
    at.switch_page("views/inside.py").run()
    assert not at.exception and at.query_params["threshold"] in ("0.25", ["0.25"])
