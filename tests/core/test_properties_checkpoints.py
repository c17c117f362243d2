"""Checkpoints of unknown origin: whatever is in them, one sentence, nothing run, bounded memory."""

from __future__ import annotations

import codecs
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import threading
import tracemalloc
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save as pack_safetensors

from dvt_core.authors import CURVE, ENTRIES, FLOPS, AuthorsResults, read_results
from dvt_core.checkpoint_file import find_weights, read_checkpoint
from dvt_core.errors import InputError
from dvt_core.model import build_model
from dvt_core.model.official_names import official_state
from dvt_core.official_checkpoint import convert
from dvt_core.tensor_pickle import MAX_STEPS
from tests.core.examples import some
from tests.core.official_files import lively, numbers, save, shrunk, weights

DEIT = shrunk("dvt_deit_small")
MAX_MEMORY = 80_000_000  # bytes, for files below 1 MB
MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}."


# --- nothing is run: what Python tells its auditors while a file is read

_watched: list[str] = []
_is_watching = threading.local()
_DEEDS = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect")
_DEEDS += ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.chmod", "os.symlink", "shutil.")
_DEEDS += ("exec", "compile", "import", "pickle.find_class", "ctypes.", "open-to-write")


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if not getattr(_is_watching, "on", False):
        return
    if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        event = "open-to-write"
    if event.startswith(_DEEDS):
        _watched.append(f"{event} {args[:1]}")


sys.addaudithook(_audit)


@pytest.fixture(scope="module", autouse=True)
def everything_is_imported(tmp_path_factory) -> None:
    """Lazy imports happen once, before anyone looks."""
    folder = tmp_path_factory.mktemp("warm")
    path = save({"model": weights(lively(DEIT)), **numbers()}, folder / "good.pth")
    convert(path, DEIT, folder / "out")
    path.write_bytes(pack_safetensors(weights(lively(DEIT))))
    read_checkpoint(path)
    path.write_bytes(b"\x80\x02.")
    for codec in ("cp437", "raw-unicode-escape", "unicode-escape"):
        codecs.lookup(codec)
    with pytest.raises(InputError):
        read_checkpoint(path)


def read(path: Path) -> tuple[dict[str, Any] | None, str]:
    """Entries, or None and the sentence; nothing else may happen on the way."""
    _watched.clear()
    tracemalloc.start()
    _is_watching.on = True
    try:
        entries, sentence = read_checkpoint(path), ""
        find_weights(entries)
        read_results(entries, 3, "file")
    except InputError as error:
        entries, sentence = None, str(error)
    finally:
        _is_watching.on = False
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert _watched == []
    assert peak < MAX_MEMORY
    if entries is None:
        assert sentence.isprintable() and len(sentence) < 1500 and not sentence.endswith(".")
    return entries, sentence


def refused(path: Path, words: str = "") -> str:
    entries, sentence = read(path)
    assert entries is None and words in sentence, sentence
    return sentence


# --- what is honest comes back as torch itself reads it

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8)
DTYPES += (torch.bool, torch.int8, torch.int16, torch.int32, torch.complex64, torch.complex128)


@st.composite
def tensors(draw) -> torch.Tensor:
    """Any type and rank, also views: turned, cut, expanded, empty, scalar, parameters."""
    size = draw(st.lists(st.integers(0, 4), max_size=4))
    base = (torch.arange(int(np.prod(size))).reshape(size) % 100).to(draw(st.sampled_from(DTYPES)))
    kind = draw(st.sampled_from(("plain", "turned", "cut", "expanded", "parameter")))
    if kind == "turned":
        return base.movedim(0, -1) if size else base
    if kind == "cut":
        return base[1:] if size and size[0] else base
    if kind == "expanded":
        return base[None].expand(3, *size)
    if kind == "parameter" and (base.is_floating_point() or base.is_complex()):
        return torch.nn.Parameter(base)
    return base


KEYS = st.text(max_size=6) | st.integers(-300, 2**40)
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=8),
    st.complex_numbers(),
    st.sampled_from(DTYPES),
    st.builds(bytearray, st.binary(max_size=8)),
    st.builds(lambda items: torch.Size(items), st.lists(st.integers(0, 9), max_size=3)),
    st.builds(lambda items: Counter(items), st.lists(st.integers(0, 4), max_size=5)),
    st.floats(width=32).map(np.float32),
    st.integers(-9, 9).map(np.int16),
)
VALUES = st.recursive(
    PLAIN | tensors(),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(KEYS, inner, max_size=4),
        st.dictionaries(KEYS, inner, max_size=4).map(OrderedDict),
        st.sets(KEYS, max_size=4),
    ),
    max_leaves=8,
)


