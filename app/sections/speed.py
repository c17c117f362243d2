"""Speed: what this project measured, next to the paper's throughput."""

from __future__ import annotations

import streamlit as st

from app import services
from app.benchmarks.imagenet import COMMAND, Benchmark, ForwardRow, ThroughputRow
from app.figures.paper_words import claim_words
from app.language import later, say, say_later
from dvt_core.paper import select

_SIDES = {"ours": later("ours"), "plain": later("plain"), "compiled": later("compiled")}


def speed_section() -> None:
    """Draws both tables, each under its own name, then the time of all exits."""
    measured = services.get_benchmark()
    devices = tuple(dict.fromkeys(row.device for row in measured.throughput))
    device = st.selectbox(say("Measured on"), devices, key="speed_device") if devices else None
    ours, paper = st.container(), st.container()
    with ours:
        st.subheader(say("Images per second, measured by this project"), anchor=False)
        if device is None:
            st.info(
                say(
                    "Nothing was measured yet. `{command}` measures it on this machine.",
                    command=COMMAND,
                )
            )
        else:
            _throughput(measured, device)
    with paper:
        st.subheader(say("Images per second, from the paper"), anchor=False)
        st.table(_paper(), border="horizontal", hide_index=True, alt=say("The paper's throughput"))
        st.caption(
            say(
                "Wang et al. 2021, Table 2: NVIDIA 2080Ti, batch 128, a cascade of two exits (7x7 "
                "and 14x14 tokens), real images that leave by themselves. Precision is not stated."
            )
        )
    forward = [row for row in measured.forward if row.device == device]
    if forward:
        _forward(forward)


def _paper() -> list[dict[str, str]]:
    """The paper's table 2: a static network and the cascade beside it in every row."""
    points = select(services.get_paper(), experiment="throughput")
    pairs = zip(select(points, kind="static"), select(points, kind="dvt"), strict=True)
    return [
        {
            say("static"): static.setting,
            say("images/s"): f"{static.images_per_s:,.0f}",
            say("top-1 in %"): f"{static.top1:.2f}",
            say("DVT, images/s"): f"{dvt.images_per_s:,.0f}",
            say("DVT, top-1 in %"): f"{dvt.top1:.2f}",
            say("printed gain"): claim_words(dvt),
        }
        for static, dvt in pairs
    ]


def _throughput(measured: Benchmark, device: str) -> None:
    here = [row for row in measured.throughput if row.device == device]
    sizes = sorted({row.batch_size for row in here})
    size = st.segmented_control(
        say("Images per batch"), sizes, default=sizes[-1], required=True, key="speed_batch"
    )
    st.table(
        [_throughput_cells(row) for row in here if row.batch_size == size],
        border="horizontal",
        hide_index=True,
        alt=say("Throughput measured by this project"),
    )
    st.caption(
        say(
            "{device}, {dates}. Random weights: exit shares are forced, so the times are real and "
            "nothing is said about accuracy. In brackets, one in ten runs was slower and one in "
            "ten faster. “Real” is the share of the spared MACs that is spared time.",
            device=device,
            dates=_dates(here),
        )
    )


def _throughput_cells(row: ThroughputRow) -> dict[str, str]:
    fewer = faster = real = ""
    if row.mac_ratio and row.time_ratio:
        fewer, faster = f"{row.mac_ratio:.2f}x", f"{row.time_ratio:.2f}x"
        if row.mac_ratio > 1:  # as dvt_core.timing and scripts/bench.py count it
            spared = (1 - 1 / row.time_ratio) / (1 - 1 / row.mac_ratio)
            real = f"{100 * spared:.0f}"
    shares = " / ".join(f"{100 * share:.0f}" for share in row.exit_shares)
    return {
        say("model"): row.model,
        say("leave at each exit, %"): shares,
        say("images/s"): say(
            "{middle} ({low} to {high})",
            middle=_rate(row.images_per_s),
            low=_rate(row.p10),
            high=_rate(row.p90),
        ),
        say("fewer MACs"): fewer,
        say("faster"): faster,
        say("real, %"): real,
    }


def _rate(images_per_s: float) -> str:
    return f"{images_per_s:,.{0 if images_per_s >= 100 else 1}f}"


def _forward(rows: list[ForwardRow]) -> None:
    st.subheader(say("All exits, measured by this project"), anchor=False)
    cells = [
        {
            say("model"): row.model,
            say("run"): say_later(_SIDES.get(row.side, row.side)),
            say("seconds per batch"): say(
                "{middle} ({low} to {high})",
                middle=f"{row.median:.3f}",
                low=f"{row.p10:.3f}",
                high=f"{row.p90:.3f}",
            ),
            say("against ours"): say("{times}x the time", times=f"{row.times_ours:.2f}"),
        }
        for row in rows
    ]
    st.table(cells, border="horizontal", hide_index=True, alt=say("Time of all exits"))
    st.caption(
        say(
            "{device}, {dates}, batches of {n}. “plain” is an unoptimised implementation of the "
            "same arithmetic, run in turn with ours; it is not the authors' code. bfloat16 gains "
            "only on processors with units for it.",
            device=rows[0].device,
            dates=_dates(rows),
            n=rows[0].batch_size,
        )
    )


def _dates(rows: list[ThroughputRow] | list[ForwardRow]) -> str:
    return ", ".join(sorted({row.date[:10] for row in rows}))
