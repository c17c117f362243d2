"""A checkpoint of the official code -> a model folder like the bundled ones.

The released DVT checkpoints, those of its training code, and those of the plain backbones T2T-ViT
and DeiT have the same keys (`dvt_core.model.official_names`). Everything is checked before anything
is written, and the folder appears complete or not at all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from dvt_core.authors import AUTHORS, ENTRIES, AuthorsResults, read_results
from dvt_core.bundle import Bundle, few, load_bundle, misfits, save_bundle
from dvt_core.checkpoint_file import find_weights, read_checkpoint
from dvt_core.config import DVTConfig
from dvt_core.converted_card import CARD, converted_card
from dvt_core.data_sources import DATASETS, imagenet_words
from dvt_core.errors import InputError
from dvt_core.macs import exit_macs
from dvt_core.model import DynamicViT, build_model
from dvt_core.model.official_names import official_names, official_state
from dvt_core.presets import PRESETS
from dvt_core.whole_file import write_whole

DEFAULT_THRESHOLD = 0.7
_POSITION_TOLERANCE, _COST_TOLERANCE = 1e-4, 0.05
_TITLES = {"t2t_vit_": "T2T-ViT-", "deit_small": "DeiT-small", "_two_exits": ", two exits"}


@dataclass(frozen=True)
class Conversion:
    """What became of a checkpoint.

    Attributes:
        bundle: the model folder.
        notes: sentences about what is missing in the file or looks odd.
    """

    bundle: Bundle
    notes: tuple[str, ...]


def convert(path: Path, config: DVTConfig, out: Path) -> Conversion:
    """Writes the model folder `out` with the weights, and the numbers, of a checkpoint.

    Args:
        path: `torch.save`'s file or a safetensors file; weights of any floating-point type.
        config: the architecture, one to three stages.
        out: a folder that does not exist or is empty.

    Raises:
        InputError: a file that cannot be used, weights of another architecture (says which it
            fits), or a folder that cannot be written; nothing is left behind.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists already and is not empty; name a new folder")
    entries = read_checkpoint(path)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    is_imagenet = config.num_classes == DATASETS["imagenet-1k"].num_classes
    model = build_model(config, class_names=imagenet_words() if is_imagenet else ())
    try:
        entry, state = find_weights(entries)
        notes = _fill(model, state)
        authors = read_results(entries, config.num_exits, f"{path.name}, sha256 {sha256}")
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    absent = [name for name in ENTRIES if entries.get(name) is None]
    if absent:
        notes.append(f"the file holds no {', '.join(absent)}")
    notes += _compare_costs(config, authors)
    source = {"file": path.name, "sha256": sha256, "entry": entry, "architecture": config.name}
    data = {"data": DATASETS["imagenet-1k"].title} if is_imagenet else {}
    bundle = _write(model, authors, out, source=source, **data)
    return Conversion(bundle, tuple(notes))


def _fill(model: DynamicViT, state: dict[str, Tensor]) -> list[str]:
    """Copies the weights into the model, as float32; returns notes."""
    wanted = official_state(model)
    wrong = misfits(wanted, state)
    if wrong:
        raise InputError(
            f"the weights do not fit {_options(model.config)}"
            f"{_what_fits(state, model.config, len(wrong))}: {few(wrong)}"
        )
    wrong = [f"{key} is {v.dtype}" for key, v in state.items() if not v.is_floating_point()]
    if wrong:
        raise InputError(f"the weights are not all floating-point numbers: {few(wrong)}")
    notes = _compare_positions(model, state)
    for key, value in wanted.items():
        value.copy_(state[key])
    wrong = [key for key, value in wanted.items() if not value.isfinite().all()]
    if wrong:
        raise InputError(f"the weights hold infinite numbers or none (NaN): {few(wrong)}")
    return notes