def same(ours: Any, theirs: Any) -> bool:
    if isinstance(theirs, torch.Tensor):
        return (
            ours.dtype == theirs.dtype
            and ours.shape == theirs.shape
            and ours.stride() == theirs.stride()
            and torch.equal(ours, theirs)
        )
    if isinstance(theirs, dict):
        return isinstance(ours, dict) and same(list(ours.items()), list(theirs.items()))
    if isinstance(theirs, list | tuple):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(theirs, np.generic):
        theirs = theirs.item()
    return ours == theirs or (ours != ours and theirs != theirs) or repr(ours) == repr(theirs)


@some(80)
@given(st.dictionaries(KEYS, VALUES, max_size=5), st.booleans())
def test_what_torch_saves_comes_back(tmp_path_factory, entries, is_zip):
    path = save(entries, tmp_path_factory.getbasetemp() / "honest.pth", is_zip=is_zip)
    theirs = torch.load(path, weights_only=False)  # our own file: the oracle may run its code
    assert same(read_checkpoint(path), theirs)


@pytest.mark.parametrize("is_zip", [True, False])
def test_tensors_that_share_a_storage_still_do(tmp_path, is_zip):
    base = torch.arange(12.0)
    entries = {"a": base, "b": base.view(3, 4).T, "c": base[5:]}
    path = save(entries, tmp_path / "shared.pth", is_zip=is_zip)
    found = read_checkpoint(path)
    found["a"][7] = -1
    assert found["b"][3, 1] == -1 and found["c"][2] == -1
    assert path.stat().st_size < 2500


def test_two_threads_do_not_disturb_each_other(tmp_path):
    """torch's list of allowed names belongs to the whole process; ours to nobody."""
    paths = [save({"model": {"a": torch.ones(9)}, **numbers()}, tmp_path / f"{i}") for i in (0, 1)]
    failed: list[BaseException] = []

    def many(path: Path) -> None:
        try:
            for _ in range(30):
                assert read_results(read_checkpoint(path), 3, "x") is not None
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=many, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


# --- random damage of an honest file

SMALL = {"model_state_dict": {"w": torch.arange(6.0).view(2, 3), "b": torch.ones(3)}, **numbers()}


def flavours() -> dict[str, bytes]:
    zipped, stream = io.BytesIO(), io.BytesIO()
    torch.save(SMALL, zipped)
    torch.save(SMALL, stream, _use_new_zipfile_serialization=False)
    packed = pack_safetensors(dict(SMALL["model_state_dict"]))
    return {"zip": zipped.getvalue(), "stream": stream.getvalue(), "safetensors": packed}


HONEST = flavours()


@st.composite
def damaged(draw) -> bytes:
    raw = draw(st.sampled_from(list(HONEST.values())))
    place = st.integers(0, len(raw) - 1)
    kind = draw(st.sampled_from(("cut", "overwrite", "without", "twice", "anything")))
    one, two = sorted((draw(place), draw(place)))
    if kind == "cut":
        return raw[:one]
    if kind == "without":
        return raw[:one] + raw[two:]
    if kind == "twice":
        return raw[:two] + raw[one:]
    if kind == "anything":
        start = draw(st.sampled_from((b"PK\3\4", b"\x80\x02", MAGIC, b"", b"\x10" + 7 * b"\0")))
        return start + draw(st.binary(max_size=100))
    new = draw(st.binary(min_size=1, max_size=6))
    return raw[:one] + new + raw[one + len(new) :]


@some(250)
@given(damaged())
def test_any_damage_is_one_sentence(tmp_path_factory, raw):
    path = tmp_path_factory.getbasetemp() / "damaged.pth"
    path.write_bytes(raw)
    read(path)


