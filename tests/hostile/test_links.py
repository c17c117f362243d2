"""Hostile links and browsers: every page comes up with sensible values, and says nothing raw."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from app.intake.paste import read_payload
from app.replay.ask import WAYS, Ask, Range, ask_from, ask_from_query
from app.sections.easy_hard import picked_row
from app.sections.microscope_data import choice_from, choice_from_query
from dvt_core.errors import InputError
from dvt_core.images import open_image
from dvt_core.solver import NEVER
from tests.conftest import TINY
from tests.hostile.conftest import EXAMPLES
from tests.hostile.corpus import READ, good
from tests.hostile.test_files import is_plain
from tests.ui.driver import MAIN, sent, tell
from tests.ui.tiny_model import png

FEW = settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=EXAMPLES <= 40)
PAGES = ("look", "tradeoff", "easy_hard", "inside", "batch", "lesson", "models")
PARAMETERS = (
    *WAYS, "ask", "model", "language", "presenter", "from", "second_from", "sample",
    "second_sample", "image", "second_image", "look_compare", "step", "microscope", "inside", "lab",
    "section", "scenario", "fixed_model", "overload", "experiment", "why_method", "why_target",
    "batch_from", "nonsense",
)  # fmt: skip
SCRIPT = "<script>alert(1)</script>"
VALUES = (
    "", " ", "-1", "0", "1", "99999999", "9" * 5000, "nan", "inf", "-inf", "1e999", "0x10", "٣",
    "½",
       "true", "null", "[]", "{}", "0.9,0.8", "0.9,0.8,0.7,0.6", "0.9,", ",", "nan,nan",
    "1.1.1.c.map",
    "9.9.9.9-9.map", "-1.1.1.1-1.all", SCRIPT, "javascript:alert(1)",
    "'\"><img src=x onerror=alert(1)>",
    "![x](http://evil.example/x.png)", "[x](javascript:alert(1))", "$\\frac{1}{0}$", ":material/x:",
    "{0.__class__}", "{value}", "%s%n", "../../../../etc/passwd", "/etc/passwd", "C:\\", "a\0b",
    "\x1b[31m", "\u202egnp", "🐈", "\ud7ff", "data set", "upload", "files", "folder", "A" * 100_000,
    "zh", "accuracy", "budget", "each",
)  # fmt: skip


def open_page(page: str, query: dict[str, Any]) -> AppTest:
    """A page, opened by a link as it stands, with no other page before it."""
    at = AppTest.from_file(MAIN, default_timeout=120)
    for name, value in query.items():
        at.query_params[name] = value
    return at.switch_page(f"views/{page}.py").run()


def complaints(at: AppTest) -> list[str]:
    """What a page must not show; its own words say nothing of scripts."""
    raw = [html.value for html in at.html if SCRIPT in html.value or "onerror" in html.value]
    allowed = [text.value for text in at.markdown if text.allow_html and SCRIPT in text.value]
    return [*(repr(e.value) for e in at.exception), *(e.value for e in at.error), *raw, *allowed]


def tracebacks(caplog: pytest.LogCaptureFixture) -> list[str]:
    words = [(record, record.getMessage()) for record in caplog.records]
    return [said for record, said in words if record.exc_info or "Traceback" in said]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_whatever_the_link_says(
    page: str, models_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each value once, in all parameters at the same time: of all pages, on one page each."""
    caplog.set_level(logging.WARNING)
    mine = VALUES[PAGES.index(page) :: len(PAGES)]
    for value in mine:
        at = open_page(page, dict.fromkeys(PARAMETERS, value))
        assert complaints(at) == [], (page, value[:60])
        assert at.title or at.header or at.subheader or at.markdown, (page, value[:60])
    at = open_page(page, {name: [*mine, "x"] for name in PARAMETERS})
    assert complaints(at) == []
    assert tracebacks(caplog) == []


