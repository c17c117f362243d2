"""The reuse microscope: what Python sends, what the browser makes of it, and the page."""

import base64
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect

from app.intake.pictures import Picture, get_view
from app.sections import microscope_data as sent_data
from app.sections.microscope_data import (
    Choice,
    choice_from,
    choice_from_query,
    default_choice,
    fixed_data,
    microscope_data,
)
from app.services import get_bundle
from dvt_core.bundle import Bundle, load_bundle, save_bundle
from dvt_core.inference import classify
from dvt_core.inspection import inspect
from dvt_core.model import build_model
from dvt_core.model.switched_off import without_reuse
from dvt_core.relations import StageRelations, rollout, rollout_across, token_map
from dvt_core.samples import list_samples
from dvt_core.solver import NEVER
from tests.conftest import make_lively
from tests.ui.browser import at_rest
from tests.ui.driver import captions, open_app, rows, sent
from tests.ui.node import call_js
from tests.ui.tiny_model import write_bundle

INSIDE = "views/inside.py"
FILES = ("rule.js", "microscope_math.js")
MINUS = "\N{MINUS SIGN}"


def js(calls: list[list[Any]]) -> list[Any]:
    """What functions of the microscope say in node: [[name, [arguments]], ...]."""
    return call_js(FILES, [(name, arguments) for name, arguments in calls])


def _sample(bundle: Bundle) -> Picture:
    sample = list_samples(bundle.class_names)[0]
    return Picture(sample.path.read_bytes(), sample.title)


def _inspected(bundle: Bundle) -> tuple[StageRelations, ...]:
    return inspect(bundle.load_model(), get_view(bundle, _sample(bundle)).tensor)


