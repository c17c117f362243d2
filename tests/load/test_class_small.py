"""A small class on the real app: nobody gets a wrong answer, and a wrong one would be seen."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import psutil
import pytest

from dvt_core.bundle import DEFAULT
from scripts.load import bare
from scripts.load.person import Person
from scripts.load.pictures import Answers
from scripts.load.school_class import Plan, lesson, measure, people
from scripts.load.server import Server
from scripts.load.soak import Plan as SoakPlan
from scripts.load.soak import measure as soak
from scripts.load.tally import AT_ONCE, BATCH, DIAL, MAPS, PAGE, SAMPLE, UPLOAD, Tally
from scripts.load.visitor import Visitor

SIZE = (1200, 900)
PLAN = Plan(6, 10, (0.1, 0.6), photo_px=SIZE, is_warmed_up=False, batch_pictures=8)


@pytest.fixture(scope="module")
def answers() -> Answers:
    return Answers.of(DEFAULT)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.mark.slow
def test_a_small_class_gets_its_own_answers(answers, server):
    measured = asyncio.run(measure(replace(PLAN, maps=0, batches=0), answers, server))
    tally = measured.tally
    assert (tally.errors, tally.wrong) == (0, 0), tally.table()
    assert len(tally.rows[AT_ONCE].seconds) == PLAN.users
    assert {SAMPLE, DIAL, UPLOAD, PAGE} <= tally.rows.keys()
    assert measured.memory_mb["peak"] > 100


@pytest.mark.slow
def test_a_page_of_one_line_is_opened_by_as_many():
    row = asyncio.run(bare.measure(3))
    assert len(row.seconds) == 3 * bare.ROUNDS and min(row.seconds) > 0


@pytest.mark.slow
def test_a_mixed_up_answer_is_seen_and_named(answers, server):
    """Two people expect each other's photos; a third other confidences."""
    tally = Tally()
    plan = replace(PLAN, users=3, maps=0, batches=0)
    first, second, third = people(plan, answers, tally, server.address)
    mine, other = first.photos[0], second.photos[0]
    first.photos = [replace(mine, seen=other.seen, probs=other.probs)]
    second.photos = [replace(other, seen=mine.seen, probs=mine.probs)]
    asyncio.run(_upload(first, second))
    assert (tally.errors, tally.wrong) == (0, 2), tally.table()
    for person, owner in ((first, mine), (second, other)):
        assert any(person.name in f and owner.name in f for f in tally.failures), tally.table()

    third.photos = [replace(third.photos[0], probs=third.photos[0].probs * np.float32(0.99))]
    asyncio.run(_upload(third))
    assert (tally.errors, tally.wrong) == (0, 3), tally.table()


async def _upload(*people: Person) -> None:
    await asyncio.gather(*(each.open() for each in people))
    await asyncio.gather(*(each.upload() for each in people))
    await asyncio.gather(*(each.tab.close() for each in people))


@pytest.mark.slow
def test_long_work_of_a_class_is_checked_too(answers, server):
    tally = Tally()
    everybody = people(replace(PLAN, users=2, maps=1, batches=1), answers, tally, server.address)
    asyncio.run(lesson(replace(PLAN, seconds=0.1), everybody))
    assert (tally.errors, tally.wrong) == (0, 0), tally.table()
    assert [len(tally.rows[work].seconds) for work in (BATCH, MAPS)] == [1, 1], tally.table()


@pytest.mark.slow
def test_a_small_soak_leaves_nothing(answers, server):
    plan = SoakPlan(3, 7, 2, pause_s=0.02, photo_px=SIZE, is_warmed_up=False)
    soaked = asyncio.run(soak(plan, answers, server))
    assert (soaked.tally.errors, soaked.tally.wrong) == (0, 0), soaked.tally.table()
    assert len(soaked.tally.rows[UPLOAD].seconds) == 7
    assert soaked.end.temporary == 0


def test_pages_do_not_carry_the_thumbnails_of_samples(answers, server):
    """Not by the page at all: a browser fetches their style sheet once and keeps it."""

    async def sent() -> list[int]:
        tab, before = Visitor(server.address), 0
        await tab.open()
        counts = [tab.page.received]
        for name in list(answers.samples)[3:6]:
            before = tab.page.received
            await tab.pick("samples", name)
            counts.append(tab.page.received - before)
        await tab.close()
        return counts

    assert max(asyncio.run(sent())) < 200_000  # the sheet alone has more


def test_a_large_part_is_sent_once_but_not_named_after_many_runs(server):
    """The server is sure that this browser has it, and after ten runs without it no longer is."""

    async def sent() -> list[int]:
        tab = Visitor(server.address)
        await tab.open()
        await tab.go("lesson")
        counts = []
        for away in (1, 2, 12):
            for step in (3, *(5 + n % 2 for n in range(away))):
                await tab.trigger("lesson_bar", "go", step)
            before = tab.page.received
            await tab.trigger("lesson_bar", "go", 3)
            counts.append(tab.page.received - before)
        assert tab.page.broken == []
        await tab.close()
        return counts

    first, second, last = asyncio.run(sent())
    assert max(first, second) < 20_000 < 40_000 < last  # the picture has 47,000 bytes


def test_what_the_server_holds_is_what_psutil_says(server):
    theirs = [psutil.Process(int(folder.name)) for folder in server.processes()]

    def counted() -> tuple[int, int]:
        return sum(each.num_threads() for each in theirs), sum(each.num_fds() for each in theirs)

    for _ in range(100):  # the last tab's connections may be closing
        before, held, spent = counted(), server.held(), server.cpu_s()
        if counted() == before:
            break
    assert (held.threads, held.files) == before
    memory = sum(each.memory_info().rss for each in theirs) / 1e6
    assert held.memory_mb == pytest.approx(memory, rel=0.05)
    times = [each.cpu_times() for each in theirs]
    assert spent == pytest.approx(sum(t.user + t.system for t in times), abs=0.5)
