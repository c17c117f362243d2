"""Step 7 of the lesson: what a stage takes over, and where a coarse cell lands."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app.figures.lesson import Tile, data_address, lit_cells, tiles
from app.figures.tokens import grid_edges
from app.language import say
from app.sections.lesson_pictures import picture_in_hand
from dvt_core.bundle import Bundle
from dvt_core.model.reuse import resize_matrix


def draw_reuse(bundle: Bundle) -> None:
    """One cell of stage 1, the cells of stage 2 that take over from it, and what they take."""
    config = bundle.config
    if config.num_exits == 1:
        st.info(say("This model has one stage: there is nothing to hand on."))
        return
    shown, told = st.columns([3, 2], gap="medium", vertical_alignment="center")
    shown.html(tiles(_landing(bundle)))
    features = say(
        "**Features**: the last tokens of the stage before enter every MLP of the next, at the "
        "cells where they lie."
    )
    relations = say(
        "**Relations**: how strongly each cell looked at each other cell is added to the next "
        "stage's own scores, before the softmax."
    )
    off = say("(switched off in this model)")
    with told:
        st.markdown(features if config.feature_reuse else f"{features} {off}")
        st.markdown(relations if config.relation_reuse else f"{relations} {off}")
        st.caption(
            say("Section 3.2 of the paper. Bright cells take over from the one framed cell.")
        )


def _landing(bundle: Bundle) -> list[Tile]:
    """Stage 1 with one cell lit, stage 2 with the cells that get something from it."""
    _, view = picture_in_hand(bundle)
    config = bundle.config
    coarse, fine = config.stages[0], config.stages[1]
    place = (coarse.grid_size - 1) // 2  # just above the middle
    one = np.zeros((coarse.grid_size, coarse.grid_size))
    one[place, place] = 1
    share = resize_matrix(coarse.grid_size, fine.grid_size).numpy()[:, place]
    taken = np.outer(share, share)
    parts = []
    for number, (stage, weights) in enumerate(((coarse, one), (fine, taken / taken.max())), 1):
        edges, side = grid_edges(stage, config.img_size), stage.grid_size
        cells = int((weights > 0).sum())
        parts.append(
            Tile(
                data_address(lit_cells(view.seen, edges, weights)),
                say("{count} of {all} cells are lit", count=cells, all=side * side),
                say("stage {number}, {side}x{side}", number=number, side=side),
                say("one cell") if number == 1 else say("it lands in {count} cells", count=cells),
            )
        )
    return parts