def test_what_the_link_keeps_is_sensible(models_dir: Path) -> None:
    at = open_page("look", {"threshold": "7", "each": "0.1,0.2,0.3", "ask": SCRIPT, "sample": "no"})
    assert complaints(at) == []
    kept = {name: at.query_params[name] for name in at.query_params}
    assert not {"threshold", "each", "ask", "sample"} & kept.keys()
    at = open_page("look", {"ask": "each", "each": "0.9,0.8"})
    assert at.session_state["dial_ask"]["each"] == [0.9, 0.8]
    assert at.query_params["each"] in ("0.9,0.8", ["0.9,0.8"])


RANGES = {"threshold": Range(0, 1), "budget": Range(20, 100), "accuracy": Range(50, 80)}
RANGES["each"] = Range(0, 1)
DEFAULT = Ask("threshold", 0.6, 50, 70.0, (0.6, 0.6))
ODD = (
    None, True, 0, -1, 2**70, 10**400, math.nan, math.inf, -math.inf, 1e308, "", "nan",
    SCRIPT,
    [], {}, [[]], {"a": 1}, ["threshold"], [0.5] * 100_000, {"way": []}, "x" * 100_000,
    [None, None], [math.nan, 0.5], [10**400, 0], {"stage": {}}, b"x",
)  # fmt: skip


def is_sensible(ask: Ask) -> bool:
    """Within the ranges, computed here once more."""
    within = all(RANGES[n].low <= getattr(ask, n) <= RANGES[n].high for n in WAYS[:3])
    each = len(ask.each) == 2 and all(0 <= value <= NEVER for value in ask.each)
    return within and each and ask.way in RANGES


def test_a_hostile_browser_gets_the_default_everywhere() -> None:
    for value in ODD:
        assert is_sensible(ask_from(value, DEFAULT, RANGES))
        for name in (*WAYS, "way", "push"):
            assert is_sensible(ask_from({name: value}, DEFAULT, RANGES)), (name, repr(value)[:60])
        assert choice_from(value, TINY) is None
        good_choice = {"stage": 1, "layer": 0, "head": 1, "query": 2, "scope": "map"}
        assert choice_from(good_choice, TINY) is not None
        for name in good_choice:
            choice = choice_from({**good_choice, name: value}, TINY)
            assert choice is None or (type(value) is int and vars(choice)[name] == value)
        assert picked_row(value, 10) in (None, 0)
        for payload in (value, {"data": value}):
            try:
                open_image(read_payload(payload).data)
            except InputError as error:
                assert is_plain(str(error)), error


@pytest.mark.parametrize(
    ("page", "component", "field"),
    [
        ("look", "dial", "ask"),
        ("look", "dial", None),
        ("inside", "microscope", "choice"),
        ("easy_hard", "lanes", "picked"),
        ("lesson", "lesson_bar", "go"),
        ("look", "samples", "pick"),
    ],
)
def test_a_page_survives_what_a_hostile_browser_sends(
    page: str, component: str, field: str | None, models_dir: Path
) -> None:
    at = open_page(page, {"inside": "microscope"} if page == "inside" else {})
    assert not at.exception
    push = at.session_state["dial_pushed"][0] if component == "dial" else 1
    for value in ([[]], {"way": [], "push": push, "threshold": 10**400}, SCRIPT, -(2**70)):
        sent = {"unknown": value} if field is None else {field: value}
        at.session_state[component] = sent
        at.run()
        assert complaints(at) == [], value


@pytest.mark.parametrize(
    ("page", "component", "event"),
    [("look", "samples", "pick"), ("look", "tray", "pick"), ("lesson", "lesson_bar", "go")],
)
def test_a_page_survives_what_a_hostile_browser_triggers(
    page: str, component: str, event: str, models_dir: Path
) -> None:
    at = open_page(page, {"from": "upload"} if component == "tray" else {})
    if component == "tray":
        files = [(f"{side}.png", png(size=(side, side)), "image/png") for side in (20, 30)]
        at.file_uploader(key="look_upload").set_value(files).run()
    before = sent(at, component)
    for value in (
        None,
        True,
        -1,
        2**70,
        "",
        "nonsense",
        SCRIPT,
        [],
        [[]],
        {},
        {"id": 1},
        "x" * 10**6,
    ):
        for told in ([{"event": event, "value": value}], [{"event": value}], value, [value] * 3):
            tell(at, component, told)
            assert complaints(at) == [], str(told)[:60]
    if event == "pick":  # numbers are steps of the lesson, if odd ones
        assert sent(at, component) == before


