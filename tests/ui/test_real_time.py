"""Real time without a browser: nothing runs unasked, and the table is what was measured."""

import datetime
import shutil
import time

import pytest
import torch
from streamlit.testing.v1 import AppTest

from app import services
from app.intake import dataset_fetch
from app.sections import real_time, real_time_run
from app.sections.real_time import RESULTS
from dvt_core.errors import InputError
from dvt_core.inference import classify
from dvt_core.timing import FirstPass, PerImage, Timing
from tests.ui.driver import captions, rows

THRESHOLDS = (0.6, 0.6)


def page():
    """The section alone; thresholds come from the session."""
    import streamlit as st

    from app import services
    from app.replay.dial import Setting
    from app.sections.real_time import real_time_section

    setting = Setting(st.session_state.get("test_thresholds", (0.6, 0.6)), "")
    real_time_section(services.get_bundle("tiny"), setting)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(real_time_run, "LIMIT_S", 3.0)
    monkeypatch.setattr(real_time_run, "REPEATS", 4)


def open_page(**session) -> AppTest:
    at = AppTest.from_function(page, default_timeout=60)
    for key, value in session.items():
        at.session_state[key] = value
    return at.run()


def press(at: AppTest) -> AppTest:
    at.button(key="real_time_measure").click().run()
    if "job_real_time" in at.session_state:
        ends = time.monotonic() + 120
        while at.session_state["job_real_time"].is_open:
            assert time.monotonic() < ends
            time.sleep(0.02)
        at.run()
    return at


def words(at: AppTest) -> str:
    return " ".join(element.value for element in at.markdown)


def pretend(monkeypatch, adaptive: float, full: float, macs: float, sizes=(1, 16)) -> None:
    """Measurements that give these milliseconds and MACs (of 100)."""

    def measure(model, images, thresholds, *, batch_size, **kwargs):
        sides = (PerImage(t, 0.9 * t, 1.2 * t) for t in (adaptive, full))
        return Timing(batch_size, len(images), 7, *sides, (0.75, 0.25, 0.0), macs, 100, "Abacus", 2)

    monkeypatch.setattr(real_time_run, "measure", measure)
    monkeypatch.setattr(real_time_run, "first_pass", lambda *a, **k: FirstPass(1e-6, 1e-6))


def test_real_time_runs_nothing_unasked(models_dir, monkeypatch):
    for way in ("run", "run_while"):
        monkeypatch.setattr(services.get_worker(), way, lambda *a, **k: pytest.fail("it ran"))
    at = open_page()
    assert not at.exception and not at.table
    assert "about 8 seconds" in words(at)


def test_real_time_measures_in_the_worker_and_shows_both_batch_sizes(models_dir, monkeypatch):
    monkeypatch.setattr(real_time_run, "LIMIT_S", 60)  # a busy machine is no slow model
    worker, calls = services.get_worker(), []
    plain, patient = worker.run, worker.run_while

    def counted(goes_on, function, *args):
        calls.append(function.__name__)
        return patient(goes_on, function, *args)

    monkeypatch.setattr(worker, "run_while", counted)
    at = press(open_page())
    assert not at.exception and not at.warning
    assert [row["batch"] for row in rows(at)] == ["1", "16"]
    assert len(calls) > 20 and set(calls) == {"timed", "_where"}
    one, many = at.session_state[RESULTS][
        (services.get_bundle("tiny").weights_sha256, THRESHOLDS)
    ].timings
    assert (
        rows(at)[0]["early exit, images/s"].replace(",", "") == f"{one.adaptive.images_per_s:.0f}"
    )
    assert rows(at)[1]["time (measured)"] == real_time._faster(many.time_ratio)
    assert one.threads == plain(torch.get_num_threads)
    assert f"{one.device}, {datetime.date.today().year}" in captions(at)
    assert f"(CPU, {one.threads} threads)" in one.device


