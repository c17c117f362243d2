"""What-ifs without a browser: what is shown is what the model says about the changed picture."""

import base64
import io
import re

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from app import services
from app.figures.strip import Card, strip, thumbnail
from app.sections.whatif import HISTORY
from app.sections.whatif_runs import KEPT_RUNS
from dvt_core.errors import InputError
from dvt_core.images import Preprocess, open_image
from dvt_core.inference import classify
from dvt_core.picture_edits import EDITS, apply_edit
from dvt_core.samples import list_samples
from tests.ui.driver import captions, html


def page():
    """The section alone; picture and thresholds come from the session."""
    import streamlit as st

    from app import services
    from app.intake.pictures import Picture, get_view
    from app.replay.dial import Setting
    from app.sections.whatif import whatif_section
    from dvt_core.samples import list_samples

    bundle = services.get_bundle("tiny")
    sample = list_samples(bundle.class_names)[st.session_state.get("test_sample", 0)]
    picture = Picture(sample.path.read_bytes(), sample.title)
    view = get_view(bundle, picture)
    setting = Setting(st.session_state.get("test_thresholds", (0.6, 0.6)), "")
    whatif_section(bundle, picture, view, setting)


def open_page(**session) -> AppTest:
    at = AppTest.from_function(page, default_timeout=60)
    at.session_state["whatif_open"] = True
    for key, value in session.items():
        at.session_state[key] = value
    return at.run()


def wanted(edit: str, value: float, *, sample: int = 0, thresholds=(0.6, 0.6)):
    """The prediction, by the shortest way from the file to the model."""
    bundle = services.get_bundle("tiny")
    preprocess = Preprocess.from_config(bundle.config)
    seen = preprocess.view(open_image(list_samples(bundle.class_names)[sample].path))
    array = np.asarray(apply_edit(edit, seen, value), dtype=np.float32) / 255
    array = (array - np.array(bundle.config.mean)) / np.array(bundle.config.std)
    tensor = torch.from_numpy(array.transpose(2, 0, 1)[None].astype(np.float32))
    return classify(bundle.load_model(), tensor, thresholds)[0], seen


def cards(at: AppTest, index: int = -1) -> list[tuple[str, str, str]]:
    """(title, exit, confidence) of each card of a strip, the last one by default."""
    strips = [e.value for e in at.html if e.value.startswith('<ol class="dvt-strip"')]
    return re.findall(
        r"<strong>(.*?)</strong><span><span class=\"dvt-badge\".*?>(.*?)</span> (\d+ %)",
        strips[index],
    )


def expected_card(edit: str, value: float, **kwargs) -> tuple[str, str, str]:
    run, _ = wanted(edit, value, **kwargs)
    exit = f"exit {run.exit_index + 1}"
    return EDITS[edit].label(value), exit, f"{100 * run.confidence:.0f} %"


def set_value(at: AppTest, edit: str, value: float) -> AppTest:
    if at.session_state["whatif"] != edit:
        at.button_group(key="whatif").set_value(edit).run()
    return at.slider(key="whatif_" + edit.replace(" ", "_")).set_value(value).run()


def test_whatif_begins_unchanged_and_with_nothing_tried(models_dir):
    at = open_page()
    assert not at.exception and not at.warning
    assert "unchanged too" in html(at) and "still" in html(at)
    assert "dvt-strip" not in html(at)
    assert at.session_state[HISTORY].runs == []


@pytest.mark.parametrize("edit", EDITS)
def test_whatif_shows_the_answer_about_the_changed_picture(models_dir, edit):
    at = open_page()
    value = EDITS[edit].values()[5]
    set_value(at, edit, value)
    before, _ = wanted(edit, EDITS[edit].neutral)
    after, _ = wanted(edit, value)
    assert not at.exception and not at.warning
    shown = [e.value for e in at.html if "dvt-head" in e.value and " sure</span>" in e.value]
    for line, run in zip(shown, (before, after), strict=True):
        assert f">exit {run.exit_index + 1}<" in line
        assert f"{100 * run.confidence:.1f} % sure" in line
    assert cards(at) == [expected_card(edit, value)]
    moved = next(e.value for e in at.html if "dvt-verdict" in e.value)
    exits = re.findall(r">(exit \d)<", moved)
    ends = [f"exit {run.exit_index + 1}" for run in (before, after)]
    assert exits == (ends[:1] if ends[0] == ends[1] else ends)


def test_whatif_thumbnail_is_the_changed_picture(models_dir):
    at = set_value(open_page(), "blur", 4.0)
    data = re.findall(r"data:image/png;base64,([^\"]+)", html(at))[-1]
    _, seen = wanted("blur", 4.0)
    got = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    np.testing.assert_array_equal(got, np.asarray(apply_edit("blur", seen, 4.0)))


