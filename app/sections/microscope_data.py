"""What the microscope shows, as the browser reads it, and which cell of it is looked at.

A small model's relations are sent whole, once per picture, so that every click is answered in the
browser. Of a large one (the paper's: 197 x 197 logits, 12 layers, 6 heads) one layer is sent at a
time, whichever is looked at.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from PIL import Image

from app.figures.theme import exit_colour, ink_on
from app.figures.tokens import grid_edges
from app.replay.replay_data import pack
from dvt_core.config import DVTConfig
from dvt_core.relations import (
    StageRelations,
    moved_attention,
    reuse_share,
    rollout,
    rollout_across,
    token_map,
)

WHOLE_BYTES = 4_000_000  # relations up to this size are sent all at once
SCOPES = ("map", "stage", "all")
COLOURS = 128
ATTENTION_MAP, LOGIT_MAP = "cividis", "PRGn"  # PRGn: neither pole is the colour of an exit


@dataclass(frozen=True)
class Choice:
    """What is looked at, all indices from 0.

    Attributes:
        stage, layer, head: whose relations.
        query: the token that asks; 0 is the class token, then the patches row by row.
        scope: over what the colour scale reaches, one of `SCOPES`.
    """

    stage: int
    layer: int = 0
    head: int = 0
    query: int = 0
    scope: str = SCOPES[0]

    def to_query(self, config: DVTConfig) -> str:
        """The part of a link: stage, layer, head, patch (row-column, or c) and scope, from 1."""
        row, column = divmod(self.query - 1, config.stages[self.stage].grid_size)
        patch = f"{row + 1}-{column + 1}" if self.query else "c"
        return f"{self.stage + 1}.{self.layer + 1}.{self.head + 1}.{patch}.{self.scope}"


def default_choice(config: DVTConfig) -> Choice:
    """The last stage, first layer and head, and a patch in the middle of the picture."""
    grid = config.stages[-1].grid_size
    return Choice(config.num_exits - 1, query=1 + (grid // 2) * grid + grid // 2)


def choice_from(raw: object, config: DVTConfig) -> Choice | None:
    """What the browser sent, checked; None if it is no sense for this model."""
    if not isinstance(raw, Mapping):
        return None
    numbers = [raw.get(name) for name in ("stage", "layer", "head", "query")]
    scope = raw.get("scope")
    if scope not in SCOPES or not all(type(number) is int for number in numbers):
        return None
    stage, layer, head, query = (int(str(number)) for number in numbers)
    if not 0 <= stage < config.num_exits:
        return None
    of = config.stages[stage]
    is_inside = 0 <= layer < of.depth and 0 <= head < of.num_heads and 0 <= query < of.num_tokens
    return Choice(stage, layer, head, query, str(scope)) if is_inside else None


def choice_from_query(text: str, config: DVTConfig) -> Choice | None:
    """The same of the part of a link that `Choice.to_query` writes."""
    try:
        stage, layer, head, patch, scope = text.split(".")
        indices = [int(part) - 1 for part in (stage, layer, head)]
        query = 0
        if patch != "c":
            row, column = (int(part) - 1 for part in patch.split("-"))
            grid = config.stages[indices[0]].grid_size
            query = 1 + row * grid + column if 0 <= row < grid and 0 <= column < grid else -1
    except (ValueError, IndexError):
        return None
    names = ("stage", "layer", "head")
    return choice_from(
        {**dict(zip(names, indices, strict=True)), "query": query, "scope": scope}, config
    )


def fixed_data(
    config: DVTConfig, seen: Image.Image, stages: Sequence[StageRelations]
) -> dict[str, Any]:
    """The part of `microscope_data` that is the same whatever is looked at; worth keeping.

    Args:
        config: the model's.
        seen: the picture as the model sees it.
        stages: `dvt_core.inspection.inspect` of it.

    Returns:
        "picture" (a PNG as a data address, `side` pixels wide), "colours" (two colour maps, low to
        high) and "stages", which hold their maps only if the model is small.
    """
    rollouts = [rollout(stage.attention) for stage in stages]
    shown = []
    for index, stage in enumerate(stages):
        entry = _stage(config, index, stage)
        across = rollout_across(rollouts[: index + 1], config.grid_sizes[: index + 1])
        entry["rollouts"] = [pack(matrix, "f4") for matrix in across]
        shown.append(entry | (_maps(stage) if is_whole(stages) else {}))
    return {
        "picture": _png(seen),
        "side": config.img_size,
        "colours": {"attention": _colours(ATTENTION_MAP), "logits": _colours(LOGIT_MAP)},
        "stages": shown,
    }


def microscope_data(
    fixed: Mapping[str, Any],
    stages: Sequence[StageRelations],
    choice: Choice,
    words: Mapping[str, Any],
) -> dict[str, Any]:
    """What `live/microscope.js` draws, JSON-ready.

    Args:
        fixed: `fixed_data` of the same stages; it is not changed.
        stages: of the picture.
        choice: what is looked at; of a large model only this layer is sent ("part").
        words: of the page, in the visitor's language.
    """
    part = None
    if not is_whole(stages):
        layer = slice(choice.layer, choice.layer + 1)
        part = {"stage": choice.stage, "layer": choice.layer} | _maps(stages[choice.stage], layer)
    return {**fixed, "choice": asdict(choice), "words": dict(words), "part": part}


def is_whole(stages: Sequence[StageRelations]) -> bool:
    """Whether all maps are sent at once."""
    return sum(stage.relations.nbytes for stage in stages) <= WHOLE_BYTES


def _stage(config: DVTConfig, index: int, stage: StageRelations) -> dict[str, Any]:
    """One stage without its maps; `lands` is (N, N of the stage before), None for the first."""
    of, colour = config.stages[index], exit_colour(index)
    lands = None
    if index:
        lands = pack(token_map(config.stages[index - 1].grid_size, of.grid_size), "f4")
    logits = [stage.relations, stage.own, *(() if stage.reused is None else (stage.reused,))]
    norms = stage.context_norms
    return {
        "grid": of.grid_size,
        "depth": of.depth,
        "heads": of.num_heads,
        "edges": list(grid_edges(of, config.img_size)),
        "colour": colour,
        "ink": ink_on(colour),
        "share": reuse_share(stage).tolist(),
        "moved": moved_attention(stage).tolist(),
        "limits": {
            "logits": max(float(np.abs(part).max()) for part in logits),
            "attention": float(stage.attention.max()),
            "norms": 0.0 if norms is None else float(norms.max()),
        },
        "norms": None if norms is None else pack(norms, "f4"),
        # Nothing reads the patches after the very last layer if the exit reads the class token.
        "is_unread": index + 1 == config.num_exits and of.global_pool == "token",
        "is_reusing": stage.reused is not None,
        "lands": lands,
    }


def _maps(stage: StageRelations, layers: slice = slice(None)) -> dict[str, str | None]:
    """(layers, heads, N, N) float32 each, as base64."""
    reused = stage.reused
    return {
        "own": pack(stage.own[layers], "f4"),
        "reused": None if reused is None else pack(reused[layers], "f4"),
    }


def _colours(name: str) -> list[list[int]]:
    return mpl.colormaps[name](np.linspace(0, 1, COLOURS), bytes=True)[:, :3].tolist()


def _png(image: Image.Image) -> str:
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
