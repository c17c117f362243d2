"""How an exit table lies on disk, and the note of where it comes from.

One Parquet file of NumPy columns; a JSON document travels in its metadata. Pages carry checksums,
so damage is noticed.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dvt_core.errors import InputError

_MAX_BYTES = 1_000_000_000  # of all columns together in memory: a million images, five exits
_MAX_MACS, _MAX_CLASSES = 10**12, 10**6  # sums over a million images still fit 64 bits
_METADATA_KEY = b"dvt_exit_table"


@dataclass(frozen=True)
class TableInfo:
    """Where a table comes from; travels in the Parquet metadata.

    Attributes:
        model: name of the model.
        weights_sha256: hash of its weights file, hexadecimal.
        data: name of the data set or its folder.
        split: "train", "calibration" or "test".
        num_classes: classes the model tells apart, at least 2.
        exit_macs: cumulative multiply-accumulates per image up to each exit, increasing.
        device: what the model ran on, in words.
        made_by: command or program version that made the table.
    """

    model: str
    weights_sha256: str
    data: str
    split: str
    num_classes: int
    exit_macs: tuple[int, ...]
    device: str
    made_by: str

    def __post_init__(self) -> None:
        """Checks the fields."""
        for name in ("model", "weights_sha256", "data", "split", "device", "made_by"):
            if not isinstance(getattr(self, name), str):
                raise InputError(f"{name} is {getattr(self, name)!r}, it must be a string")
        try:
            macs = tuple(int(value) for value in self.exit_macs)
            is_whole = macs == tuple(self.exit_macs) and int(self.num_classes) == self.num_classes
        except (TypeError, ValueError, OverflowError):
            is_whole, macs = False, ()
        if not is_whole or not 2 <= self.num_classes <= _MAX_CLASSES:
            raise InputError(
                f"num_classes is {self.num_classes!r} and exit_macs is {self.exit_macs!r}, they "
                f"must be a whole number from 2 to {_MAX_CLASSES:,} and a list of whole numbers"
            )
        if not macs or macs[0] <= 0 or any(b <= a for a, b in pairwise(macs)):
            raise InputError(f"exit_macs is {macs}, it must be positive and increase exit by exit")
        if macs[-1] > _MAX_MACS:
            raise InputError(f"exit_macs is {macs}, more than the limit of {_MAX_MACS:,}")
        object.__setattr__(self, "exit_macs", macs)
        object.__setattr__(self, "num_classes", int(self.num_classes))


def pack_columns(columns: Mapping[str, np.ndarray], document: Mapping[str, Any]) -> bytes:
    """(n,) or (n, K) columns and a JSON document as the bytes of a Parquet file."""
    table = pa.table({name: _to_arrow(array) for name, array in columns.items()})
    table = table.replace_schema_metadata({_METADATA_KEY: json.dumps(document).encode()})
    out = io.BytesIO()
    pq.write_table(
        table,
        out,
        compression="zstd",
        compression_level=9,
        use_dictionary=False,
        use_byte_stream_split=True,  # halves the size of float columns
        write_page_checksum=True,
    )
    return out.getvalue()


def read_columns(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The columns and the document that `pack_columns` packed.

    Raises:
        InputError: the file is damaged, or something else.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            document = json.loads((file.schema_arrow.metadata or {})[_METADATA_KEY])
            names = _checked_names(file.schema_arrow, file.metadata.num_rows)
            stored = file.read(columns=names)
        return {name: _from_arrow(stored[name]) for name in stored.column_names}, document
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RecursionError, pa.ArrowException) as error:
        raise InputError(
            "it is damaged or something else, make it anew with: dvt evaluate"
        ) from error


def _checked_names(schema: pa.Schema, num_rows: int) -> list[str]:
    """The columns that can be ours; refuses what would take too much memory to read.

    A packed column of a few kilobytes may stand for billions of rows.
    """
    width, names = 0, []
    for field in schema:
        is_list = pa.types.is_fixed_size_list(field.type)
        item, count = (field.type.value_type, field.type.list_size) if is_list else (field.type, 1)
        if pa.types.is_integer(item) or pa.types.is_floating(item):
            width += count * item.bit_width // 8
            names.append(field.name)
    if num_rows * width > _MAX_BYTES:
        raise InputError(
            f"it has {num_rows:,} rows of {width:,} bytes, more than the limit of "
            f"{_MAX_BYTES // 10**6:,} MB"
        )
    return names


def _to_arrow(array: np.ndarray) -> pa.Array:
    if array.ndim == 1:
        return pa.array(array)
    flat = pa.array(np.ascontiguousarray(array).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, array.shape[1])


def _from_arrow(column: pa.ChunkedArray) -> np.ndarray:
    if not pa.types.is_fixed_size_list(column.type):
        return column.to_numpy()
    flat = np.concatenate([chunk.flatten().to_numpy() for chunk in column.chunks])
    return flat.reshape(len(column), column.type.list_size)
