"""Long work: in the order asked, one at a time, bounded, cancelled at the next step."""

import threading
import time
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from app.intake import dataset_fetch
from app.work import job_panel, slices
from app.work.job_panel import AWAY_S, Presence, job_words
from app.work.jobs import CANCELLED, DONE, FAILED, RUNNING, WAITING, Job, JobQueue
from app.work.slices import patient_run
from app.work.worker import Busy
from dvt_core.errors import InputError
from tests.ui.driver import captions

PATIENCE_S = 300  # two cores may be busy


class Gate:
    """Work that begins, says so, and waits to be let through."""

    def __init__(self) -> None:
        self.begun, self.let_through = threading.Event(), threading.Event()

    def __call__(self, job: Job) -> str:
        self.begun.set()
        assert self.let_through.wait(PATIENCE_S)
        job.step(0.5, "half way")
        return job.title


def ended(*jobs: Job) -> list[str]:
    """The states in which jobs end."""
    deadline = time.monotonic() + PATIENCE_S
    while any(job.is_open for job in jobs):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    return [job.state for job in jobs]


def test_jobs_run_in_the_order_asked_and_one_at_a_time():
    queue, order, running = JobQueue(), [], []

    def work(job: Job) -> None:
        running.append(job)
        assert len(running) == 1
        order.append(job.title)
        job.step(0.5)
        running.remove(job)

    gate = Gate()
    first = queue.submit("a", "first", gate)
    others = [queue.submit(f"owner {i}", f"{i}", work) for i in range(5)]
    assert gate.begun.wait(PATIENCE_S)
    assert [queue.place(job) for job in (first, *others)] == [0, 1, 2, 3, 4, 5]
    assert [job.state for job in (first, *others)] == [RUNNING, *[WAITING] * 5]
    others[1].cancel()
    assert [queue.place(job) for job in (others[0], *others[2:])] == [1, 2, 3, 4]
    gate.let_through.set()
    assert ended(first, *others) == [DONE, DONE, CANCELLED, DONE, DONE, DONE]
    assert order == ["0", "2", "3", "4"]
    assert first.result == "first" and first.fraction == 1.0 and first.words == "half way"


def test_queue_works_again_after_it_was_empty():
    queue = JobQueue()
    for round in range(3):
        job = queue.submit("a", "round", lambda _, round=round: round)
        assert ended(job) == [DONE] and job.result == round
        while queue._thread is not None:  # the thread is gone while there is nothing to do
            time.sleep(0.002)


def test_cancel_ends_a_waiting_job_at_once_and_a_running_one_at_its_next_step():
    queue, gate, ran = JobQueue(), Gate(), []
    running = queue.submit("a", "running", gate)
    waiting = queue.submit("b", "waiting", ran.append)
    assert gate.begun.wait(PATIENCE_S)
    waiting.cancel()
    running.cancel()
    assert waiting.state == CANCELLED and not waiting.is_stopping
    assert running.state == RUNNING and running.is_stopping
    gate.let_through.set()
    assert ended(running) == [CANCELLED]
    assert not ran and running.result is None and running.fraction == 0
    again = queue.submit("a", "again", lambda job: 1)  # nobody is locked out by a cancelled job
    assert ended(again) == [DONE]
    again.cancel()
    assert again.state == DONE and again.result == 1


def test_work_that_fails_after_it_was_cancelled_was_cancelled():
    queue, gate = JobQueue(), Gate()

    def unfit(job: Job) -> None:
        gate.begun.set()
        assert gate.let_through.wait(PATIENCE_S)
        raise InputError("no way to the hub")

    job = queue.submit("a", "fetching", unfit)
    assert gate.begun.wait(PATIENCE_S)
    job.cancel()
    gate.let_through.set()
    assert ended(job) == [CANCELLED]


def test_a_job_whose_worker_is_busy_tries_again_and_a_cancel_ends_it_soon():
    asked = threading.Event()

    def busy(is_wanted, function, *args):
        asked.set()
        raise Busy("the model is busy")

    job = JobQueue().submit("a", "maps", lambda job: patient_run(job, busy)(divmod, 7, 2))
    assert asked.wait(PATIENCE_S)
    job.cancel()
    began = time.monotonic()
    assert ended(job) == [CANCELLED] and time.monotonic() - began < 10


def test_only_a_busy_worker_is_asked_again_and_not_for_ever(monkeypatch):
    monkeypatch.setattr(slices, "RETRY_S", 0.001)
    job, errors = Job("maps", "a"), [Busy("busy"), Busy("busy")]

    def run(is_wanted, function, *args):
        if errors:
            raise errors.pop()
        return function(*args)

    assert patient_run(job, run)(divmod, 7, 2) == (3, 1)
    errors += [Busy("busy"), InputError("no such class")]
    with pytest.raises(InputError, match="no such class"):
        patient_run(job, run)(divmod, 7, 2)
    assert len(errors) == 1  # not asked again
    monkeypatch.setattr(slices, "PATIENCE_S", 0.01)
    errors += [Busy("busy")] * 10_000
    with pytest.raises(Busy):
        patient_run(job, run)(divmod, 7, 2)


