"""The picture as the model sees it, and where a stage's token cells lie on it."""

from __future__ import annotations

from PIL import Image

from dvt_core.config import PatchTokenizerConfig, StageConfig

SHOWN_PX = 448


def grid_edges(stage: StageConfig, img_size: int) -> tuple[float, ...]:
    """Where the token cells begin and end along one side, in pixels of the model's image.

    A patch tokenizer with padding has narrower cells at the border; every other tokenizer
    divides the side evenly.

    Returns:
        `grid_size + 1` increasing positions in [0, img_size].
    """
    cells = range(stage.grid_size + 1)
    tokenizer = stage.tokenizer
    if isinstance(tokenizer, PatchTokenizerConfig):
        edges = (i * tokenizer.patch_size - tokenizer.padding for i in cells)
        return tuple(float(min(max(edge, 0), img_size)) for edge in edges)
    return tuple(i * img_size / stage.grid_size for i in cells)


def enlarge(view: Image.Image, side: int = SHOWN_PX) -> Image.Image:
    """The model's square image made at least `side` pixels large by whole, unblurred pixels."""
    factor = max(1, round(side / view.width))
    size = (view.width * factor, view.height * factor)
    return view.resize(size, Image.Resampling.NEAREST)
