"""The picture as a stage sees it: the model's own pixels under the stage's token grid."""

from __future__ import annotations

from PIL import Image, ImageDraw

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


def token_grid(view: Image.Image, stage: StageConfig) -> Image.Image:
    """The model's image, enlarged, with the stage's token cells drawn over it.

    Args:
        view: what the model sees, `img_size` x `img_size`.
        stage: the stage whose cells are drawn.
    """
    picture = enlarge(view)
    factor = picture.width / view.width
    draw = ImageDraw.Draw(picture, "RGBA")
    last = picture.width - 1
    for edge in grid_edges(stage, view.width)[1:-1]:
        at = min(round(edge * factor), last)
        for line in (((at, 0), (at, last)), ((0, at), (last, at))):
            draw.line(line, fill=(0, 0, 0, 110), width=3)
            draw.line(line, fill=(255, 255, 255, 230), width=1)
    return picture


def ghosted(picture: Image.Image) -> Image.Image:
    """The same picture, pale and grey: a stage that was not computed."""
    grey = picture.convert("L").convert("RGB")
    return Image.blend(grey, Image.new("RGB", grey.size, (128, 132, 138)), 0.65)
