"""The exit trace: what Python sends, and what the browser makes of it, against plain loops."""

import base64
import io
import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from app.figures.theme import EXIT_COLOURS, percent
from app.figures.tradeoff import thresholds_text
from app.intake.pictures import Picture, get_view
from app.services import get_bundle
from app.trace import trace_data
from dvt_core.bundle import Bundle
from dvt_core.inference import classify
from dvt_core.macs import exit_macs
from dvt_core.results import Prediction
from dvt_core.samples import list_samples
from tests.ui.driver import captions, open_app, pick, sent
from tests.ui.node import call_js
from tests.ui.tiny_model import png, write_bundle

NOISE = png()


def _run(bundle: Bundle, data: bytes, thresholds: float, all_exits: bool = False) -> Prediction:
    view = get_view(bundle, Picture(data, "x"))
    return classify(bundle.load_model(), view.tensor, thresholds, all_exits=all_exits)[0]


def _data(bundle: Bundle, threshold: float, asked: bool = False) -> tuple[dict, Prediction]:
    picture = Picture(NOISE, "noise")
    prediction = _run(bundle, picture.data, threshold)
    later = _run(bundle, picture.data, threshold, all_exits=True) if asked else None
    return trace_data(bundle, get_view(bundle, picture), prediction, later), prediction


def _macs(text: str) -> float:
    return float(text.removesuffix(" MMACs"))


@pytest.mark.parametrize(("threshold", "computed"), [(0.0, 1), (1.01, 3)])
def test_lanes_say_what_classify_computed(models_dir, threshold, computed):
    bundle = get_bundle("tiny")
    data, prediction = _data(bundle, threshold)
    assert [lane["said"] is not None for lane in data["lanes"]] == [i < computed for i in range(3)]
    for lane, record in zip(data["lanes"], prediction.records, strict=False):
        order = np.argsort(-record.probs, kind="stable")[:5]
        said = lane["said"]
        assert [row["full"] for row in said["top"]] == [bundle.class_names[i] for i in order]
        assert [row["share"] for row in said["top"]] == [float(record.probs[i]) for i in order]
        assert said["confidence"] == float(record.probs.max())
        assert said["percent"] == f"{100 * record.probs.max():.1f} %"
        assert said["word"] == bundle.class_names[record.probs.argmax()]
    assert data["thresholds"] == [threshold] * 2 and data["asked"] is False
    assert json.loads(json.dumps(data)) == data


def test_times_and_costs_of_the_stages_add_up(models_dir):
    bundle = get_bundle("tiny")
    data, prediction = _data(bundle, 1.01)
    times = np.cumsum([lane["said"]["ms"] for lane in data["lanes"]])
    assert times == pytest.approx([record.milliseconds for record in prediction.records])
    total = 0.0
    for lane, macs in zip(data["lanes"], exit_macs(bundle.config), strict=True):
        total += _macs(lane["cost"])
        assert _macs(lane["total"]) == pytest.approx(macs / 1e6, rel=5e-3)
        assert total == pytest.approx(macs / 1e6, rel=1e-2)


def test_later_exits_are_sent_only_when_asked_and_change_nothing_before(models_dir):
    bundle = get_bundle("tiny")
    data, prediction = _data(bundle, 0.0, asked=True)
    assert data["asked"] is True and all(lane["said"] for lane in data["lanes"])
    assert data["lanes"][0]["said"]["ms"] == prediction.records[0].milliseconds
    assert all(lane["said"]["ms"] > 0 for lane in data["lanes"])


def test_picture_and_grid_are_the_models(models_dir):
    bundle = get_bundle("tiny")
    data, _ = _data(bundle, 0.5)
    head, body = data["picture"].split(",")
    image = Image.open(io.BytesIO(base64.b64decode(body)))
    seen = get_view(bundle, Picture(NOISE, "noise")).seen
    assert head == "data:image/png;base64" and image.size == (32, 32) == (data["side"],) * 2
    assert np.array_equal(np.asarray(image), np.asarray(seen))
    for lane, side in zip(data["lanes"], (2, 4, 8), strict=True):
        assert lane["edges"] == [i * 32 / side for i in range(side + 1)]
        assert lane["tokens"] == side * side and f"{side}x{side} = {side * side}" in lane["title"]
    assert [lane["colour"] for lane in data["lanes"]] == list(EXIT_COLOURS[:3])


