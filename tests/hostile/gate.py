"""Opens files in a process of its own, watched: `python -m tests.hostile.gate FOLDER`.

FOLDER/list.pickle holds (file name, "picture", "path" or "zip") of each; the answers go to stdout,
pickled. What the process writes, starts or connects to meanwhile is told by Python's audit events,
what it asks of Pillow by wrappers around every plugin.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dvt_core.errors import InputError
from dvt_core.images import open_image
from dvt_core.zip_pictures import list_zip

VIRTUAL_BYTES = 8_000_000_000  # torch alone reserves some; memory in use is what is measured
WATCHED = (
    "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.system", "os.spawn", "socket.",
    "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate",
    "os.chmod", "shutil.", "tempfile.", "ctypes.dlopen", "import",
)  # fmt: skip
is_watching = False
seen: list[str] = []


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    if not is_watching:
        return
    if event == "open":
        path, mode, flags = arguments
        writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        if (mode and set(mode) & set("wax+")) or (isinstance(flags, int) and flags & writes):
            seen.append(f"writes {path!r}")
    elif event.startswith(WATCHED[:-1]):
        seen.append(f"{event} {arguments!r}"[:200])


@contextlib.contextmanager
def watched() -> Iterator[None]:
    global is_watching
    is_watching = True
    try:
        yield
    finally:
        is_watching = False


def note_plugins() -> set[str]:
    """Lets every plugin of Pillow say that it was asked; returns the growing set of names."""
    Image.init()
    asked: set[str] = set()
    for name, (factory, _) in Image.OPEN.items():
        plugin = getattr(sys.modules[factory.__module__], factory.__name__, None)
        classes = [plugin] if isinstance(plugin, type) else []
        if name == "JPEG":  # its factory is a function
            classes = [sys.modules["PIL.JpegImagePlugin"].JpegImageFile]
        for each in classes:
            _note(each, name, asked)
    open_any = Image.open

    def noted(*args: Any, **kwargs: Any) -> Any:
        asked.add("Image.open, which tries every plugin")
        return open_any(*args, **kwargs)

    Image.open = noted
    return asked


def _note(plugin: Any, name: str, asked: set[str]) -> None:
    own = plugin.__dict__.get("_open")
    if own is None:
        return

    def noted(self: Any, *args: Any, **kwargs: Any) -> Any:
        asked.add(name)
        return own(self, *args, **kwargs)

    plugin._open = noted


def answer(path: Path, kind: str) -> tuple[str, Any]:
    """What became of a file: "picture" and pixels, "zip" and (members, left out), "sentence" and
    its text, or "crash" and a traceback."""
    try:
        if kind == "zip":
            contents = list_zip(path.read_bytes())
            found = [(p.name, _member(p)) for p in contents.pictures]
            return "zip", (found, contents.left_out)
        image = open_image(path if kind == "path" else path.read_bytes())
        return "picture", np.asarray(image)
    except InputError as error:
        return "sentence", str(error)
    except BaseException:
        return "crash", traceback.format_exc()


def _member(picture: Any) -> tuple[str, Any]:
    try:
        return "picture", np.asarray(open_image(picture.read()))
    except InputError as error:
        return "sentence", str(error)


def peak() -> int:
    """The most memory this process had in use so far, in bytes."""
    # `getrusage` would begin with what the process that started this one had in use.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def crowd(paths: list[Path]) -> list[tuple[str, Any]]:
    """The same pictures, all at once, as when a class uploads."""
    with ThreadPoolExecutor(len(paths)) as pool:
        answers = list(pool.map(lambda path: answer(path, "picture"), paths))
    return [(kind, getattr(value, "shape", value)) for kind, value in answers]


def main(folder: Path) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (VIRTUAL_BYTES, VIRTUAL_BYTES))
    asked = note_plugins()
    sys.addaudithook(watch)
    listed, together = pickle.loads((folder / "list.pickle").read_bytes())
    answers, at_start = [], peak()
    for name, kind in listed:
        print(name, file=sys.stderr, flush=True)  # the last one is the one that hung
        before, began = peak(), time.process_time()
        with watched():
            kind, value = answer(folder / name, kind)
        answers.append((kind, value, time.process_time() - began, peak() - before))
    with watched():
        crowded = crowd([folder / name for name in together] * 2) if together else []
    report = {
        "answers": answers,
        "crowd": crowded,
        "peak": peak(),
        "at_start": at_start,
        "seen": seen,
        "asked": asked,
    }
    sys.stdout.buffer.write(pickle.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
