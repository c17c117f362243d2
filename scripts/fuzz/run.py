"""Runs one fuzz target with atheris (libFuzzer): `python -m scripts.fuzz.intake 60`.

A target takes bytes and must give a result or one `InputError` of one short sentence. Anything
else that is raised, a hang of ten seconds, or more than 1.5 GB stops the run; the bytes then lie in
the folder that is named, to become a plain test. Seeds are made at run time; what the run adds to
them is kept in $DVT_FUZZ (default: a folder in the temporary one), so that the next one goes on.

atheris is no requirement of anything else and has wheels for Linux on x86-64 only, so `make fuzz`
installs it when it is asked for.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

VERSION = "3.0.0"
MAX_SECONDS, MAX_MEGABYTES = 10, 1500
MAX_SENTENCE = 1500


def check_sentence(error: Exception) -> None:
    """Raises AssertionError unless the error is one short sentence."""
    sentence = str(error)
    if not (0 < len(sentence) < MAX_SENTENCE and sentence.isprintable()):
        raise AssertionError(f"no sentence for people: {sentence[:500]!r}") from error


def instrument(*packages: str):
    """The context in which imports of these packages are watched for coverage."""
    try:
        import atheris
    except ImportError:
        sys.exit(f"atheris is missing; `make fuzz` installs it (pip install atheris=={VERSION})")
    return atheris.instrument_imports(include=list(packages))


def run(
    name: str,
    target: Callable[[bytes], None],
    seeds: Iterable[bytes],
    *,
    mutate: Callable[[bytes, int], bytes] | None = None,
    max_length: int,
) -> None:
    """Fuzzes for the seconds given on the command line (default 60); ends the process.

    Args:
        name: of the target, and of the folder that keeps its inputs.
        target: takes the bytes.
        seeds: small honest inputs, one of each kind.
        mutate: (bytes, random seed) -> changed bytes, tried every other time; it should know
            the format.
        max_length: of an input in bytes.
    """
    import atheris

    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    home = Path(os.environ.get("DVT_FUZZ") or Path(tempfile.gettempdir()) / "dvt-fuzz") / name
    (home / "inputs").mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (home / "inputs" / f"seed-{number}").write_bytes(seed)
    options = [
        sys.argv[0],
        str(home / "inputs"),
        f"-max_total_time={seconds}",
        f"-max_len={max_length}",
        f"-timeout={MAX_SECONDS}",
        f"-rss_limit_mb={MAX_MEGABYTES}",
        f"-artifact_prefix={home}/found-",
        "-print_final_stats=1",
    ]
    print(f"{name}: {seconds} s; inputs and findings in {home}", flush=True)
    if mutate is None:
        atheris.Setup(options, target)
    else:

        def custom(data: bytes, limit: int, seed: int) -> bytes:
            if seed % 2:
                return atheris.Mutate(data, limit)
            return mutate(data, seed)[:limit]

        atheris.Setup(options, target, custom_mutator=custom)
    atheris.Fuzz()
