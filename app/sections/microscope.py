"""The reuse microscope: one picture's attention, taken apart into own and reused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from app import services
from app.components import part
from app.figures.theme import MacUnit, percent
from app.intake.pictures import Picture, View
from app.language import language, say
from app.live import component
from app.sections.microscope_data import (
    Choice,
    choice_from,
    choice_from_query,
    default_choice,
    fixed_data,
    microscope_data,
)
from app.sections.microscope_words import microscope_words
from app.sections.reuse_off import reuse_off
from dvt_core.bundle import Bundle
from dvt_core.config import DVTConfig
from dvt_core.inspection import inspect_stage
from dvt_core.macs import exit_macs, stage_macs
from dvt_core.relations import StageRelations

_mount = component(
    "microscope",
    "microscope.css",
    "rule.js",
    "microscope_math.js",
    "microscope_map.js",
    "microscope.js",
)

KEY = "microscope"  # of the component, and the parameter of the link
_CHOICE = "microscope_choice"  # session key: what is looked at
_PUSHED = "microscope_pushed"  # session key: what the browser was told to begin with


@part
def microscope_section(bundle: Bundle, picture: Picture, view: View) -> None:
    """Draws the microscope, how to read it, and the switch for runs without reuse.

    Args:
        bundle: the model.
        picture: what is looked at.
        view: the same, opened for this model.
    """
    config = bundle.config
    st.markdown(
        say(
            "Each token asks every other how much it matters: that is one row of numbers. A later "
            "stage adds to its own numbers those that the stage before found on its coarser grid."
        )
    )
    pushed = _pushed(config)
    result = _mount(
        key=KEY, data=_data(bundle, picture, view, pushed), on_choice_change=_do_nothing
    )
    choice = choice_from(getattr(result, "choice", None), config) or pushed
    st.caption(_what_is_read(config, choice.stage))
    st.caption(say("Attention says where numbers come from; it is no explanation of the answer."))
    st.session_state[_CHOICE] = choice
    if (text := choice.to_query(config)) != st.query_params.get(KEY):
        st.query_params[KEY] = text
    with st.expander(say("What exactly is computed? (paper, section 3.2)")):
        _formulas(config, choice.stage)
    reuse_off(bundle, picture, view)


@st.cache_resource(max_entries=12, show_spinner=False, hash_funcs=services.BY_WEIGHTS)
def get_relations(
    bundle: Bundle, picture: str, *, _view: View
) -> tuple[tuple[StageRelations, ...], dict[str, Any]]:
    """What every stage attends to and takes over, and `fixed_data` of it; shared, never changed.

    Args:
        bundle: the model.
        picture: digest of the picture: its data and its crop.
        _view: the picture, opened for this model.
    """
    model, run = services.get_model(bundle), services.get_worker().run
    stages, previous = [], None
    for stage in model.stages:  # one after the other, so that others get their turn between
        relations, previous = run(inspect_stage, stage, _view.tensor, previous)
        stages.append(relations)
    return tuple(stages), fixed_data(bundle.config, _view.seen, stages)


def _do_nothing() -> None:
    """The value is read where the microscope is drawn; Streamlit wants a callback for it."""


def _pushed(config: DVTConfig) -> Choice:
    """Where a microscope that is drawn anew stands: as before, else as the link says."""
    pushed = st.session_state.get(_PUSHED)
    if KEY in st.session_state and pushed and _fits(pushed, config):
        return pushed
    before = st.session_state.get(_CHOICE)
    if before is None:
        before = choice_from_query(st.query_params.get(KEY, ""), config)
    choice = before if before and _fits(before, config) else default_choice(config)
    st.session_state[_PUSHED] = choice
    return choice


def _fits(choice: Choice, config: DVTConfig) -> bool:
    return choice_from(vars(choice), config) is not None


def _data(bundle: Bundle, picture: Picture, view: View, pushed: Choice) -> dict[str, Any]:
    """The message to the browser: the same on every run until model, picture or language change.

    Of a large model it also changes with the layer that is looked at.
    """
    sent = st.session_state.get(KEY)
    raw = sent.get("choice") if sent is not None else None
    choice = choice_from(raw, bundle.config) or pushed
    with st.spinner(say("Running the cascade")):
        stages, fixed = get_relations(bundle, picture.digest, _view=view)
    data = microscope_data(fixed, stages, choice, microscope_words())
    data["choice"] = vars(pushed)
    data["id"] = f"{bundle.weights_sha256} {picture.digest} {language()}"
    return data


def _what_is_read(config: DVTConfig, index: int) -> str:
    if config.stages[index].global_pool == "token":
        return say("The exit reads the class token after the last layer, nothing else.")
    return say("The exit reads the mean of all patches after the last layer, not the class token.")


def _formulas(config: DVTConfig, index: int) -> None:
    """What is computed, symbol by symbol, with this stage's own numbers."""
    st.markdown(say("**Attention of one layer and head**:"))
    st.latex(
        r"z_{ij} = \frac{q_i \cdot k_j}{\sqrt{d}} + r_{ij}, \qquad "
        r"a_{ij} = \frac{e^{z_{ij}}}{\sum_m e^{z_{im}}}"
    )
    of = config.stages[index]
    st.markdown(
        say(
            "*i* is the query, the token that asks; *j* is the key, a token it looks at. The own "
            "part compares their vectors *q* and *k* of *d* = {d} numbers. *r* is the reused part; "
            "the first stage has none. The softmax makes each row *i* sum to 1. The own part is "
            "this layer's own, but what its tokens hold already contains what the layers before "
            "took over.",
            d=of.embed_dim // of.num_heads,
        )
    )
    if index and config.relation_reuse:
        _relation_formula(config, index)
    if index and config.feature_reuse:
        _feature_formula(config, index)
    if index and (config.relation_reuse or config.feature_reuse):
        st.markdown(_cost(config, index))


