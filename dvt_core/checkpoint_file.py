"""Checkpoints of unknown origin: what `torch.save` wrote, read without running their code.

Such a file is a pickle, and a pickle may call any function that it names. `torch.load` with
weights_only builds tensors and plain containers and refuses all other names. Three more are needed
for the released checkpoints: NumPy's numbers and arrays (the curves) and argparse's Namespace
(options of a training run). NumPy's own classes are not let in: `numpy.ndarray` over a buffer of
dtype object turns bytes into addresses. The stand-ins below make numbers of bytes, nothing else.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from argparse import Namespace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.serialization import safe_globals

from dvt_core.errors import InputError

# Where the weights are: DVT; timm's trainer, as in T2T-ViT and DVT's training; DeiT.
WEIGHT_ENTRIES = ("model_state_dict", "state_dict_ema", "state_dict", "model")
_AGAIN = "download it again"


class _Dtype:
    """Stands for numpy.dtype: booleans, integers and floats of up to 8 bytes."""

    def __init__(self, code: str, *_flags: bool) -> None:
        if not re.fullmatch("[biuf][1248]", code):
            raise UnpicklingError(f"GLOBAL numpy.dtype({code!r})")
        self.code = code

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.numpy = np.dtype(state[1] + self.code)  # state[1]: the byte order


class _Array:
    """Stands for numpy.ndarray, and for the function that makes an empty one to be filled."""

    def __init__(self, *_args: Any) -> None:
        self.numbers = np.empty(0)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, is_fortran, raw = state
        order = "F" if is_fortran else "C"
        self.numbers = np.frombuffer(raw, dtype.numpy).reshape(shape, order=order)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numbers, dtype)


def _scalar(dtype: _Dtype, raw: bytes) -> Any:
    return np.frombuffer(raw, dtype.numpy)[0].item()


_ALLOWED = [
    Namespace,
    (_Dtype, "numpy.dtype"),
    (_Array, "numpy.ndarray"),
    *(
        (stand_in, f"numpy.{core}.multiarray.{name}")
        for core in ("core", "_core")  # NumPy 1, NumPy 2
        for stand_in, name in ((_scalar, "scalar"), (_Array, "_reconstruct"))
    ),
]


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The entries of a checkpoint of `torch.save` (old and new format) or of safetensors.

    Tensors are on the CPU; NumPy scalars are Python numbers, arrays are understood by np.asarray.

    Raises:
        InputError: missing, empty, cut off or damaged, no checkpoint, or one that asks for code.
    """
    head = _read_head(path)
    try:
        if head.startswith(b"PK\x03\x04"):
            _check_archive(path)
        with warnings.catch_warnings(action="ignore"), safe_globals(_ALLOWED):
            entries = torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        foreign = re.search(r"GLOBAL (\S+)", str(error))
        if foreign:
            raise InputError(
                f"{path} asks for {foreign[1]!r}, which is no weight and no number; it was not "
                "opened further, as such a file can run any program"
            ) from error
        raise InputError(
            f"{path} is no checkpoint of torch.save, or it is damaged; {_AGAIN}"
        ) from error
    if not isinstance(entries, dict):
        raise InputError(f"{path} holds a {type(entries).__name__}, expected a dict of weights")
    return entries


def find_weights(entries: dict[str, Any]) -> tuple[str, dict[str, Tensor]]:
    """The state dict among the entries, with the name of its entry ("" if it is the whole file).

    The prefix `module.` of a model that was trained in parallel is taken off.

    Raises:
        InputError: there is none, or it holds something else than dense tensors.
    """
    held = [name for name in WEIGHT_ENTRIES if isinstance(entries.get(name), dict)]
    name, state = (held[0], entries[held[0]]) if held else ("", entries)
    if not any(isinstance(value, Tensor) for value in state.values()):
        raise InputError(
            f"no weights: expected an entry {', '.join(WEIGHT_ENTRIES)} or a bare state dict, "
            f"found {', '.join(map(str, list(state)[:5])) or 'nothing'}"
        )
    for key, value in state.items():
        if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_meta:
            raise InputError(f"the weights hold {key}, a {type(value).__name__}, expected a tensor")
    return name, {str(key).removeprefix("module."): value for key, value in state.items()}


def _read_head(path: Path) -> bytes:
    if path.is_dir():
        raise InputError(f"{path} is a folder, expected a checkpoint file")
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise InputError(f"cannot read the checkpoint {path}: {error.strerror}") from error
    if not head:
        raise InputError(f"{path} is empty; {_AGAIN}")
    if head.lstrip().startswith(b"<"):
        raise InputError(f"{path} is a web page, not the checkpoint; download the file behind it")
    return head


def _check_archive(path: Path) -> None:
    """torch itself does not look at the checksums of the zip archive that it writes."""
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path} is cut off: its end is missing; {_AGAIN}")
    with zipfile.ZipFile(path) as archive:
        if archive.testzip() is not None:
            raise InputError(f"{path} is damaged: a checksum is wrong; {_AGAIN}")
