"""How many people the server holds: stored measurements of many at once, and of many in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import streamlit as st

from app.benchmarks.served import (
    ActionTimes,
    Load,
    Replicas,
    Soak,
    load_load,
    load_replicas,
    load_soak,
)
from app.benchmarks.stored import Origin
from app.figures.served import memory_alt, memory_figure
from app.language import later, say, say_later
from dvt_core.errors import InputError

# As the load test calls them (scripts/load).
_ACTIONS = {
    "open at once": later("open, all at once"),
    "open": later("open"),
    "pick a sample": later("pick a sample"),
    "upload a photo": later("upload a photo"),
    "move the threshold": later("move the threshold"),
    "change page": later("change page"),
}
_COMMAND = "make load"
T = TypeVar("T")


def served_section() -> None:
    """Draws what was measured; what was not is left out, what is damaged is said."""
    parts = (
        _part(load_load, say("How many people it serves"), _load),
        _part(load_soak, say("Whether its memory grows"), _soak),
        _part(load_replicas, say("Two servers, and one of them is killed"), _replicas),
    )
    if not any(parts):
        st.info(
            say(
                "Nothing was measured yet. `{command}` measures it on this machine.",
                command=_COMMAND,
            )
        )


def _part(read: Callable[[], T | None], title: str, draw: Callable[[T], None]) -> bool:
    """One part under its title; whether there was anything to say."""
    try:
        measured = read()
    except InputError as error:
        st.error(say("This part cannot be shown: {error}.", error=error))
        return True
    if measured is None:
        return False
    st.subheader(title, anchor=False)
    draw(measured)
    return True


def _load(load: Load) -> None:
    shortest, longest = load.think_s
    st.markdown(
        say(
            "{users} people at once for {seconds} s, each with pictures of their own and a pause "
            "of {shortest} to {longest} s between two actions. Every answer was held against the "
            "known one: **{wrong} wrong answers, {errors} errors** in {count} actions.",
            users=load.users,
            seconds=f"{load.seconds:,.0f}",
            shortest=f"{shortest:g}",
            longest=f"{longest:g}",
            wrong=f"{sum(row.wrong for row in load.rows):,}",
            errors=f"{sum(row.errors for row in load.rows):,}",
            count=f"{sum(row.n for row in load.rows):,}",
        )
    )
    _waits(load.rows)
    if load.bare:
        st.markdown(
            say(
                "Without the app: as many who opened a Streamlit page of one line at once waited "
                "{p50} (p50) and {p95} (p95).",
                p50=_seconds(load.bare.p50),
                p95=_seconds(load.bare.p95),
            )
        )
    _meanwhile(load)
    words = say(
        "Half waited no longer than p50, 95 % no longer than p95: from the click to the answer, "
        "without browser and network. People were programs on the same machine, the model was "
        "{model}.",
        model=f"`{load.model}`",
    )
    st.caption(f"{words} {_measured(load.origin)}")


def _meanwhile(load: Load) -> None:
    """Long work and memory while they were there."""
    if load.batches or load.attributions:
        st.markdown(
            say(
                "Meanwhile {batches} batches and {maps} heat maps were computed.",
                batches=f"{load.batches:,}",
                maps=f"{load.attributions:,}",
            )
        )
    if load.memory_mb:
        warm, peak, end = (f"{value:,.0f}" for value in load.memory_mb)
        st.markdown(
            say(
                "Memory of the server: {warm} MB before they came, {peak} MB at most, {end} MB "
                "afterwards.",
                warm=warm,
                peak=peak,
                end=end,
            )
        )


def _waits(rows: Sequence[ActionTimes]) -> None:
    st.table(
        [_cells(row) for row in rows],
        border="horizontal",
        hide_index=True,
        alt=say("How long people waited"),
    )


def _cells(row: ActionTimes) -> dict[str, str]:
    bar = row.bar_p95
    return {
        say("action"): say_later(_ACTIONS.get(row.action, row.action)),
        say("times"): f"{row.n:,}",
        "p50": _seconds(row.p50),
        "p95": _seconds(row.p95),
        say("longest"): _seconds(row.max),
        say("promised p95"): "" if bar is None else _promise(row.p95, bar),
        say("errors"): f"{row.errors:,}",
        say("wrong"): f"{row.wrong:,}",
    }


def _promise(p95: float, bar: float) -> str:
    below = _seconds(bar)
    if p95 < bar:
        return say("below {bar}: kept", bar=below)
    return say("below {bar}: not kept", bar=below)


def _seconds(value: float) -> str:
    """A number and its unit, which stay on one line of a narrow table."""
    words = f"{1000 * value:.0f} ms" if value < 0.9995 else f"{value:.2f} s"
    return words.replace(" ", "\N{NO-BREAK SPACE}")


def _soak(soak: Soak) -> None:
    st.markdown(
        say(
            "{uploads} pictures were uploaded in {sessions} visits that came and went: {wrong} "
            "wrong answers, {errors} errors. After the first 200 uploads the memory changed by "
            "**{growth} MB**.",
            uploads=f"{soak.uploads:,}",
            sessions=f"{soak.sessions:,}",
            wrong=f"{soak.wrong:,}",
            errors=f"{soak.errors:,}",
            growth=f"{soak.growth_mb:+,.0f}".replace("-", "\N{MINUS SIGN}"),
        )
    )
    figure = memory_figure(soak, dark=st.context.theme.type == "dark")
    st.plotly_chart(figure, key="soak_memory", alt=memory_alt(soak))
    pairs = {name: f"{warm:,} / {end:,}" for name, (warm, end) in soak.left.items()}
    words = say(
        "Before / afterwards: threads {threads}, open files {files}, temporary files {temporary}.",
        **pairs,
    )
    st.caption(f"{words} {_measured(soak.origin)}")


def _replicas(replicas: Replicas) -> None:
    st.markdown(
        say(
            "{users} people shared two servers behind one address. One server was killed: after "
            "{seconds} s everybody had answers again, and {errors} answers failed.",
            users=f"{replicas.users:,}",
            seconds=f"{replicas.seconds_until_all_back:.1f}",
            errors=f"{replicas.errors_after_kill:,}",
        )
    )
    _waits(replicas.rows)
    words = say("How long they waited while both were there.")
    st.caption(f"{words} {_measured(replicas.origin)}")


def _measured(origin: Origin) -> str:
    if not origin.commit:
        return say("Measured: {device}, {date}.", device=origin.device, date=origin.date)
    return say(
        "Measured: {device}, {date}, code {commit}.",
        device=origin.device,
        date=origin.date,
        commit=f"`{origin.commit}`",
    )
