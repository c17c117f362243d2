"""`make bench-imagenet`: the paper's models on this machine, side by side, in one run.

1. The forward of all exits against a plain implementation of the same arithmetic
   (`scripts/plain_cascade.py`): time, peak memory, bfloat16, torch.compile.
2. Images per second as in the paper's Table 2: static backbones, and cascades of two and three
   exits that really stop, at several shares of images per exit.

The weights are random and so are the pictures: a model's time does not depend on either. Which
images leave where is therefore forced, by thresholds set at the wanted shares of the
confidences; what runs is `dvt_core.classify` as it is. Compared measurements take turns after a
warm-up; numbers are medians with the 10th and 90th percentile. All of it goes to
`assets/benchmarks/imagenet.json`, from which the app reads; a device's rows replace its old ones.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dvt_core.evaluate import device_name
from dvt_core.inference import classify
from dvt_core.macs import exit_macs
from dvt_core.model import DynamicViT, build_model
from dvt_core.presets import PRESETS
from dvt_core.whole_file import write_whole
from scripts.plain_cascade import plain_forward
from scripts.timing import alternate, spread

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "assets" / "benchmarks" / "imagenet.json"
CASCADES = ("dvt_t2t_vit_12", "dvt_t2t_vit_14", "dvt_deit_small")
STATIC = ("t2t_vit_7", "t2t_vit_10", "t2t_vit_12", "t2t_vit_14", "deit_small")
EXIT_SHARES = {
    "dvt_t2t_vit_12_two_exits": ((0.75, 0.25), (0.5, 0.5), (0.25, 0.75)),
    "dvt_t2t_vit_12": ((0.6, 0.25, 0.15), (0.4, 0.3, 0.3), (0.2, 0.3, 0.5)),
}
IMAGES = {1: 24, 32: 64, 128: 128}  # batch size -> images per measurement
OFFICIAL_PIECES = {"dvt_deit_small": 8}  # of the batch when resizing; 2 for T2T
FORWARD_BATCH = 16


def main() -> None:
    """Measures, prints, writes the file."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=5, help="repetitions (default: 5)")
    parser.add_argument("--peak-memory", nargs=2, metavar=("MODEL", "SIDE"), help="internal")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.peak_memory:
        print(peak_memory_mb(*args.peak_memory))
        return
    device = torch.device(args.device)
    about = {
        "device": device_name(device),
        "threads": args.threads,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": f"python {platform.python_version()}, torch {torch.__version__}",
    }
    print(f"{about['device']}, {args.threads} threads, float32 unless said\n")
    forward = [row | about for row in bench_forward(device, args.rounds)]
    throughput = [row | about for row in bench_throughput(device, args.rounds)]
    _write({"forward": forward, "throughput": throughput}, about["device"])
    print(f"written to {OUT.relative_to(ROOT)}")


@torch.inference_mode()
def bench_forward(device: torch.device, rounds: int) -> Iterator[dict[str, Any]]:
    """Rows of ours against plain at batch 16; on the first model also bfloat16 and compiled."""
    print(f"1. All exits, batch {FORWARD_BATCH}, seconds per batch")
    for name in CASCADES:
        model = _model(name, device)
        images = torch.randn(FORWARD_BATCH, 3, 224, 224, device=device)
        sides: dict[str, Callable[[], Any]] = {
            "plain": lambda m=model, n=name, x=images: _wait(
                plain_forward(m, x, OFFICIAL_PIECES.get(n, 2))
            ),
            "ours": lambda m=model, x=images: _wait(m(x)),
        }
        if name == CASCADES[0]:
            low = _model(name, device).bfloat16()
            compiled = torch.compile(_model(name, device))
            sides["bfloat16"] = lambda m=low, x=images: _wait(m(x.bfloat16()))
            sides["compiled"] = lambda m=compiled, x=images: _wait(m(x))
        times = dict(zip(sides, alternate(*sides.values(), rounds=rounds), strict=True))
        ours = float(np.median(times["ours"]))
        for side, seconds in times.items():
            row = {"model": name, "side": side, "batch_size": FORWARD_BATCH, **spread(seconds)}
            row["times_ours"] = round(float(np.median(seconds)) / ours, 3)
            if side in ("plain", "ours") and device.type == "cpu":
                row["peak_mb"] = _peak_memory(name, side)
            memory = f", peak {row['peak_mb']:.0f} MB above the weights" if "peak_mb" in row else ""
            print(
                f"   {name:<16} {side:<9} {row['median']:.2f} ({row['p10']:.2f} to "
                f"{row['p90']:.2f}), {row['times_ours']:.2f} times ours{memory}",
                flush=True,
            )
            yield row
    print()


def bench_throughput(device: torch.device, rounds: int) -> Iterator[dict[str, Any]]:
    """Rows of images/s: static backbones, then cascades at forced exit shares."""
    print("2. Images per second (random weights: the exit shares are forced)")
    for batch_size, count in IMAGES.items():
        images = torch.randn(count, 3, 224, 224)
        batches = [batch.to(device) for batch in images.split(batch_size)]
        for name in STATIC:
            model = _model(name, device)
            (times,) = alternate(lambda m=model, b=batches: _all_exits(m, b), rounds=rounds)
            yield _shown(_row(name, batch_size, count / times, (1.0,)))
        for name, settings in EXIT_SHARES.items():
            model = _model(name, device)
            yield from _adaptive(model, batches, settings, rounds)


