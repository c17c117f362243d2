"""What a call can do to the inference thread: whoever asked is told, everybody else goes on."""

import ctypes
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from app import cascade_runs, services
from app.work import jobs, worker
from app.work.call import Busy, GivenUp, Withdrawn
from app.work.jobs import CANCELLED, DONE, Job, JobQueue
from app.work.slices import patient_run
from app.work.worker import Worker
from tests.ui.driver import html, open_app

PATIENCE_S = 60
SOON_S = 10  # it takes 0.25 s; who waited for the call that hangs would wait for a minute


class Hang:
    """A call that does not end by itself, as a native loop; let go at the end of the test."""

    def __init__(self) -> None:
        self.begun, self.free = threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.free.wait(PATIENCE_S)
        return "late"


@pytest.fixture
def hangs():
    """Makes calls that hang, and ends them all."""
    made: list[Hang] = []

    def make() -> Hang:
        made.append(Hang())
        return made[-1]

    yield make
    for hang in made:
        hang.free.set()


def until(condition) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_whatever_a_call_raises_the_next_one_is_answered(monkeypatch):
    one = Worker()

    def raises(error):
        raise error

    no_memory = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 8 EB")
    for error, words in (
        (MemoryError(), "no memory left"),
        (no_memory, "no memory left"),
        (SystemExit(3), "broken off, try again"),
        (KeyboardInterrupt(), "broken off, try again"),
        (GeneratorExit(), "broken off, try again"),
    ):
        with pytest.raises(GivenUp, match=words):
            one.run(raises, error)
    for error in (ZeroDivisionError("ours"), TimeoutError("of the function itself")):
        with pytest.raises(type(error), match=str(error)):
            one.run(raises, error)
    assert one.run(divmod, 7, 2) == (3, 1) and one.lost == 0


def test_torch_says_that_memory_ran_out_in_the_words_we_look_for():
    with pytest.raises(GivenUp, match="no memory left"):
        Worker().run(torch.empty, 1 << 55)


def test_a_call_that_hangs_is_given_up_and_all_others_are_answered(hangs, caplog):
    set_up = []
    one, hang = Worker(limit_s=PATIENCE_S, setup=lambda: set_up.append(1)), hangs()
    with ThreadPoolExecutor(41) as people:
        stuck = people.submit(one.run, hang)
        assert hang.begun.wait(PATIENCE_S)
        others = [people.submit(one.run, divmod, n, 7) for n in range(40)]
        until(lambda: one.waiting == 40)
        one._limit_s = 0.3  # of the one that has begun; others may need longer on a busy machine
        with pytest.raises(GivenUp, match=r"did not finish this within 0.3 s"):
            stuck.result(PATIENCE_S)
        one._limit_s = PATIENCE_S
        assert [each.result(PATIENCE_S) for each in others] == [divmod(n, 7) for n in range(40)]
    assert one.lost == 1 and set_up == [1, 1] and "is given up" in caplog.text
    hang.free.set()  # it ends after all: its thread goes, its result goes nowhere
    until(lambda: one.lost == 0)
    assert one.run(str, 5) == "5" and one.waiting == 0


def test_only_so_many_threads_are_lost_and_the_worker_comes_back_when_one_does(hangs):
    one, stuck = Worker(limit_s=0.05, max_lost=2), [hangs() for _ in range(3)]
    before = set(threading.enumerate())
    for hang in stuck:
        with pytest.raises(GivenUp, match="did not finish"):
            one.run(hang)
    assert one.lost == 3 and len(set(threading.enumerate()) - before) == 2
    for _ in range(5):
        with pytest.raises(GivenUp, match="must start it again"):
            one.run(int)
    assert len(set(threading.enumerate()) - before) == 2
    one._limit_s = PATIENCE_S
    stuck[1].free.set()
    until(lambda: one.lost == 2)
    names = {one.run(threading.get_ident) for _ in range(5)}
    assert len(names) == 1 and threading.get_ident() not in names


def test_an_exception_put_into_the_thread_from_outside_ends_the_call_alone():
    one, spinning, told = Worker(), threading.Event(), []
    thread = one._thread
    assert thread is not None and thread.ident is not None

    def spin() -> None:
        spinning.set()
        while True:
            time.sleep(0.001)

    def ask() -> None:
        try:
            one.run(spin)
        except GivenUp as error:
            told.append(str(error))

    caller = threading.Thread(target=ask)
    caller.start()
    assert spinning.wait(PATIENCE_S)
    killed = ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit)
    )
    caller.join(PATIENCE_S)
    assert killed == 1 and told == ["the computation was broken off, try again"]
    assert one.run(threading.get_ident) == thread.ident and one.lost == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_is_replaced(monkeypatch, caplog):
    """As if memory ran out between two calls: the thread ends with a call in its hands."""
    one, note_end, deaths = Worker(), Worker._note_end, [1, 1]

    def dies(self, call):
        if deaths:
            deaths.pop()
            raise SystemExit
        return note_end(self, call)

    monkeypatch.setattr(Worker, "_note_end", dies)
    with ThreadPoolExecutor(6) as people:
        calls = [people.submit(one.run, divmod, n, 7) for n in range(6)]
        ends = [call.exception(PATIENCE_S) or call.result() for call in calls]
    assert sum(isinstance(end, GivenUp) for end in ends) == 2
    assert all(isinstance(e, GivenUp) or e == divmod(n, 7) for n, e in enumerate(ends))
    assert caplog.text.count("was killed, a new one takes over") == 2 and one.lost == 0


