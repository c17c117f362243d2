"""What "Take it home" gives away, as it stands now: fetched from the page, caches and session."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Any, TypeVar

from app import services
from app.figures.card import CardWords, thresholds_words
from app.figures.fonts import has_chinese
from app.figures.handout import HandoutWords
from app.figures.static_plot import Lines, PlotWords
from app.figures.theme import MacUnit
from app.language import later, say_later
from app.replay.dial import Setting, ask_in_force, get_choices, resolve
from app.replay.labs import static_models
from app.take_home.files import Asked
from dvt_core.bundle import Bundle
from dvt_core.macs import exit_macs
from dvt_core.threshold_file import SPLITS, threshold_document
from dvt_core.thresholds import OperatingPoint, replay

_TITLE = later("{model}: accuracy against cost per image")
_SOURCE = later(
    "{data}, test, n = {n}  ·  thresholds {thresholds}  ·  made with Dynamic ViT Explorer, {date}"
)
_SOURCE_AUTHORS = later("thresholds {thresholds}  ·  made with Dynamic ViT Explorer, {date}")

Words = TypeVar("Words", CardWords, PlotWords, HandoutWords)


@dataclass(frozen=True, eq=False)
class Shown:
    """What the page shows: the model, what stands at the dial, and what that gives on test."""

    bundle: Bundle
    asked: Asked
    setting: Setting
    here: OperatingPoint | None
    unit: MacUnit
    today: str

    @property
    def has_tables(self) -> bool:
        """Whether anything can be replayed."""
        return services.has_tables(self.bundle)


def look_around(bundle: Bundle) -> Shown:
    """What stands at the dial, drawn on this page or not, and what it gives on test."""
    choices = get_choices(bundle)
    ask, costs = ask_in_force(choices), exit_macs(bundle.config)
    setting = resolve(ask, choices)
    budget = choices.ranges.get("budget")
    is_solved = choices.front is not None and not choices.is_authors
    asked = Asked(
        ask,
        budget.full if budget else costs[-1],
        setting.thresholds,
        is_solved and ask.way in ("budget", "accuracy"),
    )
    here = setting.authors_point
    if services.has_tables(bundle):
        here = replay(services.get_table(bundle, "test"), setting.thresholds)
    return Shown(bundle, asked, setting, here, MacUnit.of(costs), date.today().isoformat())


def document(shown: Shown) -> dict[str, Any]:
    """What thresholds.json holds."""
    bundle, setting = shown.bundle, shown.setting
    held = [split for split in SPLITS if bundle.has_table(split)]
    return threshold_document(
        bundle,
        setting.thresholds,
        asked=shown.asked.to_dict(),
        origin=setting.origin,
        tables={split: services.get_table(bundle, split) for split in held},
        authors_point=setting.authors_point,
        date=shown.today,
    )


def curve_lines(shown: Shown) -> Lines:
    """The trade-off of the model: measured, else as its authors stored it."""
    bundle = shown.bundle
    if shown.has_tables:
        curve = services.get_curve(bundle)
        baselines = static_models(bundle)[0]
        return Lines(curve.shared, curve.solved, curve.exits, shown.here, baselines=baselines)
    points = bundle.authors.points if bundle.authors else ()
    exits = services.get_authors_exits(bundle)
    return Lines(exits=exits, here=shown.here, authors=points)


def plot_words(shown: Shown) -> PlotWords:
    """The words of the still picture, in the language that it can be written in."""
    bundle, words = shown.bundle, in_file(CardWords())
    told = {
        "thresholds": thresholds_words(shown.setting.thresholds, words),
        "date": shown.today,
    }
    source = _SOURCE_AUTHORS
    if shown.has_tables:
        source, table = _SOURCE, services.get_table(bundle, "test")
        told |= {"n": f"{table.n:,}", "data": table.info.data}
    plot = in_file(PlotWords(title=_TITLE, source=source))
    return replace(
        plot,
        title=plot.title.format(model=bundle.name),
        source=plot.source.format(**told),
    )


def in_file(words: Words) -> Words:
    """Sentence templates in the visitor's language, where this machine can draw it."""
    if not has_chinese():
        return words
    return replace(words, **{f.name: say_later(getattr(words, f.name)) for f in fields(words)})
