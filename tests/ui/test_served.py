"""Models & paper, "many people" and the app's own speed: what is stored is shown, no more."""

import json
import re

import pytest

from app.benchmarks import stored as stored_files
from app.benchmarks.served import load_load, load_replicas, load_soak
from app.benchmarks.speed import load_bench
from app.figures.served import SETTLED, memory_alt, memory_figure
from tests.ui.driver import MODELS, captions, figure, open_app, rows

ABOUT = {"device": "A made-up processor", "date": "2026-11-25T10:00:00+00:00", "commit": "abc1234"}
ROW = {"n": 300, "p50": 0.05, "max": 1.2345, "errors": 0, "wrong": 0}
LOAD = ABOUT | {
    "users": 60,
    "model": "tiny",
    "seconds": 60.0,
    "think_s": [2.0, 6.0],
    "rows": [
        ROW | {"action": "pick a sample", "p95": 0.9994, "bar_p95": 1.0},
        ROW | {"action": "move the threshold", "p95": 0.3, "bar_p95": 0.3, "errors": 2},
        ROW | {"action": "change page", "p95": 0.4, "bar_p95": None, "wrong": 1},
    ],
    "memory_mb": {"warm": 800.0, "peak": 1234.5, "end": 900.0},
    "long_work": {"batches": 3, "attributions": 4, "note": "made up"},
    "bare_page": ROW | {"action": "open at once", "p95": 0.6, "bar_p95": 1.0},
}
SOAK = ABOUT | {
    "sessions": 100,
    "uploads": 2000,
    "errors": 0,
    "wrong": 0,
    "series": [[0, 800.0], [200, 880.0], [1000, 930.0], [2000, 920.0]],
    "growth_mb_after_200": 40.0,
    "threads": {"warm": 20, "end": 21},
    "files": {"warm": 30, "end": 30},
    "temporary": {"warm": 0, "end": 0},
}
REPLICAS = ABOUT | {
    "users": 20,
    "rows": LOAD["rows"][:1],
    "errors_after_kill": 1,
    "seconds_until_all_back": 2.25,
    "gzip": {},
}
SIDE = {"median_ms": 8.0, "p10_ms": 7.0, "p90_ms": 9.0}
BENCH = ABOUT | {
    "inference": {
        "model": "tiny",
        "threshold": 0.8,
        "batch_64": {"adaptive": SIDE, "all_exits": SIDE, "mac_ratio": 0.5, "time_ratio": 0.8},
        "batch_1": {"adaptive": SIDE, "all_exits": SIDE, "mac_ratio": 0.4, "time_ratio": 0.5},
    },
    "start": {"app": {"health_s": 18.6, "page_s": None}},
}
FILES = {"load": LOAD, "soak": SOAK, "replicas": REPLICAS, "bench": BENCH}
READ = {"load": load_load, "soak": load_soak, "replicas": load_replicas, "bench": load_bench}


@pytest.fixture
def stored(models_dir, tmp_path, monkeypatch):
    """Made-up measurements, used by the app during the test."""
    monkeypatch.setattr(stored_files, "FOLDER", tmp_path)
    for name, content in FILES.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    return tmp_path


def _many_people():
    return open_app(MODELS, section="many people")


def _text(at) -> str:
    return " ".join(element.value for element in at.markdown)


def test_it_shows_how_long_people_waited_and_which_promises_were_kept(stored):
    at = _many_people()
    assert [header.value for header in at.subheader] == [
        "How many people it serves",
        "Whether its memory grows",
        "Two servers, and one of them is killed",
    ]
    shown = [{k: v.replace("\xa0", " ") for k, v in row.items()} for row in rows(at)]
    assert [row["p95"] for row in shown] == ["999 ms", "300 ms", "400 ms"]
    assert [row["longest"] for row in shown] == ["1.23 s"] * 3
    assert [row["promised p95"] for row in shown] == [
        "below 1.00 s: kept",
        "below 300 ms: not kept",  # as long as the bar is not below it
        "",
    ]
    assert "**1 wrong answers, 2 errors** in 900 actions" in _text(at)
    assert "800 MB before they came, 1,234 MB at most, 900 MB" in _text(at)
    assert "waited 50 ms (p50) and 600 ms (p95)" in _text(at).replace("\xa0", " ")
    assert "3 batches and 4 heat maps" in _text(at) and "**+40 MB**" in _text(at)
    assert "after 2.2 s" in _text(at) and "1 answers failed" in _text(at)
    assert captions(at).count("A made-up processor, 2026-11-25, code `abc1234`") == 3
    assert "threads 20 / 21, open files 30 / 30, temporary files 0 / 0" in captions(at)
    (line,) = figure(at)["data"]
    assert [line["x"], line["y"]] == [list(column) for column in zip(*SOAK["series"], strict=True)]