def test_a_call_that_waits_or_runs_is_withdrawn_soon(hangs):
    one, hang = Worker(), hangs()
    wanted = {"running": True, "waiting": True}
    with ThreadPoolExecutor(2) as people:
        running = people.submit(one.run_while, lambda: wanted["running"], hang)
        assert hang.begun.wait(PATIENCE_S)
        waiting = people.submit(one.run_while, lambda: wanted["waiting"], int)
        until(lambda: one.waiting == 1)
        for name, call in (("waiting", waiting), ("running", running)):
            wanted[name], began = False, time.monotonic()
            with pytest.raises(Withdrawn):
                call.result(PATIENCE_S)
            assert time.monotonic() - began < SOON_S
        assert one.waiting == 0
    hang.free.set()
    assert one.run(str, 5) == "5"


def test_a_job_whose_slice_waits_behind_a_call_that_hangs_is_cancelled_soon(hangs):
    one, queue, hang = Worker(), JobQueue(), hangs()
    with ThreadPoolExecutor(1) as people:
        people.submit(one.run, hang)
        assert hang.begun.wait(PATIENCE_S)
        job = queue.submit("a", "batch", lambda job: patient_run(job, one.run_while)(int))
        until(lambda: one.waiting == 1)
        job.cancel()
        began = time.monotonic()
        until(lambda: not job.is_open)
        assert job.state == CANCELLED and time.monotonic() - began < SOON_S
        hang.free.set()


def test_a_cancelled_job_that_hangs_is_left_behind_and_the_queue_goes_on(hangs, monkeypatch):
    monkeypatch.setattr(jobs, "LEFT_S", 0.2)
    queue, works = JobQueue(), [hangs() for _ in range(jobs.MAX_LEFT + 1)]
    *left, last = [
        queue.submit(str(i), "hangs", lambda job, work=work: work()) for i, work in enumerate(works)
    ]
    other = queue.submit("other", "goes on", lambda job: "mine")
    for work, job in zip(works, left, strict=False):
        assert work.begun.wait(PATIENCE_S)
        job.cancel()
        until(lambda: queue.length and not job.is_open)  # noqa: B023
        assert job.state == CANCELLED
    assert works[-1].begun.wait(PATIENCE_S)
    last.cancel()  # one more than may be left behind: the queue waits for it
    time.sleep(0.3)
    assert queue.length == 2 and last.is_stopping and not other.result
    for work in works:
        work.free.set()
    until(lambda: queue.length == 0 and queue._left == 0)
    assert [job.state for job in left] == [CANCELLED] * jobs.MAX_LEFT
    assert [job.result for job in left] == [None] * jobs.MAX_LEFT  # it came too late
    assert other.state == DONE and other.result == "mine"


def test_a_worker_that_stops_tells_who_waits(hangs, monkeypatch):
    monkeypatch.setattr(worker, "LEAVE_S", 0.1)
    one, hang = Worker(), hangs()
    with ThreadPoolExecutor(3) as people:
        people.submit(one.run, hang)
        assert hang.begun.wait(PATIENCE_S)
        waiting = [people.submit(one.run, int) for _ in range(2)]
        until(lambda: one.waiting == 2)
        one.close()
        for call in waiting:
            with pytest.raises(GivenUp, match="the server stops"):
                call.result(PATIENCE_S)
        with pytest.raises(GivenUp, match="the server stops"):
            one.run(int)
        hang.free.set()


def test_busy_is_the_only_refusal_that_a_job_tries_again():
    assert issubclass(GivenUp, Exception) and not issubclass(GivenUp, Busy)
    asked = []

    def run(is_wanted, function, *args):
        asked.append(1)
        raise GivenUp("it did not finish")

    with pytest.raises(GivenUp):
        patient_run(Job("batch", "a"), run)(int)
    assert len(asked) == 1


def test_a_visitor_whose_picture_hangs_reads_one_sentence_and_the_next_sees_an_answer(
    models_dir, hangs, monkeypatch
):
    """The page itself: the first forward hangs for ever, the second visitor is not affected."""
    hang, real, calls = hangs(), cascade_runs._quickest, []

    def once(*args):
        calls.append(1)
        return hang() if len(calls) == 1 else real(*args)

    one = Worker(limit_s=0.5)
    monkeypatch.setattr(services, "get_worker", lambda: one)
    monkeypatch.setattr(cascade_runs, "_quickest", once)

    first = open_app(model="tiny")
    shown = " ".join(each.value for each in (*first.warning, *first.error))
    assert "did not finish this within 0.5 s, try again" in shown
    one._limit_s = PATIENCE_S
    second = open_app(model="tiny")
    assert not second.warning and not second.error and "exit" in html(second)
    again = first.run()
    assert not again.exception and not again.warning and not again.error
