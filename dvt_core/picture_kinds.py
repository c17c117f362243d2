"""Kinds of picture files, told by their first bytes: those that are read, and those that are not.

The list of readable kinds is an allow-list: no other decoder of Pillow's is ever tried. The kinds
that people are known to bring and that are not read each have their own sentence.
"""

from __future__ import annotations

from PIL.AvifImagePlugin import SUPPORTED as HAS_AVIF
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from dvt_core.errors import InputError

_KINDS = (
    ("JPEG", JpegImageFile, (b"\xff\xd8\xff",)),
    ("PNG", PngImageFile, (b"\x89PNG\r\n\x1a\n",)),
    ("WebP", WebPImageFile, (b"RIFF",)),
    ("GIF", GifImageFile, (b"GIF87a", b"GIF89a")),
    ("BMP", BmpImageFile, (b"BM",)),
    ("TIFF", TiffImageFile, (b"II*\0", b"MM\0*")),
)
KINDS = (*(kind for kind, _, _ in _KINDS), *(("AVIF",) if HAS_AVIF else ()))
EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff") + (
    (".avif",) if HAS_AVIF else ()
)

_AS_IMAGE = "export it as JPEG or PNG"
_AS_FRAME = "save one frame of it as JPEG or PNG"
_PAGE = "save a page of it as JPEG or PNG, or take a screenshot"
_HEIC = ("a HEIC picture, as iPhones store them", "export it as JPEG")
_UNREAD: tuple[tuple[tuple[bytes, ...], str, str], ...] = (  # first bytes, what it is, what to do
    ((b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"), "a JPEG XL picture", _AS_IMAGE),
    ((b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"), "a JPEG 2000 picture", _AS_IMAGE),
    ((b"%PDF",), "a PDF document", _PAGE),
    ((b"%!PS", b"\xc5\xd0\xd3\xc6"), "a PostScript document", _PAGE),
    ((b"8BPS",), "a Photoshop file", _AS_IMAGE),
    ((b"\0\0\1\0",), "an icon file", _AS_IMAGE),
    ((b"\x76\x2f\x31\x01",), "an OpenEXR picture", _AS_IMAGE),
    ((b"FUJIFILMCCD-RAW",), "a camera's raw file", _AS_IMAGE),
    ((b"\x1a\x45\xdf\xa3",), "a video", _AS_FRAME),
    ((b"PK\3\4",), "a zip archive", "unpack it first"),
)
_BRANDS = (  # the brand in an ISO media file ("....ftyp" + brand), what it is, what to do
    ((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), *_HEIC),
    ((b"crx ",), "a camera's raw file", _AS_IMAGE),
    ((b"avis",), "an animated AVIF picture", _AS_FRAME),
    ((b"avif",), "an AVIF picture", _AS_IMAGE),  # where this Pillow cannot read it
)


def sniff(data: bytes, name: str) -> tuple[str, type]:
    """The kind of a picture file and the one Pillow class that may open it.

    Args:
        data: the file from its beginning; the first kilobyte decides.
        name: what to call it in the sentence.

    Raises:
        InputError: a kind that is not read; names it where it is known, and what to do.
    """
    for kind, plugin, signatures in _KINDS:
        if data.startswith(signatures) and (kind != "WebP" or data[8:12] == b"WEBP"):
            return kind, plugin
    if HAS_AVIF and _is_avif(data):
        return "AVIF", AvifImageFile
    known = _unread(data)
    if known is not None:
        what, advice = known
        raise InputError(f"{name} is {what}, which is not read here; {advice}")
    raise InputError(f"{name} is not a picture of a known kind, expected one of {', '.join(KINDS)}")


def _is_avif(data: bytes) -> bool:
    """Whether an ISO media file is a still AVIF by its brand or the brands it is made for."""
    if data[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(data[:4], "big"), 256)
    others = {data[i : i + 4] for i in range(16, end, 4)}
    return data[8:12] == b"avif" or (data[8:12] == b"mif1" and b"avif" in others)


def _unread(data: bytes) -> tuple[str, str] | None:
    """What a file that is not read is, and what to do about it; None if nobody knows."""
    if data[4:8] == b"ftyp":
        found = (words for brands, *words in _BRANDS if data[8:12] in brands)
        what, advice = next(found, ("a video", _AS_FRAME))
        return what, advice
    for signatures, what, advice in _UNREAD:
        if data.startswith(signatures):
            return what, advice
    text = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<svg", b"<?xml", b"<!--", b"<!doctype svg")) and b"<svg" in text:
        return "an SVG drawing", "export it as PNG"
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page", "save the picture itself, not the page around it"
    return None
