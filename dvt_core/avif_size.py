"""How many pixels decoding an AVIF file takes, read from its AV1 data, not from what it claims.

A file says its size twice: in a box, which Pillow reports, and in each item's AV1 sequence
header, which the decoder obeys. They may differ, so a small claim is no protection. Only plain
still pictures are understood here; whatever is unusual is refused, before anything is decoded.

References:
    ISO/IEC 23008-12 (meta, iinf, iloc boxes); AV1 Bitstream & Decoding Process Specification,
    sections 5.3 (OBU header) and 5.5 (sequence header).
"""

from __future__ import annotations

from collections.abc import Iterator

_SEQUENCE_HEADER = 1
_MAX_BOXES, _MAX_TABLE_BYTES = 10_000, 65_536  # a real still picture has far less
_MAX_NOTES = 1_000_000  # bytes of EXIF, which Pillow may write anew, number by number


def decoded_pixels(data: bytes) -> int:
    """The pixels of all AV1 items of a still AVIF file together, tiles and alpha included.

    Raises:
        ValueError: not understood.
    """
    outside = list(_boxes(data))
    if any(kind == b"moov" for kind, _ in outside):
        raise ValueError("it is animated")
    inside = list(_boxes(_only(outside, b"meta")[4:]))
    kinds = dict(_items(_only(inside, b"iinf")))
    idat = b"".join(body for kind, body in inside if kind == b"idat")
    total, room = 0, len(data)
    for item, in_idat, extents in _locations(_only(inside, b"iloc")):
        if kinds.get(item) == b"Exif" and sum(size for _, size in extents) > _MAX_NOTES:
            raise ValueError("its EXIF data is too long")
        if kinds.get(item) != b"av01":
            continue
        room -= sum(size for _, size in extents)
        if room < 0:
            raise ValueError("its items overlap")
        source = idat if in_idat else data
        total += _largest_frame(b"".join(source[at : at + size] for at, size in extents))
    if total < 1:
        raise ValueError("no AV1 picture in it")
    return total


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and body of each box that lies side by side in `data`."""
    at = count = 0
    while at < len(data):
        count += 1
        size, head = int.from_bytes(data[at : at + 4], "big"), 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        size = size or len(data) - at  # 0: up to the end
        if size < head or at + size > len(data) or count > _MAX_BOXES:
            raise ValueError("a box has no valid size")
        yield data[at + 4 : at + 8], data[at + head : at + size]
        at += size


def _only(boxes: list[tuple[bytes, bytes]], kind: bytes) -> bytes:
    bodies = [body for name, body in boxes if name == kind]
    if len(bodies) != 1:
        raise ValueError(f"it has {len(bodies)} {kind.decode()} boxes, expected 1")
    return bodies[0]


class _Reader:
    """Whole numbers from a string of bits, most significant first."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, bits: int) -> int:
        self._left -= bits
        if self._left < 0:
            raise ValueError("it ends too early")
        return (self._value >> self._left) & ((1 << bits) - 1)


def _items(iinf: bytes) -> Iterator[tuple[int, bytes]]:
    """Id and type of every item; an id that comes twice is refused."""
    seen = set()
    for kind, body in _boxes(iinf[6 if iinf[:1] == b"\0" else 8 :]):
        if kind != b"infe" or body[0] not in (2, 3):
            raise ValueError("an item is not described as usual")
        wide = 2 if body[0] == 2 else 4
        item = int.from_bytes(body[4 : 4 + wide], "big")
        if item in seen:
            raise ValueError("an item is described twice")
        seen.add(item)
        yield item, body[6 + wide : 10 + wide]


def _locations(iloc: bytes) -> Iterator[tuple[int, bool, list[tuple[int, int]]]]:
    """Per item: id, whether it lies in the idat box, and (offset, length) of its parts."""
    version, reader = iloc[0], _Reader(iloc[4:])
    if version > 2 or len(iloc) > _MAX_TABLE_BYTES:
        raise ValueError("its table of places is of an unknown version or too long")
    wide = 32 if version == 2 else 16
    offset_bits, length_bits, base_bits, index_bits = (8 * reader.take(4) for _ in range(4))
    for _ in range(reader.take(wide)):
        item = reader.take(wide)
        method = reader.take(16) & 15 if version else 0
        if method > 1 or reader.take(16):
            raise ValueError("an item lies in another file or item")
        base = reader.take(base_bits)
        extents = []
        for _ in range(reader.take(16)):
            if version:
                reader.take(index_bits)
            extents.append((base + reader.take(offset_bits), reader.take(length_bits)))
        if any(length == 0 for _, length in extents):
            raise ValueError("an item has a part without length")
        yield item, method == 1, extents


def _largest_frame(stream: bytes) -> int:
    """The most pixels that a frame of an AV1 stream may have."""
    sizes, at = [], 0
    while at < len(stream):
        head = stream[at]
        if head & 0x80 or not head & 2:  # the forbidden bit, or no size
            raise ValueError("its AV1 data is not divided as usual")
        at += 2 if head & 4 else 1
        size, shift = 0, 0
        while True:
            if at >= len(stream) or shift > 28:
                raise ValueError("its AV1 data ends too early")
            size |= (stream[at] & 127) << shift
            at, shift = at + 1, shift + 7
            if stream[at - 1] < 128:
                break
        if (head >> 3) & 15 == _SEQUENCE_HEADER:
            sizes.append(_sequence_pixels(stream[at : at + size]))
        at += size
    if not sizes:
        raise ValueError("its AV1 data has no sequence header")
    return max(sizes)


def _sequence_pixels(header: bytes) -> int:
    reader = _Reader(header[:64])
    reader.take(4)  # profile, still_picture
    if reader.take(1):  # reduced_still_picture_header
        reader.take(5)
    else:
        if reader.take(1):
            raise ValueError("its AV1 data is a video with timing")
        has_delay = reader.take(1)
        for _ in range(reader.take(5) + 1):
            reader.take(12)
            if reader.take(5) > 7:  # levels above 7 say their tier
                reader.take(1)
            if has_delay and reader.take(1):
                reader.take(4)
    width_bits, height_bits = reader.take(4) + 1, reader.take(4) + 1
    return (reader.take(width_bits) + 1) * (reader.take(height_bits) + 1)
