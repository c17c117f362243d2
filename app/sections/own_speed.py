"""Speed of a bundled model and of the app's start, measured by this project."""

from __future__ import annotations

import streamlit as st

from app.benchmarks.speed import Adaptive, Bench, Spread, load_bench
from app.language import say
from dvt_core.errors import InputError


def own_speed_section() -> None:
    """Draws what `make bench` stored; nothing if it stored nothing."""
    try:
        bench = load_bench()
    except InputError as error:
        st.error(say("This part cannot be shown: {error}.", error=error))
        return
    if bench is not None:
        _draw(bench)


def _draw(bench: Bench) -> None:
    st.subheader(say("A model of this app, measured by this project"), anchor=False)
    st.table(
        [_cells(row) for row in bench.rows],
        border="horizontal",
        hide_index=True,
        alt=say("Time per picture of a model of this app"),
    )
    start = (
        say("The app starts in {seconds} s.", seconds=f"{bench.start_s:.0f}")
        if bench.page_s is None
        else say(
            "The app starts in {seconds} s, its first page answers after {page} s.",
            seconds=f"{bench.start_s:.0f}",
            page=f"{bench.page_s:.0f}",
        )
    )
    words = say(
        "{model}, real weights, pictures leave at the threshold {threshold}. In brackets, one in "
        "ten runs was faster and one in ten slower. {device}, {date}.",
        model=bench.model,
        threshold=f"{bench.threshold:g}",
        device=bench.origin.device,
        date=bench.origin.date,
    )
    st.caption(f"{words} {start}")


def _cells(row: Adaptive) -> dict[str, str]:
    return {
        say("Images per batch"): f"{row.batch_size}",
        say("per picture, ms"): _spread(row.adaptive),
        say("all exits, ms"): _spread(row.all_exits),
        say("fewer MACs"): f"{1 / row.mac_ratio:.2f}x",
        say("faster"): f"{1 / row.time_ratio:.2f}x",
    }


def _spread(spread: Spread) -> str:
    return say(
        "{middle} ({low} to {high})",
        middle=f"{spread.median:.1f}",
        low=f"{spread.p10:.1f}",
        high=f"{spread.p90:.1f}",
    )