texts = (
    st.text(max_size=30) | st.sampled_from(VALUES) | st.floats().map(str) | st.integers().map(str)
)


@FEW
@given(st.dictionaries(st.sampled_from(("ask", *WAYS)), texts))
def test_any_link_gives_an_ask_that_its_own_link_brings_back(query: dict[str, str]) -> None:
    ask = ask_from_query(query, DEFAULT, RANGES)
    assert is_sensible(ask)
    again = ask_from_query(ask.to_query(), DEFAULT, RANGES)
    assert again.way == ask.way
    asked, back = getattr(ask, ask.way), getattr(again, ask.way)
    assert back == pytest.approx(asked, rel=1e-3) and again.to_query() == ask.to_query()


@FEW
@given(texts)
def test_any_microscope_link_is_a_cell_or_nothing(text: str) -> None:
    choice = choice_from_query(text, TINY)
    if choice is not None:
        assert choice_from_query(choice.to_query(TINY), TINY) == choice


NAMES = st.sampled_from(("way", *WAYS))


@FEW
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9),
                    lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner)))  # fmt: skip
def test_any_json_is_an_ask(value: Any) -> None:
    text = json.loads(json.dumps(value))  # NaN travels as JavaScript's own word
    assert is_sensible(ask_from(text, DEFAULT, RANGES))


FILES = {kind: good(kind)[0] for kind in READ}


def opened(data: bytes) -> None:
    """Opens a file: a picture within the limits, or one plain sentence."""
    try:
        image = open_image(data)
    except InputError as error:
        assert is_plain(str(error)), error
    else:
        assert image.mode == "RGB" and min(image.size) >= 1
        assert max(image.size) <= 1024 or min(image.size) <= 512


@FEW
@given(
    st.sampled_from(READ), st.lists(st.tuples(st.integers(0), st.binary(max_size=8)), max_size=8)
)
def test_any_patched_file_is_a_picture_or_a_sentence(
    kind: str, patches: list[tuple[int, bytes]]
) -> None:
    data = bytearray(FILES[kind])
    for place, patch in patches:
        at = place % len(data)
        data[at : at + len(patch)] = patch
    opened(bytes(data))


@FEW
@given(st.sampled_from(READ), st.integers(0, 64), st.binary(max_size=400))
def test_any_bytes_after_a_true_start_are_a_picture_or_a_sentence(
    kind: str, kept: int, rest: bytes
) -> None:
    opened(FILES[kind][:kept] + rest)


def test_files_through_the_pages(models_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    """On Look the last good picture stays, on Batch the good one among bad ones is found."""
    from tests.hostile.corpus import foreign

    caplog.set_level(logging.WARNING)
    picture, _ = good("PNG")
    bad = dict(list(foreign().items())[::2]) | {"empty": b"", "cut": picture[:90]}
    names = ["../../etc/passwd", SCRIPT, "a\nb", "\u202egnp.exe", "x" * 1000, "[x](javascript:1)"]
    files = [
        (f"{names[i % len(names)]}{i}.png", data, "image/png")
        for i, data in enumerate(bad.values())
    ]
    at = open_page("look", {"from": "upload"})
    at.file_uploader(key="look_upload").set_value([("good.png", picture, "image/png")]).run()
    assert "good.png, 61x47" in " ".join(c.value for c in at.caption) and not at.warning
    for start in range(0, len(files), 5):
        at.file_uploader(key="look_upload").set_value(files[start : start + 5]).run()
        assert complaints(at) == [] and len(at.warning) == 1
        lines = at.warning[0].value.split("\n\n")
        assert len(lines) == len(files[start : start + 5]) + 1 and len(at.warning[0].value) < 2000
        assert all(line.isprintable() and "<" not in line and "](" not in line for line in lines)
        assert "good.png, 61x47" in " ".join(c.value for c in at.caption)
    at = open_page("batch", {"batch_from": "files"})
    at.file_uploader(key="batch_files").set_value([("good.png", picture, ""), *files]).run()
    assert complaints(at) == [] and not at.warning
    assert tracebacks(caplog) == []
