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

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor

from dvt_core.authors import AUTHORS, AuthorsResults
from dvt_core.bounded_file import read_bounded, read_object
from dvt_core.config import DVTConfig
from dvt_core.data_sources import DATASETS
from dvt_core.errors import InputError, printable
from dvt_core.exit_table import ExitTable
from dvt_core.model import DynamicViT, build_model
from dvt_core.model_limits import check_limits
from dvt_core.presets import PRESETS
from dvt_core.thresholds import OperatingPoint
from dvt_core.whole_file import write_whole

FORMAT = 1
CONFIG, WEIGHTS, THRESHOLDS = "config.json", "model.safetensors", "thresholds.json"
_OWN = {"format", "name", "title", "architecture", "class_names", "weights_sha256"}
_OWN |= {"default_threshold"}
_MAX_HEADER = 1_000_000  # bytes
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
        with torch.device("meta"):  # shapes only: nothing is allocated before the weights fit
            wanted = build_model(self.config).state_dict()
        limit = 2 * sum(map(_num_bytes, wanted.values())) + _MAX_HEADER
        raw = read_bounded(path, limit, "the weights ")
        if hashlib.sha256(raw).hexdigest() != self.weights_sha256:
            raise InputError(
                f"the weights {path} are damaged or replaced: their checksum is not the one in "
                f"{CONFIG}; restore the folder"
            )
        try:
            state = load_safetensors(raw)
        except (SafetensorError, ValueError) as error:
            raise InputError(f"the weights {path} are no safetensors file: {error}") from error
        found = misfits(wanted, state)
        if found:
            raise InputError(f"the weights {path} do not fit the architecture: {few(found)}")
        wrong = [key for key, value in state.items() if not value.isfinite().all()]
        if wrong:
            raise InputError(
                f"the weights {path} hold infinite numbers or none (NaN): {few(wrong)}"
            )
        model = build_model(self.config, class_names=self.class_names)
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
        raw = read_object(self.path / THRESHOLDS)
        try:
            return tuple(OperatingPoint.from_dict(p, self.config.num_exits) for p in raw["points"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InputError(
                f"{self.path / THRESHOLDS} holds no operating points of this model: "
                f"{printable(error)}; restore the folder"
            ) from error

    @cached_property
    def authors(self) -> AuthorsResults | None:
        """What the authors of converted weights measured themselves, if the folder keeps it.

        Raises:
            InputError: the file is damaged.
        """
        path = self.path / AUTHORS
        if not path.is_file():
            return None
        authors = AuthorsResults.from_dict(read_object(path))
        if not authors.fits(self.config.num_exits):
            raise InputError(f"{path} is of a model with another number of exits")
        return authors


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
    return _described(path, read_object(path / CONFIG))


def _described(path: Path, raw: dict[str, Any]) -> Bundle:
    """The bundle that a folder's config.json describes; every value is checked."""
    try:
        if raw["format"] != FORMAT:
            raise InputError(f"it has format {raw['format']}, this program reads {FORMAT}")
        config = DVTConfig.from_dict(raw["architecture"])
        check_limits(config)
        if not isinstance(raw["class_names"], list):
            raise InputError("class_names must be a list of words")
        words = tuple(raw["class_names"]) or tuple(f"class {i}" for i in range(config.num_classes))
        if len(words) != config.num_classes:
            raise InputError(f"it has {len(words)} class names for {config.num_classes} classes")
        texts = (raw["name"], raw["title"], raw["weights_sha256"], *words)
        if not all(isinstance(text, str) and text and text.isprintable() for text in texts):
            raise InputError("names, title, class names and checksum must be words on one line")
        threshold = raw["default_threshold"]
        if type(threshold) not in (int, float) or not 0 <= threshold <= 1:
            raise InputError(f"default_threshold is {threshold!r}, expected a number from 0 to 1")
        return Bundle(
            path=path,
            name=raw["name"],
            title=raw["title"],
            config=config,
            class_names=words,
            weights_sha256=raw["weights_sha256"],
            default_threshold=float(threshold),
            info={k: v for k, v in raw.items() if k not in _OWN},
        )
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        reason = printable(error, 500)
        raise InputError(f"{path / CONFIG} is no model description: {reason}") from error


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
    write_whole(path / WEIGHTS, raw)
    write_whole(path / CONFIG, (json.dumps(config, indent=1) + "\n").encode())
    return load_bundle(path)


def _num_bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


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
    return "; ".join(printable(phrase) for phrase in phrases[:5]) + more
