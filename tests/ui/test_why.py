"""Why this class, without a browser: computed when asked, in the queue, kept, said in words."""

import re
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app import language, services
from app.attribution import GRAD_CAM, GRADIENTS, OCCLUSION, Attribution, attribute, exit_logits
from app.figures.attribution import likeness
from app.sections import why, why_maps
from app.sections.why import Kept
from app.work import job_panel
from app.work.jobs import CANCELLED, DONE, JobQueue
from dvt_core.images import open_image
from dvt_core.samples import list_samples
from tests.ui.driver import captions, html


def page():
    """The section alone; the picture's number comes from the session."""
    import streamlit as st

    from app import services
    from app.intake.pictures import Picture, get_view
    from app.sections.why import why_section
    from dvt_core.samples import list_samples

    bundle = services.get_bundle("tiny")
    sample = list_samples(bundle.class_names)[st.session_state.get("test_sample", 0)]
    picture = Picture(sample.path.read_bytes(), sample.title)
    why_section(bundle, picture, get_view(bundle, picture))


@pytest.fixture(autouse=True)
def fresh(models_dir, monkeypatch):
    """A queue and a shelf of the test's own."""
    queue, kept = JobQueue(), Kept()
    monkeypatch.setattr(job_panel, "get_queue", lambda kind: queue)
    monkeypatch.setattr(why, "get_kept", lambda: kept)
    return SimpleNamespace(queue=queue, kept=kept)


def open_page(**session) -> AppTest:
    at = AppTest.from_function(page, default_timeout=60)
    for key, value in session.items():
        at.session_state[key] = value
    at.run()
    assert not at.exception and not at.warning
    return at


def wait(at: AppTest) -> AppTest:
    deadline = time.monotonic() + 60
    while at.session_state["job_why"].is_open:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    at.run()
    assert not at.exception
    return at


def press(at: AppTest) -> AppTest:
    return wait(at.button(key="why_compute").click().run())


def can_compute(at: AppTest) -> bool:
    return any(button.key == "why_compute" for button in at.button)


def words(at: AppTest) -> str:
    return " ".join(element.value for element in at.markdown)


def wanted(method: str, targets, sample: int = 0) -> tuple[Attribution, ...]:
    model = services.get_bundle("tiny").load_model()
    tensor = model.preprocess(open_image(list_samples(model.class_names)[sample].path))[None]
    return attribute(model, tensor, targets, method, run=lambda f, *args: f(*args))


def answers(sample: int = 0) -> list[int]:
    model = services.get_bundle("tiny").load_model()
    tensor = model.preprocess(open_image(list_samples(model.class_names)[sample].path))[None]
    return [int(exit_logits(model, tensor, i).argmax()) for i in range(3)]


def test_nothing_is_computed_unasked_and_the_time_is_said_before(monkeypatch):
    monkeypatch.setattr(why, "attribute", lambda *args, **kwargs: pytest.fail("it ran"))
    at = open_page()
    assert re.fullmatch(
        r"compute the maps, about \d+ s on this computer", at.button(key="why_compute").label
    )
    assert not at.get("imgs") and "Limits:" in captions(at)


@pytest.mark.parametrize("method", (GRADIENTS, OCCLUSION, GRAD_CAM))
def test_maps_are_the_attributions_with_their_numbers(method):
    at = open_page()
    if method != GRADIENTS:
        at.button_group(key="why_method").set_value(method).run()
    press(at)
    last = answers()[-1]
    found = wanted(method, (last,) * 3)
    shown = at.session_state["job_why"].result
    for got, one in zip(shown, found, strict=True):
        np.testing.assert_allclose(got.values, one.values, atol=1e-6)
        assert f"logit {one.logit:.2f}." in captions(at)
        if method == GRADIENTS:
            rise = one.logit - one.baseline_logit
            off = 100 * abs(one.delta / rise)
            assert f"should to {rise:.2f}, the logit's rise" in captions(at)
            assert f"colour: {off:.1f} % off" in captions(at)
    assert ("% off" in captions(at)) == (method == GRADIENTS)
    assert not can_compute(at)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        alike = likeness(found[a].values, found[b].values)
        line = rf"Exit {b + 1} looks .*(than|as) exit {a + 1} \({alike:.2f}\)"
        assert re.search(line, words(at))
    assert html(at).count("dvt-badge") == 3


def test_likeness_is_said_by_its_number():
    base = np.arange(64.0).reshape(8, 8)
    cases = {"the same": base, "elsewhere": base[::-1], "cannot be compared": 0 * base}
    for said, other in cases.items():
        pair = [Attribution(OCCLUSION, i, 0, v, 0.0) for i, v in enumerate((base, other))]
        assert said in why_maps._likeness(*pair)
    noise = np.random.default_rng(0).permutation(64).reshape(8, 8)
    mixed = 0.5 * base + noise
    assert 0.3 < likeness(base, mixed) < 0.6
    pair = [Attribution(OCCLUSION, i, 0, v, 0.0) for i, v in enumerate((base, mixed))]
    assert "partly the same places" in why_maps._likeness(*pair)


