"""Files that nobody should bring, made at test time: seeded, none of them stored.

Each `Case` says what must come of it: the right picture, known from how the file was made and not
from reading it back, or a sentence that matches a pattern. The builders of containers (`png`,
`gif`, `tiff`, `jpeg_with`) are written here once more, so that the reader is not its own judge.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 61, 47
READ = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
EXACT = {"PNG", "GIF", "BMP", "TIFF"}
DAMAGED = "damaged or incomplete"


@dataclass(frozen=True, eq=False)
class Case:
    """One file and what must come of it.

    `pixels` (height, width, 3) or None; `words` a pattern of the sentence or "". With both, either
    may come: the right picture or the sentence. With neither, anything but a crash. `mean` is how
    far the pixels may be off on average (lossy kinds), 0 for exactly.
    """

    name: str
    data: bytes = field(repr=False)
    pixels: np.ndarray | None = field(default=None, repr=False)
    words: str = ""
    mean: float = 0.0
    suffix: str = ""  # opened by its path, under a name that ends like this


def photo() -> np.ndarray:
    """A smooth colourful picture, (HEIGHT, WIDTH, 3)."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / HEIGHT
    waves = [np.sin(3 * x + 2 * y + i) * np.cos(2 * y - i * x) for i in range(3)]
    return (127.5 + 120 * np.stack(waves, axis=2)).astype(np.uint8)


def few_colours() -> np.ndarray:
    """A picture of eight colours, for kinds with a palette."""
    return photo() // 128 * 200


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    """A file as Pillow writes it."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def good(kind: str) -> tuple[bytes, np.ndarray]:
    """A sound file of a kind that is read, and its picture."""
    pixels = few_colours() if kind == "GIF" else photo()
    options = {
        "JPEG": {"quality": 95, "subsampling": 0},
        "WEBP": {"quality": 95},
        "AVIF": {"quality": 95, "speed": 10},
        "TIFF": {"compression": "tiff_lzw"},
    }
    return encode(Image.fromarray(pixels), kind, **options.get(kind, {})), pixels


def mean_of(kind: str) -> float:
    return 0.0 if kind in EXACT else 3.0


def flat(width: int, height: int, colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


# Builders of containers.


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(
    width: int,
    height: int,
    raw: bytes,
    *,
    bits: int = 8,
    colour: int = 2,
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """A PNG of raw lines, each with its filter byte; `before` and `after` the pixels are chunks."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(raw, 1)) + after
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def small_png(before: bytes = b"", after: bytes = b"") -> tuple[bytes, np.ndarray]:
    """A 5 x 4 picture with chunks before and after its pixels."""
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    raw = b"".join(b"\0" + line.tobytes() for line in pixels)
    return png(5, 4, raw, before=before, after=after), pixels


def tiff(entries: dict[int, tuple[int, int, bytes]], extra: bytes = b"", after: int = 0) -> bytes:
    """A little-endian TIFF: tag -> (type, count, value of 4 bytes or fewer), then `extra`."""
    body = b"".join(
        struct.pack("<HHI", tag, kind, count) + value.ljust(4, b"\0")
        for tag, (kind, count, value) in sorted(entries.items())
    )
    head = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + body
    return head + struct.pack("<I", after) + extra


def short(*values: int) -> tuple[int, int, bytes]:
    return 3, len(values), struct.pack(f"<{len(values)}H", *values)


def long(value: int, count: int = 1) -> tuple[int, int, bytes]:
    return 4, count, struct.pack("<I", value % 2**32)


def grey_tiff(width: int, height: int, **more: tuple[int, int, bytes]) -> dict:
    """The entries of an uncompressed grey TIFF whose pixels lie at 4096."""
    numbers = {256: long(width), 257: long(height), 258: short(8), 259: short(1), 262: short(1)}
    numbers |= {273: long(4096), 277: short(1), 278: long(height), 279: long(width * height)}
    return numbers | {int(tag[1:]): value for tag, value in more.items()}


def padded(head: bytes, body: bytes, at: int = 4096) -> bytes:
    return head.ljust(at, b"\0") + body