def test_a_job_keeps_its_result_but_not_its_work():
    queue, pictures = JobQueue(), SimpleNamespace()
    done = queue.submit("a", "done", lambda job, kept=pictures: id(kept))
    assert ended(done) == [DONE] and done._work is None


def test_one_owner_has_one_job_and_the_queue_an_end():
    queue, gate = JobQueue(max_waiting=3), Gate()
    first = queue.submit("a", "first", gate)
    with pytest.raises(InputError, match="one long task at a time"):
        queue.submit("a", "second", gate)
    others = [queue.submit(owner, owner, gate) for owner in "bc"]
    with pytest.raises(InputError, match="3 long tasks are waiting"):
        queue.submit("d", "fourth", gate)
    others[0].cancel()
    late = queue.submit("d", "fourth", gate)
    gate.let_through.set()
    assert ended(first, *others, late) == [DONE, CANCELLED, DONE, DONE]


def test_failures_are_one_sentence_and_the_next_job_runs(caplog):
    queue = JobQueue()

    def unfit(job: Job) -> None:
        raise InputError("the file holds no picture, choose another")

    def broken(job: Job) -> None:
        raise ZeroDivisionError("ours")

    def leaves(job: Job) -> None:
        raise SystemExit

    works = (unfit, broken, leaves, str)
    jobs = [queue.submit(str(i), "t", work) for i, work in enumerate(works)]
    assert ended(*jobs) == [FAILED, FAILED, FAILED, DONE]
    assert jobs[0].error == "the file holds no picture, choose another"
    assert jobs[1].error == "" and "ZeroDivisionError" in caplog.text
    assert "the file holds no picture" not in caplog.text


def test_work_of_a_visitor_who_left_ends():
    queue, gate, here = JobQueue(), Gate(), {"a": True, "b": True, "c": True}
    running, waiting, other = (
        queue.submit(owner, owner, gate, lambda owner=owner: here[owner]) for owner in "abc"
    )
    assert gate.begun.wait(PATIENCE_S)
    here["a"] = here["b"] = False
    assert queue.place(other) == 1  # who left does not stand before others
    assert waiting.state == CANCELLED and running.state == RUNNING
    gate.let_through.set()
    assert ended(running, waiting, other) == [CANCELLED, CANCELLED, DONE]


def test_a_visitor_counts_as_gone_only_after_a_while(monkeypatch):
    now, active = [100.0], [True]
    monkeypatch.setattr(job_panel.runtime, "exists", lambda: True)
    server = SimpleNamespace(is_active_session=lambda name: name == "me" and active[0])
    monkeypatch.setattr(job_panel.runtime, "get_instance", lambda: server)
    presence = Presence("me", lambda: now[0])
    now[0] += 1000
    assert presence()
    active[0] = False
    now[0] += AWAY_S - 1
    assert presence()
    active[0] = True
    assert presence()
    active[0] = False
    now[0] += AWAY_S - 1
    assert presence()
    now[0] += 2
    assert not presence()


def test_pace_is_a_share_of_the_time_spent():
    now = [0.0]
    job = Job("counting", "a", _clock=lambda: now[0])
    assert job.seconds_left() is None and job.begin() and not job.begin()
    job.step(0.2, "part 1")
    assert job.seconds_left() is None  # no time has passed
    now[0] = 6.0
    assert job.seconds_left() == pytest.approx(24.0)
    assert job_words(job) == "counting: part 1. About 24 s left."
    job.step(0.01)
    assert job_words(job) == "counting: part 1. About 10 minutes left."
    job.step(7.0)
    assert job.fraction == 1.0
    job.step(-1.0)
    assert job.fraction == 0.0 and job.seconds_left() is None


# --- the panel ---------------------------------------------------------------------------


def page():
    """A page with one job, whose gate lies in the session; counts its own runs."""
    import streamlit as st

    from app.work.job_panel import COMPUTING, forget_job, job_panel, start_job
    from dvt_core.errors import InputError

    st.session_state["runs"] = st.session_state.get("runs", 0) + 1
    if st.button("start", key="start"):
        try:
            kind = st.session_state.get("kind", COMPUTING)
            start_job("test", "Counting", st.session_state["work"], kind)
        except InputError as error:
            st.error(str(error))
    st.button("forget", key="forget", on_click=forget_job, args=("test",))
    job = job_panel("test")
    st.session_state["shown"] = None if job is None else (job.state, job.result)


@pytest.fixture
def queue(monkeypatch):
    """The queue of computations; that of downloads lies beside it."""
    queues = {job_panel.COMPUTING: JobQueue(), job_panel.NETWORK: JobQueue()}
    monkeypatch.setattr(job_panel, "get_queue", queues.__getitem__)
    return queues[job_panel.COMPUTING]


