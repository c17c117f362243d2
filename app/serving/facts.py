"""How the server is now, as plain numbers: for the status page and for whoever watches it.

There is no name of a file, no link and no address of a visitor among them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from dataclasses import asdict
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from streamlit import runtime

from app import services
from app.serving.counters import SERVED, Counters
from app.work.job_panel import COMPUTING, NETWORK, get_queue
from dvt_core.bundle import list_models
from dvt_core.errors import InputError

COMMIT_ENV = "DVT_COMMIT"  # in a container, where there is no repository to ask
KINDS = ("pages", "work", "jobs", "requests")  # of actions, in the order shown
MB = 1_000_000
_ROOT = Path(__file__).resolve().parents[2]


def facts(counters: Counters = SERVED) -> dict[str, Any]:
    """Everything, as JSON takes it: seconds, MB of 10^6 bytes, None for what is not known."""
    levels = {name: asdict(counters.level(name)) for name in ("sessions", "calls")}
    waiting = {"model": services.get_worker().waiting}
    waiting |= {f"{kind} jobs": get_queue(kind).length for kind in (COMPUTING, NETWORK)}
    return {
        "version": version(),
        "commit": commit(),
        "started": counters.started.isoformat(timespec="seconds"),
        "uptime_s": round(counters.uptime_s),
        "sessions": levels["sessions"],
        "calls": levels["calls"],
        "waiting": waiting,
        "memory_mb": {"now": memory_mb(), "peak": peak_memory_mb()},
        "threads": threading.active_count(),
        "models": models(),
        "uploads_mb": _held(("uploaded_file_mgr",)),
        "media_mb": _held(("media_file_mgr", "_storage")),
        "actions": {kind: [asdict(row) for row in counters.rows(kind)] for kind in KINDS},
    }


def memory_mb() -> float | None:
    """Memory that the process takes now; None where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return round(pages * os.sysconf("SC_PAGE_SIZE") / MB, 1)


def peak_memory_mb() -> float | None:
    """The most memory that the process took since its start."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / MB, 1)


@cache
def version() -> str:
    """Of the installed project; "unknown" if it runs without being installed."""
    try:
        return metadata.version("dynamic-vit-explorer")
    except metadata.PackageNotFoundError:
        return "unknown"


@cache
def commit() -> str:
    """The short hash that the running code was started from: `DVT_COMMIT`, or what git says."""
    if said := os.environ.get(COMMIT_ENV, ""):
        return said
    git = shutil.which("git")
    if git is None or not (_ROOT / ".git").exists():
        return "unknown"
    asked = [git, "-C", str(_ROOT), "rev-parse", "--short", "HEAD"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"


def models() -> dict[str, str]:
    """Bundled models as they are on disk now: how their weights' hash begins, or "damaged"."""
    found = {}
    for name in list_models():
        try:
            found[name] = services.get_bundle(name).weights_sha256[:12]
        except InputError:
            found[name] = "damaged"
    return found


def _held(path: tuple[str, ...]) -> float | None:
    """What one of Streamlit's stores holds for its visitors; None without a server."""
    if not runtime.exists():
        return None
    store: Any = runtime.get_instance()
    for name in path:
        store = getattr(store, name, None)
    if not hasattr(store, "get_stats"):
        return None
    stats = [each for family in store.get_stats().values() for each in family]
    return round(sum(each.byte_length for each in stats) / MB, 2)
