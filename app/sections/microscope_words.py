"""The words of the microscope in the visitor's language; the browser fills in `{names}`."""

from __future__ import annotations

from typing import Any

from app.language import say


def microscope_words() -> dict[str, Any]:
    """All that `live/microscope.js` writes."""
    return {**_controls(), **_panels(), **_blocks()}


def _controls() -> dict[str, Any]:
    return {
        "stage": say("Stage and its grid"),
        "layer": say("Layer"),
        "head": say("Head"),
        "scope": say("Colour scale of"),
        "kind": say("Shown of every head"),
        "scopes": {"map": say("this map"), "stage": say("this stage"), "all": say("all stages")},
        "scope_help": {
            "map": say("The ends of the scale are the largest values of the maps shown."),
            "stage": say("One scale for all layers, heads and tokens of this stage."),
            "all": say("One scale for all stages, to compare them."),
        },
        "centred": say("each row minus its mean"),
        "centred_help": say(
            "The softmax does not see what is added to a whole row. Without it, differences show."
        ),
        "through": say("picture shows through"),
    }


def _panels() -> dict[str, Any]:
    return {
        "class_token": say("class token"),
        "patch": say("patch row {row}, column {column}"),
        "where": say("Stage {stage}, layer {layer}, head {head}: {token} asks all tokens."),
        "query_title": say("Who asks? (the query)"),
        "query_label": say(
            "The picture. The query is {token}. Click a patch, or move with the arrow keys; "
            "Home is the class token."
        ),
        "titles": {
            "own": say("own"),
            "reused": say("reused"),
            "sum": say("sum"),
            "attention": say("after softmax"),
        },
        "notes": {
            "own": say("q·k/√d of this layer"),
            "reused": say("brought over from {grid}"),
            "sum": say("what the softmax gets"),
            "attention": say("where it looks"),
        },
        "nothing": say("nothing here"),
        "nothing_long": say("This stage adds no relations of a stage before."),
        "reading": say(
            "Query: {token}. Key: {key}. Own {own} {reused} reused = {sum} → {share} of the "
            "attention."
        ),
        "reading_own": say(
            "Query: {token}. Key: {key}. Own {own}, nothing reused → {share} of the attention."
        ),
        "waiting": say("Fetching this layer."),
        "scale_logits": say("Logits"),
        "scale_attention": say("Attention"),
        "frames": say("Full frame: the query. Dashed frame: the key that is read out."),
    }


def _blocks() -> dict[str, Any]:
    return {
        "glance_title": say("All heads at a glance"),
        "glance_note": say("The same query in every layer (down) and head (across). Click one."),
        "glance_layer": say("The same query in every head of this layer. Click one."),
        "kinds": {
            "attention": say("attention"),
            "own": say("own logits"),
            "reused": say("reused logits"),
            "sum": say("their sum"),
        },
        "thumb": say("layer {layer}, head {head}"),
        "layer_name": say("layer {layer}"),
        "head_name": say("head {head}"),
        "shares_title": say("How much is reused?"),
        "shares_note": say(
            "Share of the logits: the reused part's spread over the keys, of both parts' spreads. "
            "Attention moved: how much of it would lie on other keys without the reused part. "
            "Both over all heads and queries of this picture."
        ),
        "share": say("share of the logits"),
        "moved": say("attention moved"),
        "lands_title": say("Where a coarse cell lands"),
        "lands_note": say(
            "Cells of the two grids overlap, so a fine patch takes a weighted mean of the coarse "
            "cells under it: nearest up-sampling, then average pooling. Pick a coarse cell."
        ),
        "from_title": say("stage {stage}, {grid}"),
        "from_note": say("what the query takes, close up"),
        "onto_title": say("stage {stage}, {grid}"),
        "onto_note": say("how much of each patch comes from the framed cell, in %"),
        "lands_reading": say(
            "Full frame: the query, {token}; coarse cells it takes from: {parts}. Dashed frame: "
            "the coarse cell, {cell}; patches it lands on: {cells}."
        ),
        "lands_class": say("The class token takes from the class token alone."),
        **_rollout_words(),
    }


def _rollout_words() -> dict[str, Any]:
    return {
        "rollout_title": say("Attention rollout"),
        "rollout_note": say(
            "All layers multiplied: heads averaged, the shortcut counted as much as the attention "
            "(Abnar and Zuidema 2020). Between stages each patch is followed to the coarse cells "
            "under it. Each map has its own scale."
        ),
        "rollout_own": say("within stage {stage}, {grid}"),
        "rollout_before": say("down to stage {stage}, {grid}"),
        "rollout_self": say("the query itself: {share}"),
        "norms_title": say("Reused features per patch"),
        "norms_note": say(
            "Length (L2 norm) of the feature channels that each patch gets beside its own in each "
            "layer's MLP. The class token gets zeros."
        ),
        "norms_range": say("{low} to {high}"),
        "norms_unread": say(
            "In the last layer the exit reads the class token alone, which gets zeros: there the "
            "reused features change nothing."
        ),
    }