OPCODES = b"(.0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVX]abcdefghijlopqrstu}\x80\x81\x82\x85\x86\x87"
OPCODES += b"\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96\x97\x98"
NAMES = (
    b"cposix\nsystem\n",
    b"cbuiltins\neval\n",
    b"cbuiltins\nbytearray\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"cnumpy\nndarray\n",
    b"cnumpy\ndtype\n",
    b"cnumpy.core.multiarray\nscalar\n",
    b"ctorch\nFloatStorage\n",
    b"ccollections\nOrderedDict\n",
    b"cargparse\nNamespace\n",
    b"ctorch\nload\n",
    b"X\x07\0\0\0storage",
    b"X\x01\0\0\x000",
    b"K\x06",
    b"J\xff\xff\xff\x7f",
    b"\x8a\x08" + b"\xff" * 7 + b"\x7f",
    b")R",
    b"}",
)


@some(250)
@given(st.lists(st.sampled_from(NAMES) | st.sampled_from([bytes([c]) for c in OPCODES])))
def test_any_program_of_a_pickle_is_one_sentence(tmp_path_factory, parts):
    path = tmp_path_factory.getbasetemp() / "program.pth"
    path.write_bytes(MAGIC + b"\x80\x02" + b"".join(parts) + b".\x80\x02].")
    entries, _ = read(path)
    assert entries is None  # no weights can come of it


# --- files that are made to harm


