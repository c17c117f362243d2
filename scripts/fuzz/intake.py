"""Fuzzes the gate for foreign pictures: `open_image`, and zips with each of their pictures.

    python -m scripts.fuzz.intake [SECONDS]

Seeds: a tiny picture of every kind that is read, in several modes, and zips of them.
"""

from __future__ import annotations

import io
import random
import warnings
import zipfile
from collections.abc import Iterator

from scripts.fuzz.run import check_sentence, instrument, run

with instrument("PIL", "zipfile", "dvt_core.images", "dvt_core.zip_pictures", "dvt_core.avif_size"):
    from PIL import Image

    from dvt_core.errors import InputError
    from dvt_core.images import KEPT_LONG_SIDE, open_image
    from dvt_core.zip_pictures import is_zip, list_zip

warnings.simplefilter("ignore")
_ZIP_PICTURES = 3  # read of each zip
_MODES = {
    "JPEG": ("RGB", "L", "CMYK"),
    "PNG": ("RGB", "RGBA", "P", "1", "I;16"),
    "WEBP": ("RGB", "RGBA"),
    "GIF": ("P", "L"),
    "BMP": ("RGB", "P"),
    "TIFF": ("RGB", "F", "I;16", "CMYK", "LAB"),
    "AVIF": ("RGB", "RGBA"),
}


def target(data: bytes) -> None:
    """A picture of at most the kept size, or one sentence; the same for those in a zip."""
    if is_zip(data):
        try:
            contents = list_zip(data)
        except InputError as error:
            check_sentence(error)
            return
        for picture in contents.pictures[:_ZIP_PICTURES]:
            try:
                _open(picture.read())
            except InputError as error:
                check_sentence(error)
        return
    try:
        _open(data)
    except InputError as error:
        check_sentence(error)


def _open(data: bytes) -> None:
    image = open_image(data)
    if image.mode != "RGB" or min(image.size) > KEPT_LONG_SIDE or min(image.size) < 1:
        raise AssertionError(f"a picture of {image.mode} {image.size} came through")


def seeds() -> Iterator[bytes]:
    """One tiny file of every kind and mode, with and without packing, and two zips."""
    pictures = []
    for kind, modes in _MODES.items():
        for mode in modes:
            image = Image.linear_gradient("L").resize((9, 7)).convert("RGB")
            image = image.convert("L" if mode in ("F", "I;16", "LAB") else mode)
            image = image.convert(mode) if mode != "LAB" else Image.new("LAB", (9, 7))
            pictures.append((kind, _saved(image, kind)))
    frames = [Image.new("L", (5, 5), level) for level in (0, 99)]
    pictures.append(("GIF", _saved(frames[0], "GIF", save_all=True, append_images=frames[1:])))
    for packing in ("tiff_lzw", "tiff_deflate", "packbits"):
        pictures.append(("TIFF", _saved(Image.new("RGB", (9, 7)), "TIFF", compression=packing)))
    pictures.append(("JPEG", _saved(Image.new("RGB", (40, 40)), "JPEG", progressive=True)))
    yield from (raw for _, raw in pictures)
    for packing in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", packing) as archive:
            for number, (kind, raw) in enumerate(pictures[:2]):
                archive.writestr(f"class/{number}.{kind.lower()}", raw)
        yield out.getvalue()


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def mutate(data: bytes, seed: int) -> bytes:
    """Numbers of sizes and offsets, at the edges of what they can hold."""
    chance = random.Random(seed)
    out = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        width = chance.choice((1, 2, 4))
        place = chance.randrange(max(1, len(out) - width))
        order = chance.choice(("little", "big"))
        top = 1 << (8 * width)
        value = chance.choice((0, 1, top - 1, top // 2, top // 2 - 1, len(out) % top))
        out[place : place + width] = value.to_bytes(width, order)
    return bytes(out)


if __name__ == "__main__":
    run("intake", target, seeds(), mutate=mutate, max_length=4096)
