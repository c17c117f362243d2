"""Hostile zips: what is honest in them is read, the rest is said, nothing is unpacked onto disk."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.hostile.corpus import good
from tests.hostile.test_files import MAX_BYTES, MAX_SECONDS, is_plain, run_gate

PNG, PIXELS = good("PNG")


@dataclass(frozen=True, eq=False)
class Zip:
    """One zip: the names of the good pictures in it, and a pattern of what is said of the rest.

    `refused` is the whole zip's sentence; else `left_out` must be in each reason.
    """

    name: str
    data: bytes = field(repr=False)
    good: tuple[str, ...] = ()
    refused: str = ""
    left_out: str = ""


def packed(*members: tuple[str | zipfile.ZipInfo, bytes], method: int = 8) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def renamed(data: bytes, old: bytes, new: bytes) -> bytes:
    """The same zip with a name of the same length, which Python would not write."""
    assert len(old) == len(new)
    return data.replace(old, new)


def edited(data: bytes, local: int, central: int, kind: str, value: int) -> bytes:
    """A zip with a number of its first member changed in both of its headers."""
    changed = bytearray(data)
    struct.pack_into(kind, changed, data.index(b"PK\3\4") + local, value)
    struct.pack_into(kind, changed, data.index(b"PK\1\2") + central, value)
    return bytes(changed)


def slips() -> Iterator[Zip]:
    """Names that lead out of a folder are words like others."""
    names = {
        "../../etc/cat/a.png": "etc/cat/a.png",
        "/root/a.png": "root/a.png",
        "C:\\windows\\a.png": "C:/windows/a.png",
        "\\\\server\\share\\a.png": "server/share/a.png",
        "./././a.png": "a.png",
        "a/../../../b.png": "a/b.png",
        "con.png": "con.png",
        "a\u202egnp.exe.png": "agnp.exe.png",
        "\u2066b\u2069.png": "b.png",
        "\x1b[31mred.png": "[31mred.png",
        "🐈‍⬛/猫.png": "🐈⬛/猫.png",
        "<script>alert(1)<.png": "<script>alert(1)<.png",
        "x" * 1000 + ".png": "x" * 196 + ".png",
        "y" * 60_000 + ".png": "y" * 196 + ".png",
        "a/" * 5000 + "b.png": "",
    }
    for name, shown in names.items():
        yield Zip(f"name {name[:20]!a}", packed((name, PNG)), (shown,) if shown else ())
    nul = renamed(packed(("aXb.png", PNG)), b"aXb.png", b"a\0b.png")
    yield Zip("name with NUL", nul, left_out="does not end like")
    latin = renamed(packed(("aXb.png", PNG)), b"aXb.png", b"a\xe9b.png")
    yield Zip("name in no known letters", latin, ("aΘb.png",))
    link = zipfile.ZipInfo("link.png")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    yield Zip("symbolic link", packed((link, b"/etc/passwd")), left_out="")


def bombs() -> Iterator[Zip]:
    """What would grow, share its bytes, hold itself, or never end."""
    flat = packed(("a.bmp", bytes(15_000_000)), ("good.png", PNG))
    yield Zip("flat bomb", flat, ("good.png",), left_out="grow more than 200")
    ten = packed(*((f"{i}.png", bytes(900_000)) for i in range(400)))
    yield Zip("four hundred small bombs", ten)  # each below the size from which a ratio counts
    inner = packed(("a.png", PNG))
    for _ in range(8):
        inner = packed(("in.zip", inner), ("b.png", PNG))
    yield Zip("nested", inner, ("b.png",), left_out="zip inside the zip")
    yield Zip("called a picture", packed(("a.png", packed(("b.png", PNG)))), ())
    yield Zip("100,000 members", many(100_000), refused="more than 20,000 members")
    yield Zip("overlapping", overlapping(), refused="overlap")
    yield Zip("quine-like", quine(), refused="overlap|damaged|members")


def many(count: int) -> bytes:
    """A directory of many empty members."""
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 0, 0, 0, 0, 1, 0) + b"a"
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0)
    directory = (entry + b"a") * count
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, len(directory), len(local), 0)
    return local + directory + end


def overlapping() -> bytes:
    """Two members, one of them the other's bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.png", PNG)
        twin = zipfile.ZipInfo("b.png")
        for name in ("header_offset", "compress_size", "file_size", "CRC"):
            setattr(twin, name, getattr(archive.filelist[0], name))
        archive.filelist.append(twin)
    return out.getvalue()


def quine() -> bytes:
    """A zip whose only member is said to be the zip itself, from its first byte on."""
    data = packed(("self.zip", bytes(80)), method=0)
    return edited(data, 18, 20, "<L", len(data))