class Calls:
    """Its pickle calls a function when it is read carelessly."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self.function, self.args = function, args

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.args


def storage() -> Any:
    return torch.ones(4).storage()  # warns that it will go one day


def tensor_of(storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> Calls:
    return Calls(torch._utils._rebuild_tensor_v2, storage, offset, size, stride, False, {})


GADGETS: dict[str, tuple[Any, str]] = {
    "os.system": (lambda: Calls(os.system, "touch marker"), "asks for 'posix.system'"),
    "eval": (lambda: Calls(eval, "open('marker', 'w')"), "asks for 'builtins.eval'"),
    "exec": (lambda: Calls(exec, "open('marker', 'w')"), "asks for 'builtins.exec'"),
    "subprocess": (lambda: Calls(subprocess.Popen, ["touch", "marker"]), ".Popen'"),
    "getattr": (lambda: Calls(getattr, Calls(__import__, "os"), "system"), "asks for 'builtins."),
    "torch.load": (lambda: Calls(torch.load, "other.pth"), "asks for 'torch.serialization.load'"),
    "pickle.loads": (lambda: Calls(pickle.loads, b"."), "asks for 'pickle.loads'"),
    "open": (lambda: Calls(open, "marker", "w"), "asks for 'io.open'"),
    "100 GB of bytes": (lambda: Calls(bytearray, 10**11), "or it is damaged"),
    "an empty tensor of 40 GB": (lambda: Calls(torch.Tensor, 10**5, 10**5), "asks for 'torch"),
    "an array of a size": (lambda: Calls(np.ndarray, (10**6, 10**6)), "flops holds 0 numbers"),
    "beyond the storage": (lambda: tensor_of(storage(), 0, (10**8,), (1,)), "or it is damaged"),
    "before the storage": (lambda: tensor_of(storage(), -1, (2,), (1,)), "or it is damaged"),
    "one beyond": (lambda: tensor_of(storage(), 1, (2, 2), (2, 1)), "or it is damaged"),
    "negative stride": (lambda: tensor_of(storage(), 3, (2,), (-1,)), "or it is damaged"),
    "negative size": (lambda: tensor_of(storage(), 0, (-2,), (1,)), "or it is damaged"),
    "sizes that wrap": (lambda: tensor_of(storage(), 0, (2**33,) * 2, (0, 0)), "or it is damaged"),
    "no size for a stride": (lambda: tensor_of(storage(), 0, (2, 2), (1,)), "or it is damaged"),
    "endless numbers": (lambda: tensor_of(storage(), 0, (10**6,) * 3, (0,) * 3), "finite numbers"),
    "a tensor of no storage": (lambda: tensor_of([1.0], 0, (1,), (1,)), "or it is damaged"),
}


@pytest.mark.parametrize("gadget", GADGETS)
@pytest.mark.parametrize("kind", ["zip", "stream"])
@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_a_pickle_that_calls_is_refused(tmp_path, monkeypatch, gadget, kind):
    monkeypatch.chdir(tmp_path)
    make, words = GADGETS[gadget]
    entries = {"model": {"w": torch.ones(2)}, FLOPS: make()}
    refused(save(entries, tmp_path / "evil.pth", is_zip=kind == "zip"), words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.pth"]


def text(words: str) -> bytes:
    raw = words.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def doubled(start: bytes, join: bytes, times: int) -> bytes:
    """A value put together of itself twice, `times` times over."""
    out = start + b"q\x00"
    for i in range(times):
        out += join.replace(b"@", b"h%c" % i) + b"q%c" % (i + 1)
    return out


PROGRAMS: dict[str, bytes] = {
    "a key that is never hashed": b"}" + doubled(b")", b"@@\x86", 60) + b"Ns",
    "billion laughs": b"}" + text(FLOPS) + doubled(b"]K\x01a", b"](@@e", 60) + b"s",
    "a list in itself": b"}" + text(FLOPS) + b"]q\x00h\x00as",
    "a dict in itself": b"}q\x00" + text("model") + b"h\x00s",
    "deep nesting": b"}" + text(FLOPS) + b"]" * 100_000 + b"a" * 99_999 + b"s",
    "a huge memo": b"}r\xff\xff\xff\xff" + b"j\xff\xff\xff\xff0",
    "a memo that is not there": b"h\x05",
    "more steps than any model": b"}" + b"N0" * MAX_STEPS,
    "a mark that is not there": b"u",
    "an empty stack": b"0",
    "a text of 4 GB": b"X\xff\xff\xff\xffabc",
    "bytes of 2**63": b"\x8e" + b"\xff" * 7 + b"\x7f",
    "bytearray of 2**40": b"\x96" + struct.pack("<Q", 2**40),
    "a frame of 2**63": b"\x95" + b"\xff" * 7 + b"\x7f",
    "a long of 2 GB": b"\x8b\xff\xff\xff\x7f",
    "an extension": b"\x82\x01",
    "INST": b"(iposix\nsystem\n",
    "OBJ": b"(cposix\nsystem\no",
    "STACK_GLOBAL": text("posix") + text("system") + b"\x93",
    "names with dots": b"ctorch\nserialization.os.system\n",
    "a state for a class": b"cargparse\nNamespace\n}" + text("x") + b"Nsb",
    "slots for a class": b"cargparse\nNamespace\nN}" + text("__init__") + b"Ns\x86b",
    "a state for a function": b"ctorch._utils\n_rebuild_tensor\n}b",
    "a call of a storage": b"ctorch\nFloatStorage\nJ\xff\xff\xff\x7f\x85R",
    "copies of copies": b"}" + text(FLOPS) + text("x" * 100_000) + b"q\x00"
    b"(" + (b"c_codecs\nencode\nh\x00\x85R" * 3000) + b"ls",
    "dicts of dicts": b"}" + text(FLOPS) + b"}(" + b"".join(
        b"J" + struct.pack("<i", i) + b"N" for i in range(50_000)
    ) + b"uq\x00(" + b"ccollections\nCounter\nh\x00\x85R" * 3000 + b"ls",
    "a dtype of objects": b"}" + text(FLOPS) + b"cnumpy\ndtype\n" + text("O8") + b"\x85Rs",
    "an array larger than its bytes": b"}" + text(FLOPS) + b"cnumpy\nndarray\n)R(K\x01J\xff\xff\xff"
    b"\x7f\x85cnumpy\ndtype\n" + text("f8") + b"\x85R\x89" + text("12345678") + b"tbs",
    "a storage of 2**50": b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0")
    + text("cpu") + b"\x8a\x07\0\0\0\0\0\0\x04NtQ",
    "a storage below zero": b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0")
    + text("cpu") + b"J\xff\xff\xff\xffNtQ",
    "a storage of no kind": b"(" + text("storage") + text("os") + text("0") + text("cpu")
    + b"K\1NtQ",
    "an escape that is none": b"S'\\c'\n",
    "a module": b"(" + text("module") + text("os") + text("x.py") + text("source") + b"tQ",
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_pickle_made_by_hand_is_one_sentence(tmp_path, name):
    path = tmp_path / "evil.pth"
    path.write_bytes(MAGIC + b"\x80\x02" + PROGRAMS[name] + b".\x80\x02].")
    refused(path)


def repacked(tmp_path: Path, change: Callable[[zipfile.ZipFile, dict[str, bytes]], None]) -> Path:
    """The honest archive, written anew by `change`."""
    with zipfile.ZipFile(io.BytesIO(HONEST["zip"])) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "evil.pth", "w") as archive:
        change(archive, records)
    return tmp_path / "evil.pth"


def store(archive: zipfile.ZipFile, records: dict[str, bytes]) -> None:
    for name, raw in records.items():
        archive.writestr(name, raw)


def slip(archive: zipfile.ZipFile, records: dict[str, bytes]) -> None:
    store(archive, {**records, "../../marker": b"x", "/tmp/marker": b"x"})


def twice(archive: zipfile.ZipFile, records: dict[str, bytes]) -> None:
    store(archive, records)
    name = next(name for name in records if name.endswith("data/0"))
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(name, b"\0" * len(records[name]))


def bomb(archive: zipfile.ZipFile, records: dict[str, bytes]) -> None:
    store(archive, records)
    archive.writestr("archive/data/99", b"\0" * 50_000_000, zipfile.ZIP_DEFLATED)


def packed(archive: zipfile.ZipFile, records: dict[str, bytes]) -> None:
    for name, raw in records.items():
        archive.writestr(name, raw, zipfile.ZIP_BZIP2)


def short(archive: zipfile.ZipFile, records: dict[str, bytes]) -> None:
    store(archive, {n: r[:-4] if n.endswith("data/0") else r for n, r in records.items()})


def missing(archive: zipfile.ZipFile, records: dict[str, bytes]) -> None:
    store(archive, {n: r for n, r in records.items() if not n.endswith("data/0")})


def two_roots(archive: zipfile.ZipFile, records: dict[str, bytes]) -> None:
    store(archive, {**records, "other/data.pkl": b"\x80\x02}."})


def big_endian(archive: zipfile.ZipFile, records: dict[str, bytes]) -> None:
    store(archive, {n: b"big" if n.endswith("byteorder") else r for n, r in records.items()})


ARCHIVES: dict[str, tuple[Any, str]] = {
    "twice": (twice, "packed as no program"),
    "bomb": (bomb, "packed as no program"),
    "packed": (packed, "packed as no program"),
    "short": (short, "or it is damaged"),
    "missing": (missing, "or it is damaged"),
    "two roots": (two_roots, "or it is damaged"),
    "empty": (lambda archive, _: archive.writestr("a", b""), "or it is damaged"),
    "other byte order": (big_endian, "other byte order"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_made_to_harm_is_one_sentence(tmp_path, name):
    change, words = ARCHIVES[name]
    refused(repacked(tmp_path, change), words)


def test_records_are_never_written_anywhere(tmp_path):
    entries, _ = read(repacked(tmp_path, slip))
    assert entries is not None and torch.equal(
        entries["model_state_dict"]["w"], SMALL["model_state_dict"]["w"]
    )
    assert [path.name for path in tmp_path.iterdir()] == ["evil.pth"]


def lying(header: Any, data: bytes = bytes(48), length: int | None = None) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def entry(start: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


SAFETENSORS = {
    "header of 2**63": lying({"a": entry(0, 48, [12])}, length=2**63 - 1),
    "header of 1 GB": lying({"a": entry(0, 48, [12])}, length=10**9),
    "overlap": lying({"a": entry(0, 48, [12]), "b": entry(0, 48, [12])}),
    "out of range": lying({"a": entry(0, 4800, [1200])}),
    "a hole": lying({"a": entry(8, 48, [10])}),
    "backwards": lying({"a": entry(48, 0, [12])}),
    "another shape": lying({"a": entry(0, 48, [10**9, 10**9])}),
    "a shape that wraps": lying({"a": entry(0, 48, [2**32, 2**32, 2**32])}),
    "negative shape": lying({"a": entry(0, 48, [-12])}),
    "unknown type": lying({"a": entry(0, 48, [12], "O8")}),
    "no JSON": lying(b"{" * 90),
    "not UTF-8": lying(b'{"\xff": 1}'),
    "the same name twice": lying(
        b'{"a":{"dtype":"F32","shape":[6],"data_offsets":[0,24]},'
        b'"a":{"dtype":"F32","shape":[6],"data_offsets":[24,48]}}'
    ),
    "cut off": pack_safetensors({"a": torch.ones(12)})[:-1],
    "with a tail": pack_safetensors({"a": torch.ones(12)}) + b"tail",
}


@pytest.mark.parametrize("name", SAFETENSORS)
def test_safetensors_that_lie_are_one_sentence(tmp_path, name):
    path = tmp_path / "evil.safetensors"
    path.write_bytes(SAFETENSORS[name])
    refused(path, "or it is damaged")


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir], ids=["pipe", "folder"])
def test_what_is_no_file_is_never_waited_for(tmp_path, make):
    make(tmp_path / "odd.pth")
    refused(tmp_path / "odd.pth")


# --- conversion: random state dicts against the shapes that fit

SHAPES = {key: tuple(value.shape) for key, value in official_state(build_model(DEIT)).items()}
ODD_KEYS = ("", "a\nb", "x" * 3000, "module.", "module.normal_token.head.bias", "\x00")


@pytest.fixture(autouse=True)
def small_presets(monkeypatch) -> Iterator[None]:
    monkeypatch.setattr("dvt_core.official_checkpoint.PRESETS", {DEIT.name: DEIT})
    yield


def change_state(state: dict[str, Any], draw: Any) -> None:
    key = draw(st.sampled_from(sorted(SHAPES)))
    kind = draw(st.sampled_from(("drop", "add", "shape", "dtype", "nan", "value", "nest")))
    if kind == "drop":
        state.pop(key, None)
    elif kind == "add":
        state[draw(st.sampled_from(ODD_KEYS))] = torch.ones(1)
    elif kind == "shape":
        state[key] = torch.ones(draw(st.lists(st.integers(0, 3), max_size=3)))
    elif kind == "dtype":
        dtype = draw(st.sampled_from((torch.int64, torch.bool, torch.complex64, torch.uint8)))
        state[key] = torch.ones(SHAPES[key], dtype=dtype)
    elif kind == "nan":
        state[key] = torch.full(SHAPES[key], draw(st.sampled_from((np.nan, np.inf, -np.inf))))
    else:
        state[key] = {"w": torch.ones(1)} if kind == "nest" else draw(PLAIN)


def fits(state: dict[str, Any]) -> bool:
    """The oracle: the very keys and shapes, finite floating-point numbers."""
    bare = {str(key).removeprefix("module."): value for key, value in state.items()}
    return (
        len(bare) == len(state)
        and all(isinstance(value, torch.Tensor) for value in bare.values())
        and {key: tuple(value.shape) for key, value in bare.items()} == SHAPES
        and all(v.is_floating_point() and bool(v.isfinite().all()) for v in bare.values())
    )


@some(40)
@given(st.data(), st.booleans())
def test_a_random_state_dict_is_converted_exactly_if_it_fits(tmp_path_factory, data, is_zip):
    state: dict[str, Any] = weights(lively(DEIT))
    for _ in range(data.draw(st.integers(0, 2))):
        change_state(state, data.draw)
    folder = tmp_path_factory.mktemp("convert")
    path = save({"model": state}, folder / "file.pth", is_zip=is_zip)
    try:
        convert(path, DEIT, folder / "out")
    except InputError as error:
        assert not fits(state) and str(error).isprintable() and len(str(error)) < 1500
        assert [p.name for p in folder.iterdir()] == ["file.pth"]
    else:
        assert fits(state) and (folder / "out" / "config.json").is_file()


@some(80)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(ENTRIES, VALUES)))
def test_any_entries_of_the_authors_are_refused_or_finite_numbers(entries):
    try:
        found = read_results(entries, 3, "file")
    except InputError as error:
        assert str(error).isprintable() and len(str(error)) < 1500
        return
    if found is not None:
        assert found.fits(3) and AuthorsResults.from_dict(found.to_dict()) == found


@pytest.mark.parametrize(
    "value",
    [
        [1, 2, "x" * 1_000_000] * 30,  # as one array of text: 360 MB
        torch.ones(1).expand(10**6, 10**6),
        [torch.ones(1).expand(600_000)] * 3,
        [10**400, 1, 2],
        [1e300, 1, 2],
        torch.ones(3).to_sparse(),
        torch.ones(3, dtype=torch.complex64),
        [b"1", b"2", b"3"],
    ],
    ids=["text", "expanded", "expanded twice", "huge", "too large", "sparse", "complex", "bytes"],
)
@pytest.mark.parametrize("name", [FLOPS, CURVE])
def test_numbers_without_end_take_no_memory(name, value):
    tracemalloc.start()
    with pytest.raises(InputError):
        read_results({name: value}, 3, "file")
    assert tracemalloc.get_traced_memory()[1] < 30_000_000
    tracemalloc.stop()
