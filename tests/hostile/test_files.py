"""Hostile files at the gate: the right picture or one plain sentence, and nothing else happens."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dvt_core.images import KINDS
from tests.hostile.corpus import Case, as_large_as_allowed, corpus

ROOT = Path(__file__).parents[2]
MAX_BYTES, MAX_SECONDS, MAX_SENTENCE = 1_500_000_000, 20, 300
PATIENCE_S = 900
NEVER_SAID = re.compile(
    r"Traceback|site-packages|\.venv|\bFile \"|0x[0-9a-f]{6}|<_io|/tmp|" + re.escape(str(ROOT))
)


def is_plain(sentence: str) -> bool:
    """One printable line that tells nothing of the machine."""
    return (
        0 < len(sentence) < MAX_SENTENCE
        and sentence.isprintable()
        and not sentence.endswith(".")
        and not NEVER_SAID.search(sentence)
    )


def run_gate(
    folder: Path, files: Sequence[tuple[str, bytes, str]], together: Sequence[str] = ()
) -> dict[str, Any]:
    """What a process of its own made of the files (name, content, kind); see `gate.py`.

    It has its own home, temporary and working folder, and must leave all three as they were.
    """
    places = {name: folder / name for name in ("files", "home", "tmp", "work")}
    for place in places.values():
        place.mkdir()
    for name, data, _ in files:
        (places["files"] / name).write_bytes(data)
    listed = [(name, kind) for name, _, kind in files]
    (places["files"] / "list.pickle").write_bytes(pickle.dumps((listed, list(together))))
    own = {"HOME": "home", "TMPDIR": "tmp", "XDG_CACHE_HOME": "home"}
    paths = {name: str(places[place]) for name, place in own.items()}
    before = tree(folder)
    done = subprocess.run(
        [sys.executable, "-B", "-m", "tests.hostile.gate", str(places["files"])],
        env={**os.environ, **paths, "PYTHONPATH": str(ROOT)},
        cwd=places["work"],
        capture_output=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr[-2000:].decode()
    assert tree(folder) == before
    return pickle.loads(done.stdout)


def tree(folder: Path) -> list[tuple[str, int, int]]:
    """Every file with its size and time, every folder by its name.

    Python itself, when it is started, tries in which folder for temporary files it may write.
    """
    found = [(path, path.stat()) for path in sorted(folder.rglob("*"))]
    return [
        (str(path), *((0, 0) if path.is_dir() else (stat.st_size, stat.st_mtime_ns)))
        for path, stat in found
    ]


@cache
def cases() -> list[Case]:
    return corpus()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    files = [
        (f"{i:04}{case.suffix}", case.data, "path" if case.suffix else "picture")
        for i, case in enumerate(cases())
    ]
    heaviest = {case.name for case in as_large_as_allowed()}
    heavy = [name for (name, *_), case in zip(files, cases(), strict=True) if case.name in heaviest]
    return run_gate(tmp_path_factory.mktemp("gate"), files, heavy)


def wrong(case: Case, kind: str, value: Any) -> str:
    """Why an answer is not the one that must come; "" if it is."""
    if kind == "sentence":
        said = re.sub(r"^/\S*/(?=\d{4}\.\w+ )", "", value)  # a path that the caller gave
        if not is_plain(said):
            return f"not plain: {value!r}"
        if case.pixels is not None and not case.words:
            return f"refused: {value}"
        return "" if re.search(case.words, value) else f"other words: {value}"
    if kind == "crash":
        return value
    if case.pixels is None:
        return f"a picture {value.shape}" if case.words else ""
    if value.shape != case.pixels.shape:
        return f"shape {value.shape}, expected {case.pixels.shape}"
    off = np.abs(value.astype(float) - case.pixels).mean()
    return "" if off <= case.mean else f"other pixels, {off:.2f} off on average"


def test_the_corpus_is_large_and_every_case_has_its_name() -> None:
    assert len(cases()) >= 400 and len({case.name for case in cases()}) == len(cases())


def test_every_file_is_the_right_picture_or_one_plain_sentence(report: dict[str, Any]) -> None:
    found = {
        case.name: words
        for case, (kind, value, *_) in zip(cases(), report["answers"], strict=True)
        if (words := wrong(case, kind, value))
    }
    assert found == {}


def test_memory_and_time_are_bounded(report: dict[str, Any]) -> None:
    """Of each file alone, and of the four heaviest, twice each, at once."""
    spent = [
        (case.name, f"{seconds:.1f} s", f"+{grown / 1e6:.0f} MB")
        for case, (*_, seconds, grown) in zip(cases(), report["answers"], strict=True)
        if seconds > MAX_SECONDS or grown > 200e6
    ]
    print(f"{report['at_start'] / 1e6:.0f} MB at the start, at most {report['peak'] / 1e6:.0f}")
    assert report["peak"] < MAX_BYTES, spent
    assert all(seconds <= MAX_SECONDS for *_, seconds, _ in report["answers"]), spent
    assert [kind for kind, _ in report["crowd"]] == ["picture"] * 8


def test_nothing_is_written_started_or_connected_to(report: dict[str, Any]) -> None:
    assert report["seen"] == []


def test_only_the_listed_plugins_are_asked(report: dict[str, Any]) -> None:
    assert report["asked"] == {kind.upper() for kind in KINDS}
