"""Pages are drawn one after another, and nobody is kept waiting by one that takes long."""

import threading
import time

import pytest
import streamlit as st

from app.work import turns as turns_module
from app.work.turns import Turn, Turns


def _start(target):
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    return thread


def _until(holds):
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_one_at_a_time_in_the_order_of_their_coming():
    turns, drawn, inside = Turns(lease_s=60), [], []

    def draw(number):
        with turns.turn():
            inside.append(number)
            assert len(inside) == 1
            drawn.append(number)
            time.sleep(0.001)
            inside.remove(number)

    with turns.turn():
        threads = []
        for number in range(40):
            threads.append(_start(lambda number=number: draw(number)))
            _until(lambda number=number: turns.waiting == number + 1)
    for thread in threads:
        thread.join(20)
    assert drawn == list(range(40))
    assert turns.waiting == 0


def test_a_turn_inside_a_turn_is_the_same_one():
    turns = Turns(lease_s=60)
    with turns.turn(), turns.turn(), turns.aside(), turns.turn():
        pass
    with turns.turn():  # it was given back
        assert turns.waiting == 0


def test_it_is_given_back_when_a_page_ends_with_an_error():
    turns = Turns(lease_s=60)
    with pytest.raises(ZeroDivisionError), turns.turn():
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), turns.turn(), turns.aside():
        raise ZeroDivisionError
    ran = []
    _start(lambda: [turns.turn().__enter__(), ran.append(1)]).join(20)
    assert ran


def test_who_waits_for_something_else_lets_others_go_on():
    turns, answer, drawn = Turns(lease_s=60), threading.Event(), threading.Event()

    def waits():
        with turns.turn(), turns.aside():
            answer.wait(20)

    def draws():
        with turns.turn():
            drawn.set()

    first = _start(waits)
    _start(draws)
    assert drawn.wait(20)
    answer.set()
    first.join(20)
    assert not first.is_alive()


def test_a_page_that_takes_long_shares_its_time_after_a_while():
    turns, end = Turns(lease_s=0.05), threading.Event()
    drawn = []

    def long():
        with turns.turn():
            end.wait(20)

    def short(number):
        with turns.turn():
            drawn.append(number)

    holder = _start(long)
    _until(lambda: turns._holder is not None)
    threads = []
    for number in range(5):
        threads.append(_start(lambda number=number: short(number)))
    for thread in threads:
        thread.join(20)
    assert sorted(drawn) == list(range(5))
    assert holder.is_alive()
    end.set()
    holder.join(20)
    with turns.turn():  # the late end of the long one disturbs nobody
        assert turns.waiting == 0


def test_many_threads_that_step_aside_all_end():
    turns, together, most = Turns(lease_s=60), [0], [0]

    def work():
        for _ in range(30):
            with turns.turn():
                together[0] += 1
                most[0] = max(most[0], together[0])
                together[0] -= 1
                with turns.aside():
                    time.sleep(0)
                together[0] += 1
                most[0] = max(most[0], together[0])
                together[0] -= 1

    threads = [_start(work) for _ in range(20)]
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert most[0] == 1 and turns.waiting == 0


def test_who_comes_back_goes_before_those_who_came_later():
    turns, drawn = Turns(lease_s=60), []
    away, answer = threading.Event(), threading.Event()

    def first():
        with turns.turn():
            with turns.aside():
                away.set()
                answer.wait(20)
            drawn.append("first")

    def later(number):
        with turns.turn():
            drawn.append(number)

    threads = [_start(first)]
    assert away.wait(20)
    with turns.turn():
        for number in range(3):
            threads.append(_start(lambda number=number: later(number)))
            _until(lambda number=number: turns.waiting == number + 1)
        answer.set()
        _until(lambda: turns.waiting == 4)
    for thread in threads:
        thread.join(20)
    assert drawn == ["first", 0, 1, 2]


def test_who_come_back_keep_their_order():
    turns, drawn = Turns(lease_s=60), []
    away, answer = [threading.Semaphore(0) for _ in range(5)], [threading.Event() for _ in range(5)]

    def page(number):
        with turns.turn():
            with turns.aside():
                away[number].release()
                answer[number].wait(20)
            drawn.append(number)

    threads = [_start(lambda number=number: page(number)) for number in range(5)]
    assert all(each.acquire(timeout=20) for each in away)
    with turns.turn():
        for n, number in enumerate((2, 0, 4, 1, 3), 1):
            answer[number].set()
            _until(lambda n=n: turns.waiting == n)
    for thread in threads:
        thread.join(20)
    assert drawn == [2, 0, 4, 1, 3]


def test_aside_inside_aside_takes_the_turn_once():
    turns = Turns(lease_s=60)
    with turns.turn():
        with turns.aside(), turns.aside():
            assert turns._holder is None
        assert turns._holder is not None
    assert turns._holder is None and turns.waiting == 0


def test_two_who_want_the_same_cached_value_do_not_wait_for_the_lease():
    """The second draws while the first computes aside, and waits for the lock of its value."""
    turns, computed = Turns(lease_s=60), threading.Event()
    is_aside, drawn = threading.Event(), []

    @st.cache_data(show_spinner=False)
    def value(key):
        with turns.aside():
            is_aside.set()
            computed.wait(20)
        return key

    def page():
        with turns.turn():
            drawn.append(value(1))

    threads = [_start(page)]
    assert is_aside.wait(20)
    threads.append(_start(page))
    _until(lambda: turns._holder is not None)  # the second, on its way to the lock
    computed.set()
    for thread in threads:
        thread.join(20)
    assert drawn == [1, 1] and turns._holder is None


def test_who_wakes_late_goes_on_although_another_has_taken_over(monkeypatch):
    """It was given the turn, and lost it to an impatient one before its thread had woken."""
    turns, drawn = Turns(lease_s=60), []
    woken = threading.Event()

    class Sleepy(threading.Event):
        def wait(self, timeout=None):
            super().wait(timeout)
            return woken.wait(20)

    monkeypatch.setattr(turns_module, "Turn", lambda: Turn(news=Sleepy()))

    def late():
        with turns.turn():
            drawn.append("late")

    with turns.turn():
        thread = _start(late)
        _until(lambda: turns.waiting == 1)
    _until(lambda: turns.waiting == 0)  # given, but not woken
    with turns._lock:
        turns._hand_to(impatient := Turn())
    woken.set()
    thread.join(20)
    assert drawn == ["late"] and turns._holder is impatient


def test_long_work_waits_until_no_page_is_drawn_but_not_for_ever():
    turns, end = Turns(lease_s=60), threading.Event()

    def page():
        with turns.turn():
            end.wait(20)

    turns.wait_until_free(20)  # at once
    drawing = _start(page)
    _until(lambda: turns._holder is not None)
    turns.wait_until_free(0.05)  # in spite of the page
    assert drawing.is_alive()
    end.set()
    turns.wait_until_free(20)
    drawing.join(20)
    assert turns._holder is None
