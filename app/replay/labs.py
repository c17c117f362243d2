"""The two forms of the Trade-off page: replayed from exit tables, or along the authors' numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app import cascade_runs, services
from app.components import metric, part
from app.figures.exits import word
from app.figures.theme import MacUnit, percent, times_less
from app.figures.tradeoff import tradeoff_alt, tradeoff_figure
from app.intake.chooser import last_picture
from app.intake.pictures import get_view
from app.language import say
from app.live import component
from app.replay.dial import dial
from app.replay.tradeoff_data import get_tradeoff_data
from dvt_core.authors import AuthorsResults
from dvt_core.bundle import Bundle
from dvt_core.errors import InputError
from dvt_core.macs import exit_macs
from dvt_core.solver import NEVER
from dvt_core.study import Baseline
from dvt_core.thresholds import OperatingPoint

_mount = component("tradeoff", "tradeoff.css", "rule.js", "plot.js", "plane.js", "tradeoff.js")


@part
def measured_lab(bundle: Bundle) -> None:
    """The dial and everything that moves with it, in the browser; only tables are replayed."""
    dial(bundle)
    baselines, _ = static_models(bundle)
    data = get_tradeoff_data(bundle, baselines) | {"picture": _picture_data(bundle)}
    _mount(key="tradeoff", data=data)


def _picture_data(bundle: Bundle) -> dict[str, Any] | None:
    """What every exit says about the picture last looked at; None if the model cannot be run."""
    try:
        picture = last_picture(bundle)
        view = get_view(bundle, picture)
        never = (NEVER,) * (bundle.config.num_exits - 1)
        said = cascade_runs.predict(
            bundle, picture.digest, never, all_exits=True, _tensor=view.tensor
        ).records
    except InputError:  # the Look page says why
        return None
    return {
        "name": picture.name,
        "confidences": [record.confidence for record in said],
        "words": [word(bundle.class_names[record.label]) for record in said],
    }


def static_models(bundle: Bundle) -> tuple[Sequence[Baseline], str]:
    """The static models beside a model, and a sentence about them; damaged ones are not shown."""
    try:
        baselines = services.get_study(bundle).baselines
    except InputError as error:
        return (), say("The static models beside this one cannot be shown: {error}.", error=error)
    words = say(
        "Crosses: the plain model on each token grid, trained alone; what the cascade saves "
        "against them is under Models & paper."
    )
    return baselines, words if baselines else ""


@part
def authors_lab(
    bundle: Bundle, results: AuthorsResults, exits: Sequence[tuple[float, float]]
) -> None:
    """The authors' stored curve and exits, with the dial moving along their points.

    Args:
        bundle: the model.
        results: what its authors stored.
        exits: their (macs, accuracy) of every exit alone; may be empty.
    """
    points, here = results.points, dial(bundle).authors_point
    unit = MacUnit.of(exit_macs(bundle.config))

    chart, numbers = st.columns([2, 1], gap="medium")
    with numbers:
        if here:
            _position(here, exits[-1] if exits else None, unit)
            st.caption(say("How many images leave at each exit is not stored."))
        elif services.get_authors_front(bundle):
            st.info(
                say(
                    "Thresholds set by hand cannot be placed here: that takes this model's exit "
                    "tables, and the authors stored {n} points only. Ask by budget or accuracy to "
                    "move along them.",
                    n=len(points),
                )
            )
        else:
            st.info(
                say(
                    "Thresholds set by hand cannot be placed here: that takes this model's exit "
                    "tables, and the authors stored no thresholds."
                )
            )
    figure = tradeoff_figure(
        (), (), exits, here, unit, authors=points, dark=st.context.theme.type == "dark"
    )
    words = say("The authors' own numbers. {points}", points=tradeoff_alt(here, exits, unit))
    chart.plotly_chart(figure, key="authors", alt=words)
    st.caption(_about_authors(results))


def _about_authors(results: AuthorsResults) -> str:
    """Whose numbers these are, and by whose counter."""
    if results.exit_macs:
        return say(
            "The authors' own numbers for ImageNet validation, as they stand in the checkpoint; "
            "not measured here, nor checked whose they are. Source: {source}. Their counter also "
            "counts norms and resizing, about 1 % more than the costs on the other pages. One MAC "
            "is one multiply and add; papers write GFLOPs.",
            source=results.source,
        )
    return say(
        "The authors' own numbers for ImageNet validation, as they stand in the checkpoint; not "
        "measured here, nor checked whose they are. Source: {source}. The file holds no cost of "
        "the exits: those are our arithmetic. One MAC is one multiply and add; papers write "
        "GFLOPs.",
        source=results.source,
    )


def _position(here: OperatingPoint, full: tuple[float, float] | None, unit: MacUnit) -> None:
    """Accuracy and cost of a point, against always going to the last exit."""
    against, saved = "", ""
    if full:
        macs, accuracy = full
        points = f"{100 * (here.accuracy - accuracy):+.1f}"
        against = say("{points} points against always full", points=points)
        saved = say(
            "{saved}; always full is {full}",
            saved=times_less(here.macs, macs),
            full=unit.format(macs),
        )
    metric(say("Accuracy"), percent(here.accuracy), against)
    metric(say("Mean cost per image"), unit.format(here.macs), saved)


def how_to_measure(bundle: Bundle) -> None:
    """The commands that would make the missing exit tables."""
    missing = [split for split in services.TABLES if not bundle.has_table(split)]
    lacks = {
        "calibration": say("This folder holds no exit table of the calibration split."),
        "test": say("This folder holds no exit table of the test split."),
    }
    both = say(
        "This folder holds no exit table of the calibration split and none of the test split."
    )
    table = say(
        "A table is what every exit said about every image; with both, this page replays any "
        "threshold. Each command runs the model once over a data set on this machine's disk:"
    )
    st.markdown(f"{lacks[missing[0]] if len(missing) == 1 else both} {table}")
    st.code("\n".join(map(bundle.table_command, missing)), language="sh", wrap_lines=True)
