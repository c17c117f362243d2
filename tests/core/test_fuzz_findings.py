"""What the fuzz targets of `make fuzz` found, each as the smallest file that shows it."""

from __future__ import annotations

import io
import tracemalloc
import zipfile

import pytest

from dvt_core.checkpoint_file import read_checkpoint
from dvt_core.errors import InputError
from dvt_core.zip_pictures import list_zip

MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}."


def test_a_member_whose_two_names_differ_gets_a_short_sentence():
    """Python's error holds both names in full: 64 kB on the page, with anything in them."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a" * 3000 + ".png", b"x")
    raw = out.getvalue().replace(b"a" * 3000, b"\n" * 3000, 1)
    (picture,) = list_zip(raw).pictures
    with pytest.raises(InputError, match="its place in the zip is damaged") as caught:
        picture.read()
    assert len(str(caught.value)) < 200 and str(caught.value).isprintable()


@pytest.mark.parametrize(
    "pickle",
    [b"X\xff\xff\xff\xff", b"\x96" + b"\xff" * 8, b"\x8b\xff\xff\xff\x7f", b"\x8e" + b"\xff" * 8],
    ids=["text", "bytearray", "whole number", "bytes"],
)
def test_a_value_longer_than_its_file_takes_no_memory(tmp_path, pickle):
    """Python's buffered file takes the memory for what it is asked to read, before it reads."""
    (tmp_path / "a.pth").write_bytes(MAGIC + b"\x80\x02" + pickle)
    tracemalloc.start()
    with pytest.raises(InputError, match="or it is damaged"):
        read_checkpoint(tmp_path / "a.pth")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