def liars() -> Iterator[Zip]:
    """Headers that do not say what follows."""
    data = packed(("a.png", PNG), ("good.png", PNG))
    for value in (1, 1000, 19_000_000):
        yield Zip(f"says {value} bytes", edited(data, 22, 24, "<L", value), ("good.png",))
    yield Zip(
        "says 4 GB",
        edited(data, 22, 24, "<L", 2**32 - 2),
        ("good.png",),
        left_out="larger than 20 MB",
    )
    yield Zip(
        "says zip64",
        edited(data, 22, 24, "<L", 2**32 - 1),
        ("good.png",),
        left_out="larger than 20 MB",
    )
    yield Zip("packed size of 4 GB", edited(data, 18, 20, "<L", 2**32 - 2), refused="overlap")
    place = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    lie64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 2**40, 2**40, 2**50, 2**60)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(data), 1)
    yield Zip("zip64 directory beyond the file", data + lie64 + locator + place, refused="damaged")
    yield Zip("encrypted", edited(data, 6, 8, "<H", 1), ("good.png",), left_out="encrypted")
    for method in (1, 6, 9, 12, 14, 93, 97, 99):
        odd = edited(data, 8, 10, "<H", method)
        yield Zip(f"packed by way {method}", odd, ("good.png",), left_out="unusual way")
    yield Zip("wrong checksum", edited(data, 14, 16, "<L", 1), ("good.png",))
    raw = bytearray(data)
    raw[data.index(b"a.png") + 8 : data.index(b"a.png") + 30] = b"\xff" * 22
    yield Zip("noise in its data", bytes(raw), ("good.png",))
    twice = renamed(packed(("a.png", PNG), ("b.png", PNG)), b"b.png", b"a.png")
    yield Zip("the same name twice", twice, ("a.png", "a.png"))
    for part in (10, len(data) // 2, len(data) - 1):
        yield Zip(f"cut at {part}", data[:part], refused="damaged or incomplete")
    yield Zip("only an end", b"PK\5\6" + bytes(18))
    yield Zip("only a start", b"PK\3\4", refused="damaged or incomplete")
    yield Zip("with a start before it", b"PK\3\4" + bytes(60) + data, ("a.png", "good.png"))
    notes = packed(("readme.txt", b"x"), ("a.svg", b"<svg/>"), ("good.png", PNG))
    yield Zip("other files", notes, ("good.png",), left_out="does not end like")
    tail = zlib.compress(bytes(1000))
    yield Zip("with bytes behind it", data + tail, ("a.png", "good.png"))


ZIPS = [*slips(), *bombs(), *liars()]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    files = [(f"{i:03}", each.data, "zip") for i, each in enumerate(ZIPS)]
    return run_gate(tmp_path_factory.mktemp("gate"), files)


def wrong(each: Zip, kind: str, value: Any) -> str:
    """Why an answer is not the one that must come; "" if it is."""
    if kind == "crash":
        return value
    if kind == "sentence":
        is_meant = each.refused and np.any([word in value for word in each.refused.split("|")])
        return "" if is_meant and is_plain(value) else f"refused: {value!r}"
    found, left_out = value
    if each.refused:
        return f"not refused: {[name for name, _ in found]}"
    seen = [name for name, (kind, pixels) in found if kind == "picture"]
    said = [words for _, (kind, words) in found if kind == "sentence"]
    said += [words for _, words in left_out]
    if any(not np.array_equal(pixels, PIXELS) for _, (kind, pixels) in found if kind == "picture"):
        return "other pixels"
    if any(not is_plain(words) for words in said):
        return f"not plain: {said}"
    names = [name for name, _ in (*found, *left_out)]
    if any(len(name) > 1000 or not name.isprintable() or ".." in name.split("/") for name in names):
        return f"names: {names}"
    if each.left_out and not all(each.left_out in words for _, words in left_out):
        return f"left out: {left_out}"
    return "" if not each.good or sorted(seen) == sorted(each.good) else f"pictures: {seen}"


def test_every_zip_gives_its_good_pictures_and_plain_sentences(report: dict[str, Any]) -> None:
    assert len({each.name for each in ZIPS}) == len(ZIPS)
    found = {
        each.name: words
        for each, (kind, value, *_) in zip(ZIPS, report["answers"], strict=True)
        if (words := wrong(each, kind, value))
    }
    assert found == {}


def test_memory_time_and_the_disk_are_untouched(report: dict[str, Any], tmp_path: Path) -> None:
    assert report["seen"] == [] and report["peak"] < MAX_BYTES
    assert max(seconds for *_, seconds, _ in report["answers"]) < MAX_SECONDS
