"""What a person takes home: files, and the commands that give the same numbers.

Everything here is made from what a page already holds, and knows nothing of pages: a file is made
when someone asks for it, on a thread of its own.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from app.figures.canvas import save
from app.figures.card import Card, draw_card
from app.figures.static_plot import Lines, PlotWords, static_tradeoff
from app.figures.theme import MacUnit
from app.language import later
from app.replay.ask import Ask
from dvt_core.bundle import Bundle, bundled_dir
from dvt_core.crop import CENTRE, Crop
from dvt_core.errors import InputError
from dvt_core.picture_kinds import EXTENSIONS, sniff

PICTURE = later("This picture: its exit, its answer and what every exit was sure of.")
SOLVED = later("The thresholds in force, solved again, and what they give on test.")
REPLAYED = later("Accuracy, mean cost and exit shares on test, from the stored table.")
MEASURED = later("The same, measured again: runs the model over the test images.")
SWEPT = later("All numbers of sweep.csv.")
STUDIED = later("The cascade against static models, without reuse, with other criteria.")
_EXTENSION = {"JPEG": ".jpg", "TIFF": ".tif"}


@dataclass(frozen=True)
class Command:
    """A line to type, and an English sentence that says what it gives."""

    line: str
    gives: str


@dataclass(frozen=True, eq=False)
class Asked:
    """What was asked of the exits, and the thresholds that came of it.

    Attributes:
        ask: as it stands at the dial.
        full_macs: what a budget of 100 % is.
        thresholds: in force, `num_exits - 1` numbers.
        is_solved: whether they were solved on this model's calibration table.
    """

    ask: Ask
    full_macs: float
    thresholds: tuple[float, ...]
    is_solved: bool

    @property
    def budget(self) -> float:
        """Mean MACs per image."""
        return self.ask.budget / 100 * self.full_macs

    def to_dict(self) -> dict[str, Any]:
        """`asked` of thresholds.json; see `dvt_core.threshold_file`."""
        values = {
            "threshold": self.ask.threshold,
            "budget": self.budget,
            "accuracy": self.ask.accuracy / 100,
            "each": list(self.ask.each),
        }
        return {"by": self.ask.way, "value": values[self.ask.way]}


def card_file(card: Card, kind: str) -> bytes:
    """The image card as "png" or "svg"."""
    return draw_card(card).save(kind)


def plot_file(lines: Lines, unit: MacUnit, words: PlotWords, kind: str) -> bytes:
    """The trade-off as a still picture, "png" or "svg"."""
    return save(static_tradeoff(lines, unit, words), kind)


def html_file(figure: go.Figure) -> bytes:
    """A figure as one page that works offline: plotly itself, about 4.7 MB, is inside."""
    config = {"displaylogo": False, "showSendToCloud": False, "responsive": True}
    return figure.to_html(include_plotlyjs=True, full_html=True, config=config).encode()


def json_file(document: Mapping[str, Any]) -> bytes:
    """A JSON document, for people to read too."""
    return (json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n").encode()


def picture_name(name: str, data: bytes) -> str:
    """A file name for a picture that needs no quotes in a command.

    Args:
        name: what the picture is called, for people.
        data: the encoded picture; its first bytes decide the extension.
    """
    stem = name
    if name.lower().endswith(EXTENSIONS):
        stem = name.rpartition(".")[0]
    try:
        kind = sniff(data, name)[0]
    except InputError:
        kind = "png"
    plain = re.sub(r"[^\w.-]+", "_", stem).strip("_.-") or "picture"
    return plain + _EXTENSION.get(kind, f".{kind.lower()}")


def commands(
    bundle: Bundle,
    asked: Asked,
    *,
    picture: str = "",
    crop: Crop = CENTRE,
    data: str = "",
    has_tables: bool,
    has_baselines: bool = False,
) -> list[Command]:
    """The lines that give the numbers on the page.

    Args:
        bundle: the model.
        asked: what stands at the dial.
        picture: file name of the picture; "" for none.
        crop: the part of it that is looked at.
        data: the name of the test data set; "" if it has none that the command line knows.
        has_tables: whether the folder holds both exit tables.
        has_baselines: whether static models lie beside the model.
    """
    model = bundle.name if bundle.path == bundled_dir() / bundle.name else str(bundle.path)
    rule, found = _rule(asked), []
    if picture:
        square = () if crop == CENTRE else ("--crop", _numbers((crop.x, crop.y, crop.zoom)))
        found.append(_command(PICTURE, "classify", picture, "--model", model, *rule, *square))
    if has_tables:
        if asked.is_solved:
            found.append(_command(SOLVED, "thresholds", "--model", model, *_goal(asked)))
        else:
            found.append(_command(REPLAYED, "sweep", "--model", model, *rule))
        if data:
            words = ("evaluate", "--model", model, "--data", data, *rule)
            found.append(_command(MEASURED, *words))
        found.append(_command(SWEPT, "sweep", "--model", model, "--json"))
    if has_baselines:
        found.append(_command(STUDIED, "study", "--model", model))
    return found


def _command(gives: str, *words: str) -> Command:
    return Command(shlex.join(("dvt", *words)), gives)


def _rule(asked: Asked) -> tuple[str, ...]:
    """The options that set the thresholds in force, to the last bit; none for a single exit."""
    if not asked.thresholds:
        return ()
    if asked.ask.way == "threshold":
        return ("--threshold", repr(asked.thresholds[0]))
    return ("--thresholds", _numbers(asked.thresholds))


def _goal(asked: Asked) -> tuple[str, ...]:
    """The options that solve for the same again."""
    if asked.ask.way == "budget":
        return ("--budget", _gmacs(asked.budget))
    return ("--accuracy", repr(asked.ask.accuracy / 100))


def _gmacs(macs: float) -> str:
    """GMACs in the fewest digits that the command line reads as just these MACs."""
    texts = (f"{macs / 1e9:.{digits}g}" for digits in range(1, 18))
    return next((text for text in texts if float(text) * 1e9 == macs), f"{macs / 1e9:.12g}")


def _numbers(values: Sequence[float]) -> str:
    return ",".join(map(repr, values))


def file_name(bundle: Bundle, what: str) -> str:
    """A name for a file about a model: "cifar10_card.png"."""
    plain = re.sub(r"[^\w.-]+", "_", Path(bundle.name).name).strip("_.-")
    return f"{plain or 'model'}_{what}"
