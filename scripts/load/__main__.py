"""The command line of the load driver; see the package."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch starts its threads

import torch

from dvt_core.bundle import DEFAULT
from dvt_core.evaluate import device_name
from scripts.load import bare, cost, school_class, soak
from scripts.load.pictures import Answers
from scripts.load.server import ROOT, Elsewhere, Server


def main() -> int:
    """Runs what was asked for; 1 if a bar is missed."""
    args = _arguments()
    answers = Answers.of(DEFAULT)
    address = getattr(args, "address", "")
    with Elsewhere(address) if address else Server() as server:
        print(f"{_device()}, {DEFAULT}, served on {server.address}", flush=True)
        return args.run(args, answers, server)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts.load", description=__doc__)
    commands = parser.add_subparsers(required=True)
    many = commands.add_parser("class", help="many people at once, every answer checked")
    many.add_argument("--users", type=int, default=60)
    many.add_argument("--seconds", type=float, default=60.0)
    many.add_argument("--think", type=float, nargs=2, default=(4.0, 12.0), metavar="S")
    many.add_argument("--long", type=int, default=2, help="people with maps, and with batches")
    many.add_argument("--files", action="store_true", help="fetch Streamlit's scripts, too")
    many.add_argument("--bare", action="store_true", help="also a Streamlit page of one line")
    many.add_argument("--address", help="of an app that runs already, in place of our own")
    many.add_argument("--out", type=Path, help="write the numbers into this file")
    many.set_defaults(run=_class)
    long = commands.add_parser("soak", help="uploads over sessions that come and go")
    long.add_argument("--sessions", type=int, default=100)
    long.add_argument("--uploads", type=int, default=2000)
    long.add_argument("--at-once", type=int, default=5, help="tabs that are open together")
    long.add_argument("--out", type=Path, help="write the numbers into this file")
    long.set_defaults(run=_soak)
    one = commands.add_parser("cost", help="processor time of the server per action")
    one.add_argument("--repeats", type=int, default=50)
    one.set_defaults(run=_cost)
    return parser.parse_args()


def _class(args: argparse.Namespace, answers: Answers, server: Server | Elsewhere) -> int:
    plan = school_class.Plan(
        args.users,
        args.seconds,
        tuple(args.think),
        with_files=args.files,
        maps=args.long,
        batches=args.long,
    )
    measured = asyncio.run(school_class.measure(plan, answers, server))
    print(measured.tally.table())
    if args.bare:
        row = asyncio.run(bare.measure(plan.users))
        measured = replace(measured, bare=row)
        print(f"a page of one line, at once: {row.quantile(0.5):.3f} / {row.quantile(0.95):.3f} s")
    if args.address:
        print("memory and processor time of the app are not known: it is not ours")
    print("server memory:", ", ".join(f"{k} {v:.0f} MB" for k, v in measured.memory_mb.items()))
    print(
        f"processor: server {measured.server_cpu:.2f}, this driver {measured.driver_cpu:.2f} of a "
        "core"
    )
    about = school_class.about_here(_device(), _commit())
    _write(args.out, school_class.report(plan, DEFAULT, measured, about))
    return _judge(measured.tally.missed())


def _soak(args: argparse.Namespace, answers: Answers, server: Server) -> int:
    plan = soak.Plan(args.sessions, args.uploads, args.at_once)
    soaked = asyncio.run(soak.measure(plan, answers, server))
    print(soaked.tally.table())
    print(
        f"memory grew by {soaked.growth_mb:.0f} MB after the first {soak.SETTLED_UPLOADS} uploads"
    )
    print(f"warm {soaked.warm}\nend  {soaked.end}")
    _write(args.out, soak.report(plan, soaked, school_class.about_here(_device(), _commit())))
    return _judge(soaked.missed())


def _cost(args: argparse.Namespace, answers: Answers, server: Server) -> int:
    asyncio.run(cost.measure(args.repeats, answers, server))
    return 0


def _judge(missed: list[str]) -> int:
    print("\n".join(("FAILED", *missed)) if missed else "passed: every bar is kept")
    return bool(missed)


def _write(path: Path | None, report: dict[str, Any]) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=2) + "\n")
        print(f"written to {path}")


def _device() -> str:
    return device_name(torch.device("cpu"))


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
