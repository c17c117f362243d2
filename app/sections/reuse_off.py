"""What the trained cascade says with a reuse switched off while it runs."""

from __future__ import annotations

import streamlit as st
import torch

from app import services
from app.figures.exits import word
from app.figures.theme import exit_name, percent
from app.intake.pictures import Picture, View
from app.language import say
from app.replay.dial import in_force
from dvt_core.bundle import Bundle
from dvt_core.inference import classify
from dvt_core.model.switched_off import reuses_of, without_reuse
from dvt_core.results import Prediction


def reuse_off(bundle: Bundle, picture: Picture, view: View) -> None:
    """Draws the switch and, once it is on, a table of runs; nothing where nothing is reused."""
    model = services.get_model(bundle)
    kinds = reuses_of(model)
    if not kinds:
        return
    is_on = st.toggle(
        say("What if a reuse is switched off?"),
        key="reuse_off",
        help=say("Runs the same weights again without it, through all exits."),
    )
    setting = in_force(bundle)
    if not is_on:
        return
    variants = [(), *((kind,) for kind in kinds), *((kinds,) if len(kinds) > 1 else ())]
    key = bundle, picture.digest, setting.thresholds
    runs = [get_run_without(*key, off, _tensor=view.tensor) for off in variants]
    st.table(
        [_row(bundle, off, run, runs[0]) for off, run in zip(variants, runs, strict=True)],
        border="horizontal",
        hide_index=True,
        alt=say("What each exit says with a reuse switched off"),
    )
    st.caption(setting.origin)
    st.caption(
        say(
            "**Not what the model was trained for.** The stages learned together with what they "
            "reuse; this shows what these weights rely on for this picture, not how good a cascade "
            "without reuse can be. Exit 1 reuses nothing and stays. ≠ marks another answer."
        )
    )


@st.cache_data(max_entries=256, show_spinner=False, hash_funcs=services.BY_WEIGHTS)
def get_run_without(
    bundle: Bundle,
    picture: str,
    thresholds: tuple[float, ...],
    kinds: tuple[str, ...],
    *,
    _tensor: torch.Tensor,
) -> Prediction:
    """One picture through all exits with these reuses switched off.

    Args:
        bundle: the model.
        picture: digest of the picture: its data and its crop.
        thresholds: `num_exits - 1` numbers, for the exit that answers.
        kinds: of `dvt_core.model.switched_off.REUSES`.
        _tensor: (1, 3, H, W), from the picture's view.
    """
    model = without_reuse(services.get_model(bundle), kinds)
    return services.get_worker().run(classify, model, _tensor, thresholds, all_exits=True)[0]


def _row(
    bundle: Bundle, off: tuple[str, ...], run: Prediction, usual: Prediction
) -> dict[str, str]:
    names = {
        (): say("as trained"),
        ("features",): say("without features"),
        ("relations",): say("without relations"),
        ("features", "relations"): say("without both"),
    }
    row = {say("Run with reuse"): names[off]}
    for record, before in zip(run.records, usual.records, strict=True):
        said = f"{word(bundle.class_names[record.label])} {percent(record.confidence)}"
        mark = "≠ " if record.label != before.label else ""
        row[exit_name(record.exit_index)] = mark + said
    return row | {say("leaves at"): exit_name(run.exit_index)}