def test_coarse_sums_and_empty_maps_are_said():
    values = np.full((8, 8), 0.01)
    exact = why_maps._about(Attribution(GRADIENTS, 0, 0, values, 0.65, 0.0), "cat", 0.5)
    assert "add up to 0.64, and should to 0.65" in exact and "1.5 % off." in exact
    coarse = why_maps._about(Attribution(GRADIENTS, 0, 0, values, 0.75, 0.0), "cat", 0.5)
    assert "14.7 % off, read it with care." in coarse
    empty = why_maps._about(Attribution(GRAD_CAM, 0, 0, 0 * values, 0.75), "cat", 0.5)
    assert empty == "Map for cat: 50.0 %, logit 0.75. Nothing here speaks for it."


def test_the_class_can_be_each_exits_own_or_any():
    sample = next(i for i in range(20) if len(set(answers(i))) > 1)
    at = open_page(test_sample=sample, why_method=GRAD_CAM)
    at.button_group(key="why_target").set_value("own").run()
    press(at)
    assert [one.target for one in at.session_state["job_why"].result] == answers(sample)
    assert "The maps are about different classes" in captions(at)
    at.button_group(key="why_target").set_value("other").run()
    box = at.selectbox(key="why_class_tiny")
    assert can_compute(at) and box.value != answers(sample)[-1]  # the runner-up to begin with
    box.set_value(7).run()
    press(at)
    assert [one.target for one in at.session_state["job_why"].result] == [7, 7, 7]
    assert "Map for horse:" in captions(at)
    assert "different classes" not in captions(at)


def test_what_was_computed_is_kept_for_everyone(monkeypatch):
    press(open_page(why_method=GRAD_CAM))
    monkeypatch.setattr(why, "attribute", lambda *args, **kwargs: pytest.fail("it ran again"))
    other = open_page(why_method=GRAD_CAM)
    assert not can_compute(other) and "Map for" in captions(other)
    assert can_compute(open_page(why_method=GRAD_CAM, test_sample=1))  # another picture


def test_who_asked_the_same_behind_us_does_not_compute_it_again(fresh, monkeypatch):
    calls, plain, go = [], attribute, threading.Event()

    def slow(*args, **kwargs):
        calls.append(1)
        assert go.wait(300)
        return plain(*args, **kwargs)

    monkeypatch.setattr(why, "attribute", slow)
    monkeypatch.setattr(fresh.queue, "_per_owner", 2)  # AppTest's sessions share one name
    pages = [open_page(why_method=GRAD_CAM) for _ in range(2)]
    for at in pages:
        at.button(key="why_compute").click().run()
    go.set()
    for at in pages:
        wait(at)
        assert at.session_state["job_why"].state == DONE and "Map for" in captions(at)
    assert len(calls) == 1


def test_the_shelf_drops_what_was_not_looked_at_longest():
    kept = Kept(2)
    for name in "ab":
        kept.put((name,), name)
    kept.get(("a",))
    kept.put(("c",), "c")
    assert [kept.get((name,)) for name in "abc"] == ["a", None, "c"]


def test_a_running_job_can_be_cancelled_and_other_choices_wait(monkeypatch):
    begun, go = threading.Event(), threading.Event()

    def slow(*args, step, **kwargs):
        begun.set()
        assert go.wait(300)
        step(0.4, 1)

    monkeypatch.setattr(why, "attribute", slow)
    at = open_page()
    at.button(key="why_compute").click().run()
    assert begun.wait(300) and not can_compute(at)
    assert "Maps by integrated gradients" in at.get("progress")[0].proto.text
    at.button_group(key="why_method").set_value(OCCLUSION).run()
    assert at.button(key="why_compute").disabled  # one at a time, and it is seen which
    assert "Maps by integrated gradients" in at.get("progress")[0].proto.text
    at.button_group(key="why_method").set_value(GRADIENTS).run()
    at.button(key="cancel_why").click().run()
    go.set()
    wait(at)
    assert at.session_state["job_why"].state == CANCELLED
    assert "cancelled" in captions(at) and can_compute(at)
    at.button_group(key="why_method").set_value(OCCLUSION).run()
    assert "cancelled" not in captions(at)


def test_a_refusal_is_a_sentence(fresh):
    go = threading.Event()
    fresh.queue.submit("test session id", "another page's batch", lambda job: go.wait(300))
    at = open_page()
    at.button(key="why_compute").click().run()
    go.set()
    assert at.warning[0].value.startswith("one long task at a time") and can_compute(at)


def test_every_sentence_has_its_chinese():
    source = (
        language.FILE.parent / "sections" / "why.py",
        language.FILE.parent / "work" / "jobs.py",
    )
    assert all(path.exists() for path in source)
    at = open_page(language="zh", why_method=GRAD_CAM)
    before = language._source[:]
    language.ask_language_of(lambda: "zh")
    try:
        press(at)
        seen = captions(at) + words(at) + at.subheader[0].value
    finally:
        language._source[:] = before
    assert "为什么是这个类别" in seen and "秩相关" in seen
    assert not re.search(r"\b(the|exit|maps|looks)\b", seen)
