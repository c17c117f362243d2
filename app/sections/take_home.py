"""Take it home: the card of a picture, thresholds, curve and commands, from every page.

They are shown in a dialog: nothing can be moved behind it, so what it offers is what the page
shows. Files are made when someone asks for one, outside any page: all they need, words included,
is fetched here before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import date
from functools import partial
from typing import Any, TypeVar

import streamlit as st

from app import services
from app import take_home_files as files
from app.dataset_pictures import dataset_of
from app.dial import Setting, ask_in_force, get_choices, resolve
from app.figures.card import Card, CardWords, thresholds_words
from app.figures.fonts import has_chinese
from app.figures.static_plot import Lines, PlotWords
from app.figures.theme import MacUnit, percent
from app.figures.tradeoff import sweep_csv, tradeoff_figure
from app.intake import last_picture
from app.labs import static_models
from app.language import later, say, say_later
from app.pictures import Picture, View, get_view
from dvt_core.bundle import Bundle
from dvt_core.data_sources import DATASETS
from dvt_core.errors import InputError
from dvt_core.macs import exit_macs
from dvt_core.threshold_file import SPLITS, threshold_document
from dvt_core.thresholds import OperatingPoint, replay

PNG, SVG, JSON, CSV, HTML = (
    "image/png",
    "image/svg+xml",
    "application/json",
    "text/csv",
    "text/html",
)
_TITLE = later("{model}: accuracy against cost per image")
_SOURCE = later(
    "{data}, test, n = {n}  ·  thresholds {thresholds}  ·  made with Dynamic ViT Explorer, {date}"
)
_SOURCE_AUTHORS = later("thresholds {thresholds}  ·  made with Dynamic ViT Explorer, {date}")

Words = TypeVar("Words", CardWords, PlotWords)


@dataclass(frozen=True, eq=False)
class _Shown:
    """What the page shows: the model, what stands at the dial, and what that gives on test."""

    bundle: Bundle
    asked: files.Asked
    setting: Setting
    here: OperatingPoint | None
    unit: MacUnit
    today: str

    @property
    def has_tables(self) -> bool:
        return services.has_tables(self.bundle)


@st.fragment
def take_home(bundle: Bundle, *, with_study: bool = False) -> None:
    """Draws the button, at the end of a page; everything else is made once it is pressed.

    Args:
        bundle: the model.
        with_study: whether the page shows what the cascade saves against static models.
    """
    words = say("An image card, the thresholds, the curve, and the commands that give the numbers.")
    if st.button(say("Take it home"), key="take_home", help=words):
        st.dialog(say("Take it home"), width="large")(_contents)(bundle, with_study)


def _contents(bundle: Bundle, with_study: bool) -> None:
    try:
        shown = _shown(bundle)
        _say_what(shown)
        picture = _picture(bundle)
        if picture is not None:
            _picture_files(shown, *picture)
        _model_files(shown)
        _commands(shown, picture[0] if picture else None, with_study)
    except InputError as error:
        st.error(say("This part cannot be shown: {error}.", error=error))


def _shown(bundle: Bundle) -> _Shown:
    choices = get_choices(bundle)
    ask, costs = ask_in_force(choices), exit_macs(bundle.config)
    setting = resolve(ask, choices)
    budget = choices.ranges.get("budget")
    is_solved = choices.front is not None and not choices.is_authors
    asked = files.Asked(
        ask,
        budget.full if budget else costs[-1],
        setting.thresholds,
        is_solved and ask.way in ("budget", "accuracy"),
    )
    here = setting.authors_point
    if services.has_tables(bundle):
        here = replay(services.get_table(bundle, "test"), setting.thresholds)
    return _Shown(bundle, asked, setting, here, MacUnit.of(costs), date.today().isoformat())


def _say_what(shown: _Shown) -> None:
    st.markdown(say("Model `{model}`. {origin}", model=_name(shown), origin=shown.setting.origin))
    if shown.has_tables and shown.here:
        st.markdown(
            say(
                "On {n} test images: {accuracy} at {macs} per image.",
                n=f"{services.get_table(shown.bundle, 'test').n:,}",
                accuracy=f"**{percent(shown.here.accuracy)}**",
                macs=f"**{shown.unit.format(shown.here.macs)}**",
            )
        )


def _name(shown: _Shown) -> str:
    return shown.bundle.name.replace("`", "")


def _picture(bundle: Bundle) -> tuple[Picture, View] | None:
    """The picture last looked at, opened; None, and a sentence, if that cannot be done."""
    try:
        picture = last_picture(bundle)
        return picture, get_view(bundle, picture)
    except InputError as error:
        st.warning(f"{error}.")
        return None


def _picture_files(shown: _Shown, picture: Picture, view: View) -> None:
    bundle, thresholds = shown.bundle, shown.setting.thresholds
    prediction = services.predict(
        bundle, picture.digest, thresholds, all_exits=False, _tensor=view.tensor
    )
    card = Card(
        view.seen,
        prediction,
        bundle.config,
        bundle.class_names,
        bundle.name,
        picture.name,
        shown.today,
        _in_file(CardWords()),
    )
    st.subheader(say("The picture"), anchor=False)
    with st.container(horizontal=True):
        for kind, mime in (("png", PNG), ("svg", SVG)):
            _file(
                say("image card ({kind})", kind=kind.upper()),
                files.file_name(bundle, f"card.{kind}"),
                mime,
                partial(files.card_file, card, kind),
            )
        name = files.picture_name(picture.name, picture.data)
        _file(say("the picture itself"), name, None, lambda: picture.data)
    st.caption(
        say(
            "{name}, as the model sees it under the grid of each stage that ran. {source}",
            name=picture.name,
            source=picture.source,
        )
    )


def _in_file(words: Words) -> Words:
    """Sentence templates in the visitor's language, where this machine can draw it."""
    if not has_chinese():
        return words
    return replace(words, **{f.name: say_later(getattr(words, f.name)) for f in fields(words)})


