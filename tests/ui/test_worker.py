"""The inference worker: one at a time, bounded, and it says when it is busy."""

import threading

import pytest

from app.work.worker import Busy, Worker


def test_worker_runs_everything_on_one_thread():
    worker = Worker()
    names = {worker.run(lambda: threading.current_thread().name) for _ in range(3)}
    assert len(names) == 1 and threading.current_thread().name not in names


def test_worker_passes_errors_on_and_goes_on():
    worker = Worker(max_waiting=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            worker.run(lambda: 1 / 0)
    assert worker.run(divmod, 7, 2) == (3, 1)


def test_worker_turns_away_what_it_cannot_queue():
    worker, started, release = Worker(max_waiting=1), threading.Event(), threading.Event()

    def hold() -> None:
        started.set()
        release.wait(300)

    busy = threading.Thread(target=worker.run, args=(hold,))
    busy.start()
    started.wait(300)
    with pytest.raises(Busy, match="busy"):
        worker.run(int)
    release.set()
    busy.join()
    assert worker.run(int) == 0


def test_worker_does_not_wait_for_ever():
    release = threading.Event()
    with pytest.raises(Busy, match="no answer within"):
        Worker(timeout_s=0.05).run(release.wait, 10)
    release.set()