def _compare_positions(model: DynamicViT, state: dict[str, Tensor]) -> list[str]:
    """T2T-ViT's positions follow a formula; `model` is fresh and has them still."""
    notes, own, names = [], model.state_dict(), official_names(model)
    for index, stage in enumerate(model.config.stages):
        key = f"stages.{index}.pos_embed"
        theirs = state[names[key]]
        gap = float((theirs.float() - own[key]).abs().max())
        rounding = torch.finfo(theirs.dtype).eps
        if stage.pos_embed == "sinusoid" and gap > max(_POSITION_TOLERANCE, rounding):
            notes.append(f"{names[key]} is not the sinusoid (off by {gap:.2g}); kept as it is")
    return notes


def _what_fits(state: dict[str, Tensor], config: DVTConfig, num_wrong: int) -> str:
    """The architecture that the weights fit, or nearly fit; empty if there is none."""
    found = []
    for candidate in _candidates(config):
        with torch.device("meta"):  # shapes only
            wanted = official_state(build_model(candidate))
        found.append((len(misfits(wanted, state)), _options(candidate), len(wanted)))
    fewest, options, num_wanted = min(found)
    if fewest >= min(num_wrong, num_wanted / 2):
        return ""
    return f" ({'they fit' if fewest == 0 else 'closest is'} {options})"


def _candidates(config: DVTConfig) -> Iterator[DVTConfig]:
    for preset in (PRESETS | {config.name: config}).values():
        reuse = (True, False) if preset.num_exits > 1 else (True,)
        for feature, relation in product(reuse, repeat=2):
            yield replace(preset, feature_reuse=feature, relation_reuse=relation)


def _options(config: DVTConfig) -> str:
    """What to type for this architecture."""
    options = f"--model {config.name}"
    options += "" if config.feature_reuse else " --no-feature-reuse"
    return options + ("" if config.relation_reuse else " --no-relation-reuse")


def _compare_costs(config: DVTConfig, authors: AuthorsResults | None) -> list[str]:
    pairs = zip(exit_macs(config), authors.exit_macs if authors else (), strict=False)
    return [
        f"exit {index} costs {ours / 1e9:.3g} GMACs by our count and {theirs / 1e9:.3g} by the "
        "authors': more than 5 % apart, check the architecture"
        for index, (ours, theirs) in enumerate(pairs, start=1)
        if abs(theirs / ours - 1) > _COST_TOLERANCE
    ]


def _write(model: DynamicViT, authors: AuthorsResults | None, out: Path, **info: object) -> Bundle:
    """Makes the whole folder beside its final place, then renames it."""
    final = out.resolve()
    threshold, reason = _default_threshold(authors)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=final.parent, prefix=f".{final.name}-") as scratch:
            folder = Path(scratch) / final.name
            bundle = save_bundle(
                model,
                folder,
                name=final.name,
                title=_title(model.config),
                default_threshold=threshold,
                default_threshold_from=reason,
                **info,
            )
            if authors:
                raw = json.dumps(authors.to_dict(), indent=1) + "\n"
                write_whole(folder / AUTHORS, raw.encode())
            write_whole(folder / CARD, converted_card(bundle, authors).encode())
            folder.replace(final)
    except OSError as error:
        raise InputError(f"cannot write {out}: {error.strerror}") from error
    return load_bundle(out)


def _title(config: DVTConfig) -> str:
    title = config.name
    for ours, theirs in _TITLES.items():
        title = title.replace(ours, theirs)
    title = title.replace("dvt_", "DVT on ")
    if config.num_exits > 1:
        title += "" if config.feature_reuse else ", no feature reuse"
        title += "" if config.relation_reuse else ", no relation reuse"
    return f"{title}, converted weights"


def _default_threshold(authors: AuthorsResults | None) -> tuple[float, str]:
    first = [point.thresholds[0] for point in authors.points if point.thresholds] if authors else []
    first = [threshold for threshold in first if 0 < threshold < 1]
    if not first:
        return (
            DEFAULT_THRESHOLD,
            "a usual value, not tuned: the file holds none between 0 and 1",
        )
    return round(median(first), 2), "the median of the authors' thresholds of exit 1"