def _numbers(text: str, *shape: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4").reshape(shape)


@pytest.fixture
def data(models_dir) -> dict:
    bundle = get_bundle("tiny")
    seen = get_view(bundle, _sample(bundle)).seen
    stages = _inspected(bundle)
    fixed = fixed_data(bundle.config, seen, stages)
    made = microscope_data(fixed, stages, default_choice(bundle.config), {})
    assert json.loads(json.dumps(made)) == made
    return made


# --- what is sent -------------------------------------------------------------------------


def test_browser_gets_own_and_reused_whose_sum_is_the_models(data):
    bundle = get_bundle("tiny")
    for stage, kept in zip(data["stages"], _inspected(bundle), strict=True):
        own = _numbers(stage["own"], *kept.relations.shape)
        reused = 0.0
        if stage["is_reusing"]:
            reused = _numbers(stage["reused"], *kept.relations.shape)
            np.testing.assert_array_equal(reused, kept.reused)
        np.testing.assert_allclose(own + reused, kept.relations, atol=1e-6)
        largest = max(np.abs(part).max() for part in (own, own + reused, np.atleast_1d(reused)))
        assert stage["limits"]["logits"] == pytest.approx(largest, rel=1e-5)


def test_browser_gets_rollouts_norms_and_where_cells_land(data):
    bundle = get_bundle("tiny")
    kept, grids = _inspected(bundle), bundle.config.grid_sizes
    for index, stage in enumerate(data["stages"]):
        chain = [rollout(one.attention) for one in kept[: index + 1]]
        for k, (text, want) in enumerate(
            zip(stage["rollouts"], rollout_across(chain, grids[: index + 1]), strict=True)
        ):
            got = _numbers(text, grids[index] ** 2 + 1, grids[k] ** 2 + 1)
            np.testing.assert_allclose(got, want, atol=1e-6)
        assert (stage["norms"] is None) == (stage["lands"] is None) == (index == 0)
        if index:
            lands = _numbers(stage["lands"], grids[index] ** 2 + 1, grids[index - 1] ** 2 + 1)
            np.testing.assert_allclose(lands, token_map(grids[index - 1], grids[index]), atol=1e-7)
            norms = kept[index].context_norms
            assert norms is not None
            np.testing.assert_array_equal(_numbers(stage["norms"], *norms.shape), norms)


def test_of_a_large_model_only_the_layer_looked_at_is_sent(models_dir, monkeypatch):
    monkeypatch.setattr(sent_data, "WHOLE_BYTES", 1000)
    link = "3.1.2.8-8.all"
    shown, kept = (
        sent(open_app(INSIDE, microscope=link), "microscope"),
        _inspected(get_bundle("tiny")),
    )
    assert all("own" not in stage for stage in shown["stages"])
    part = shown["part"]
    assert (part["stage"], part["layer"]) == (2, 0)
    own = _numbers(part["own"], *kept[2].own[:1].shape)
    np.testing.assert_allclose(own, kept[2].own[:1], atol=1e-6)


def test_links_bring_back_every_choice_and_refuse_nonsense(models_dir):
    config = get_bundle("tiny").config
    for stage, of in enumerate(config.stages):
        for query in range(of.num_tokens):
            choice = Choice(stage, of.depth - 1, of.num_heads - 1, query, "stage")
            assert choice_from_query(choice.to_query(config), config) == choice
            assert choice_from(vars(choice), config) == choice
    assert Choice(2, 0, 1, 0).to_query(config) == "3.1.2.c.map"
    assert Choice(2, 0, 1, 9).to_query(config) == "3.1.2.2-1.map"
    for text in ("", "3", "4.1.1.c.map", "3.2.1.c.map", "3.1.3.c.map", "3.1.1.9-1.map",
                 "3.1.1.1-9.map", "3.1.1.0-1.map", "3.1.1.c.sky", "a.b.c.d.map"):  # fmt: skip
        assert choice_from_query(text, config) is None, text
    good = vars(Choice(2))
    for wrong in ({"stage": True}, {"layer": 0.5}, {"head": -1}, {"query": "1"}, {"scope": 1}):
        assert choice_from({**good, **wrong}, config) is None, wrong
    assert choice_from([2, 0, 0, 0], config) is None


# --- the browser's part, run by node ------------------------------------------------------


def test_browser_adds_up_and_takes_the_softmax_as_the_model_does(data):
    bundle = get_bundle("tiny")
    calls, wanted = [], []
    for stage, kept in zip(data["stages"], _inspected(bundle), strict=True):
        opened = {"make": ["openStage", stage]}
        for head in range(kept.relations.shape[1]):
            for query in (0, 1, kept.relations.shape[2] - 1):
                calls.append(["rowsOf", [opened, 0, head, query]])
                wanted.append((kept, head, query))
    for row, (kept, head, query) in zip(js(calls), wanted, strict=True):
        np.testing.assert_allclose(row["sum"], kept.relations[0, head, query], atol=1e-6)
        np.testing.assert_allclose(row["attention"], kept.attention[0, head, query], atol=1e-7)
        np.testing.assert_allclose(np.add(row["own"], row["reused"]), row["sum"], atol=1e-12)


def test_printed_own_and_reused_add_up_to_the_printed_sum():
    random = np.random.default_rng(5)
    own, reused = random.normal(0, 4, (2, 2000))
    own[:3], reused[:3] = (-0.424, 0.001, -0.004), (-3.722, -0.002, 0.004)
    total = own + reused
    asked = [["triple", [a, s]] for a, s in zip(own.tolist(), total.tolist(), strict=True)]
    for a, r, s, said in zip(own, reused, total, js(asked), strict=True):
        assert "-" not in "".join(said.values()) and f"{MINUS}0.00" not in said.values()
        shown = {key: float(said[key].replace(MINUS, "-")) for key in ("own", "reused", "sum")}
        assert round(100 * (shown["own"] + shown["reused"] - shown["sum"])) == 0, said
        assert shown["own"] == float(f"{a:.2f}") and shown["sum"] == float(f"{s:.2f}")
        assert round(100 * abs(shown["reused"] - float(f"{r:.2f}"))) <= 1
        term = said["added"].replace(f"{MINUS} ", "-").replace("+ ", "")
        assert float(term) == shown["reused"] and said["added"][1] == " "


def test_browser_has_no_rows_of_a_layer_that_is_not_there(data):
    part = {**data["stages"][2], "first": 3}
    absent = {key: value for key, value in data["stages"][2].items() if key != "own"}
    here, before, after, none = js(
        [
            ["rowsOf", [{"make": ["openStage", part]}, 3, 1, 5]],
            ["rowsOf", [{"make": ["openStage", part]}, 2, 1, 5]],
            ["rowsOf", [{"make": ["openStage", part]}, 4, 0, 0]],
            ["rowsOf", [{"make": ["openStage", absent]}, 0, 0, 0]],
        ],
    )
    kept = _inspected(get_bundle("tiny"))[2]
    np.testing.assert_allclose(here["sum"], kept.relations[0, 1, 5], atol=1e-6)
    assert before is None and after is None and none is None


def test_centred_rows_have_the_same_softmax():
    row = np.random.default_rng(0).standard_normal(17).tolist()
    (less,) = js([["centred", [row]]])
    assert sum(less) == pytest.approx(0, abs=1e-12)
    first, second = js([["softmax", [row]], ["softmax", [less]]])
    assert first == pytest.approx(second)


def test_colour_scale_reaches_over_its_scope():
    stages = [{"limits": {"logits": 3.0}}, {"limits": {"logits": 9.0}}, {"limits": {"logits": 5.0}}]
    rows_ = [[1.0, -2.5], [0.5, 2.0]]
    asked = [[scope, "logits", stages, 2, rows_] for scope in ("map", "stage", "all")]
    assert js([["limitOf", one] for one in asked]) == [2.5, 5.0, 9.0]
    shades = [[-9, -9, 9, 129], [0, -9, 9, 129], [9, -9, 9, 129], [99, -9, 9, 129], [0, 0, 0, 129]]
    assert js([["shade", one] for one in shades]) == [0, 64, 128, 128, 64]


def test_arrow_keys_stay_on_the_grid_and_home_is_the_class_token():
    grid = 3
    moves = {"ArrowLeft": (0, -1), "ArrowRight": (0, 1), "ArrowUp": (-1, 0), "ArrowDown": (1, 0)}
    asked, wanted = [], []
    for key, (down, right) in moves.items():
        for token in range(1, grid**2 + 1):
            row, column = divmod(token - 1, grid)
            row, column = np.clip([row + down, column + right], 0, grid - 1)
            asked.append(["step", [token, key, grid]])
            wanted.append(1 + row * grid + column)
    asked += [["step", [5, "Home", 3]], ["step", [0, "ArrowRight", 3]], ["step", [0, "ArrowUp", 3]]]
    assert js(asked) == [*wanted, 0, 1, 0]


def test_points_cells_and_close_ups_agree():
    edges = [0, 3, 26, 49, 64]  # narrower cells at the border, as with padding
    tokens = range(1, 17)
    boxes = js([["boxOf", [token, edges]] for token in tokens])
    middles = [[x + w / 2, y + h / 2, edges] for x, y, w, h in boxes]
    assert js([["tokenAt", point] for point in middles]) == list(tokens)
    assert sum(w * h for _, _, w, h in boxes) == 64**2
    for box, (x, y, size) in zip(
        boxes, js([["closeUp", [token, edges, 64]] for token in tokens]), strict=True
    ):
        assert 0 <= x <= box[0] and box[0] + box[2] <= x + size <= 64
        assert 0 <= y <= box[1] and box[1] + box[3] <= y + size <= 64


@pytest.mark.parametrize(("coarse", "fine"), [(4, 6), (6, 8), (7, 14)])
def test_the_same_place_is_found_on_another_grid(coarse, fine):
    tokens = range(1, fine**2 + 1)
    found = js([["sameplace", [token, fine, coarse]] for token in tokens])
    for token, cell in zip(tokens, found, strict=True):
        takes_from = token_map(coarse, fine)[token]
        assert takes_from[cell] == pytest.approx(takes_from.max()), (token, cell)
    assert js([["sameplace", [0, fine, coarse]]]) == [0]


def test_browser_reads_where_cells_land(data):
    lands, stage = token_map(4, 8), data["stages"][2]
    opened = {"make": ["openStage", stage]}
    rows_ = js([["takes", [opened, fine]] for fine in range(65)])
    columns = js([["landsOn", [opened, coarse]] for coarse in range(17)])
    np.testing.assert_allclose(rows_, lands, atol=1e-7)
    np.testing.assert_allclose(columns, lands.T, atol=1e-7)


# --- the page -----------------------------------------------------------------------------


def test_page_shows_the_last_picture_and_keeps_the_choice_in_the_link(models_dir):
    at = open_app(INSIDE, microscope="2.1.2.3-4.stage")
    shown, kept = sent(at, "microscope"), _inspected(get_bundle("tiny"))
    assert shown["choice"] == {"stage": 1, "layer": 0, "head": 1, "query": 12, "scope": "stage"}
    own = _numbers(shown["stages"][1]["own"], *kept[1].own.shape)
    np.testing.assert_allclose(own, kept[1].own, atol=1e-6)
    assert "no explanation of the answer" in captions(at)
    at.session_state["microscope"] = {"choice": {**shown["choice"], "stage": 2, "query": 0}}
    at.run()
    assert not at.exception
    assert at.query_params["microscope"] == "3.1.2.c.stage"
    again = sent(at, "microscope")
    assert again == shown, "the message follows the choice, so it would be sent again"


def test_formulas_name_this_models_numbers(models_dir):
    words = " ".join(
        element.value for element in open_app(INSIDE, microscope="3.1.1.c.map").markdown
    )
    assert "2 → 6 → 2 maps" in words and "from 4x4 to 8x8 tokens" in words
    assert "No layer or head is matched" in words
    first = " ".join(
        element.value for element in open_app(INSIDE, microscope="1.1.1.c.map").markdown
    )
    assert "No layer or head is matched" not in first


def _write_model(models_dir: Path, features: bool = True, relations: bool = True) -> None:
    """A model "other" of two layers per stage, with weights large enough that reuse matters."""
    tiny = get_bundle("tiny")
    config = replace(
        tiny.config,
        stages=tuple(replace(stage, depth=2) for stage in tiny.config.stages),
        feature_reuse=features,
        relation_reuse=relations,
    )
    model = make_lively(build_model(config, class_names=tiny.class_names))
    save_bundle(
        model, models_dir / "other", name="other", title="other", default_threshold=0.5, data=""
    )


def test_switching_a_reuse_off_shows_what_the_weights_say_without_it(models_dir):
    _write_model(models_dir)
    at = open_app(INSIDE, model="other")
    at.toggle(key="reuse_off").set_value(True).run()
    assert not at.exception
    bundle, table = get_bundle("other"), rows(at)
    tensor = get_view(bundle, _sample(bundle)).tensor
    variants = ((), ("features",), ("relations",), ("features", "relations"))
    for off, row in zip(variants, table, strict=True):
        run = classify(without_reuse(bundle.load_model(), off), tensor, NEVER)[0]
        for record in run.records:
            name = f"exit {record.exit_index + 1}"
            said = f"{bundle.class_names[record.label]} {100 * record.confidence:.1f} %"
            assert row[name].removeprefix("≠ ") == said
            answers = [text.removeprefix("≠ ").split()[0] for text in (row[name], table[0][name])]
            assert row[name].startswith("≠") == (len(set(answers)) > 1)
        fires = (one.exit_index for one in run.records if one.confidence >= 0.5)
        assert row["leaves at"] == f"exit {next(fires, 2) + 1}"
    assert len({row["exit 3"] for row in table}) == 4
    assert len({row["exit 1"] for row in table}) == 1
    assert "Not what the model was trained for" in captions(at)


@pytest.mark.parametrize(("features", "relations"), [(False, False), (True, False), (False, True)])
def test_models_that_reuse_less_have_a_page_too(models_dir, features, relations):
    _write_model(models_dir, features, relations)
    at = open_app(INSIDE, model="other")
    stage = sent(at, "microscope")["stages"][2]
    assert stage["is_reusing"] is relations and (stage["norms"] is not None) is features
    assert bool([one for one in at.toggle if one.key == "reuse_off"]) == (features or relations)


def test_a_model_of_one_exit_has_a_page_too(models_dir):
    write_bundle(models_dir / "small", 1)
    at = open_app(INSIDE, model="small", microscope="3.1.1.c.map")
    shown = sent(at, "microscope")
    assert len(shown["stages"]) == 1 and shown["choice"]["stage"] == 0


# --- in the browser -----------------------------------------------------------------------


@pytest.mark.browser
def test_clicks_and_keys_are_answered_in_the_browser(page, address):
    bundle = load_bundle("cifar10")
    page.goto(f"{address}/inside?model=cifar10&microscope=3.1.1.5-5.map")
    picker = page.locator("canvas.picker")
    expect(page.get_by_text("Stage 3, layer 1, head 1: patch row 5, column 5")).to_be_visible()
    at_rest(page)
    picker.press("ArrowDown")
    expect(page.get_by_text("head 1: patch row 6, column 5 asks")).to_be_visible()
    box = picker.bounding_box()
    assert box
    picker.click(position={"x": box["width"] * 0.06, "y": box["height"] * 0.06})
    expect(page.get_by_text("head 1: patch row 1, column 1 asks")).to_be_visible()
    expect(page).to_have_url(re.compile(r"microscope=3\.1\.1\.1-1\.map"))
    page.get_by_role("button", name="layer 2, head 3").click()
    sample = get_view(bundle, _sample(bundle)).tensor
    kept = inspect(bundle.load_model(), sample)[2]
    key = int(kept.attention[1, 2, 1].argmax())
    row, column = divmod(key - 1, 8)
    name = f"patch row {row + 1}, column {column + 1}" if key else "class token"
    own, sum_ = kept.own[1, 2, 1, key], kept.relations[1, 2, 1, key]
    share = 100 * kept.attention[1, 2, 1, key]
    reading = page.locator(".reading")
    expect(reading).to_contain_text(f"Key: {name}. Own {own:.2f}".replace("-", MINUS))
    expect(reading).to_contain_text(f"= {sum_:.2f} → {share:.1f} %".replace("-", MINUS))
    expect(page).to_have_url(re.compile(r"microscope=3\.2\.3\.1-1\.map"))
    page.get_by_role("radio", name="1 · 4x4").check(force=True)
    expect(page.get_by_text("nothing reused")).to_be_visible()
