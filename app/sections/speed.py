"""Speed: the throughput that this project measured, next to the paper's."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app import services
from app.benchmark import COMMAND, BenchmarkRow
from app.figures.paper import paper_rows
from app.figures.theme import percent
from dvt_core.paper import select


def speed_section() -> None:
    """Draws both tables, each under its own name."""
    ours, paper = st.columns(2, gap="large")
    with ours:
        st.subheader("Measured by this project", anchor=False)
        _measured()
    with paper:
        st.subheader("From the paper", anchor=False)
        points = select(services.get_paper(), experiment="throughput")
        rows = [{k: v for k, v in row.items() if k != "source"} for row in paper_rows(points)]
        st.table(rows, border="horizontal", hide_index=True, alt="The paper's throughput")
        st.caption(
            "Wang et al. 2021, Table 2: NVIDIA 2080Ti, batch 128, a cascade of two exits (7x7 and "
            "14x14 tokens), real images that leave by themselves. Precision is not stated."
        )


def _measured() -> None:
    rows = services.get_benchmark()
    if not rows:
        st.info(f"Nothing was measured yet. `{COMMAND}` measures it on this machine.")
        return
    devices = tuple(dict.fromkeys(map(_device, rows)))
    device = st.selectbox("Device", devices, key="speed_device")
    here = [row for row in rows if _device(row) == device]
    sizes = sorted({row.batch_size for row in here})
    size = st.segmented_control(
        "Images per batch", sizes, default=sizes[-1], required=True, key="speed_batch"
    )
    shown = [row for row in here if row.batch_size == size]
    st.table(
        [_cells(row) for row in shown],
        border="horizontal",
        hide_index=True,
        alt="Throughput measured by this project",
    )
    st.caption(
        f"{device}, measured on {_dates(shown)}. Random weights: exit shares are forced, so the "
        "times are real and nothing is said about accuracy. In brackets one in ten runs was below "
        "and one in ten above. “Less time” against running all exits should come close to “less "
        "MACs”."
    )


def _device(row: BenchmarkRow) -> str:
    return f"{row.device}, {row.threads} thread{'s' if row.threads > 1 else ''}"


def _dates(rows: Sequence[BenchmarkRow]) -> str:
    return " and ".join(sorted({row.date[:10] for row in rows}))


def _cells(row: BenchmarkRow) -> dict[str, str]:
    is_static = row.exits == 1
    return {
        "model": row.model,
        "leave at": " · ".join(percent(share, 0) for share in row.exit_shares),
        "images/s": f"{row.images_per_s:,.1f} ({row.p10:,.1f} to {row.p90:,.1f})",
        "less MACs": "" if is_static else f"{1 / row.mac_ratio:.2f}x",
        "less time": "" if is_static else f"{1 / row.time_ratio:.2f}x",
    }
