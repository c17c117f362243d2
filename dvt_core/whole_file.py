"""Files that are whole: written beside their place and renamed at the end.

A reader sees the old file or the new one, never half of one, whatever ends the writing: a full
disk, Ctrl-C, a killed process, a power cut.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from threading import get_native_id

from dvt_core.errors import InputError

LEFT_OVER_S = 3600.0  # so old is no file that is still being written


@contextlib.contextmanager
def whole_file(path: Path, what: str = "") -> Iterator[Path]:
    """A place to write to that becomes `path` at the end of the block, its folder made if need be.

    Args:
        path: the final place; an old file there stays as it is until the end.
        what: the file in words, with a blank at the end, for the sentence below.

    Raises:
        InputError: it cannot be written; says why. Nothing is left of it.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}-{get_native_id()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_left_over(path, LEFT_OVER_S)
        yield part
        _flush(part)
        os.replace(part, path)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot write {what}{path}: {reason}") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def write_whole(path: Path, raw: bytes, what: str = "") -> None:
    """Writes a file beside its final place, then renames it: complete or not at all.

    Args:
        path: the final place.
        raw: all of it.
        what: see `whole_file`.

    Raises:
        InputError: it cannot be written; says why.
    """
    with whole_file(path, what) as part:
        part.write_bytes(raw)


@contextlib.contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """An empty folder that becomes `folder` at the end of the block.

    If there is one already its files are replaced one by one, others stay. What can fail, such as
    a full disk, fails before anything of `folder` is touched.

    Raises:
        InputError: it cannot be written; says why. Nothing is left of it.
    """
    scratch = folder.with_name(f".{folder.name}.{os.getpid()}-{get_native_id()}.part")
    try:
        scratch.mkdir(parents=True)
        yield scratch
        try:
            scratch.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
            for path in sorted(scratch.iterdir()):
                os.replace(path, folder / path.name)
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def remove_left_over(path: Path, older_than_s: float = 0.0) -> None:
    """Removes what a killed process left beside `path` when it was about to write it."""
    with contextlib.suppress(OSError):
        for part in path.parent.glob(f".{_literal(path.name)}.*.part"):
            if time.time() - part.stat().st_mtime >= older_than_s:
                part.unlink()


def _literal(name: str) -> str:
    return "".join(f"[{c}]" if c in "[*?" else c for c in name)


def _flush(path: Path) -> None:
    """Brings it to the disk: some systems say only then that there was no room for it."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
