"""Take it home: the card of a picture, thresholds, curve and commands, from every page.

They are shown in a dialog: nothing can be moved behind it, so what it offers is what the page
shows. Files are made when someone asks for one, outside any page: all they need, words included,
is fetched here before.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import streamlit as st

from app import cascade_runs, services
from app.components import part
from app.figures.card import Card, CardWords
from app.figures.static_plot import Lines
from app.figures.theme import percent
from app.figures.tradeoff import sweep_csv, tradeoff_figure
from app.intake.chooser import last_picture
from app.intake.dataset_pictures import dataset_of
from app.intake.pictures import Picture, View, get_view
from app.language import say, say_later
from app.model_choice import current_bundle
from app.replay.labs import static_models
from app.take_home import files
from app.take_home.facts import (
    Shown,
    curve_lines,
    document,
    in_file,
    look_around,
    plot_words,
)
from dvt_core.bundle import Bundle
from dvt_core.data_sources import DATASETS
from dvt_core.errors import InputError

PNG, SVG, JSON, CSV, HTML = (
    "image/png",
    "image/svg+xml",
    "application/json",
    "text/csv",
    "text/html",
)


@part
def take_home(*, with_study: bool = False) -> None:
    """Draws the button, at the end of a page; everything else is made once it is pressed.

    Args:
        with_study: whether the page shows what the cascade saves against static models.
    """
    words = say("An image card, the thresholds, the curve, and the commands that give the numbers.")
    if st.button(say("Take it home"), key="take_home", help=words):
        st.dialog(say("Take it home"), width="large")(_contents)(with_study)


def _contents(with_study: bool) -> None:
    bundle = current_bundle()
    try:
        shown = look_around(bundle)
        _say_what(shown)
        picture = _picture(bundle)
        if picture is not None:
            _picture_files(shown, *picture)
        _model_files(shown)
        _commands(shown, picture[0] if picture else None, with_study)
    except InputError as error:
        st.error(say("This part cannot be shown: {error}.", error=error))


def _say_what(shown: Shown) -> None:
    st.markdown(
        say("Model {model}. {origin}", model=f"**{_name(shown)}**", origin=shown.setting.origin)
    )
    if shown.has_tables and shown.here:
        st.markdown(
            say(
                "On {n} test images: {accuracy} at {macs} per image.",
                n=f"{services.get_table(shown.bundle, 'test').n:,}",
                accuracy=f"**{percent(shown.here.accuracy)}**",
                macs=f"**{shown.unit.format(shown.here.macs)}**",
            )
        )


def _name(shown: Shown) -> str:
    return re.sub(r"([\\`*_\[\]$:~<>])", r"\\\1", shown.bundle.name)


def _picture(bundle: Bundle) -> tuple[Picture, View] | None:
    """The picture last looked at, opened; None, and a sentence, if that cannot be done."""
    try:
        picture = last_picture(bundle)
        return picture, get_view(bundle, picture)
    except InputError as error:
        st.warning(f"{error}.")
        return None


def _picture_files(shown: Shown, picture: Picture, view: View) -> None:
    bundle, thresholds = shown.bundle, shown.setting.thresholds
    prediction = cascade_runs.predict(
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
        in_file(CardWords()),
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
    if picture.source:
        words = say("The picture: {name}. Source: {source}.", **_told(picture))
    else:
        words = say("Your own picture, {name}: it is in no file but these.", **_told(picture))
    st.caption(words)


def _told(picture: Picture) -> dict[str, str]:
    return {"name": picture.name, "source": picture.source.rstrip(". ")}


def _file(label: str, name: str, mime: str | None, make: Callable[[], bytes | str]) -> None:
    """A button that makes a file when it is pressed."""
    st.download_button(label, make, name, mime, key=f"home_{name}", on_click="ignore")


def _model_files(shown: Shown) -> None:
    bundle = shown.bundle
    st.subheader(say("Thresholds and curve"), anchor=False)
    with st.container(horizontal=True):
        _file("thresholds.json", "thresholds.json", JSON, partial(files.json_file, document(shown)))
        if shown.has_tables:
            points = services.get_curve(bundle).shared[:-1]
            name = files.file_name(bundle, "sweep.csv")
            _file("sweep.csv", name, CSV, partial(sweep_csv, points))
        lines = curve_lines(shown)
        if lines.exits or lines.authors:
            _curve_files(shown, lines)
    st.caption(
        say(
            "thresholds.json is what --thresholds of the commands below takes, with accuracy and "
            "mean MACs on test. sweep.csv holds accuracy, mean MACs and exit shares for 101 shared "
            "thresholds. The HTML page works offline: its library, about 5 MB, is in it."
        )
    )


def _curve_files(shown: Shown, lines: Lines) -> None:
    plot = partial(files.plot_file, lines, shown.unit, plot_words(shown))
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


def _commands(shown: Shown, picture: Picture | None, with_study: bool) -> None:
    bundle = shown.bundle
    data = dataset_of(bundle) if shown.has_tables else ""
    told = (
        {"picture": files.picture_name(picture.name, picture.data), "crop": picture.crop}
        if picture
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
