"""Fuzzes the reading of foreign checkpoints, down to the weights and the authors' numbers.

    python -m scripts.fuzz.checkpoint [SECONDS]

The first byte of an input says how to wrap the rest: as a whole file, as the pickle inside an
honest archive (whose checksums would stop blind changes at once), or as a stream of pickles.
Nothing may be run: an audit hook ends the process when a file asks for it.
"""

from __future__ import annotations

import codecs
import io
import os
import random
import sys
import tempfile
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.fuzz.run import check_sentence, instrument, run

import numpy as np  # isort: skip
import torch  # isort: skip
from safetensors.torch import save as pack_safetensors  # isort: skip

with instrument(
    "pickletools",
    "dvt_core.pickle_names",
    "dvt_core.tensor_pickle",
    "dvt_core.checkpoint_file",
    "dvt_core.authors",
):
    import pickletools  # noqa: F401

    from dvt_core.authors import read_results
    from dvt_core.checkpoint_file import find_weights, read_checkpoint
    from dvt_core.errors import InputError

_FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.", "exec", "socket.")
_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}."
_STORAGES = {"archive/data/0": bytes(24), "archive/data/1": bytes(12)}
_FILE, _ARCHIVE, _STREAM = 0, 1, 2
_TOKENS = (
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ccollections\nOrderedDict\n",
    b"cnumpy.core.multiarray\nscalar\n",
    b"cnumpy\ndtype\nX\x02\0\0\0f8\x85R",
    b"cposix\nsystem\n",
    b"X\x05\0\0\0model",
    b"X\x05\0\0\0flops",
    b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\1\0\0\x000X\3\0\0\0cpuK\6tQ",
    *(bytes([code]) for code in b"(.0NRQ]abcdefhjqrstu}\x81\x85\x86\x87\x88\x89\x8a)"),
)
_path = Path(tempfile.mkdtemp(prefix="dvt-fuzz-")) / "file.pth"


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if _is_reading and event.startswith(_FORBIDDEN):
        print(f"RUN BY A FILE: {event} {args!r}", flush=True)
        os.abort()


_is_reading = False
for _codec in ("cp437", "raw-unicode-escape", "unicode-escape"):
    codecs.lookup(_codec)  # Python reads these tables when they are first needed, and runs them
sys.addaudithook(_audit)


def target(data: bytes) -> None:
    """Entries, weights and numbers, or one sentence."""
    global _is_reading
    _path.write_bytes(wrapped(data))
    _is_reading = True
    try:
        entries = read_checkpoint(_path)
        for use in (find_weights, lambda e: read_results(e, 3, "file")):
            try:
                use(entries)
            except InputError as error:
                check_sentence(error)
    except InputError as error:
        check_sentence(error)
    finally:
        _is_reading = False


def wrapped(data: bytes) -> bytes:
    """The file that an input stands for."""
    kind, rest = (data[0] % 3, data[1:]) if data else (_FILE, b"")
    if kind == _FILE:
        return rest
    if kind == _STREAM:
        return _MAGIC + rest
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, raw in {"archive/data.pkl": rest, **_STORAGES}.items():
            archive.writestr(name, raw)
    return out.getvalue()


def seeds() -> Iterator[bytes]:
    """A small honest checkpoint in each container."""
    entries = {
        "model": OrderedDict(w=torch.arange(6.0).view(2, 3), b=torch.nn.Parameter(torch.ones(3))),
        "flops": [np.float64(1.5), torch.tensor(2.5), 3],
        "anytime_classification": np.array([1.0, 2.0, 3.0]),
        "budgeted_batch_classification": [[0.5], [70.0]],
        "size": torch.Size([1, 2]),
        "words": {"a": {1, 2}, "b": (None, True, b"x", 1j)},
    }
    for is_zip in (True, False):
        out = io.BytesIO()
        torch.save(entries, out, _use_new_zipfile_serialization=is_zip)
        raw = out.getvalue()
        yield bytes([_FILE]) + raw
        if is_zip:
            with zipfile.ZipFile(io.BytesIO(raw)) as archive:
                name = next(n for n in archive.namelist() if n.endswith("data.pkl"))
                yield bytes([_ARCHIVE]) + archive.read(name)
        else:
            yield bytes([_STREAM]) + raw.split(_MAGIC[-5:-3], 3)[-1]
    yield bytes([_FILE]) + pack_safetensors({"w": torch.ones(2, 3)})


def mutate(data: bytes, seed: int) -> bytes:
    """Puts whole instructions of a pickle in, takes pieces out, or repeats them."""
    chance = random.Random(seed)
    out = data
    for _ in range(chance.randint(1, 4)):
        one, two = sorted(chance.randrange(len(out) + 1) for _ in range(2))
        two = min(two, one + 16)
        kind = chance.randrange(3)
        piece = chance.choice(_TOKENS) if kind == 0 else out[one:two] * (kind == 1) * 2
        out = out[:one] + piece + out[one if kind == 0 else two :]
    return out


if __name__ == "__main__":
    run("checkpoint", target, seeds(), mutate=mutate, max_length=8192)