def _relation_formula(config: DVTConfig, index: int) -> None:
    before, of = config.stages[index - 1], config.stages[index]
    maps = before.depth * before.num_heads
    st.markdown(say("**Reused relations**, for all layers and heads of this stage at once:"))
    st.latex(
        r"r = P \; W_2\, \mathrm{GELU}\!\left(W_1\, z^{\mathrm{prev}}\right) P^{\top}, \qquad "
        r"P = \begin{pmatrix} 1 & 0 \\ 0 & M \otimes M \end{pmatrix}"
    )
    st.markdown(
        say(
            "*z* prev: all {maps} maps of the stage before, from every layer and head, before its "
            "softmax, its own reused part included: so stage 3 hears of stage 1 through stage 2. "
            "Two 1x1 convolutions mix them, {maps} → {hidden} → {out} maps. **No layer or head is "
            "matched with the one of the same number**: each map here is a mixture of all. Then "
            "both axes, queries and keys, go from {coarse} to {fine} tokens by *M*, one fixed "
            "matrix per axis of the grid; the class token keeps its row and column.",
            maps=maps,
            hidden=config.relation_hidden_ratio * maps,
            out=of.depth * of.num_heads,
            coarse=f"{before.grid_size}x{before.grid_size}",
            fine=f"{of.grid_size}x{of.grid_size}",
        )
    )


def _feature_formula(config: DVTConfig, index: int) -> None:
    st.markdown(say("**Reused features**, in each layer *l* of this stage:"))
    st.latex(
        r"x \leftarrow x + \mathrm{MLP}_l\!\left(\mathrm{LN}\left[\,x,\; (M \otimes M)\, "
        r"f_l(F)\,\right]\right)"
    )
    st.markdown(
        say(
            "*F*: the tokens after **the last layer** of the stage before, before its final norm; "
            "**every layer here gets the same *F***. Each layer has its own small network *f* "
            "(norm, linear, GELU, linear) that makes {channels} channels of it. They are resized "
            "and put beside the token's own {width} channels; the class token gets zeros.",
            channels=config.context_dim,
            width=config.stages[index].embed_dim,
        )
    )


def _cost(config: DVTConfig, index: int) -> str:
    plain = replace(config, feature_reuse=False, relation_reuse=False)
    with_it, without = stage_macs(config)[index], stage_macs(plain)[index]
    return say(
        "**What the reuse costs**: {extra} of this stage's {total} ({share}).",
        extra=MacUnit.of(exit_macs(config)).format(with_it - without),
        total=MacUnit.of(exit_macs(config)).format(with_it),
        share=percent(1 - without / with_it),
    )