def _adaptive(
    model: DynamicViT,
    batches: list[torch.Tensor],
    settings: tuple[tuple[float, ...], ...],
    rounds: int,
) -> Iterator[dict[str, Any]]:
    """Rows of one cascade: all exits, then every setting of the shares, in turn."""
    count = sum(map(len, batches))
    found = [p for batch in batches for p in classify(model, batch, 2.0)]  # never leaves early
    confidences = np.array([p.confidences for p in found])
    limits = [thresholds_for(confidences, shares) for shares in settings]
    runs: list[Callable[[], Any]] = [lambda: _all_exits(model, batches)]
    runs += [lambda t=t: [classify(model, batch, t) for batch in batches] for t in limits]
    full, *adaptive = alternate(*runs, rounds=rounds)
    none = (0.0,) * (model.num_exits - 1) + (1.0,)
    yield _shown(_row(model.name, len(batches[0]), count / full, none))
    for limit, seconds in zip(limits, adaptive, strict=True):
        exits = [p for batch in batches for p in classify(model, batch, limit)]
        shares = np.bincount([p.exit_index for p in exits], minlength=model.num_exits) / count
        row = _row(model.name, len(batches[0]), count / seconds, shares.tolist())
        row["mac_ratio"] = model.exit_macs[-1] / float(np.mean([p.macs for p in exits]))
        row["time_ratio"] = float(np.median(full / seconds))
        yield _shown(row)


def thresholds_for(confidences: np.ndarray, shares: tuple[float, ...]) -> tuple[float, ...]:
    """Thresholds under which the wanted shares of (n, E) confidences leave at each exit.

    Each lies half way between the last image that leaves and the first that stays, so that
    rounding cannot move an image.
    """
    alive, thresholds = np.arange(len(confidences)), []
    for index, share in enumerate(shares[:-1]):
        surest_first = np.sort(confidences[alive, index])[::-1]
        leaving = round(share * len(confidences))
        thresholds.append(float(surest_first[leaving - 1 : leaving + 1].mean()))
        alive = alive[confidences[alive, index] < thresholds[-1]]
    return tuple(thresholds)


def peak_memory_mb(name: str, side: str) -> float:
    """Most memory of two forwards above what the process held before; Linux, in a fresh process."""
    model = _model(name, torch.device("cpu"))
    images = torch.randn(FORWARD_BATCH, 3, 224, 224)
    with torch.inference_mode():
        model(images[:1])
        before = _status_kb("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
        for _ in range(2):
            if side == "plain":
                plain_forward(model, images, OFFICIAL_PIECES.get(name, 2))
            else:
                model(images)
    return (_status_kb("VmHWM") - before) / 1000


def _peak_memory(name: str, side: str) -> float:
    command = [sys.executable, "-m", "scripts.bench_imagenet", "--peak-memory", name, side]
    # Memory that is kept for later would count as used: here freed memory is given back.
    env = {key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")}
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env=env)
    return float(done.stdout)


def _status_kb(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


def _model(name: str, device: torch.device) -> DynamicViT:
    torch.manual_seed(0)
    return build_model(name).eval().requires_grad_(False).to(device)


@torch.inference_mode()
def _all_exits(model: DynamicViT, batches: list[torch.Tensor]) -> None:
    for batch in batches:
        _wait(model(batch))


def _wait(logits: tuple[torch.Tensor, ...]) -> None:
    logits[-1].cpu()  # an accelerator runs behind; its last result ends the measurement


def _row(name: str, batch_size: int, rates: np.ndarray, shares: Any) -> dict[str, Any]:
    numbers = spread(rates)
    return {
        "model": name,
        "exits": PRESETS[name].num_exits,
        "full_macs": exit_macs(PRESETS[name])[-1],
        "batch_size": batch_size,
        "exit_shares": [round(share, 3) for share in shares],
        "images_per_s": numbers["median"],
        "p10": numbers["p10"],
        "p90": numbers["p90"],
        "mac_ratio": None,
        "time_ratio": None,
    }


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    shares = " / ".join(f"{share:.0%}" for share in row["exit_shares"])
    line = f"   batch {row['batch_size']:<4}{row['model']:<26}{shares:<20}"
    line += f"{row['images_per_s']:8.2f} ({row['p10']:.2f} to {row['p90']:.2f})"
    if row["mac_ratio"]:
        fewer, faster = row["mac_ratio"], row["time_ratio"]
        line += f"  {fewer:.2f}x fewer MACs, {faster:.2f}x less time: {faster / fewer:.2f}"
    print(line, flush=True)
    return row


def _write(report: dict[str, list[dict[str, Any]]], device: str) -> None:
    """Puts the rows into the file in place of this device's old ones."""
    old = json.loads(OUT.read_text()) if OUT.exists() else {}
    for kind, rows in report.items():
        kept = [row for row in old.get(kind, []) if row["device"] != device]
        report[kind] = kept + rows
    OUT.parent.mkdir(parents=True, exist_ok=True)
    write_whole(OUT, (json.dumps(report, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