def test_real_time_shares_are_those_of_classify_on_the_named_pictures(models_dir):
    bundle = services.get_bundle("tiny")
    images, source = real_time_run._pictures(bundle)
    at = press(open_page())
    (measured,) = at.session_state[RESULTS].values()
    assert source in captions(at)
    assert source == "built-in samples, as the test images are not on this machine"
    for timing in measured.timings:
        part = images[: timing.images]
        exits = [p.exit_index for p in classify(bundle.load_model(), part, THRESHOLDS)]
        assert timing.exit_shares == pytest.approx([exits.count(e) / len(exits) for e in range(3)])
        assert f"batch {timing.batch_size}: {timing.images} pictures" in captions(at)


@pytest.mark.parametrize(
    ("adaptive", "macs", "cell", "real", "said"),
    [
        (50.0, 50.0, "2.00x faster", "100 %", "2.00x fewer MACs are **2.00x faster**"),
        (75.0, 50.0, "1.33x faster", "50 %", "2.00x fewer MACs are **1.33x faster**"),
        (125.0, 50.0, "1.25x slower", "0 %", "but **1.25x slower**: none of the saving is real"),
        (100.1, 100.0, "as fast", "nothing to save", "nothing can be saved"),
    ],
    ids=["all", "half", "slower", "nothing to save"],
)
def test_real_time_says_plainly_what_came_out(
    models_dir, monkeypatch, adaptive, macs, cell, real, said
):
    pretend(monkeypatch, adaptive, 100.0, macs)
    at = press(open_page())
    row = rows(at)[0]
    assert (row["time (measured)"], row["saving that is real"]) == (cell, real)
    assert row["fewer MACs (simulated)"] == f"{100 / macs:.2f}x"
    assert row["all exits, ms per image"] == "100.0 (90.0 to 120.0)"
    assert (row["all exits, images/s"], row["batch"]) == ("10.0", "1")
    assert said in words(at) and "Abacus, 20" in captions(at)
    # medians with one in ten below 0.9 and above 1.2 times: apart only for twice as fast
    assert ("Not a clear result" in captions(at)) == (adaptive > 70)
    assert "exit 1 75 %, exit 2 25 %, exit 3 0 %" in captions(at)


def test_real_time_keeps_a_result_per_thresholds(models_dir, monkeypatch):
    pretend(monkeypatch, 50.0, 100.0, 50.0)
    at = press(open_page())
    at.session_state["test_thresholds"] = (0.8, 0.8)
    at.run()
    assert not at.table and "Not measured yet at the thresholds 0.8" in captions(at)
    at.session_state["test_thresholds"] = THRESHOLDS
    at.run()
    assert len(rows(at)) == 2
    for i in range(10):
        at.session_state["test_thresholds"] = (i / 20, i / 20)
        at.run()
        press(at)
    assert len(at.session_state[RESULTS]) == real_time.KEPT_RESULTS


def test_real_time_leaves_out_batches_that_would_hold_the_model(models_dir, monkeypatch):
    pretend(monkeypatch, 50.0, 100.0, 50.0)
    monkeypatch.setattr(real_time_run, "first_pass", lambda *a, **k: FirstPass(1.0, 2.0))
    at = press(open_page())
    assert [row["batch"] for row in rows(at)] == ["1"]
    assert "Batches of 16 were left out" in captions(at) and "batch 1: 4 pictures" in captions(at)