def start(work, **session) -> AppTest:
    at = AppTest.from_function(page, default_timeout=30)
    for name, value in {"work": work, **session}.items():
        at.session_state[name] = value
    at.run()
    assert at.session_state["shown"] is None and not at.get("progress")
    at.button(key="start").click().run()
    assert not at.exception
    return at


def test_panel_shows_place_progress_and_result(queue):
    before, gate = Gate(), Gate()
    first = queue.submit("someone else", "before", before)
    at = start(gate)
    text = lambda: at.get("progress")[0].proto.text  # noqa: E731
    assert text() == "Counting: 1 before it in the queue."
    before.let_through.set()
    assert gate.begun.wait(PATIENCE_S) and not first.is_open
    at.run()
    assert text() == "Counting." and at.session_state["shown"] == (RUNNING, None)
    gate.let_through.set()
    ended(at.session_state["job_test"])
    at.run()
    assert at.session_state["shown"] == (DONE, "Counting") and not at.get("progress")
    at.button(key="forget").click().run()
    assert at.session_state["shown"] is None


def test_a_download_does_not_wait_for_computations_nor_they_for_it(queue):
    before, download = Gate(), Gate()
    other = queue.submit("someone else", "maps", before)
    at = start(download, kind=job_panel.NETWORK)
    assert download.begun.wait(PATIENCE_S) and before.begun.wait(PATIENCE_S)
    at.run()
    assert at.get("progress")[0].proto.text == "Counting."
    second = job_panel.get_queue(job_panel.NETWORK).submit("another", "fetch", Gate())
    assert job_words(second) == "fetch: 1 before it in the queue."
    second.cancel()
    before.let_through.set()
    assert ended(other) == [DONE]
    download.let_through.set()
    assert ended(at.session_state["job_test"]) == [DONE]


def test_downloads_go_through_the_queue_of_the_network(queue, monkeypatch):
    monkeypatch.setattr(dataset_fetch, "fetch_test_images", lambda *args: job_panel.NETWORK)
    before = Gate()
    queue.submit("someone else", "maps", before)
    assert before.begun.wait(PATIENCE_S)
    dataset_fetch._start("fetch", "cifar10")
    assert ended(job_panel.current_job("fetch")) == [DONE]
    before.let_through.set()


def test_panel_cancels_and_says_so(queue):
    gate = Gate()
    at = start(gate)
    assert gate.begun.wait(PATIENCE_S)
    at.button(key="cancel_test").click().run()
    assert at.get("progress")[0].proto.text == "Counting: stopping."
    assert at.button(key="cancel_test").disabled
    gate.let_through.set()
    ended(at.session_state["job_test"])
    at.run()
    assert "Counting: cancelled." in captions(at) and not at.get("progress")


def test_panel_runs_the_page_again_once_when_a_waiting_job_is_cancelled(queue):
    before = Gate()
    first = queue.submit("someone else", "before", before)
    at = start(Gate())
    runs = at.session_state["runs"]
    at.button(key="cancel_test").click().run()  # a run of the panel alone, which ends in a rerun
    assert at.session_state["shown"] == (CANCELLED, None)
    assert at.session_state["runs"] <= runs + 2
    before.let_through.set()
    ended(first)


@pytest.mark.parametrize("error", (InputError("no such class"), ZeroDivisionError("ours")))
def test_panel_says_what_failed(queue, error):
    def work(job: Job) -> None:
        raise error

    at = start(work)
    ended(at.session_state["job_test"])
    at.run()
    ours = "something went wrong on this computer; its log says what"
    told = str(error) if isinstance(error, InputError) else ours
    assert at.warning[0].value == f"Counting: {told}."


def test_panel_of_a_second_job_of_one_visitor_is_refused_in_words(queue):
    gate = Gate()
    at = start(gate)
    assert gate.begun.wait(PATIENCE_S)
    at.button(key="start").click().run()
    assert "one long task at a time" in at.error[0].value
    assert at.session_state["shown"] == (RUNNING, None)  # the first goes on
    gate.let_through.set()
    ended(at.session_state["job_test"])


def test_a_job_rests_as_long_as_it_worked_while_others_are_here(monkeypatch):
    now, rests = [0.0], []
    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=rests.append)
    monkeypatch.setattr(slices, "time", clock)

    def run(goes_on, function, *args):
        now[0] += args[0]
        return function(*args)

    for is_crowded in (True, False):
        patiently = patient_run(Job("maps", "a"), run, lambda answer=is_crowded: answer)
        assert [patiently(abs, seconds) for seconds in (0.125, 0.25, 9.0)] == [0.125, 0.25, 9.0]
    assert rests == [0.125, 0.25, slices.LONGEST_REST_S]
