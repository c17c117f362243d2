"""The hand-out of the lesson: the current picture, thresholds and curve on one page to print."""

from __future__ import annotations

from datetime import date
from functools import partial

import streamlit as st

from app import cascade_runs, services
from app.components import part
from app.figures.card import CardWords
from app.figures.fonts import has_chinese
from app.figures.handout import Handout, HandoutWords, handout_file
from app.figures.static_plot import Lines, PlotWords
from app.figures.theme import MacUnit
from app.language import ENGLISH, language, say
from app.replay.dial import ask_in_force, get_choices, resolve
from app.sections.lesson_pictures import picture_in_hand
from app.take_home.facts import in_file
from dvt_core.bundle import Bundle
from dvt_core.errors import InputError
from dvt_core.macs import exit_macs
from dvt_core.thresholds import replay


@part
def handout_section(bundle: Bundle) -> None:
    """Draws the hand-out's buttons; the files are made when asked for."""
    st.divider()
    with st.container(horizontal=True, vertical_alignment="center"):
        is_shown = st.toggle(
            say("Hand-out"),
            key="handout",
            help=say("One A4 page of the picture in hand and the thresholds in force, to print."),
        )
        if is_shown:
            _files(bundle)


def _files(bundle: Bundle) -> None:
    try:
        sheet = make_handout(bundle)
    except InputError as error:
        st.error(say("The hand-out cannot be made: {error}.", error=error))
        return
    for kind, mime in (("pdf", "application/pdf"), ("png", "image/png")):
        st.download_button(
            say("hand-out ({kind})", kind=kind.upper()),
            partial(handout_file, sheet, kind),
            f"{bundle.path.name}_handout.{kind}",
            mime,
            key=f"handout_{kind}",
            on_click="ignore",
        )
    if language() != ENGLISH and not has_chinese():
        st.caption(
            say("The page is in English: no font of this machine can put Chinese into a file.")
        )
    words = say(
        "The hand-out: the trace of {name}, the curve, and room for notes", name=sheet.picture
    )
    st.image(handout_file(sheet, "png"), width=560, alt=words)


def make_handout(bundle: Bundle) -> Handout:
    """The hand-out of what this visitor has in hand.

    Raises:
        InputError: the model, its tables or the picture cannot be used.
    """
    picture, view = picture_in_hand(bundle)
    choices = get_choices(bundle)
    thresholds = resolve(ask_in_force(choices), choices).thresholds
    run = cascade_runs.predict(
        bundle, picture.digest, thresholds, all_exits=False, _tensor=view.tensor
    )
    lines, tested, data = Lines(), 0, ""
    if services.has_tables(bundle):
        table, curve = services.get_table(bundle, "test"), services.get_curve(bundle)
        lines = Lines(curve.shared, (), curve.exits, replay(table, thresholds))
        tested, data = table.n, table.info.data
    words = in_file(HandoutWords())
    return Handout(
        view.seen,
        run,
        bundle.config,
        bundle.class_names,
        bundle.name,
        picture.name,
        picture.source or picture.name,
        _origin(bundle, words),
        data,
        tested,
        lines,
        date.today().isoformat(),
        words,
        in_file(CardWords()),
        in_file(PlotWords()),
    )


def _origin(bundle: Bundle, words: HandoutWords) -> str:
    """Where the thresholds come from; "{thresholds}" is filled in by the page."""
    choices = get_choices(bundle)
    ask, kept = ask_in_force(choices), "{thresholds}"
    if choices.front is None or ask.way not in ("budget", "accuracy"):
        return words.by_hand
    if choices.is_authors:
        return words.theirs
    if ask.way == "budget":
        macs = ask.budget / 100 * choices.ranges["budget"].full
        unit = MacUnit.of(exit_macs(bundle.config))
        return words.budget.format(thresholds=kept, macs=unit.format(macs))
    return words.wanted.format(thresholds=kept, accuracy=f"{ask.accuracy:.1f}")
