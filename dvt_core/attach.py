"""Puts finished runs beside a model, for `dvt_core.study` to compare."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from dvt_core.bundle import Bundle, load_bundle
from dvt_core.errors import InputError
from dvt_core.macs import stage_macs
from dvt_core.study import ABLATION, BASELINES, LOG_FILES, SPLITS, VARIANTS, variant_of
from dvt_core.whole_file import whole_folder


def attach_baselines(run: str | Path, model: Bundle) -> Path:
    """Makes static baselines of a model from a run of one of its stages alone, or of all at once.

    All at once is a run of the same cascade without reuse: its stages share nothing, so each was
    trained as if alone (`dvt_core.model.alone`).

    Raises:
        InputError: the run is another architecture, or reuses something.
    """
    other = load_bundle(run)
    plain = replace(model.config, feature_reuse=False, relation_reuse=False)
    places = [i for i in range(plain.num_exits) if other.config == plain.alone(i)]
    if not places:
        if variant_of(_same_cascade(run, model)) != VARIANTS[0]:
            raise InputError(
                f"{other.path} reuses {variant_of(other)!r}; static baselines come from a run "
                "with feature_reuse = false and relation_reuse = false"
            )
        places = list(range(plain.num_exits))
    for exit_index, place in enumerate(places):
        name = f"{plain.grid_sizes[place]}x{plain.grid_sizes[place]}"
        folder = model.path / BASELINES / name
        with whole_folder(folder) as scratch:
            for split in SPLITS:
                table = other.table(split).exit_alone(
                    exit_index, stage_macs(plain)[place], f"{model.name}_{name}"
                )
                table.save(scratch / f"{split}.parquet")
            _copy_log(other, scratch)
    return model.path / BASELINES


def attach_ablation(run: str | Path, model: Bundle) -> Path:
    """Puts a run of the same cascade, with any of the reuses, beside a model as a row.

    Raises:
        InputError: the run is another architecture.
    """
    other = _same_cascade(run, model)
    folder = model.path / ABLATION / variant_of(other)
    with whole_folder(folder) as scratch:
        for split in SPLITS:
            other.table(split).save(scratch / f"{split}.parquet")
        _copy_log(other, scratch)
    return folder


def _same_cascade(run: str | Path, model: Bundle) -> Bundle:
    other = load_bundle(run)
    wanted = replace(
        model.config,
        feature_reuse=other.config.feature_reuse,
        relation_reuse=other.config.relation_reuse,
    )
    if other.config != wanted:
        raise InputError(
            f"{other.path} is no variant of {model.name}: it must be the same cascade but for its "
            "reuses"
        )
    return other


def _copy_log(other: Bundle, folder: Path) -> None:
    for name in LOG_FILES:
        if (other.path / name).is_file():
            shutil.copyfile(other.path / name, folder / name)