def jpeg_with(*segments: tuple[int, bytes], times: int = 1) -> tuple[bytes, np.ndarray]:
    """A sound JPEG with segments (marker, body) right after its start."""
    data, pixels = good("JPEG")
    inside = b"".join(struct.pack(">BBH", 255, m, len(b) + 2) + b for m, b in segments)
    return data[:2] + inside * times + data[2:], pixels


def exif(orientation: tuple[int, int, bytes], **more: tuple[int, int, bytes]) -> bytes:
    entries = {274: orientation} | {int(tag[1:]): value for tag, value in more.items()}
    return b"Exif\0\0" + tiff(entries)


# The corpus.


def every_kind() -> Iterator[Case]:
    """Whatever Pillow can write: what is read comes out right, the rest gets a sentence."""
    Image.init()
    for kind in sorted(Image.SAVE):
        for mode in ("RGB", "L", "P", "1"):
            image = Image.fromarray(few_colours() if kind == "GIF" else photo())
            image = image.convert(mode)
            options = good_options(kind)
            try:
                with warnings.catch_warnings(action="ignore"):  # some kinds are deprecated
                    data = encode(image, kind, **options)
            except (OSError, KeyError, ValueError, NotImplementedError):
                continue
            if kind in (*READ, "MPO"):
                pixels = np.asarray(image.convert("RGB"))
                mean = 16.0 if mode in ("P", "1") else 3.0  # the lossy kinds blur hard edges
                yield Case(f"{kind} {mode}", data, pixels, mean=0 if kind in EXACT else mean)
            else:
                yield Case(f"{kind} {mode}", data, words="not read here|not a picture of a known")


def good_options(kind: str) -> dict[str, object]:
    lossy = {"quality": 97}
    table = {"JPEG": lossy | {"subsampling": 0}, "MPO": lossy, "WEBP": lossy, "AVIF": lossy}
    return dict(table.get(kind, {}))


