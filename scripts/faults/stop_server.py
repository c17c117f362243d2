"""Stops a real server in the middle of a visitor's batch, as `docker stop` and as Ctrl+C do it.

It must end within seconds, with exit code 0 or that of the signal, leave no file behind, and print
neither a traceback nor a complaint of a library. Run: `make faults`, or
`python -m scripts.faults.stop_server`. Prints JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import signal
import subprocess
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from scripts.load.server import Server
from scripts.load.visitor import Lost, Visitor
from tests.ui.tiny_model import write_bundle

PICTURES = 4000
FEW_S = 8.0  # a server that runs nothing takes about one; the machine may be busy
NOISE = ("Traceback", "leaked", "terminate called")
FINE = {  # exit codes, by signal
    signal.SIGTERM: (0, -signal.SIGTERM, 128 + signal.SIGTERM),
    signal.SIGINT: (0, -signal.SIGINT, 128 + signal.SIGINT),
}


def many_pictures(count: int) -> bytes:
    """A zip of `count` small pictures; some seconds of work."""
    out, rng = io.BytesIO(), np.random.default_rng(0)
    with zipfile.ZipFile(out, "w") as archive:
        for i in range(count):
            picture = io.BytesIO()
            pixels = rng.integers(0, 255, (96, 96, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(picture, "JPEG")
            archive.writestr(f"{i}.jpg", picture.getvalue())
    return out.getvalue()


async def start_batch(address: str) -> Visitor:
    """A visitor whose batch is running."""
    tab = Visitor(address)
    await tab.open()
    await tab.go("batch")
    await tab.choose("batch_from", "files or zips")
    await tab.upload("batch_files", "many.zip", many_pictures(PICTURES), "application/zip")
    await tab.press("batch_run")
    return tab


async def _is_running(tab: Visitor) -> bool:
    """Whether the page shows a job that goes on."""
    await asyncio.sleep(1.5)  # into the middle of it
    return tab.page.widget("cancel_batch") is not None


def stop(number: signal.Signals, folder: Path) -> dict[str, object]:
    """Starts a server, has it run a batch, sends the signal, and says what became of it."""
    models, cache = folder / "models", folder / "cache"
    write_bundle(models / "tiny")
    with Server(DVT_MODELS=str(models), DVT_CACHE=str(cache)) as server:
        process = server._process
        assert process is not None

        async def visit() -> tuple[bool, float, int | None]:
            tab = await start_batch(server.address)
            is_running = await _is_running(tab)
            began = time.monotonic()
            os.kill(process.pid, number)
            try:
                code = await asyncio.to_thread(process.wait, 60)
            except subprocess.TimeoutExpired:
                code = None
            seconds = time.monotonic() - began
            with contextlib.suppress(Lost, OSError):
                await tab.close()
            return is_running, seconds, code

        is_running, seconds, code = asyncio.run(visit())
        log = server.log.read_text()
        left = [path.name for path in server._temporary.iterdir()] + (
            [path.name for path in cache.rglob("*")] if cache.exists() else []
        )
        half = [path.name for path in models.rglob(".*")]
    return {
        "signal": number.name,
        "batch_was_running": is_running,
        "seconds": round(seconds, 2),
        "exit_code": code,
        "left_behind": left + half,
        "noise": [word for word in NOISE if word in log],
        "fine": is_running
        and code in FINE[number]
        and seconds < FEW_S
        and not left + half
        and not any(word in log for word in NOISE),
        "log": log.splitlines()[-5:],
    }


def main() -> None:
    """Both signals; exit code 1 if the server did not end as it should."""
    told = []
    for number in FINE:
        with tempfile.TemporaryDirectory() as folder:
            told.append(stop(number, Path(folder)))
    print(json.dumps(told, indent=1))
    raise SystemExit(not all(each["fine"] for each in told))


if __name__ == "__main__":
    main()
