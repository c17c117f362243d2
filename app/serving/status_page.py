"""The status page as HTML: plain, no script, readable on a phone, new every few seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

REFRESH_S = 10
TITLES = {
    "pages": "Pages: from a visitor's request to the end of the run",
    "work": "The model: calls",
    "jobs": "Long work",
    "requests": "HTTP requests",
}
HEADINGS = ("", "n", "p50", "p95", "max", "wait p95", "broken", "refused")
STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.45 system-ui, sans-serif; max-width: 60rem; margin: 1rem auto; }
body { padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 1.6rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { text-align: right; padding: .2rem .7rem .2rem 0; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
thead th, tbody tr { border-bottom: 1px solid #8888; }
th { font-weight: 600; }
.wide:first-of-type :is(th, td) { text-align: left; vertical-align: top; white-space: normal; }
@media (max-width: 40rem) { table { font-size: 14px; } }
"""


def status_page(facts: Mapping[str, Any]) -> str:
    """The page.

    Args:
        facts: of `app.serving.facts.facts`.
    """
    tables = "".join(
        f"<h2>{escape(TITLES[kind])}</h2>{_actions(rows)}"
        for kind, rows in facts["actions"].items()
        if rows
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="refresh" content="{REFRESH_S}">'
        f"<title>Status · Dynamic ViT Explorer</title><style>{STYLE}</style></head><body>"
        f"<h1>Dynamic ViT Explorer</h1>{_table((), _summary(facts))}{tables}"
        "<p>Times of the last 1,000 of each, counts since the start. "
        "<em>refused</em>: a visitor was told that something cannot be done. "
        '<a href="/status.json">The same as JSON</a></p></body></html>'
    )


def _summary(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    sessions, calls, memory = facts["sessions"], facts["calls"], facts["memory_mb"]
    waiting = ", ".join(f"{name} {count}" for name, count in facts["waiting"].items())
    return [
        ("visits", f"{_level(sessions)}, {sessions['total']} in all"),
        ("calls of the model", _level(calls)),
        ("waiting", waiting),
        ("memory", f"{_mb(memory['now'])} now, {_mb(memory['peak'])} at most"),
        ("uploads held", _mb(facts["uploads_mb"])),
        ("pictures and files held for pages", _mb(facts["media_mb"])),
        ("threads", str(facts["threads"])),
        ("models", ", ".join(f"{name} ({is_what})" for name, is_what in facts["models"].items())),
        ("up", f"{duration(facts['uptime_s'])}, since {facts['started']}"),
        ("version", f"{facts['version']}, commit {facts['commit']}"),
    ]


def _level(level: Mapping[str, int]) -> str:
    return f"{level['now']} now, {level['peak']} at most"


def _actions(rows: Iterable[Mapping[str, Any]]) -> str:
    cells = [
        (
            row["name"],
            f"{row['n']:,}",
            *(seconds(row[key]) for key in ("p50", "p95", "max", "waited_p95")),
            *(f"{row[key]:,}" for key in ("failed", "refused")),
        )
        for row in rows
    ]
    return _table(HEADINGS, cells)


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a row's first cell names it. Everything is escaped."""
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in headings)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in rest)
        + "</tr>"
        for first, *rest in rows
    )
    return (
        f'<div class="wide"><table>{f"<thead><tr>{head}</tr></thead>" if head else ""}'
        f"<tbody>{body}</tbody></table></div>"
    )


def seconds(value: float | None) -> str:
    """A time as people read it: "85 ms", "1.20 s", or nothing."""
    if value is None:
        return ""
    return f"{1000 * value:.0f} ms" if value < 0.9995 else f"{value:.2f} s"


def duration(value: float) -> str:
    """A long time: "2 d 3 h", "3 h 5 min", "4 min"."""
    minutes = int(value // 60)
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def _mb(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.1f} MB"