def truncated() -> Iterator[Case]:
    """Cut at every tenth: a sentence, or the right picture where only its notes are lost."""
    for kind in READ:
        data, pixels = good(kind)
        for tenth in range(1, 10):
            part = data[: len(data) * tenth // 10]
            yield Case(f"{kind} {tenth}/10", part, pixels, f"{DAMAGED}|at least 1", mean_of(kind))
        yield Case(f"{kind} 32 bytes", data[:32], words=f"{DAMAGED}|at least 1|not a picture")
        yield Case(f"{kind} 4 bytes", data[:4], words=f"{DAMAGED}|at least 1|not a picture")
        yield Case(f"{kind} last byte", data[:-1], pixels, DAMAGED, mean_of(kind))


def wrong_extension() -> Iterator[Case]:
    """The content decides, not the name."""
    for kind, suffix in zip(
        READ, (".png", ".jpg", ".gif", ".bmp", ".tif", ".avif", ".webp"), strict=True
    ):
        data, pixels = good(kind)
        yield Case(f"{kind} as {suffix}", data, pixels, mean=mean_of(kind), suffix=suffix)
    for name, data in foreign().items():
        yield Case(f"{name} as .jpg", data, words="not read here|not a picture", suffix=".jpg")


def polyglots() -> Iterator[Case]:
    """Files that are two things at once are what their beginning says."""
    script = b"<html><script>alert(1)</script></html>"
    for kind in READ:
        data, pixels = good(kind)
        for what, tail in (("HTML", script), ("zip", b"PK\3\4" + bytes(60)), ("EPS", EPS)):
            sentence = "box has no valid size" if kind == "AVIF" else ""
            picture = None if sentence else pixels
            yield Case(f"{kind} + {what}", data + tail, picture, sentence, mean_of(kind))
    data, pixels = jpeg_with(
        (0xFE, b"%PDF-1.7\n1 0 obj<</JS(app.alert(1))>>endobj"), (0xFE, script)
    )
    yield Case("PDF in a JPEG's comment", data, pixels, mean=3)
    yield Case("HTML before a PNG", script + good("PNG")[0], words="a web page")
    yield Case("PDF before a JPEG", b"%PDF-1.4\n" + good("JPEG")[0], words="a PDF document")
    yield Case("GIF89a as a script", b"GIF89a=1/*" + bytes(9) + b"*/;alert(1)", words=DAMAGED)
    yield Case("BM as a script", b"BM=1;alert(1)//" + bytes(60), words=DAMAGED)
    yield Case("zip with a picture", b"PK\3\4" + good("JPEG")[0], words="a zip archive")


def bombs_by_size() -> Iterator[Case]:
    """Some bytes that claim, or really hold, more pixels than can be decoded."""
    raw = bytes(99)
    for w, h in ((20_000, 20_000), (2**31 - 1, 1), (1, 2**31 - 1), (2**31 - 1, 2**31 - 1)):
        yield Case(f"PNG {w} x {h}", png(w, h, raw), words=f"megapixels|{DAMAGED}")
    yield Case("PNG 0 x 5", png(0, 5, raw), words="at least 1|damaged")
    vp8x = b"VP8X" + struct.pack("<I", 10) + bytes(4)
    for side in (16_384, 2**24):
        canvas = vp8x + (side - 1).to_bytes(3, "little") * 2
        body = b"WEBP" + canvas + b"VP8L" + struct.pack("<I", 8) + b"\x2f" + bytes(7)
        data = b"RIFF" + struct.pack("<I", len(body)) + body
        yield Case(f"WebP {side}", data, words=f"megapixels|{DAMAGED}")
    vp8l = b"WEBPVP8L" + struct.pack("<I", 20) + b"\x2f" + b"\xff" * 3 + b"\x0f" + bytes(15)
    yield Case("WebP lossless 16,384", b"RIFF" + struct.pack("<I", 28) + vp8l, words="megapixels")
    for side in (60_000, 2**31, 2**32 - 1):
        head = tiff(grey_tiff(side, side) | {279: long(100)})
        yield Case(f"TIFF {side}", padded(head, raw), words=f"megapixels|{DAMAGED}")
    screen = b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\2\2\x4c\1\0;"
    yield Case("GIF 65,535", screen, words=f"megapixels|{DAMAGED}")
    frame = b"GIF89a\2\0\2\0\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\2\2\x4c\1\0;"
    yield Case("GIF frame beyond its screen", frame, words=f"megapixels|{DAMAGED}")
    for w, h in ((2**31 - 1, 2**31 - 1), (50_000, -50_000), (-5, 5)):
        head = struct.pack("<IiiHHIIiiII", 40, w, h, 1, 24, 0, 0, 0, 0, 0, 0)
        data = b"BM" + struct.pack("<IHHI", 154, 0, 0, 54) + head + bytes(100)
        yield Case(f"BMP {w} x {h}", data, words=f"megapixels|{DAMAGED}|at least 1")
    for marker in (0xC0, 0xC2):
        data, _ = good("JPEG")
        place = data.index(b"\xff\xc0")
        size = struct.pack(">HH", 65_500, 65_500)
        data = data[: place + 1] + bytes([marker]) + data[place + 2 :]
        data = data[: place + 5] + size + data[place + 9 :]
        yield Case(f"JPEG 65,500, frame {marker:x}", data, words="megapixels")
    data, _ = good("AVIF")
    place = data.index(b"ispe") + 8
    liar = data[:place] + struct.pack(">II", 30_000, 30_000) + data[place + 8 :]
    yield Case("AVIF that claims 30,000", liar, words=f"megapixels|{DAMAGED}")


def as_large_as_allowed() -> Iterator[Case]:
    """Pictures just below the limit, small as files, that take the most memory to decode."""
    side = 6320
    white = flat(1024, 1024, (255, 255, 255))
    rgba = png(side, side, bytes((1 + 4 * side) * side), colour=6)
    yield Case("PNG RGBA at the limit", rgba, white)
    wide = Image.new("I", (side, side), 70_000)
    wide.putpixel((0, 0), 0)
    yield Case(
        "TIFF of 32-bit numbers", encode(wide, "TIFF", compression="tiff_deflate"), white, mean=1
    )
    cmyk = Image.new("CMYK", (side, side), (0, 0, 0, 255))
    black = flat(1024, 1024, (0, 0, 0))
    yield Case("TIFF CMYK", encode(cmyk, "TIFF", compression="tiff_deflate"), black)
    grey = encode(Image.new("L", (13_900, 13_900), 77), "JPEG")
    yield Case("JPEG of 193 megapixels", grey, flat(1024, 1024, (77, 77, 77)), mean=1)


def bombs_by_frames() -> Iterator[Case]:
    """The first frame is shown, however many there are."""
    frames = [Image.new("RGB", (4, 4), (i % 256, i // 256, 9)) for i in range(1500)]
    options = {"save_all": True, "append_images": frames[1:], "duration": 20}
    black = flat(4, 4, (0, 0, 9))
    yield Case("APNG of 1,500", encode(frames[0], "PNG", **options), black)
    yield Case("GIF of 1,500", encode(frames[0], "GIF", **options), black)
    yield Case("TIFF of 1,500", encode(frames[0], "TIFF", **options), black)
    webp = encode(frames[0], "WEBP", **options | {"append_images": frames[1:300], "lossless": True})
    yield Case("WebP of 300", webp, black)
    yield Case(
        "AVIF of 3",
        encode(frames[0], "AVIF", **options | {"append_images": frames[1:3]}),
        words="animated AVIF",
    )
    grey = np.repeat(np.arange(60, dtype=np.uint8).reshape(6, 10)[:, :, None], 3, axis=2)
    loop = padded(tiff(grey_tiff(10, 6), after=8), grey[:, :, 0].tobytes())
    yield Case("TIFF whose next page is itself", loop, grey)
    pages = b"".join(struct.pack("<HI", 0, 5000 + 6 * i) for i in range(1, 200_000))
    chain = padded(
        tiff(grey_tiff(10, 6), after=5000), grey[:, :, 0].tobytes().ljust(904, b"\0") + pages
    )
    yield Case("TIFF of 200,000 empty pages", chain, grey)


def bombs_by_notes() -> Iterator[Case]:
    """Texts, profiles and tables that grow, repeat, nest or never end."""
    zeros = zlib.compress(bytes(60_000_000), 9)
    notes = {
        "zTXt": chunk(b"zTXt", b"a\0\0" + zeros),
        "iTXt": chunk(b"iTXt", b"a\0\1\0\0\0" + zeros),
        "iCCP": chunk(b"iCCP", b"a\0\0" + zeros),
    }
    for name, body in notes.items():
        data, pixels = small_png(body)
        yield Case(f"PNG {name} bomb", data, pixels, f"{DAMAGED}")
    megabyte = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000), 9))
    data, pixels = small_png(megabyte * 200)
    yield Case("PNG with 200 texts", data, pixels, DAMAGED)
    data, pixels = small_png(chunk(b"tEXt", b"a\0b") * 200_000)
    yield Case("PNG with 200,000 texts", data, pixels, f"{DAMAGED}|parts")
    raw = b"\0" * 16 * 4 + bytes(80_000_000)
    yield Case("PNG with 80 MB behind its pixels", png(5, 4, raw), flat(5, 4, (0, 0, 0)), DAMAGED)
    rationals = exif(short(6), t33434=(5, 1_000_000, struct.pack("<I", 100)))[6:] + bytes(9_000_000)
    data, pixels = small_png(chunk(b"eXIf", rationals))
    yield Case("EXIF of a million fractions", data, np.rot90(pixels, -1))
    turned = exif(short(1), t34665=long(8))
    data, pixels = jpeg_with((0xE1, turned))
    yield Case("EXIF folder that holds itself", data, pixels, mean=3)
    data, pixels = jpeg_with((0xE1, b"Exif\0\0a"), times=300_000)
    yield Case("JPEG with 300,000 pieces of EXIF", data, pixels, "parts", mean=3)
    data, pixels = jpeg_with((0xFE, b""), times=1_500_000)
    yield Case("JPEG with 1.5 million comments", data, pixels, "parts", mean=3)
    profile = [(0xE2, b"ICC_PROFILE\0" + bytes([i, 255]) + bytes(60_000)) for i in range(1, 256)]
    data, pixels = jpeg_with(*profile)
    yield Case("JPEG with a profile of 15 MB", data, pixels, mean=3)
    yield from many_scans()
    data, pixels = good("GIF")
    place = data.index(b",", 13 + 3 * 8)
    comment = b"!\xfe" + b"\1a" * 2_000_000 + b"\0"
    yield Case(
        "GIF comment of two million pieces", data[:place] + comment + data[place:], pixels, "parts"
    )
    yield from tiff_tables()
    exif_webp = encode(Image.fromarray(photo()), "WEBP", lossless=True, exif=rationals)
    yield Case("WebP with 9 MB of EXIF", exif_webp, np.rot90(photo(), -1))
    yield Case(
        "AVIF with 9 MB of EXIF",
        encode(Image.fromarray(photo()), "AVIF", speed=10, exif=rationals),
        words=DAMAGED,
    )


def many_scans() -> Iterator[Case]:
    """A progressive JPEG whose refining scans are repeated: each costs a pass over all pixels."""
    image = Image.fromarray(photo()).resize((3000, 2000))
    data = encode(image, "JPEG", progressive=True, quality=20)
    last = data.rindex(b"\xff\xc4")  # tables and data of the last scan
    yield Case("JPEG of 3,000 scans", data[:-2] + data[last:-2] * 3000 + data[-2:], words="scans")


def tiff_tables() -> Iterator[Case]:
    grey = np.repeat(np.arange(60, dtype=np.uint8).reshape(6, 10)[:, :, None], 3, axis=2)
    body = grey[:, :, 0].tobytes().ljust(904, b"\0")
    count = 3_000_000
    entries = grey_tiff(10, 6, t273=long(5000, count), t278=long(1))
    offsets = struct.pack("<I", 4096) * count
    yield Case(
        "TIFF of three million strips", padded(tiff(entries), body + offsets), words="places"
    )
    # Every tag claims the same nine megabytes.
    same = {tag: (7, 9_000_000, struct.pack("<I", 5000)) for tag in range(40_000, 42_000)}
    head = tiff(grey_tiff(10, 6) | {273: long(30_000)} | same)
    yield Case(
        "TIFF of 2,000 tags on one place",
        padded(head, body + bytes(9_000_000), 30_000),
        grey,
        DAMAGED,
    )
    nested = b"".join(
        struct.pack("<H", 1) + struct.pack("<HHII", 34665, 4, 1, 5000 + 18 * i) + bytes(4)
        for i in range(1, 20_000)
    )
    deep = tiff(grey_tiff(10, 6, t34665=long(5000)))
    yield Case("TIFF of 20,000 nested folders", padded(deep, body + nested), grey)
    for kind, count in ((3, 2**32 - 1), (12, 2**31), (99, 7)):
        wrong = tiff(grey_tiff(10, 6, t270=(kind, count, struct.pack("<I", 5000))))
        yield Case(f"TIFF tag of type {kind} x {count}", padded(wrong, body), grey, DAMAGED)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/tmp/owned) (w) file closefile showpage\n"
