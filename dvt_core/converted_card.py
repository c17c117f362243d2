"""The model card of converted weights: where they come from, and whose numbers are whose."""

from __future__ import annotations

from dvt_core.authors import AUTHORS, AuthorsResults
from dvt_core.bundle import Bundle
from dvt_core.macs import exit_macs

CARD = "README.md"

_TEMPLATE = """\
# {title}

`{name}`: {stages} with {grids} tokens for {size} px images of {classes} classes. Converted by
`dvt convert` from `{file}`, entry {entry}, as architecture `{architecture}`; do not edit.

sha256 of that file: `{sha256}`. The weights belong to those who trained them: cite the paper
(DVT: arXiv 2105.15075), and see where you got the file for its terms.

## Numbers

**Nothing here was measured by this program.** What is marked as the authors' was stored in the
file; costs without that mark are arithmetic. 1 MAC = 2 FLOPs; papers call GMACs "GFLOPs", and
the authors' tool counts a little more than we do.

| exit | tokens | GMACs up to here | the authors' GMACs | the authors' accuracy |
|---|---|---|---|---|
{rows}

{curve}

Default threshold {threshold:g}: {threshold_from}.

## Measure it yourself

In this folder, about {images}:

{commands}
"""
_COMMANDS = """\
```sh
dvt evaluate --model . --data {data} --split calibration --out calibration.parquet
dvt evaluate --model . --data {data} --split test --out test.parquet
```

Then `dvt sweep`, `dvt thresholds` and the app answer from these tables."""


def converted_card(bundle: Bundle, authors: AuthorsResults | None) -> str:
    """Markdown for a folder that `official_checkpoint.convert` made."""
    source = bundle.info["source"]
    exits = bundle.config.num_exits
    is_imagenet = "data" in bundle.info
    return _TEMPLATE.format(
        title=bundle.title,
        name=bundle.name,
        stages=f"a {exits}-exit cascade" if exits > 1 else "a single stage",
        grids=", ".join(f"{grid}x{grid}" for grid in bundle.config.grid_sizes),
        size=bundle.config.img_size,
        classes=bundle.config.num_classes,
        file=source["file"],
        entry=f"`{source['entry']}`" if source["entry"] else "none (a bare state dict)",
        architecture=source["architecture"],
        sha256=source["sha256"],
        rows="\n".join(_rows(bundle, authors)),
        curve=_curve(authors),
        threshold=bundle.default_threshold,
        threshold_from=bundle.info["default_threshold_from"],
        images="5,000 and 50,000 images" if is_imagenet else "DATA's images",
        commands=_COMMANDS.format(data="imagenet-1k" if is_imagenet else "DATA"),
    )


def _rows(bundle: Bundle, authors: AuthorsResults | None) -> list[str]:
    theirs = authors or AuthorsResults((), (), (), "")
    rows = []
    for i, (grid, macs) in enumerate(
        zip(bundle.config.grid_sizes, exit_macs(bundle.config), strict=True)
    ):
        cost = f"{theirs.exit_macs[i] / 1e9:.3f}" if theirs.exit_macs else "-"
        accuracy = _percent(theirs.exit_accuracy[i]) if theirs.exit_accuracy else "-"
        rows.append(f"| {i + 1} | {grid}x{grid} | {macs / 1e9:.3f} | {cost} | {accuracy} |")
    return rows


def _curve(authors: AuthorsResults | None) -> str:
    if not (authors and authors.points):
        return "The file holds no curve of operating points."
    ends = " to ".join(
        f"{_percent(point.accuracy)} at {point.macs / 1e9:.2f} GMACs"
        for point in (authors.points[0], authors.points[-1])
    )
    return f"`{AUTHORS}` holds the authors' curve, {len(authors.points)} points: {ends}."


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f} %"