@pytest.mark.parametrize(
    ("pair_s", "counts"),
    [(0.001, (64, 64)), (3 / 4 / 35, (32, 32)), (3 / 4 / 12, (16, 16)), (3 / 4 / 8, (8, 16))],
    ids=["quick", "35 fit", "16 in half as much again", "8 fit"],
)
def test_real_time_takes_the_same_pictures_for_both_where_it_can(
    models_dir, monkeypatch, pair_s, counts
):
    """One at a time takes `pair_s` per picture on both sides together; in a batch, a third."""
    images, taken = torch.zeros(64, 3, 32, 32), []
    monkeypatch.setattr(
        real_time_run,
        "first_pass",
        lambda *a, batch_size, **k: FirstPass(0, pair_s / (1 if batch_size == 1 else 3)),
    )
    before: list[Timing] = []
    for size in real_time_run.BATCH_SIZES:
        part = real_time_run._share(None, None, (0.6, 0.6), images, size, before)
        taken.append(len(part))
        sides = (PerImage(1, 1, 1), PerImage(1, 1, 1))
        before.append(Timing(size, len(part), 3, *sides, (1.0, 0, 0), 1, 1, "", 1))
    assert tuple(taken) == counts


def test_real_time_says_when_the_model_is_busy(models_dir, monkeypatch):
    def busy(*args):
        raise InputError("the model is busy with 64 other pictures, try again shortly")

    monkeypatch.setattr(services.get_worker(), "run_while", busy)
    at = press(open_page())
    assert not at.exception and not at.table
    assert at.warning[0].value.startswith("Measuring: the model is busy")


@pytest.mark.parametrize("is_damaged", [False, True], ids=["on disk", "damaged"])
def test_real_time_takes_test_images_that_are_on_disk(
    models_dir, monkeypatch, tmp_path, is_damaged
):
    bundle = services.get_bundle("tiny")
    monkeypatch.setattr(real_time_run, "_data_name", lambda _: "cifar10")
    sample = real_time_run.list_samples(bundle.class_names)[0]
    for name in bundle.class_names:
        for i in range(2):
            place = tmp_path / "cifar10" / "test" / name / f"{i}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(sample.path, place)
            if is_damaged:
                place.write_bytes(b"\x89PNG\r\n\x1a\n")
    monkeypatch.setenv("DVT_DATA", str(tmp_path))
    images, source = real_time_run._pictures(bundle)
    if is_damaged:
        assert source.startswith("built-in samples, as the test images cannot be used: ")
        assert len(images) >= 20
    else:
        assert source == "test images of CIFAR-10" and images.shape == (20, 3, 32, 32)
        one = bundle.load_model().preprocess(real_time_run.open_image(sample.path))
        torch.testing.assert_close(images, one.expand(20, -1, -1, -1))


def test_real_time_takes_test_images_that_the_app_fetched(models_dir, monkeypatch, tmp_path):
    bundle = services.get_bundle("tiny")
    monkeypatch.setattr(real_time_run, "_data_name", lambda _: "cifar10")
    monkeypatch.setattr(dataset_fetch, "find_folder", lambda name: None)
    monkeypatch.setenv(dataset_fetch.CACHE_ENV, str(tmp_path))
    sample = real_time_run.list_samples(bundle.class_names)[0]
    for name in bundle.class_names:
        for i in range(7):
            place = tmp_path / "cifar10" / "test" / name / f"{i}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(sample.path, place)
    images, source = real_time_run._pictures(bundle)
    assert source == "test images of CIFAR-10" and len(images) == real_time_run.IMAGES


def test_data_name_is_the_tables(models_dir, own_folder):
    assert real_time_run._data_name(services.get_bundle("tiny")) == "random"
    assert real_time_run._data_name(services.get_bundle(str(own_folder))) == ""


def test_real_time_can_be_cancelled(models_dir, monkeypatch):
    def endless(*args, progress, **kwargs):
        while True:
            progress(0, 10)
            time.sleep(0.01)

    monkeypatch.setattr(real_time_run, "measure", endless)
    at = open_page()
    at.button(key="real_time_measure").click().run()
    job = at.session_state["job_real_time"]
    assert job.is_open and at.button(key="real_time_measure").disabled
    job.cancel()
    ends = time.monotonic() + 60
    while job.is_open:
        assert time.monotonic() < ends
        time.sleep(0.01)
    at.run()
    assert not at.table and "Measuring: cancelled." in captions(at)
    assert not at.button(key="real_time_measure").disabled