LAUGHS = b"<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY a 'ha'>" + b"".join(
    f"<!ENTITY {chr(98 + i)} '{f'&{chr(97 + i)};' * 10}'>".encode() for i in range(9)
)


def foreign() -> dict[str, bytes]:
    """Files of other kinds, by name."""
    heads = {
        "EPS": EPS,
        "EPS with a preview": b"\xc5\xd0\xd3\xc6" + struct.pack("<7I", 32, 99, 0, 0, 0, 0, 0) + EPS,
        "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        "SVG of a billion laughs": LAUGHS + b"]><svg>&j;</svg>",
        "PDF": b"%PDF-1.7\n",
        "PS": b"%!PS\nsystemdict /quit get exec",
        "WMF": b"\xd7\xcd\xc6\x9a" + bytes(60),
        "EMF": struct.pack("<II", 1, 108) + bytes(32) + b" EMF" + bytes(60),
        "ICO": b"\0\0\1\0\1\0\x20\x20" + bytes(60),
        "CUR": b"\0\0\2\0\1\0\x20\x20" + bytes(60),
        "ICNS": b"icns" + bytes(60),
        "PSD": b"8BPS\0\1" + bytes(60),
        "FITS": b"SIMPLE  =                    T".ljust(2880),
        "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(60),
        "GRIB": b"GRIB\0\0\0\2" + bytes(60),
        "BUFR": b"BUFR" + bytes(60),
        "PPM bomb": b"P6\n99999 99999\n255\n",
        "XPM": b"/* XPM */\nstatic char *x[] = {",
        "XBM": b"#define x_width 99999\n#define x_height 99999\n",
        "FLI": struct.pack("<IHH", 200, 0xAF11, 1) + bytes(200),
        "DCX": b"\xb1\x68\xde\x3a" + bytes(60),
        "PCX": b"\n\5\1\x08" + bytes(124),
        "MPEG": b"\0\0\1\xb3" + bytes(60),
        "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60),
        "JPEG XL": b"\xff\x0a" + bytes(60),
        "HEIC": b"\0\0\0\x18ftypheic" + bytes(60),
        "MP4": b"\0\0\0\x18ftypisom" + bytes(60),
        "WAV": b"RIFF\x24\0\0\0WAVEfmt " + bytes(60),
        "BigTIFF": b"II+\0\x08\0\0\0" + bytes(60),
        "ELF": b"\x7fELF" + bytes(60),
        "EXE": b"MZ" + bytes(60),
        "gzip": b"\x1f\x8b\x08" + bytes(60),
        "7z": b"7z\xbc\xaf\x27\x1c" + bytes(60),
        "pickle": b"\x80\4cposix\nsystem\n(S'touch owned'\ntR.",
        "HTML": b"<!DOCTYPE html><html><script>alert(1)</script></html>",
        "UTF-16 text": "hello, this is text".encode("utf-16"),
        "text": b"hello, this is text",
        "one byte": b"\xff",
        "one NUL": b"\0",
        "NULs": bytes(1_000_000),
    }
    return heads