def test_nothing_but_the_records_and_thresholds_follows_the_dial(models_dir):
    bundle = get_bundle("tiny")
    low, high = (_data(bundle, threshold)[0] for threshold in (0.0, 1.01))
    for lane in (*low["lanes"], *high["lanes"]):
        lane.pop("said")
    assert low.pop("thresholds") != high.pop("thresholds") and low == high


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        ((True, True), "reuse: features, relations"),
        ((True, False), "reuse: features"),
        ((False, True), "reuse: relations"),
        ((False, False), ""),
    ],
)
def test_arrow_names_what_the_model_hands_on(models_dir, kinds, words):
    bundle = get_bundle("tiny")
    data, _ = _data(bundle, 0.5)
    assert data["reuse"] == "reuse: features, relations"
    config = replace(bundle.config, feature_reuse=kinds[0], relation_reuse=kinds[1])
    picture = Picture(NOISE, "noise")
    other = trace_data(
        replace(bundle, config=config),
        get_view(bundle, picture),
        _run(bundle, picture.data, 0.5),
        None,
    )
    assert other["reuse"] == words


# --- the browser's part, run by node ------------------------------------------------------


def _js(name: str, *cases: list) -> list:
    """What a function of trace.js says to each list of arguments."""
    return call_js(("rule.js", "trace.js"), [(name, case) for case in cases])


def _states(confidences: list[float], thresholds: list[float], exits: int, asked: bool):
    """The rule as one plain loop over lanes."""
    states, exit_index = [], None
    for i in range(exits):
        if exit_index is not None:
            stopped = states[exit_index] != "pending"
            if not stopped:
                states.append("unknown")
            elif i >= len(confidences):
                states.append("spared")
            else:
                states.append("asked" if asked else "unneeded")
        elif i >= len(confidences):
            states.append("pending")
            exit_index = i
        elif i == exits - 1:
            states.append("last")
            exit_index = i
        elif confidences[i] >= thresholds[i]:
            states.append("stop")
            exit_index = i
        else:
            states.append("on")
    return {"exit": exit_index, "states": states}


def test_browser_lights_the_lanes_of_the_rule():
    rng = np.random.default_rng(0)
    cases = []
    for _ in range(2000):
        exits = int(rng.integers(1, 6))
        known = int(rng.integers(1, exits + 1))
        # Few distinct numbers, so that confidence and threshold are often equal.
        draw = rng.choice([0.0, 0.25, 0.5, 0.75, 1.0, 1.01], size=2 * exits).tolist()
        cases.append([draw[:known], draw[exits : 2 * exits - 1], exits, known == exits])
    got = _js("laneStates", *cases)
    assert got == [_states(*case) for case in cases]
    assert {state for one in got for state in one["states"]} == {
        "on", "stop", "last", "pending", "unknown", "spared", "asked", "unneeded",
    }  # fmt: skip


def test_browser_says_what_the_records_say(models_dir):
    bundle = get_bundle("tiny")
    runs = [_data(bundle, threshold) for threshold in np.round(np.linspace(0, 1, 11), 1).tolist()]
    rules = _js("laneStates", *(_rule_of(data) for data, _ in runs))
    exits = [rule["exit"] for rule in rules]
    assert exits == [prediction.exit_index for _, prediction in runs] and len(set(exits)) > 1
    asked = [
        [rule["states"], rule["exit"], data["thresholds"], data["lanes"]]
        for rule, (data, _) in zip(rules, runs, strict=True)
    ]
    for status, (data, prediction) in zip(_js("statusText", *asked), runs, strict=True):
        at = thresholds_text(prediction.thresholds).replace("always", "0")
        assert status == (
            f"At {at} this picture leaves at exit "
            f"{prediction.exit_index + 1}: {bundle.class_names[prediction.label]}, "
            f"{percent(prediction.confidence)} sure, "
            f"{data['lanes'][prediction.exit_index]['total']}."
        )
    for states, last, _, lanes in asked:
        words = _js("laneWords", *([states, last, i, lanes] for i in range(3)))
        for i, (verdict, remark) in enumerate(words):
            assert (verdict == "Not sure enough, go on.") == (i < last)
            stopped = f"Not computed: the model stopped at exit {last + 1}."
            assert (verdict == stopped) == (i > last)
            assert lanes[i]["cost"] in remark and ("spared" in remark) == (i > last)


