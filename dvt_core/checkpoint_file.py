"""Checkpoints of unknown origin: what `torch.save` wrote, and safetensors, without running code.

Both containers of `torch.save` are read here: the zip archive (a pickle, and one stored record per
storage) and the older stream of pickles followed by the storages. The pickle itself goes through
`dvt_core.tensor_pickle`. Sizes are checked against the file before memory is taken for them.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from dvt_core.errors import InputError, printable
from dvt_core.pickle_names import ForeignName, PickleError, Storage, storage_id
from dvt_core.tensor_pickle import read_pickle

# Where the weights are: DVT; timm's trainer, as in T2T-ViT and DVT's training; DeiT.
WEIGHT_ENTRIES = ("model_state_dict", "state_dict_ema", "state_dict", "model")
_AGAIN = "download it again"
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80\x02"
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # first two pickles of the older container
_MAX_PICKLE = 100_000_000  # bytes of data.pkl in an archive; a released checkpoint has 0.1 MB
_DAMAGE = (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, RuntimeError, LookupError)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The entries of a checkpoint of `torch.save` (old and new format) or of safetensors.

    Tensors are on the CPU; NumPy scalars are Python numbers, arrays are understood by np.asarray.
    Memory is bounded by a small multiple of the file's size.

    Raises:
        InputError: missing, empty, cut off or damaged, no checkpoint, or one that asks for code.
    """
    head = _read_head(path)
    with _in_words(path):
        if head.startswith(_ZIP):
            entries = _read_archive(path)
        elif head.startswith(_PICKLE):
            entries = _read_stream(path)
        elif head[8:9] == b"{":
            entries = load_file(path)
        else:
            raise PickleError("no known first bytes")
    if not isinstance(entries, dict):
        raise InputError(f"{path} holds a {type(entries).__name__}, expected a dict of weights")
    return entries


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    """Whatever damage does to a reader, in one sentence."""
    try:
        yield
    except InputError:
        raise
    except ForeignName as error:
        raise InputError(
            f"{path} asks for {error.name[:80]!r}, which is no weight and no number; it was not "
            "opened further, as such a file can run any program"
        ) from error
    except OSError as error:
        raise InputError(f"cannot read the checkpoint {path}: {error.strerror}") from error
    except (*_DAMAGE, SafetensorError) as error:
        raise InputError(
            f"{path} is no checkpoint of torch.save, or it is damaged; {_AGAIN}"
        ) from error


def _read_archive(path: Path) -> Any:
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path} is cut off: its end is missing; {_AGAIN}")
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        names = {member.filename: member for member in members}
        # torch stores without packing, so honest records are no longer than the file
        if (
            any(member.compress_type != zipfile.ZIP_STORED for member in members)
            or sum(member.file_size for member in members) > path.stat().st_size
            or len(names) < len(members)
        ):
            raise InputError(f"{path} is packed as no program of torch does it; {_AGAIN}")
        (root,) = (n.removesuffix("data.pkl") for n in names if n.split("/")[1:] == ["data.pkl"])
        order = names.get(f"{root}byteorder")
        if order and archive.read(order) != b"little":
            raise InputError(
                f"{path} is of a machine of the other byte order; save it anew on a PC"
            )
        raws: dict[str, bytearray] = {}

        def find_storage(saved: Any) -> Storage:
            dtype, key, count = storage_id(saved)
            if key not in raws:
                raws[key] = _read_record(archive, names[f"{root}data/{key}"])
            if len(raws[key]) != count * dtype.itemsize:
                raise PickleError("a storage of another size than its record")
            return Storage(raws[key], dtype)

        if names[f"{root}data.pkl"].file_size > _MAX_PICKLE:
            raise PickleError("a pickle that is too large")
        try:
            return read_pickle(io.BytesIO(archive.read(f"{root}data.pkl")), find_storage)
        except zipfile.BadZipFile as error:
            raise InputError(f"{path} is damaged: a checksum is wrong; {_AGAIN}") from error


def _read_record(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytearray:
    """The bytes of a record, into memory that tensors may keep; the checksum is verified."""
    raw = bytearray(member.file_size)
    with archive.open(member) as file:
        _fill(file, raw)
        file.read(1)  # the checksum is looked at when nothing is left
    return raw


def _read_stream(path: Path) -> Any:
    """Three pickles to know it by, the object, the keys of the storages, the storages."""
    size, raws = path.stat().st_size, {}

    def refuse(saved: Any) -> Storage:
        raise PickleError("a storage where none belongs")

    def find_storage(saved: Any) -> Storage:
        dtype, key, count = storage_id(saved)
        length = count * dtype.itemsize
        if key not in raws:
            if length + sum(map(len, raws.values())) > size:
                raise PickleError("storages that are longer than the file")
            raws[key] = bytearray(length)
        if len(raws[key]) != length:
            raise PickleError("a storage of two sizes")
        units[key] = dtype.itemsize
        return Storage(raws[key], dtype)

    units: dict[str, int] = {}
    with path.open("rb") as file:
        if read_pickle(file, refuse) != _MAGIC or read_pickle(file, refuse) != _PROTOCOL:
            raise PickleError("another kind of pickle")
        read_pickle(file, refuse)  # of the machine that wrote it
        entries = read_pickle(file, find_storage)
        keys = read_pickle(file, refuse)
        if not isinstance(keys, list) or sorted(keys) != sorted(raws):
            raise PickleError("storages that are not all there")
        for key in keys:
            if int.from_bytes(file.read(8), "little") * units[key] != len(raws[key]):
                raise PickleError("a storage of another size than its record")
            _fill(file, raws[key])
    return entries


def _fill(file: Any, raw: bytearray) -> None:
    view = memoryview(raw)
    while view:
        count = file.readinto(view)
        if not count:
            raise EOFError("the file ends within a storage")
        view = view[count:]


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
            f"found {', '.join(map(printable, list(state)[:5])) or 'nothing'}"
        )
    for key, value in state.items():
        if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_meta:
            raise InputError(
                f"the weights hold {printable(key)}, a {type(value).__name__}, expected a tensor"
            )
    weights = {str(key).removeprefix("module."): value for key, value in state.items()}
    if len(weights) < len(state):
        raise InputError('the weights hold the same name with and without "module."')
    return name, weights


def _read_head(path: Path) -> bytes:
    if path.is_dir():
        raise InputError(f"{path} is a folder, expected a checkpoint file")
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is not a regular file, expected a checkpoint file")
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