def no_pictures() -> Iterator[Case]:
    for name, data in foreign().items():
        yield Case(name, data, words="not read here|not a picture of a known kind")
    yield Case("empty", b"", words="is empty")
    yield Case("too many bytes", b"\xff\xd8\xff" + bytes(20_000_000), words="larger than 20 MB")
    rng = np.random.default_rng(5)
    for i in range(6):
        yield Case(f"noise {i}", rng.bytes(2000), words="not a picture of a known kind")
    for kind in READ:
        head = good(kind)[0][:16]
        yield Case(
            f"{kind} head and noise",
            head + rng.bytes(3000),
            words=f"{DAMAGED}|megapixels|at least 1",
        )


def odd_modes() -> Iterator[Case]:
    """Colours stored in every odd way; what is right is a formula over the stored numbers."""
    rng = np.random.default_rng(3)
    size, grey = (HEIGHT, WIDTH), photo()[:, :, 0]
    alpha = rng.integers(0, 256, size, dtype=np.uint8)

    def over_white(colour: np.ndarray) -> np.ndarray:
        share = alpha[:, :, None] / 255
        return np.rint(colour * share + 255 * (1 - share))

    rgba = np.dstack([photo(), alpha])
    grey3 = np.repeat(grey[:, :, None], 3, axis=2)
    yield Case("RGBA", encode(Image.fromarray(rgba), "PNG"), over_white(photo()), mean=0.6)
    la = Image.merge("LA", (Image.fromarray(grey), Image.fromarray(alpha)))
    yield Case("LA", encode(la, "PNG"), over_white(grey3), mean=0.6)
    lines = np.dstack([rgba, rgba]).reshape(HEIGHT, WIDTH, 2, 4).transpose(0, 1, 3, 2)
    raw = b"".join(b"\0" + line.tobytes() for line in lines)  # 16 bits: each byte twice
    yield Case(
        "RGBA of 16 bits", png(WIDTH, HEIGHT, raw, bits=16, colour=6), over_white(photo()), mean=0.6
    )
    wide = rng.integers(0, 65536, size, dtype=np.uint16)
    scaled = np.rint(wide / 257)
    for kind in ("PNG", "TIFF"):
        yield Case(f"{kind} I;16", encode(Image.fromarray(wide), kind), np.dstack([scaled] * 3))
    unit = rng.random(size, np.float32)
    yield Case(
        "F", encode(Image.fromarray(unit), "TIFF"), np.dstack([np.rint(unit * 255)] * 3), mean=0.01
    )
    broken = unit.copy()
    broken[3, 4] = np.inf
    yield Case("F with infinity", encode(Image.fromarray(broken), "TIFF"), words="not finite")
    signed = rng.integers(-(2**31), 2**31, size).astype(np.int32)
    low, high = float(signed.min()), float(signed.max())
    want = np.rint((signed - low) * (255 / (high - low)))
    yield Case(
        "I with a sign",
        encode(Image.fromarray(signed, "I"), "TIFF"),
        np.dstack([want] * 3),
        mean=0.01,
    )
    bits = grey > 127
    yield Case("1 bit", encode(Image.fromarray(bits), "PNG"), np.dstack([bits * 255] * 3))
    places = rng.integers(0, 3, size, dtype=np.uint8)
    palette = Image.fromarray(places, "L")
    palette = palette.convert("P")
    palette.putpalette([10, 20, 30, 200, 100, 50, 7, 7, 7])
    colours = np.array([[255, 255, 255], [200, 100, 50], [7, 7, 7]])
    yield Case("P with transparency", encode(palette, "PNG", transparency=0), colours[places])
    yield Case("P in a GIF", encode(palette, "GIF", transparency=0), colours[places])
    inks = rng.integers(0, 256, (*size, 4), dtype=np.uint8)
    light = (255 - inks[:, :, 3:]) / 255
    want = (255.0 - inks[:, :, :3]) * light
    yield Case(
        "CMYK", encode(Image.frombytes("CMYK", size[::-1], inks.tobytes()), "TIFF"), want, mean=1
    )