def test_whatif_history_is_newest_first_without_repeats_and_bounded(models_dir):
    at = open_page()
    tried = [2.5 * i for i in range(1, 15)]
    for value in tried:
        set_value(at, "noise", value)
    assert cards(at) == [expected_card("noise", v) for v in tried[::-1][:KEPT_RUNS]]
    set_value(at, "noise", tried[8])
    assert [c[0] for c in cards(at)].count(EDITS["noise"].label(tried[8])) == 1
    assert cards(at)[0] == expected_card("noise", tried[8])
    set_value(at, "rotate", 90.0)
    assert [c[0] for c in cards(at)][:2] == ["rotate 90°", EDITS["noise"].label(tried[8])]
    for run in at.session_state[HISTORY].runs:  # numbers only: thirty sessions stay small
        assert {type(v) for v in vars(run).values()} <= {str, float, int, tuple}


def test_whatif_history_ends_with_another_picture(models_dir):
    at = set_value(open_page(), "darken", 48.0)
    assert len(cards(at)) == 1
    at.session_state["test_sample"] = 3
    at.run()
    assert cards(at) == [expected_card("darken", 48.0, sample=3)]  # the slider still stands there


def test_whatif_says_which_threshold_an_older_run_had(models_dir):
    at = set_value(open_page(test_thresholds=(0.0, 0.0)), "darken", 48.0)
    set_value(at, "darken", 24.0)
    assert "threshold then" not in html(at)
    at.session_state["test_thresholds"] = (1.01, 1.01)
    at.run()
    first, second = cards(at)
    assert first == expected_card("darken", 24.0, thresholds=(1.01, 1.01))  # run again
    assert second == expected_card("darken", 48.0, thresholds=(0.0, 0.0))
    assert (first[1], second[1]) == ("exit 3", "exit 1")
    assert html(at).count("threshold then always") == 1


def test_whatif_clear_forgets_and_takes_the_change_back(models_dir):
    at = set_value(open_page(), "occlude", 50.0)
    at.button(key="whatif_sweep").click().run()
    at.button(key="whatif_clear").click().run()
    assert "dvt-strip" not in html(at) and "unchanged too" in html(at)
    assert at.slider(key="whatif_occlude").value == 0
    set_value(at, "occlude", 50.0)
    assert cards(at) == [expected_card("occlude", 50.0)]


def test_whatif_sweep_is_every_value_in_order(models_dir):
    at = open_page()
    at.button_group(key="whatif").set_value("zoom out").run()
    at.button(key="whatif_sweep").click().run()
    values = EDITS["zoom out"].values()
    expected = [expected_card("zoom out", v) for v in values]
    assert cards(at) == [("unchanged", *expected[0][1:]), *expected[1:]]
    ranges = next(e.value for e in at.html if e.value.startswith('<div class="dvt-head"><span><'))
    said = re.findall(r">exit (\d)</span> ([\d.]+)(?: to ([\d.]+))?x<", ranges)
    covered = {}
    for exit, low, high in said:
        for value in values:
            if float(low) <= value <= float(high or low):
                covered[value] = f"exit {exit}"
    assert [covered[v] for v in values] == [card[1] for card in expected]
    at.button_group(key="whatif").set_value("blur").run()
    assert "dvt-strip" not in html(at)  # the sweep of another change is put away


def test_whatif_sweep_is_one_call_of_the_worker(models_dir, monkeypatch):
    calls = []
    at = open_page(test_sample=7)
    monkeypatch.setattr(
        "app.sections.whatif.classify",
        lambda model, batch, t: calls.append(batch.shape) or classify(model, batch, t),
    )
    at.button(key="whatif_sweep").click().run()
    at.run()
    assert calls == [(9, 3, 32, 32)]


def test_whatif_says_when_the_model_is_busy(models_dir, monkeypatch):
    at = open_page(test_sample=9)

    def busy(*args, **kwargs):
        raise InputError("the model is busy with 64 other pictures, try again shortly")

    monkeypatch.setattr(services.get_worker(), "run", busy)
    set_value(at, "noise", 30.0)
    assert not at.exception and at.warning[0].value.startswith("the model is busy")


def test_whatif_costs_are_the_predictions(models_dir):
    at = set_value(open_page(), "noise", 30.0)
    after, _ = wanted("noise", 30.0)
    assert f"{after.macs / 1e6:#.3g} MMACs" in captions(at)


def test_thumbnail_keeps_small_pictures_and_reduces_large_ones():
    widths = {}
    for side in (16, 32, 64, 96, 224, 384):
        img = thumbnail(Image.new("RGB", (side, side)))
        widths[side] = int(re.search(r'width="(\d+)"', img).group(1))
        assert len(img) < 4000
    assert widths == {16: 96, 32: 96, 64: 64, 96: 96, 224: 112, 384: 96}


def test_strip_escapes_what_comes_from_outside():
    card = Card("<img>", "blur 3 %", 0, 0.5, '<b>x</b>" onload="y', "<i>")
    text = strip([card], '"><script>')
    assert "<b>" not in text and "<script>" not in text and "<i>" not in text
    assert 'title="&lt;b&gt;x&lt;/b&gt;&quot; onload=&quot;y"' in text
