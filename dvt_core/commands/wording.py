"""How numbers and tables are written for people, the same in every command."""

from __future__ import annotations

from collections.abc import Sequence


def format_macs(macs: float) -> str:
    """ "21.3 MMACs" or "4.60 GMACs": three significant digits, in the unit that fits."""
    value, unit = (macs / 1e9, "GMACs") if macs >= 1e9 else (macs / 1e6, "MMACs")
    digits = max(0, 2 - len(str(int(value))) + 1)
    return f"{value:.{digits}f} {unit}"


def format_percent(fraction: float) -> str:
    """ "91.3 %"."""
    return f"{fraction:.1%}".replace("%", " %")


def format_thresholds(thresholds: Sequence[float]) -> str:
    """ "0.8, 0.75", or "0.8" if all are the same; above 1 reads "never": nothing reaches it."""
    shown = ["never" if t > 1 else f"{t:.4g}" for t in thresholds]
    return ", ".join(shown if len(set(shown)) > 1 else shown[:1]) or "none"


def align(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells -> lines with columns under each other, the first row being the heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
