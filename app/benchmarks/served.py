"""How many people the server holds, as this project measured it.

`make load`, `make soak` and `make replicas` store it in `assets/benchmarks`; each may be absent.
Times are in seconds, memory in MB of 10^6 bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.benchmarks.stored import Origin, count, number, origin, read_benchmark, text


@dataclass(frozen=True)
class ActionTimes:
    """How long people waited for one kind of action.

    Attributes:
        action: in English.
        n: how often it was done.
        p50: half of them took no longer.
        p95: 95 % took no longer.
        max: the longest.
        errors: how many came to no answer.
        wrong: how many answers were not the known one for that person's picture.
        bar_p95: what `p95` has to stay below; None if nothing was promised.
    """

    action: str
    n: int
    p50: float
    p95: float
    max: float
    errors: int
    wrong: int
    bar_p95: float | None


@dataclass(frozen=True)
class Load:
    """Many people at once.

    Attributes:
        origin: whose numbers.
        users: people at once.
        model: that they asked.
        seconds: how long they were there.
        think_s: shortest and longest pause between two actions of one person.
        rows: per kind of action.
        memory_mb: of the server before they came, at most, and afterwards; None if it was not seen.
        batches: batches that ran meanwhile.
        attributions: heat maps that ran meanwhile.
        bare: how long as many waited who opened a page of one line, without the app; None if that
            was not measured.
    """

    origin: Origin
    users: int
    model: str
    seconds: float
    think_s: tuple[float, float]
    rows: tuple[ActionTimes, ...]
    memory_mb: tuple[float, float, float] | None
    batches: int
    attributions: int
    bare: ActionTimes | None


@dataclass(frozen=True)
class Soak:
    """Many who come and go, one after the other.

    Attributes:
        origin: whose numbers.
        sessions: visits.
        uploads: pictures uploaded in all of them.
        errors: how many came to no answer.
        wrong: how many answers were not the known one.
        series: (uploads so far, memory of the server) in the order measured.
        growth_mb: memory at the end above that after the first 200 uploads.
        left: "threads", "files" and "temporary" (folders): how many before and afterwards.
    """

    origin: Origin
    sessions: int
    uploads: int
    errors: int
    wrong: int
    series: tuple[tuple[int, float], ...]
    growth_mb: float
    left: dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Replicas:
    """Two servers behind a proxy, one of them killed while people use it.

    Attributes:
        origin: whose numbers.
        users: people at once.
        rows: per kind of action, while both servers were there.
        errors_after_kill: answers that failed for good.
        seconds_until_all_back: from the kill until everybody had an answer again.
    """

    origin: Origin
    users: int
    rows: tuple[ActionTimes, ...]
    errors_after_kill: int
    seconds_until_all_back: float


def load_load() -> Load | None:
    """What `make load` stored; None if nothing was.

    Raises:
        InputError: the file is damaged; so for the two below.
    """
    return read_benchmark("load", _load)


def load_soak() -> Soak | None:
    """What `make soak` stored; None if nothing was."""
    return read_benchmark("soak", _soak)


def load_replicas() -> Replicas | None:
    """What `make replicas` stored; None if nothing was."""
    return read_benchmark("replicas", _replicas)


def _load(raw: dict[str, Any]) -> Load:
    memory, work = raw["memory_mb"], raw["long_work"] or {"batches": 0, "attributions": 0}
    shortest, longest = map(number, raw["think_s"])
    return Load(
        origin=origin(raw),
        users=count(raw["users"]),
        model=text(raw["model"]),
        seconds=number(raw["seconds"]),
        think_s=(shortest, longest),
        rows=tuple(map(_action, raw["rows"])),
        memory_mb=(number(memory["warm"]), number(memory["peak"]), number(memory["end"]))
        if memory
        else None,
        batches=count(work["batches"]),
        attributions=count(work["attributions"]),
        bare=_action(raw["bare_page"]) if raw.get("bare_page") else None,
    )


def _action(raw: dict[str, Any]) -> ActionTimes:
    bar = raw["bar_p95"]
    return ActionTimes(
        action=text(raw["action"]),
        n=count(raw["n"]),
        p50=number(raw["p50"]),
        p95=number(raw["p95"]),
        max=number(raw["max"]),
        errors=count(raw["errors"]),
        wrong=count(raw["wrong"]),
        bar_p95=None if bar is None else number(bar),
    )


def _soak(raw: dict[str, Any]) -> Soak:
    counted = {name: raw[name] for name in ("threads", "files", "temporary")}
    series = tuple((count(uploads), number(memory)) for uploads, memory in raw["series"])
    if not series:
        raise ValueError("no series")
    return Soak(
        origin=origin(raw),
        sessions=count(raw["sessions"]),
        uploads=count(raw["uploads"]),
        errors=count(raw["errors"]),
        wrong=count(raw["wrong"]),
        series=series,
        growth_mb=number(raw["growth_mb_after_200"]),
        left={name: (count(each["warm"]), count(each["end"])) for name, each in counted.items()},
    )


def _replicas(raw: dict[str, Any]) -> Replicas:
    return Replicas(
        origin=origin(raw),
        users=count(raw["users"]),
        rows=tuple(map(_action, raw["rows"])),
        errors_after_kill=count(raw["errors_after_kill"]),
        seconds_until_all_back=number(raw["seconds_until_all_back"]),
    )
