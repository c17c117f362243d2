"""Model folders: weights, what they mean, and what was measured with them.

A folder holds
    config.json           architecture, class names, words about data and training
    model.safetensors     the weights
    calibration.parquet   exit table on which thresholds are solved
    test.parquet          exit table on which accuracy is shown
    thresholds.json       operating points solved on calibration, shown on test
    authors.json          what the authors of converted weights measured themselves
    README.md             the model card, generated from the files above
Only the first two are always there. Reading a folder never runs code: JSON, safetensors and
Parquet only.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor

from dvt_core.authors import AUTHORS, AuthorsResults
from dvt_core.config import DVTConfig
from dvt_core.data_sources import DATASETS
from dvt_core.errors import InputError
from dvt_core.exit_table import ExitTable
from dvt_core.model import DynamicViT, build_model
from dvt_core.presets import PRESETS
from dvt_core.thresholds import OperatingPoint

FORMAT = 1
CONFIG, WEIGHTS, THRESHOLDS = "config.json", "model.safetensors", "thresholds.json"
REPOSITORY = Path(__file__).resolve().parents[1]


DEFAULT = "tiny-imagenet"  # what the app opens with and the command line takes


def bundled_dir() -> Path:
    """Where named models lie: $DVT_MODELS, else assets/models of the repository."""
    return Path(os.environ.get("DVT_MODELS") or REPOSITORY / "assets" / "models")


@dataclass(frozen=True, eq=False)
class Bundle:
    """One model folder, read but for the weights and tables, which are read when asked for.

    Attributes:
        path: the folder.
        name: what people type.
        title: a few words for people.
        config: the architecture.
        class_names: num_classes words; "class 0" and so on where the folder names none.
        weights_sha256: of the weights file, hexadecimal; tables carry the same.
        default_threshold: a shared threshold to start with, chosen on calibration.
        info: the rest of config.json: `data`, `training` and further notes for the card.
    """

    path: Path
    name: str
    title: str
    config: DVTConfig
    class_names: tuple[str, ...]
    weights_sha256: str
    default_threshold: float
    info: dict[str, Any]

    def load_model(self) -> DynamicViT:
        """The model on the CPU in eval mode, class names and preprocessing included.

        Raises:
            InputError: the weights file is missing, damaged or of another architecture.
        """
        path = self.path / WEIGHTS
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise InputError(f"cannot read the weights {path}: {error.strerror}") from error
        if hashlib.sha256(raw).hexdigest() != self.weights_sha256:
            raise InputError(
                f"the weights {path} are damaged or replaced: their checksum is not the one in "
                f"{CONFIG}; restore the folder"
            )
        try:
            state = load_safetensors(raw)
        except (SafetensorError, ValueError) as error:
            raise InputError(f"the weights {path} are no safetensors file: {error}") from error
        model = build_model(self.config, class_names=self.class_names)
        found = misfits(model.state_dict(), state)
        if found:
            raise InputError(f"the weights {path} do not fit the architecture: {few(found)}")
        model.load_state_dict(state)
        model.name, model.weights_sha256 = self.name, self.weights_sha256
        return model.eval().requires_grad_(False)

    def has_table(self, split: str) -> bool:
        """Whether the folder holds the exit table of "calibration" or "test"."""
        return (self.path / f"{split}.parquet").is_file()

    def table_command(self, split: str) -> str:
        """What to type to make the exit table of "calibration" or "test"."""
        imagenet = DATASETS["imagenet-1k"]
        data = imagenet.name if self.config.num_classes == imagenet.num_classes else "DATA"
        words = ("dvt", "evaluate", "--model", self.path, "--data", data, "--split", split)
        return shlex.join(map(str, (*words, "--out", self.path / f"{split}.parquet")))

    def table(self, split: str) -> ExitTable:
        """The stored exit table of "calibration" or "test".

        Raises:
            InputError: absent, damaged, or made with other weights.
        """
        path = self.path / f"{split}.parquet"
        if not self.has_table(split):
            raise InputError(
                f"{self.name} has no table {path} yet; make it with: {self.table_command(split)}"
            )
        table = self.check_table(ExitTable.load(path))
        if table.info.split != split:
            raise InputError(f"{path} holds the {table.info.split} split; restore the folder")
        return table

    def check_table(self, table: ExitTable) -> ExitTable:
        """The table itself if it was made with these weights, else InputError."""
        table.check_model(
            self.name,
            weights_sha256=self.weights_sha256,
            num_exits=self.config.num_exits,
            num_classes=self.config.num_classes,
        )
        return table

    @cached_property
    def solved(self) -> tuple[OperatingPoint, ...]:
        """Operating points of thresholds.json, cheapest first; accuracy is on calibration."""
        raw = _read_json(self.path / THRESHOLDS)
        try:
            return tuple(
                OperatingPoint(
                    tuple(p["thresholds"]), p["accuracy"], p["macs"], tuple(p["exit_shares"])
                )
                for p in raw["points"]
            )
        except (KeyError, TypeError) as error:
            raise InputError(f"{self.path / THRESHOLDS} lacks {error}") from error

    @cached_property
    def authors(self) -> AuthorsResults | None:
        """What the authors of converted weights measured themselves, if the folder keeps it.

        Raises:
            InputError: the file is damaged.
        """
        path = self.path / AUTHORS
        return AuthorsResults.from_dict(_read_json(path)) if path.is_file() else None


def list_models() -> tuple[str, ...]:
    """Names of the bundled models: `DEFAULT` first if it is there, the rest by the alphabet."""
    folder = bundled_dir()
    if not folder.is_dir():
        return ()
    names = (path.parent.name for path in folder.glob(f"*/{CONFIG}"))
    return tuple(sorted(names, key=lambda name: (name != DEFAULT, name)))


def load_bundle(name_or_dir: str | Path) -> Bundle:
    """Reads a model folder by bundled name or by path.

    Raises:
        InputError: no such model, or a damaged config.json.
    """
    path = Path(name_or_dir)
    if not (path / CONFIG).is_file():
        known = list_models()
        if str(name_or_dir) not in known:
            is_architecture = str(name_or_dir) in PRESETS
            hint = "; 'dvt convert' or 'dvt train' make a folder of it" if is_architecture else ""
            raise InputError(
                f"no model {str(name_or_dir)!r}: it is neither a folder with a {CONFIG} nor one "
                f"of the bundled models ({', '.join(known) or 'none'})" + hint
            )
        path = bundled_dir() / str(name_or_dir)
    raw = _read_json(path / CONFIG)
    try:
        if raw["format"] != FORMAT:
            raise InputError(f"{path / CONFIG} has format {raw['format']}, this program reads 1")
        own = {"format", "name", "title", "architecture", "class_names", "weights_sha256"}
        config = DVTConfig.from_dict(raw["architecture"])
        words = tuple(raw["class_names"]) or tuple(f"class {i}" for i in range(config.num_classes))
        if len(words) != config.num_classes:
            raise InputError(
                f"{path / CONFIG} has {len(words)} class names for {config.num_classes} classes"
            )
        return Bundle(
            path=path,
            name=raw["name"],
            title=raw["title"],
            config=config,
            class_names=words,
            weights_sha256=raw["weights_sha256"],
            default_threshold=float(raw["default_threshold"]),
            info={k: v for k, v in raw.items() if k not in own | {"default_threshold"}},
        )
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path / CONFIG} is no model description: {error}") from error


def load_model(name_or_dir: str | Path) -> DynamicViT:
    """A ready `DynamicViT` by bundled name or folder: eval mode, CPU, with its class names."""
    return load_bundle(name_or_dir).load_model()


def save_bundle(
    model: DynamicViT, path: Path, *, name: str, title: str, default_threshold: float, **info: Any
) -> Bundle:
    """Writes weights and config.json of a model folder; tables are written by their owner.

    Args:
        model: its config, class names and weights are stored.
        path: the folder, made if it is missing.
        name: what people type.
        title: a few words for people.
        default_threshold: a shared threshold to start with.
        **info: JSON-ready notes, kept as they are.
    """
    path.mkdir(parents=True, exist_ok=True)
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    raw = save_safetensors(state)
    config = {
        "format": FORMAT,
        "name": name,
        "title": title,
        "default_threshold": default_threshold,
        "weights_sha256": hashlib.sha256(raw).hexdigest(),
        **info,
        "class_names": list(model.class_names),
        "architecture": model.config.to_dict(),
    }
    write_atomically(path / WEIGHTS, raw)
    write_atomically(path / CONFIG, (json.dumps(config, indent=1) + "\n").encode())
    return load_bundle(path)


def write_atomically(path: Path, raw: bytes) -> None:
    """Writes a file beside its final place, then renames it: complete or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(raw)
    os.replace(partial, path)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path} is no valid JSON: {error}") from error
    if not isinstance(raw, dict):
        raise InputError(f"{path} holds a {type(raw).__name__}, expected an object")
    return raw


def misfits(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    """A phrase for each key that is missing, unknown or of another shape; empty if all fits."""
    phrases = [f"{key} is missing" for key in wanted.keys() - found.keys()]
    phrases += [f"{key} is unknown" for key in found.keys() - wanted.keys()]
    phrases += [
        f"{key} is {tuple(found[key].shape)}, expected {tuple(wanted[key].shape)}"
        for key in wanted.keys() & found.keys()
        if found[key].shape != wanted[key].shape
    ]
    return sorted(phrases)


def few(phrases: Sequence[str]) -> str:
    """The first five, and how many more there are."""
    more = f" and {len(phrases) - 5} more" if len(phrases) > 5 else ""
    return "; ".join(phrases[:5]) + more
