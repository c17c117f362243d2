"""What a checkpoint's pickle may name: a closed list, and for each a stand-in that makes values.

Nothing of torch, NumPy or argparse is called by name. `numpy.ndarray` over a buffer of dtype object
would turn bytes into addresses, `bytearray` and `torch.Tensor` would take sizes, and torch's own
rebuilding of a tensor reads past the end of a storage. The stand-ins make numbers of bytes,
containers of items, and views that are checked to lie within their storage; nothing else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

_MAX_RANK = 16  # dimensions of a tensor
_MAX_INT = 1 << 62
_SCALARS = (str, bytes, int, float, bool, type(None))


class PickleError(ValueError):
    """No pickle, damaged, or one that this machine has no use for."""


class ForeignName(PickleError):
    """The pickle asks for a function or class that is none of ours; `name` says which."""

    def __init__(self, name: str) -> None:
        """Keeps the dotted name."""
        super().__init__(name)
        self.name = name


@dataclass(frozen=True, eq=False)
class Storage:
    """The bytes that tensors are views of: writable, never longer or shorter than stored."""

    raw: bytearray
    dtype: torch.dtype

    def tensor(self, offset: int, size: Sequence[int], stride: Sequence[int], dtype: Any) -> Tensor:
        """A view, checked to lie within: offset and stride count elements of `dtype`."""
        numbers = (offset, *size, *stride)
        if (
            not isinstance(dtype, torch.dtype)
            or len(size) != len(stride)
            or len(size) > _MAX_RANK
            or any(type(n) is not int or not 0 <= n < _MAX_INT for n in numbers)
            or math.prod(size) >= _MAX_INT
        ):
            raise PickleError("a tensor without a valid shape")
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if 0 in size:
            return torch.empty(0, dtype=dtype).as_strided(tuple(size), tuple(stride))
        if (last + 1) * dtype.itemsize > len(self.raw):
            raise PickleError("a tensor beyond the end of its storage")
        count = len(self.raw) // dtype.itemsize
        flat = torch.frombuffer(self.raw, dtype=dtype, count=count)
        return flat.as_strided(tuple(size), tuple(stride), offset)


class _Dtype:
    """Stands for numpy.dtype: booleans, integers and floats of up to 8 bytes."""

    def __init__(self, code: str, *_flags: Any) -> None:
        if not isinstance(code, str) or not re.fullmatch("[biuf][1248]", code):
            raise ForeignName(f"numpy.dtype({str(code)[:20]!r})")
        self.code, self.numpy = code, np.dtype(code)

    def build(self, state: Any) -> None:
        """Takes the byte order, state[1]."""
        if state[1] not in ("<", ">", "|", "="):
            raise PickleError("an unknown byte order")
        self.numpy = np.dtype(state[1] + self.code)


class _Array:
    """Stands for numpy.ndarray, and for the function that makes an empty one to be filled."""

    def __init__(self, *_args: Any) -> None:
        self.numbers = np.empty(0)

    def build(self, state: Any) -> None:
        """Takes (version, shape, dtype, is_fortran, raw)."""
        _, shape, dtype, is_fortran, raw = state
        numbers = np.frombuffer(_as_bytes(raw), checked(dtype, _Dtype).numpy)
        if type(shape) is not tuple or any(type(n) is not int or n < 0 for n in shape):
            raise PickleError("an array without a valid shape")
        self.numbers = numbers.reshape(shape, order="F" if is_fortran else "C")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numbers, dtype)


class _Options:
    """Stands for argparse.Namespace, the options of a training run."""

    def build(self, state: Any) -> None:
        """Takes the attributes."""
        self.values = checked(state, dict)


class _Dict(dict):
    """Stands for collections.OrderedDict and Counter; attributes (`_metadata`) are passed over."""

    def build(self, state: Any) -> None:
        """Takes nothing."""


def checked(value: Any, kind: Any) -> Any:
    """The value itself if it is of this type, or one of these types; else PickleError."""
    if not isinstance(value, kind):
        raise PickleError(f"a {type(value).__name__} where something else belongs")
    return value


def _as_bytes(value: Any, encoding: str = "latin1") -> bytes:
    """Bytes as protocol 2 has them: a text of characters up to 255."""
    if encoding != "latin1" or not isinstance(value, str | bytes):
        raise PickleError("bytes in an unknown form")
    return value.encode(encoding) if isinstance(value, str) else value


def _bytearray(value: Any = b"", encoding: str = "latin1") -> bytearray:
    return bytearray(_as_bytes(value, "latin1" if encoding == "latin-1" else encoding))


def _scalar(dtype: Any, raw: Any) -> Any:
    return np.frombuffer(_as_bytes(raw), checked(dtype, _Dtype).numpy, count=1)[0].item()


def _dict(items: Any = ()) -> _Dict:
    made = _Dict()
    pairs = items.items() if isinstance(items, dict) else checked(items, list | tuple)
    for key, value in pairs:
        made[key_of(key)] = value
    return made


def _set(items: Any = ()) -> set[Any]:
    return {key_of(item) for item in checked(items, list)}


def _size(items: Any = ()) -> tuple[Any, ...]:
    return tuple(checked(items, list | tuple))


def _device(kind: Any = "cpu", *_index: Any) -> str:
    return checked(kind, str)


def _complex(real: Any, imaginary: Any) -> complex:
    return complex(checked(real, float), checked(imaginary, float))


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_rest: Any) -> Tensor:
    held = checked(storage, Storage)
    return held.tensor(offset, checked(size, tuple), checked(stride, tuple), held.dtype)


def _rebuild_tensor_v3(
    storage: Any, offset: Any, size: Any, stride: Any, _grad: Any, _hooks: Any, dtype: Any, *_: Any
) -> Tensor:
    held = checked(storage, Storage)
    return held.tensor(offset, checked(size, tuple), checked(stride, tuple), dtype)


def _rebuild_parameter(data: Any, *_rest: Any) -> Tensor:
    return checked(data, Tensor)


_CALLABLE: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _dict,
    "collections.Counter": _dict,
    "argparse.Namespace": _Options,
    "torch.Size": _size,
    "torch.device": _device,
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v3": _rebuild_tensor_v3,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": _rebuild_parameter,
    "_codecs.encode": _as_bytes,
    "builtins.bytes": lambda: b"",  # what protocol 2 makes of no bytes
    "builtins.bytearray": _bytearray,
    "builtins.set": _set,
    "builtins.complex": _complex,
    "numpy.dtype": _Dtype,
    "numpy.ndarray": _Array,
    **{
        f"numpy.{core}.multiarray.{name}": stand_in
        for core in ("core", "_core")  # NumPy 1, NumPy 2
        for stand_in, name in ((_scalar, "scalar"), (_Array, "_reconstruct"))
    },
}
BUILDABLE = _Dtype | _Array | _Options | _Dict
_DTYPES = {str(value): value for value in vars(torch).values() if isinstance(value, torch.dtype)}
_STORAGES = {
    f"{module}.{name}Storage": dtype
    for module in ("torch", "torch.cuda")
    for name, dtype in {
        "Float": torch.float32,
        "Double": torch.float64,
        "Half": torch.float16,
        "BFloat16": torch.bfloat16,
        "Long": torch.int64,
        "Int": torch.int32,
        "Short": torch.int16,
        "Char": torch.int8,
        "Byte": torch.uint8,
        "Bool": torch.bool,
        "ComplexFloat": torch.complex64,
        "ComplexDouble": torch.complex128,
    }.items()
} | {"torch.storage.UntypedStorage": torch.uint8}
_PYTHON_2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}


@dataclass(frozen=True)
class Name:
    """A name that the pickle mentions and that we know; only `call` gives it a meaning."""

    full: str

    def call(self, args: tuple[Any, ...]) -> Any:
        """The value that the stand-in makes of the arguments."""
        if self.full not in _CALLABLE:
            raise ForeignName(f"{self.full}()")
        try:
            made = _CALLABLE[self.full](*args)
        except TypeError as error:  # another number of arguments
            raise PickleError(f"{self.full} with other arguments than usual") from error
        return made


def find_name(mentioned: str) -> Any:
    """What stands for "module name": a dtype of torch, or a `Name`; else ForeignName."""
    module, _, name = mentioned.partition(" ")
    full = f"{_PYTHON_2.get(module, module)}.{name}"
    if full in _DTYPES:
        return _DTYPES[full]
    if full in _CALLABLE or full in _STORAGES:
        return Name(full)
    raise ForeignName(full)


def key_of(value: Any) -> Any:
    """A key of a dict or member of a set: nested tuples would take for ever to hash."""
    parts = value if isinstance(value, tuple) else (value,)
    if len(parts) > _MAX_RANK or not all(isinstance(part, _SCALARS) for part in parts):
        raise PickleError(f"a {type(value).__name__} as a key")
    return value


def storage_id(saved: Any) -> tuple[torch.dtype, str, int]:
    """What a persistent id says: dtype, key and number of elements of a storage.

    Raises:
        PickleError: it says something else.
    """
    if not isinstance(saved, tuple) or len(saved) not in (5, 6) or saved[0] != "storage":
        raise PickleError("a reference to something else than a storage")
    name, key, _, count, *view = saved[1:]
    if not isinstance(name, Name) or name.full not in _STORAGES or any(view):
        raise PickleError("a storage of an unknown kind")
    if not isinstance(key, str) or type(count) is not int or not 0 <= count < _MAX_INT:
        raise PickleError("a storage without a valid size")
    return _STORAGES[name.full], key, count