def _rule_of(data: dict) -> list:
    confidences = [lane["said"]["confidence"] for lane in data["lanes"] if lane["said"]]
    return [confidences, data["thresholds"], len(data["lanes"]), data["asked"]]


@pytest.mark.parametrize("threshold", [0.0, 0.005, 0.25, 0.7345, 0.83, 1.0, 1.01, None])
def test_browser_names_the_threshold_as_python_does(threshold):
    if threshold is None:
        wanted = "no threshold: the last exit always answers"
    elif threshold > 1:
        wanted = "threshold above 100 %: never leave here"
    else:
        wanted = f"threshold {percent(threshold)}"
    assert _js("ruleWords", [threshold]) == [wanted]


def test_replay_is_in_proportion_to_the_measured_times():
    times = [2.5, 1.25, 7.0]
    (steps,) = _js("schedule", [times, 200])
    lasts = [step["grow"] - step["from"] for step in steps]
    assert lasts == pytest.approx([200 * ms for ms in times])
    for before, after in pairwise(steps):
        assert before["grow"] < before["done"] < before["end"] == after["from"]
    moments = [0, 499, 501, 1099.5, 1101, 1999, 2001, 1e6]
    phases = _js("phaseAt", *([steps[0], moment] for moment in moments))
    assert phases == ["run", "run", "grow", "grow", "", "", "", ""]
    assert _js("phaseAt", [steps[1], 10], [None, 10]) == ["wait", "wait"]


@pytest.mark.parametrize(
    ("ms", "factor"), [(0.5, 5000), (2.3, 1000), (14.8, 200), (42.8, 50), (3999, 1), (20000, 1)]
)
def test_replay_is_slowed_to_a_few_seconds(ms, factor):
    assert _js("slowdown", [ms]) == [factor]


# --- the page -----------------------------------------------------------------------------


def test_look_draws_the_chosen_sample_under_the_dial(models_dir):
    bundle = get_bundle("tiny")
    sample = list_samples(bundle.class_names)[0]
    shown = sent(open_app(threshold="0.25"), "trace")
    prediction = _run(bundle, sample.path.read_bytes(), 0.25)
    assert shown["thresholds"] == [0.25, 0.25]
    said = [lane["said"]["percent"] for lane in shown["lanes"] if lane["said"]]
    assert said == [percent(confidence) for confidence in prediction.confidences]
    assert sample.title in shown["title"]


def test_look_compares_two_pictures_under_one_dial(models_dir):
    at = open_app(threshold="0.25")
    at.toggle(key="look_compare").set_value(True).run()
    other = list_samples(get_bundle("tiny").class_names)[5]
    pick(at, "second_samples", other.id)
    assert not at.exception
    first, second = sent(at, "trace"), sent(at, "trace_second")
    assert first["thresholds"] == second["thresholds"] == [0.25, 0.25]
    assert first["picture"] != second["picture"]
    assert sent(open_app(look_compare="true"), "trace_second")["lanes"]


def test_look_of_one_exit_has_nothing_to_ask(models_dir):
    write_bundle(models_dir / "small", 1)
    at = open_app(model="small")
    assert [lane["name"] for lane in sent(at, "trace")["lanes"]] == ["exit 1"]
    assert not [toggle for toggle in at.toggle if toggle.key == "look_later"]


@pytest.mark.parametrize("unsure_percent", [0, 100])
def test_look_hints_at_doubt_only_when_the_last_exit_ran(models_dir, monkeypatch, unsure_percent):
    monkeypatch.setattr("app.intake.pictures.UNSURE_PERCENT", unsure_percent)
    words = "maybe nothing here is like this model's classes"
    assert words not in captions(open_app(threshold="0"))
    at = open_app(threshold="1")
    table, bundle = get_bundle("tiny").table("test"), get_bundle("tiny")
    prediction = _run(bundle, list_samples(bundle.class_names)[0].path.read_bytes(), 1.0)
    usual = np.percentile(table.confidences[:, -1], unsure_percent)
    assert (words in captions(at)) == (max(prediction.confidences) < usual)
