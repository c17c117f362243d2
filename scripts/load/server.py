"""The app as `make app` starts it, on a port of its own, and what its processes take."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
START_S = 300  # two busy cores
TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Held:
    """What a process tree holds.

    Attributes:
        memory_mb: resident, MB of 10^6 bytes.
        threads: of all its processes.
        files: open ones, sockets and pipes included.
        temporary: files and folders in the app's temporary folder.
    """

    memory_mb: float
    threads: int
    files: int
    temporary: int


class Server:
    """The app in a process of its own, with an empty temporary folder; a context manager."""

    HEALTH = "/ready", b"ready"  # where it says that it is warm, and what it says then

    def __init__(self, **environment: str) -> None:
        """Starts nothing yet; `environment` is added to that of `make app`."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._environment = environment
        self._folder = tempfile.TemporaryDirectory(prefix="dvt_load_")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def log(self) -> Path:
        """What it printed."""
        return Path(self._folder.name) / "log"

    @property
    def _temporary(self) -> Path:
        return Path(self._folder.name) / "temporary"

    def __enter__(self) -> Server:
        """Starts the app and returns when it is warm and healthy."""
        self._temporary.mkdir()
        command = [sys.executable, "-m", "streamlit", "run", self._script()]
        own = {"OMP_NUM_THREADS": "1", "TMPDIR": str(self._temporary), **self._environment}
        with self.log.open("wb") as out:
            self._process = subprocess.Popen(
                [*command, "--server.address=127.0.0.1", f"--server.port={self._port}"],
                cwd=ROOT,
                env={**os.environ, **own},
                stdout=out,
                stderr=out,
            )
        deadline = time.monotonic() + START_S
        while not self._is_healthy():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the app did not start:\n{self.log.read_text()}")
            time.sleep(0.2)
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the app as Ctrl+C does, and its folder."""
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    def _script(self) -> str:
        """What Streamlit runs, from the project's folder."""
        return "app/asgi.py"

    def _is_healthy(self) -> bool:
        path, healthy = self.HEALTH
        try:
            with urllib.request.urlopen(self.address + path, timeout=60) as answer:
                return answer.read() == healthy
        except OSError:
            return False

    def processes(self) -> list[Path]:
        """Folders in /proc of the app's process and all that it started."""
        assert self._process is not None
        found, new = [], [self._process.pid]
        while new:
            folder = Path("/proc", str(new.pop()))
            try:
                tasks = list((folder / "task").iterdir())
                new += [int(pid) for task in tasks for pid in _read(task / "children").split()]
            except OSError:  # it has just ended
                continue
            found.append(folder)
        return found

    def held(self) -> Held:
        """What it holds now."""
        memory = threads = files = 0
        for folder in self.processes():
            memory += int(_read(folder / "statm").split()[1]) * PAGE_BYTES
            threads += len(list((folder / "task").iterdir()))
            files += len(list((folder / "fd").iterdir()))
        temporary = sum(1 for _ in self._temporary.rglob("*"))
        return Held(memory / 1e6, threads, files, temporary)

    def cpu_s(self) -> float:
        """Seconds of processor time so far, all processes together."""
        spent = 0
        for folder in self.processes():
            fields = _read(folder / "stat").rsplit(")", 1)[1].split()
            spent += int(fields[11]) + int(fields[12])  # utime and stime, after pid and name
        return spent / TICKS


class Elsewhere:
    """An app that somebody else started: it is driven, and what it holds is not known."""

    def __init__(self, address: str) -> None:
        """Its address, "http://127.0.0.1:8080"."""
        self.address = address.rstrip("/")

    def __enter__(self) -> Elsewhere:
        """Nothing is started."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is ended."""

    def held(self) -> Held:
        """Nothing that is known."""
        return Held(0.0, 0, 0, 0)

    def cpu_s(self) -> float:
        """Nothing that is known."""
        return 0.0


def _read(path: Path) -> str:
    return path.read_text()