def _file(label: str, name: str, mime: str | None, make: Callable[[], bytes | str]) -> None:
    """A button that makes a file when it is pressed."""
    st.download_button(label, make, name, mime, key=f"home_{name}", on_click="ignore")


def _model_files(shown: _Shown) -> None:
    bundle = shown.bundle
    st.subheader(say("Thresholds and curve"), anchor=False)
    with st.container(horizontal=True):
        _file(
            "thresholds.json", "thresholds.json", JSON, partial(files.json_file, _document(shown))
        )
        if shown.has_tables:
            points = services.get_curve(bundle).shared[:-1]
            name = files.file_name(bundle, "sweep.csv")
            _file("sweep.csv", name, CSV, partial(sweep_csv, points))
        lines = _lines(shown)
        if lines.exits or lines.authors:
            _curve_files(shown, lines)
    st.caption(
        say(
            "`thresholds.json`: what `--thresholds` of the commands below takes, with accuracy and "
            "mean MACs on test. `sweep.csv`: threshold, accuracy, mean MACs and exit shares for "
            "101 shared thresholds. The HTML page works offline: its library, about 5 MB, is in it."
        )
    )


def _curve_files(shown: _Shown, lines: Lines) -> None:
    plot = partial(files.plot_file, lines, shown.unit, _plot_words(shown))
    for kind, mime in (("svg", SVG), ("png", PNG)):
        name = files.file_name(shown.bundle, f"curve.{kind}")
        _file(say("curve ({kind})", kind=kind.upper()), name, mime, partial(plot, kind))
    figure = tradeoff_figure(
        lines.shared,
        lines.solved,
        lines.exits,
        lines.here,
        shown.unit,
        authors=lines.authors,
        baselines=lines.baselines,
    )
    figure.update_layout(height=640, margin={"t": 50}, template="plotly_white")
    name = files.file_name(shown.bundle, "curve.html")
    _file(say("curve ({kind})", kind="HTML"), name, HTML, partial(files.html_file, figure))


def _document(shown: _Shown) -> dict[str, Any]:
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


def _lines(shown: _Shown) -> Lines:
    bundle = shown.bundle
    if shown.has_tables:
        curve = services.get_curve(bundle)
        baselines = static_models(bundle)[0]
        return Lines(curve.shared, curve.solved, curve.exits, shown.here, baselines=baselines)
    points = bundle.authors.points if bundle.authors else ()
    exits = services.get_authors_exits(bundle)
    return Lines(exits=exits, here=shown.here, authors=points)


def _plot_words(shown: _Shown) -> PlotWords:
    bundle, words = shown.bundle, _in_file(CardWords())
    told = {
        "thresholds": thresholds_words(shown.setting.thresholds, words),
        "date": shown.today,
    }
    source = _SOURCE_AUTHORS
    if shown.has_tables:
        source, table = _SOURCE, services.get_table(bundle, "test")
        told |= {"n": f"{table.n:,}", "data": table.info.data}
    plot = _in_file(PlotWords(title=_TITLE, source=source))
    return replace(
        plot,
        title=plot.title.format(model=bundle.name),
        source=plot.source.format(**told),
    )


def _commands(shown: _Shown, picture: Picture | None, with_study: bool) -> None:
    bundle = shown.bundle
    data = dataset_of(bundle) if shown.has_tables else ""
    told = (
        {"picture": files.picture_name(picture.name, picture.data), "crop": picture.crop}
        if (picture)
        else {}
    )
    lines = files.commands(
        bundle,
        shown.asked,
        data=data if data in DATASETS else "",
        has_tables=shown.has_tables,
        has_baselines=with_study and bool(static_models(bundle)[0]),
        **told,
    )
    st.subheader(say("The same numbers from the command line"), anchor=False)
    for command in lines:
        st.caption(say_later(command.gives))
        st.code(command.line, language="sh", wrap_lines=True)
    st.caption(
        say(
            "`dvt` is short for `python -m dvt_core`. Download the picture first, or name your own "
            "copy of it."
        )
    )