def strips() -> Iterator[Case]:
    """One pixel wide or high, as long as may be."""
    line = np.random.default_rng(4).integers(0, 256, (1, 30_000, 3), dtype=np.uint8)
    for kind in ("PNG", "BMP", "TIFF"):
        yield Case(f"{kind} 30,000 x 1", encode(Image.fromarray(line), kind), line)
        tall = line.transpose(1, 0, 2)
        yield Case(f"{kind} 1 x 30,000", encode(Image.fromarray(tall.copy()), kind), tall)
    one = flat(1, 1, (9, 8, 7))
    for kind in READ:
        data = encode(Image.fromarray(one), kind)
        yield Case(f"{kind} of one pixel", data, one, mean=0 if kind in EXACT else 6)


def orientations() -> Iterator[Case]:
    """EXIF that is right, wrong or damaged: turned where it says so, else left alone."""
    turned: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: np.rot90,
    }
    for number, turn in turned.items():
        data, pixels = jpeg_with((0xE1, exif(short(number))))
        yield Case(f"orientation {number}", data, turn(pixels), mean=3)
        data, pixels = small_png(chunk(b"eXIf", exif(short(number))[6:]))
        yield Case(f"PNG orientation {number}", data, turn(pixels))
    odd = {
        "orientation 0": exif(short(0)),
        "orientation 9": exif(short(9)),
        "orientation 65,535": exif(short(65535)),
        "orientation as text": exif((2, 3, b"six")),
        "orientation as a fraction": exif((5, 1, struct.pack("<I", 8))),
        "orientation beyond the file": exif((3, 2**31, struct.pack("<I", 2**31))),
        "cut in its tag": exif(short(6))[:14],
        "without content": b"Exif\0\0",
        "of noise": b"Exif\0\0" + np.random.default_rng(8).bytes(500),
        "at an offset beyond": b"Exif\0\0II*\0\xff\xff\xff\xff",
        "at a negative offset": b"Exif\0\0MM\0*\x80\0\0\0" + bytes(20),
    }
    for name, body in odd.items():
        data, pixels = jpeg_with((0xE1, body))
        yield Case(f"EXIF {name}", data, pixels, mean=3)


def mutated(seed: int = 11, each: int = 6) -> Iterator[Case]:
    """Flipped, doubled and missing bytes: a picture or a sentence, nothing else."""
    rng = np.random.default_rng(seed)
    for kind in READ:
        data, _ = good(kind)
        for i in range(each):
            broken = bytearray(data)
            for place in rng.integers(3, len(data), 6):
                broken[place] = rng.integers(256)
            at, to = sorted(rng.integers(8, len(broken), 2))
            parts = (broken, broken[:at] + broken[to:], broken[:to] + broken[at:])
            yield Case(f"{kind} mutated {i}", bytes(parts[i % 3]))


GROUPS = (
    every_kind, truncated, wrong_extension, polyglots, bombs_by_size, bombs_by_frames,
    bombs_by_notes, no_pictures, odd_modes, strips, orientations, mutated, as_large_as_allowed,
)  # fmt: skip


def corpus() -> list[Case]:
    """All of it."""
    return [case for group in GROUPS for case in group()]
