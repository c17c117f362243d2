"""Hostile words on the command line: exit code 2 and one line, whatever they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dvt_core.cli import main
from dvt_core.errors import InputError
from dvt_core.images import open_image
from tests.hostile.corpus import foreign, good

LONG, NUL, ESCAPE = "A" * 100_000, "a\0b", "\x1b[31mred\x1b[0m\u202e"
SCRIPT = "<script>alert(1)</script>"
NO_NUMBERS = (
    "nan",
    "inf",
    "-inf",
    "1e999",
    "0x1p3",
    "",
    "one",
    SCRIPT,
    ESCAPE,
    LONG,
    NUL,
    "9" * 5000,
)
NO_MODELS = (
    "",
    ".",
    "..",
    "/",
    "../../etc",
    "/dev/null",
    "/proc/self",
    LONG,
    NUL,
    ESCAPE,
    SCRIPT,
    "~root",
    "-",
)
MODEL = ["--model", "tiny-imagenet"]


def calls(picture: Path) -> list[list[str]]:
    """Each a call that must be refused."""
    found: list[list[str]] = [
        [],
        ["nonsense"],
        [LONG],
        [ESCAPE],
        ["--nonsense"],
        ["data"],
        ["data", "x"],
    ]
    for text in NO_NUMBERS:
        found += [
            ["thresholds", *MODEL, f"--budget={text}"],
            ["thresholds", *MODEL, f"--accuracy={text}"],
            ["sweep", *MODEL, f"--thresholds={text},0.5"],
            ["classify", f"--crop={text},0.5,1", str(picture)],
            ["evaluate", *MODEL, "--data", "cifar10", f"--limit={text}"],
        ]
        if text != "0x1p3":
            found.append(["sweep", *MODEL, f"--threshold={text}"])
    for text in NO_MODELS:
        found += [
            ["macs", f"--model={text}"],
            ["sweep", f"--model={text}"],
            ["card", f"--model={text}"],
        ]
        found += [["evaluate", *MODEL, f"--data={text}"], ["data", "fetch", f"./{text}"]]
        found += [["train", f"./{text}"], ["sweep", *MODEL, f"--table=./{text}"]]
        found += [["convert", f"./{text}", "--model=dvt_deit_small", "--out=./none"]]
        found += [["classify", f"./{text}"], ["sweep", *MODEL, f"--thresholds=./{text}.json"]]
    found += [["sweep", *MODEL, f"--thresholds={','.join(['0.5'] * n)}"] for n in (1, 3, 4, 5000)]
    found += [["classify", "--threshold=0.5", "--budget=1", str(picture)]]
    found += [["classify", "--crop=0.5,0.5,1e9", str(picture)], ["evaluate", *MODEL, "--limit=0"]]
    return found


def test_every_hostile_call_ends_with_code_2_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "good.png"
    picture.write_bytes(good("PNG")[0])
    monkeypatch.chdir(tmp_path)
    wrong = {}
    for call in (listed := calls(picture)):
        try:
            code: object = main(call)
        except BaseException as error:
            code = repr(error)
        out, err = capsys.readouterr()
        line = err.removesuffix("\n")
        is_line = line.startswith("dvt: ") and line.isprintable() and len(line) < 410
        if code != 2 or out or not is_line or "Traceback" in err:
            wrong[" ".join(call)[:90]] = (code, out[:100], err[:300])
    assert wrong == {} and len(listed) >= 200
    assert [path.name for path in tmp_path.iterdir()] == ["good.png"]


@pytest.mark.parametrize("name", ["-rf", "a\nb.png", "ümlaut 猫.png", "x" * 250, "a'b\"c$(id).png"])
def test_odd_file_names_are_only_names(tmp_path: Path, name: str) -> None:
    data, pixels = good("PNG")
    (tmp_path / name).write_bytes(data)
    assert open_image(tmp_path / name).tobytes() == pixels.tobytes()
    (tmp_path / name).write_bytes(foreign()["EPS"])
    with pytest.raises(InputError, match=re.escape("is a PostScript document")):
        open_image(tmp_path / name)
