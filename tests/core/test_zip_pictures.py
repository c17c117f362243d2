"""Zips of unknown origin: what is honest is read, what is made to harm is refused unread."""

import io
import struct
import tracemalloc
import zipfile

import pytest

from dvt_core import zip_pictures
from dvt_core.errors import InputError
from dvt_core.zip_pictures import is_zip, list_zip

PIXELS = bytes(range(256)) * 40


def make(*names: str, data: bytes = PIXELS, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name in names:
            archive.writestr(name, data)
    return out.getvalue()


def edit(data: bytes, at: tuple[int, int], kind: str, value: int) -> bytes:
    """A zip with a number of its first member changed, in its own and in the directory's header."""
    changed = bytearray(data)
    starts = data.index(b"PK\3\4"), data.index(b"PK\1\2")
    for start, offset in zip(starts, at, strict=True):
        struct.pack_into(kind, changed, start + offset, value)
    return bytes(changed)


FLAGS, METHOD, UNPACKED = (6, 8), (8, 10), (22, 24)  # offsets in a member's and the directory's


def test_pictures_are_listed_by_folder_and_read_one_by_one():
    data = make(
        "dog/b.PNG", "cat/002.jpg", "cat/001.jpg", "a.webp", "__MACOSX/cat/._001.jpg",
        "cat/.hidden.jpg", "Thumbs.db", "bird/",
    )  # fmt: skip
    contents = list_zip(data)
    assert is_zip(data) and contents.left_out == ()
    assert [(p.name, p.folders) for p in contents.pictures] == [
        ("a.webp", ()),
        ("cat/001.jpg", ("cat",)),
        ("cat/002.jpg", ("cat",)),
        ("dog/b.PNG", ("dog",)),
    ]
    assert all(picture.read() == PIXELS for picture in contents.pictures)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("../../etc/cat/a.png", "etc/cat/a.png"),
        ("/root/cat/a.png", "root/cat/a.png"),
        ("C:\\my pictures\\cat\\a.png", "C:/my pictures/cat/a.png"),
        ("cat/\x1b[31mred\u202egnp.exe.png", "cat/[31mredgnp.exe.png"),
        ("猫/一.png", "猫/一.png"),
    ],
)
def test_names_are_words_and_no_paths(written, shown):
    (picture,) = list_zip(make(written)).pictures
    assert picture.name == shown
    assert picture.folders == tuple(shown.split("/")[:-1])


def test_names_that_are_utf8_without_saying_so_are_read_as_utf8():
    data = make("猫/一.png")
    said = struct.unpack_from("<H", data, data.index(b"PK\1\2") + 8)[0]
    (picture,) = list_zip(edit(data, FLAGS, "<H", said & ~0x800)).pictures
    assert picture.name == "猫/一.png"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (make("inner.zip"), "zip inside the zip"),
        (make("notes.txt"), "does not end like a picture's"),
        (edit(make("a.png"), FLAGS, "<H", 1), "encrypted"),
        (make("a.png", method=zipfile.ZIP_BZIP2), "unusual way"),
        (make("a.png", method=zipfile.ZIP_LZMA), "unusual way"),
        (edit(make("a.png"), UNPACKED, "<I", 20_000_001), "larger than 20 MB"),
        (make("a.bmp", data=bytes(2_000_000)), "grow more than 200 times"),
    ],
    ids=["nested", "text", "encrypted", "bzip2", "lzma", "large", "bomb"],
)
def test_one_member_that_cannot_be_used_does_not_cost_the_others(data, words):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        (bad,) = archive.namelist()
    out = io.BytesIO(data)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("good.png", PIXELS)
    contents = list_zip(out.getvalue())
    ((name, reason),) = contents.left_out
    assert name == bad and words in reason
    assert [picture.read() for picture in contents.pictures] == [PIXELS]


def test_members_are_counted_before_python_makes_objects_of_them(monkeypatch):
    monkeypatch.setattr(zip_pictures, "MAX_MEMBERS", 3)
    assert len(list_zip(make("1.png", "2.png", "3.png")).pictures) == 3
    monkeypatch.setattr(zipfile, "ZipFile", None)
    with pytest.raises(InputError, match="more than 3 members"):
        list_zip(make_before("1.png", "2.png", "3.png", "4.png"))


def make_before(*names: str, _archive=zipfile.ZipFile) -> bytes:
    out = io.BytesIO()
    with _archive(out, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return out.getvalue()


def test_what_all_claim_together_is_bounded(monkeypatch):
    monkeypatch.setattr(zip_pictures, "MAX_UNPACKED", 3 * len(PIXELS) - 1)
    assert len(list_zip(make("1.png", "2.png")).pictures) == 2
    with pytest.raises(InputError, match="unpacked, more than the limit"):
        list_zip(make("1.png", "2.png", "3.png"))


def test_members_that_share_their_bytes_are_refused():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.png", PIXELS)
        twin = zipfile.ZipInfo("b.png")
        for name in ("header_offset", "compress_size", "file_size", "CRC"):
            setattr(twin, name, getattr(archive.filelist[0], name))
        archive.filelist.append(twin)
    with pytest.raises(InputError, match="overlap"):
        list_zip(out.getvalue())


def test_a_member_that_lies_about_its_size_is_not_unpacked_beyond_it():
    data = edit(make("a.png", data=bytes(19_000_000)), UNPACKED, "<I", 1000)
    (picture,) = list_zip(data).pictures
    tracemalloc.start()
    with pytest.raises(InputError, match="damaged"):
        picture.read()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize("cut", [10, 100, -1, -30])
def test_an_incomplete_zip_is_refused_in_words(cut):
    with pytest.raises(InputError, match="zip is damaged or incomplete"):
        list_zip(make("cat/a.png", "cat/b.png")[:cut])


def test_every_single_damaged_byte_gives_pictures_or_words():
    data = make("cat/a.png", "dog/b.png", data=PIXELS[:64])
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 0xFF
        try:
            for picture in list_zip(bytes(damaged)).pictures:
                picture.read()
        except InputError as error:
            assert "damaged" in str(error) or "overlap" in str(error)