def test_what_was_not_measured_is_not_shown(stored):
    for name in ("load", "replicas"):
        (stored / f"{name}.json").unlink()
    assert [header.value for header in _many_people().subheader] == ["Whether its memory grows"]
    (stored / "soak.json").unlink()
    at = _many_people()
    assert not at.subheader and "make load" in at.info[0].value


def _holes(value, path=()):
    """Every place in a file's object."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in inner:
        yield (*path, key)
        if isinstance(each, dict | list):
            yield from _holes(each, (*path, key))


FREE = {"commit", "note", "gzip", "long_work", "page_s", "bar_p95", "memory_mb"}  # or not looked at


@pytest.mark.parametrize("name", FILES)
def test_a_file_with_anything_wrong_in_it_is_one_sentence(stored, name):
    """Each value in turn is replaced by something that is none; the file is refused each time."""
    path, good = stored / f"{name}.json", json.dumps(FILES[name])
    assert READ[name]() is not None
    broken = ["", "null", "[]", "{}", "\0", "[" * 100_000, good[:-2]]
    for place in _holes(FILES[name]):
        content = json.loads(good)
        holder = content
        for key in place[:-1]:
            holder = holder[key]
        if FREE & set(place) or isinstance(holder[place[-1]], list):
            continue
        holder[place[-1]] = float("nan")
        broken.append(json.dumps(content))
    assert len(broken) > 10
    for text in broken:
        path.write_text(text)
        with pytest.raises(ValueError, match=rf"{name}\.json cannot be read .*make {name}$"):
            READ[name]()


def test_a_damaged_file_leaves_the_others(stored):
    (stored / "load.json").write_text("{")
    at = _many_people()
    assert len(at.error) == 1 and "load.json cannot be read" in at.error[0].value
    assert str(stored) not in at.error[0].value and len(at.subheader) == 2


def test_the_apps_own_speed_stands_under_the_papers_models(stored):
    at = open_app(MODELS, section="speed")
    assert at.subheader[-1].value == "A model of this app, measured by this project"
    table = [row for row in rows(at, len(at.table) - 1)]
    assert [row["Images per batch"] for row in table] == ["1", "64"]
    assert [(row["fewer MACs"], row["faster"]) for row in table] == [
        ("2.50x", "2.00x"),
        ("2.00x", "1.25x"),
    ]
    assert table[0]["per picture, ms"] == "8.0 (7.0 to 9.0)"
    assert "starts in 19 s." in captions(at) and "A made-up processor, 2026-11-25" in captions(at)
    (stored / "bench.json").write_text("{")
    at = open_app(MODELS, section="speed")
    assert len(at.error) == 1 and "bench.json cannot be read" in at.error[0].value


@pytest.mark.parametrize("last", [SETTLED, SETTLED + 1])
def test_the_figure_marks_where_growth_begins_to_count(stored, last):
    content = SOAK | {"series": [[0, 1.0], [last, 3.0]]}
    (stored / "soak.json").write_text(json.dumps(content))
    soak = load_soak()
    assert soak is not None
    drawn = memory_figure(soak).to_dict()
    assert len(drawn["layout"].get("shapes", ())) == (last > SETTLED)
    assert re.search(rf"1 MB after 0 uploads, 3 MB after {last}, at most 3 MB", memory_alt(soak))


def test_what_is_stored_can_be_read():
    for read in READ.values():
        measured = read()
        assert measured is None or re.fullmatch(r"\d{4}-\d\d-\d\d", measured.origin.date)
