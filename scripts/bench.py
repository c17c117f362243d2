"""`make bench`: what the promises cost in seconds, side by side, in one run.

1. Adaptive inference against all exits, at batch 1 and 64, next to the ratio of MACs: how much
   of the theoretical saving is real.
2. Replaying 100 thresholds over a table of 10,000 images, and solving its front.
3. From the server's command to the first usable page, against a bare Streamlit page that
   imports torch.

Measurements that are compared alternate within the run, after a warm-up; numbers are medians
with the 10th and 90th percentile. All of it, with device and date, also goes to
`assets/benchmarks/bench.json`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dvt_core.bundle import load_bundle
from dvt_core.data import load_split
from dvt_core.data_sources import find_folder
from dvt_core.errors import InputError
from dvt_core.evaluate import device_name
from dvt_core.exit_table import ExitTable
from dvt_core.images import open_image
from dvt_core.inference import classify
from dvt_core.model import DynamicViT
from dvt_core.samples import list_samples
from dvt_core.solver import pareto_front, solve_budget
from dvt_core.table_file import TableInfo
from dvt_core.thresholds import sweep
from dvt_core.whole_file import write_whole
from scripts.timing import alternate, spread

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "assets" / "benchmarks" / "bench.json"
BARE_PAGE = (
    'import streamlit as st\nimport torch\n\nst.title("bare")\nst.write(torch.__version__)\n'
)
USABLE = "[data-testid=stApp][data-test-script-state=notRunning] h1"
START_LIMIT_S = 120


def main() -> None:
    """Measures, prints, writes the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="cifar10")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=1, help="torch threads (default: 1)")
    parser.add_argument("--rounds", type=int, default=9, help="repetitions (default: 9)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    report: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "device": device_name(torch.device(args.device)),
        "threads": args.threads,
        "cores": os.cpu_count(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
    print(f"{report['device']}, {args.threads} of {report['cores']} cores used by torch\n")
    report["inference"] = bench_inference(args.model, args.device, args.rounds)
    report["tables"] = bench_tables(args.rounds)
    report["start"] = bench_start()
    OUT.parent.mkdir(parents=True, exist_ok=True)
    write_whole(OUT, (json.dumps(report, indent=2) + "\n").encode())
    print(f"written to {OUT.relative_to(ROOT)}")


def bench_inference(name: str, device: str, rounds: int) -> dict[str, Any]:
    """Time per image of `classify` and of `model(images)` on the same images."""
    bundle = load_bundle(name)
    model = bundle.load_model().to(device)
    images, source = _images(model, 640)
    images = images.to(device)
    threshold = bundle.default_threshold
    results: dict[str, Any] = {"model": name, "images": source, "threshold": threshold}
    print(f"1. Adaptive against all exits: {name}, threshold {threshold:g}, {source}")
    for batch_size, count in ((1, 128), (64, 640)):
        batches = images[:count].split(batch_size)
        macs = np.mean([p.macs for batch in batches for p in classify(model, batch, threshold)])
        adaptive, full = _alternate(
            lambda b=batches: [classify(model, x, threshold) for x in b],
            lambda b=batches: _run_all_exits(model, b),
            rounds=rounds,
            per=count,
        )
        mac_ratio = float(macs) / model.exit_macs[-1]
        time_ratio = adaptive["median_ms"] / full["median_ms"]
        real = (1 - time_ratio) / (1 - mac_ratio) if mac_ratio < 1 else float("nan")
        results[f"batch_{batch_size}"] = {
            "adaptive": adaptive,
            "all_exits": full,
            "mac_ratio": mac_ratio,
            "time_ratio": time_ratio,
            "share_of_saving_that_is_real": real,
        }
        print(
            f"   batch {batch_size:<3} adaptive {_ms(adaptive)}   all exits {_ms(full)}   "
            f"MACs x{mac_ratio:.2f}   time x{time_ratio:.2f}   {real:.0%} of the saving is real"
        )
    print()
    return results


def bench_tables(rounds: int) -> dict[str, Any]:
    """Sweep, front and solver on 10,000 images and 3 exits of seeded random confidences."""
    table = _random_table(10_000, 3)
    thresholds = np.linspace(0, 1, 100)
    budget = 0.5 * sum(table.info.exit_macs) / 3
    (swept,) = _alternate(lambda: sweep(table, thresholds), rounds=rounds)
    (front,) = _alternate(lambda: pareto_front(table), rounds=max(3, rounds // 3))
    (solved,) = _alternate(lambda: solve_budget(table, budget), rounds=max(3, rounds // 3))
    print("2. Tables: 10,000 images, 3 exits")
    print(f"   sweep of 100 thresholds  {_ms(swept)}")
    print(f"   exact front              {_ms(front)}")
    print(f"   thresholds for a budget  {_ms(solved)}\n")
    return {"images": table.n, "sweep_100": swept, "front": front, "solve_budget": solved}


def bench_start(runs: int = 3) -> dict[str, Any]:
    """Seconds from the server's command to health ok and to a page that answers."""
    with tempfile.TemporaryDirectory() as folder, _browser() as open_page:
        bare = Path(folder) / "bare.py"
        bare.write_text(BARE_PAGE)
        times: dict[str, list[tuple[float, float]]] = {"app": [], "bare": []}
        for _ in range(runs):
            times["app"].append(_start("app/asgi.py", ROOT, open_page))
            times["bare"].append(_start(str(bare), Path(folder), open_page))
    print("3. From the server's command to the first usable page")
    report: dict[str, Any] = {"runs": runs, "page": "headless Chromium" if open_page else None}
    for name, pairs in times.items():
        health, page = (statistics.median(column) for column in zip(*pairs, strict=True))
        report[name] = {"health_s": health, "page_s": page if open_page else None, "all": pairs}
        shown = f"page {page:5.2f} s" if open_page else "page not measured: no browser found"
        label = "make app" if name == "app" else "bare page + import torch"
        print(f"   {label:<25} health {health:5.2f} s   {shown}")
    print()
    return report


def _images(model: DynamicViT, count: int) -> tuple[torch.Tensor, str]:
    """Real test images, (count, 3, S, S); the built-in samples repeated where there are none."""
    try:
        if find_folder("cifar10") is None:  # a benchmark must not start a download
            raise InputError("cifar10 is not on this machine")
        split = load_split("cifar10", "test", limit=count)
        arrays = torch.from_numpy(split.arrays(model.preprocess))
        return model.preprocess.normalize(arrays), f"{len(split)} test images, {split.title}"
    except InputError:
        samples = list_samples(model.class_names)
        tensors = [model.preprocess(open_image(s.path)) for s in samples]
        index = torch.arange(count) % len(tensors)
        return torch.stack(tensors)[index], f"{len(tensors)} built-in samples, repeated"


@torch.inference_mode()
def _run_all_exits(model: DynamicViT, batches: tuple[torch.Tensor, ...]) -> None:
    for batch in batches:
        model(batch)[-1].cpu()  # waits for an accelerator


def _alternate(*functions: Callable[[], Any], rounds: int, per: int = 1) -> list[dict[str, float]]:
    """Milliseconds per `per`-th of a call of each function; they take turns."""
    quantiles = [spread(1e3 * s / per) for s in alternate(*functions, rounds=rounds)]
    return [{f"{name}_ms": value for name, value in each.items()} for each in quantiles]


def _random_table(count: int, exits: int) -> ExitTable:
    rng = np.random.default_rng(0)
    logits = 2 * rng.standard_normal((count, exits, 10), dtype=np.float32)
    labels = rng.integers(0, 10, count)
    logits[np.arange(count), :, labels] += np.linspace(2, 5, exits, dtype=np.float32)
    probs = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    info = TableInfo(
        model="random",
        weights_sha256="",
        data="random",
        split="test",
        num_classes=10,
        exit_macs=tuple(20_000_000 * 3**i for i in range(exits)),
        device="cpu",
        made_by="scripts/bench.py",
    )
    return ExitTable.from_probs(probs, labels, np.arange(count), info)


def _start(script: str, folder: Path, open_page: Callable[[str], None] | None) -> tuple[float, ...]:
    """Starts a server, opens its page, stops it; seconds to health ok and to the page."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", script, f"--server.port={port}"]
    command += ["--server.address=127.0.0.1", "--server.headless=true"]
    start = time.perf_counter()
    server = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{port}"
        while not _is_healthy(url):
            if server.poll() is not None or time.perf_counter() - start > START_LIMIT_S:
                raise SystemExit(f"bench: the server of {script} did not start")
            time.sleep(0.02)
        health = time.perf_counter() - start
        if open_page:
            open_page(url)
        return health, time.perf_counter() - start
    finally:
        server.terminate()
        server.wait(timeout=30)


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/_stcore/health", timeout=5) as answer:
            return answer.read() == b"ok"
    except OSError:
        return False


@contextmanager
def _browser() -> Iterator[Callable[[str], None] | None]:
    """A function that opens a page and waits until it is usable; None without a browser."""
    found = subprocess.run(
        [ROOT / "scripts" / "ensure_browser.sh"], stdout=subprocess.PIPE, text=True, check=False
    ).stdout.strip()
    if not found:
        yield None
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])

        def open_page(url: str) -> None:
            with browser.new_context() as context:
                page = context.new_page()
                page.goto(url)
                page.wait_for_selector(USABLE, timeout=1000 * START_LIMIT_S)

        yield open_page
        browser.close()


def _ms(times: dict[str, float]) -> str:
    return f"{times['median_ms']:.2f} ms ({times['p10_ms']:.2f} to {times['p90_ms']:.2f})"


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"bench: {error}")
