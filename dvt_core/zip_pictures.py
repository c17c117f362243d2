"""The pictures in a zip file of unknown origin, read one by one from memory, never onto disk.

Everything that the directory of a zip says is checked before a byte is unpacked: how many members,
how large each and all claim to be, how well they pretend to be compressed, whether they overlap.
What is unpacked is bounded by those numbers, whatever the file then holds. Names are for showing
and for telling classes apart; they are never used as paths.

References:
    Fifield, "A better zip bomb", WOOT 2019 (overlapping members).
"""

from __future__ import annotations

import io
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from dvt_core.errors import InputError, printable
from dvt_core.images import EXTENSIONS, MAX_BYTES

MAX_MEMBERS = 20_000  # of any kind
MAX_UNPACKED = 1_000_000_000  # bytes that all pictures together claim to have
MAX_RATIO, RATIO_FROM = 200, 1_000_000  # unpacked to packed, of members from this many bytes on
SIGNATURES = (b"PK\3\4", b"PK\5\6")

_MEMBER, _LOCAL_HEADER = b"PK\1\2", 30  # signature of an entry in the directory; bytes of a header
_ENCRYPTED, _UTF8 = 0x1, 0x800  # bits of a member's flags
# Streams of these two are unpacked in pieces of a bounded size; Python's others are not.
_READ = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_LONGEST_NAME = 1000
_SYSTEM = {"__MACOSX", "Thumbs.db", "desktop.ini"}
_ERRORS = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    struct.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,  # UnicodeDecodeError of a name is one
    IndexError,
    KeyError,
)


@dataclass(frozen=True, eq=False)
class ZipPicture:
    """A member that looks like a picture; not unpacked yet.

    Attributes:
        name: path in the zip, for people: "cat/001.jpg".
        folders: the folders it lies in, outermost first.
    """

    name: str
    folders: tuple[str, ...]
    _archive: zipfile.ZipFile = field(repr=False)
    _member: zipfile.ZipInfo = field(repr=False)

    def read(self) -> bytes:
        """The picture's file, at most as large as the zip said.

        Raises:
            InputError: the member is damaged.
        """
        try:
            with self._archive.open(self._member) as file:
                return file.read(self._member.file_size)
        except _ERRORS as error:
            raise InputError(f"its place in the zip is damaged ({printable(error)})") from error


@dataclass(frozen=True, eq=False)
class ZipContents:
    """What a zip holds.

    Attributes:
        pictures: sorted by folders, then by name.
        left_out: (name, reason without a full stop) of what cannot be used.
    """

    pictures: tuple[ZipPicture, ...]
    left_out: tuple[tuple[str, str], ...]


def is_zip(data: bytes) -> bool:
    """Whether a file begins like a zip."""
    return data.startswith(SIGNATURES)


def list_zip(data: bytes) -> ZipContents:
    """What a zip holds, by its directory; nothing is unpacked.

    Folders, files of the system and hidden files are passed over in silence.

    Raises:
        InputError: damaged, made to harm, or too large when unpacked.
    """
    # Python would make an object of each entry before anyone could count them.
    if data.count(_MEMBER) > MAX_MEMBERS:
        raise InputError(f"the zip has more than {MAX_MEMBERS:,} members, split it")
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        members = archive.infolist()
    except _ERRORS as error:
        raise InputError(f"the zip is damaged or incomplete ({printable(error)})") from error
    _check_places(members, len(data))
    pictures, left_out = [], []
    for member in members:
        parts = _parts(member)
        if not parts or _is_passed_over(member, parts):
            continue
        picture = ZipPicture("/".join(parts), parts[:-1], archive, member)
        reason = _why_not(member, parts[-1])
        if reason:
            left_out.append((picture.name, reason))
        else:
            pictures.append(picture)
    _check_total(pictures)
    return ZipContents(tuple(sorted(pictures, key=_order)), tuple(left_out))


def _order(picture: ZipPicture) -> tuple[tuple[str, ...], str]:
    return picture.folders, picture.name


def _check_places(members: list[zipfile.ZipInfo], size: int) -> None:
    """Refuses members that share bytes: a few kilobytes could be unpacked a thousand times."""
    places = sorted((m.header_offset, m.header_offset + m.compress_size) for m in members)
    ends = [*((end + _LOCAL_HEADER, start) for (_, end), (start, _) in pairwise(places))]
    ends += [(end + _LOCAL_HEADER, size) for _, end in places[-1:]]
    if any(end > limit for end, limit in ends) or any(start < 0 for start, _ in places):
        raise InputError("the zip has members that overlap, which no honest zip has; make it anew")


def _check_total(pictures: list[ZipPicture]) -> None:
    total = sum(picture._member.file_size for picture in pictures)
    if total > MAX_UNPACKED:
        raise InputError(
            f"the pictures in the zip have {total / 1e6:,.0f} MB unpacked, more than the limit of "
            f"{MAX_UNPACKED // 10**6:,} MB; scale them down first"
        )


def _parts(member: zipfile.ZipInfo) -> tuple[str, ...]:
    """The path of a member as clean words: no way up, no control characters, no drive."""
    name = member.filename[-_LONGEST_NAME:]  # the end tells the kind; a header allows 65,535
    if not member.flag_bits & _UTF8:
        name = _as_utf8(name)
    parts = map(_clean, name.replace("\\", "/").split("/"))
    return tuple(part for part in parts if part not in ("", ".", ".."))


def _as_utf8(name: str) -> str:
    """A name that a program wrote as UTF-8 without saying so (macOS does), else as it is."""
    try:
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:
        return name


def _clean(part: str) -> str:
    """Without control characters and marks that turn the direction of writing."""
    return "".join(c for c in part if unicodedata.category(c)[0] != "C").strip()[-200:]


def _is_passed_over(member: zipfile.ZipInfo, parts: tuple[str, ...]) -> bool:
    is_hidden = any(part.startswith(".") or part in _SYSTEM for part in parts)
    return member.is_dir() or member.filename.endswith("\\") or is_hidden


def _why_not(member: zipfile.ZipInfo, name: str) -> str:
    """Why a member cannot be used; "" if it can, as far as the directory tells."""
    return next(_reasons(member, name), "")


def _reasons(member: zipfile.ZipInfo, name: str) -> Iterator[str]:
    size = member.file_size
    if name.lower().endswith(".zip"):
        yield "it is a zip inside the zip, unpack it and choose it by itself"
    if not name.lower().endswith(EXTENSIONS):
        yield "its name does not end like a picture's, expected .jpg, .png or the like"
    if member.flag_bits & _ENCRYPTED:
        yield "it is encrypted, make the zip without a password"
    if member.compress_type not in _READ:
        yield "it is packed in an unusual way, make the zip with the usual settings"
    if size > MAX_BYTES:
        yield f"it is larger than {MAX_BYTES // 10**6} MB unpacked, choose a smaller file"
    if size >= RATIO_FROM and size > MAX_RATIO * max(member.compress_size, 1):
        yield (
            f"it would grow more than {MAX_RATIO} times when unpacked, as no photo does; save it "
            "as PNG or JPEG"
        )
