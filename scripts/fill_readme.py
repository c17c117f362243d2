"""Fills cards, curves and the README from stored tables, presets and benchmarks: `make readme`.

Between `<!-- filled by scripts/fill_readme.py: NAME -->` and `<!-- end -->` nothing is typed by
hand; a test compares the README with what this script would write.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import torch

from dvt_core.bundle import DEFAULT, Bundle, list_models, load_bundle
from dvt_core.images import open_image
from dvt_core.inference import classify
from dvt_core.macs import exit_macs
from dvt_core.model import build_model
from dvt_core.presets import PRESETS
from dvt_core.solver import pareto_front
from dvt_core.study import load_study
from dvt_core.thresholds import replay
from dvt_core.training.card import write_card
from dvt_core.training.study_card import ablation_table, baseline_table, criteria_table

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
BENCHMARKS = ROOT / "assets" / "benchmarks"
BENCHMARK = BENCHMARKS / "imagenet.json"
BLOCK = r"(<!-- filled by scripts/fill_readme.py: {name} -->\n).*?(<!-- end -->)"
SAMPLES = "assets/pictures"
PICTURES = ("pepper.jpg", "dromedary.jpg", "basketball.jpg")


def filled(text: str) -> str:
    """The README with every block written anew."""
    bundle = load_bundle(DEFAULT)
    bundles = [load_bundle(name) for name in list_models()]
    for name, block in (
        ("model", "\n\n".join(map(model_block, bundles))),
        ("study", "\n\n".join(map(study_block, bundles))),
        ("classify", classify_block(bundle)),
        ("evaluate", evaluate_block(bundles)),
        ("train", train_block(bundles)),
        ("architectures", architectures_block()),
        ("speed", speed_block()),
        ("served", served_block()),
    ):
        pattern = re.compile(BLOCK.format(name=name), re.DOTALL)
        text = pattern.sub(lambda match, b=block: f"{match[1]}{b}\n{match[2]}", text)
    return text


def model_block(bundle: Bundle) -> str:
    """Exits, their cost and accuracy, and what early exit saves."""
    test, calibration = bundle.table("test"), bundle.table("calibration")
    rows = ["| exit | tokens | MMACs up to here | accuracy |", "|---|---|---|---|"]
    for i, grid in enumerate(bundle.config.grid_sizes):
        rows.append(
            f"| {i + 1} | {grid}x{grid} | {test.info.exit_macs[i] / 1e6:.1f} "
            f"| {100 * test.exit_accuracy[i]:.1f} % |"
        )
    full = calibration.exit_accuracy[-1]
    lines = []
    for loss in (0.0, 0.01):
        point = replay(test, pareto_front(calibration).at_accuracy(full - loss).thresholds)
        words = "as accurate as always full" if not loss else f"{100 * loss:g} point below"
        lines.append(
            f"solved to be {words}, {100 * point.accuracy:.1f} % at "
            f"{point.macs / 1e6:.1f} MMACs, {test.info.exit_macs[-1] / point.macs:.1f}x less"
        )
    return (
        f"**`{bundle.name}`**: {bundle.info['data']}, {len(bundle.class_names)} classes.\n\n"
        + "\n".join(rows)
        + f"\n\nEarly exit: {'; '.join(lines)}. "
        + f"[Model card](assets/models/{bundle.name}/README.md)."
    )


def study_block(bundle: Bundle) -> str:
    """The cascade against its static baselines, and without its reuse."""
    study = load_study(bundle)
    if not study.baselines:
        return f"`{bundle.name}`: no baselines stored."
    parts = [f"**`{bundle.name}`**", baseline_table(bundle, study)]
    if len(study.ablation) > 2:
        parts += ["Reuse on and off (test accuracy of each exit, points above no reuse):"]
        parts += [ablation_table(study)]
        parts += ["What an exit asks, at equal exit shares:"]
        parts += [criteria_table(bundle.table("calibration"), bundle.table("test"))]
    return "\n\n".join(parts)


def classify_block(bundle: Bundle) -> str:
    """A command on bundled samples, and its answers."""
    model = bundle.load_model()
    rows = ["| picture | answer | exit | confidences of the visited exits |", "|---|---|---|---|"]
    for name in PICTURES:
        tensor = model.preprocess(open_image(ROOT / SAMPLES / name))
        answer = classify(model, tensor[None], bundle.default_threshold)[0]
        seen = ", ".join(f"{confidence:.2f}" for confidence in answer.confidences)
        word = bundle.class_names[answer.label]
        rows.append(f"| `{name}` | {word} | {answer.exit_index + 1} | {seen} |")
    paths = " ".join(f"{SAMPLES}/{name}" for name in PICTURES)
    return f"```sh\ndvt classify {paths}\n```\n\n" + "\n".join(rows)


def evaluate_block(bundles: list[Bundle]) -> str:
    """The commands and the accuracies they print."""
    lines = []
    for bundle in bundles:
        test = bundle.table("test")
        shares = ", ".join(f"{100 * share:.1f} %" for share in test.exit_accuracy)
        command = f"dvt evaluate --model {bundle.name} --data {test.info.data}"
        lines.append(f"{command.ljust(60)}# {shares}")
    lines.append(f"{f'dvt sweep --model {DEFAULT}'.ljust(60)}# from the stored table")
    lines.append(f"{f'dvt study --model {DEFAULT}'.ljust(60)}# against static models")
    return "\n".join(("```sh", *lines, "```"))


def train_block(bundles: list[Bundle]) -> str:
    """The commands, how long they took where, and the accuracy of the last exit."""
    commands, words = [], []
    for bundle in bundles:
        notes, test, recipe = bundle.info["training"], bundle.table("test"), recipe_of(bundle)
        commands.append(f"dvt train assets/recipes/{recipe} --out runs/{bundle.name}")
        words.append(
            f"`{bundle.name}`: {notes['epochs']} epochs took {notes['minutes']:.0f} minutes on "
            f"{notes['device']}; the last exit reaches "
            f"{100 * test.exit_accuracy[-1]:.1f} % on test."
        )
    return "\n".join(("```sh", *commands, "```", "", *words))


def recipe_of(bundle: Bundle) -> str:
    """The recipe's file name: a data set's name has hyphens where the file has underscores."""
    return f"{bundle.name.replace('-', '_')}.toml"


def architectures_block() -> str:
    """Every preset at 224 px: tokens, parameters, cost of its exits."""
    rows = ["| architecture | tokens | parameters | GMACs up to each exit |", "|---|---|---|---|"]
    for name, config in PRESETS.items():
        if config.img_size == 224:
            with torch.device("meta"):
                millions = sum(p.numel() for p in build_model(config).parameters()) / 1e6
            grids = " -> ".join(f"{grid}x{grid}" for grid in config.grid_sizes)
            costs = " / ".join(f"{macs / 1e9:.2f}" for macs in exit_macs(config))
            rows.append(f"| `{name}` | {grids} | {millions:.1f} M | {costs} |")
    return "\n".join(rows)


def speed_block() -> str:
    """Ours against plain, and what early exit really saves, from the stored benchmark."""
    report = json.loads(BENCHMARK.read_text(encoding="utf-8"))
    first = next(row for row in report["forward"] if "peak_mb" in row)  # measured on a CPU
    device = first["device"]
    forward = {(r["model"], r["side"]): r for r in report["forward"] if r["device"] == device}
    rows = ["| all exits, batch 16 | plain | ours | | peak memory |", "|---|---|---|---|---|"]
    for name in dict.fromkeys(model for model, _ in forward):
        plain, ours = forward[name, "plain"], forward[name, "ours"]
        rows.append(
            f"| `{name}` | {plain['median']:.2f} s | {ours['median']:.2f} s "
            f"| {plain['times_ours']:.2f}x faster | {plain['peak_mb']:.0f} -> "
            f"{ours['peak_mb']:.0f} MB |"
        )
    rows += [
        "",
        "| really exiting, batch 128 | images per exit | MACs | time |",
        "|---|---|---|---|",
    ]
    for row in report["throughput"]:
        if row["device"] == device and row["batch_size"] == 128 and row["mac_ratio"]:
            shares = " / ".join(f"{share:.0%}" for share in row["exit_shares"])
            rows.append(
                f"| `{row['model']}` | {shares} | {row['mac_ratio']:.2f}x fewer "
                f"| {row['time_ratio']:.2f}x less |"
            )
    return f"{device}, {first['date']}, float32, medians:\n\n" + "\n".join(rows)


def served_block() -> str:
    """How long a class waits, with one server and with two; what was left behind by many visits."""
    load, pair = map(_benchmark, ("load", "replicas"))
    two = {row["action"]: row for row in pair["rows"]}
    low, high = load["think_s"]
    when = "" if pair["date"][:10] == load["date"][:10] else f" ({pair['date'][:10]})"
    lines = [
        f"{load['device']}, {load['date'][:10]}; {load['users']} people, each doing something "
        f"every {low:g} to {high:g} s; seconds of waiting (half of them / 95 %):",
        "",
        f"| action | one server | two behind nginx, same machine{when} | aim |",
        "|---|---|---|---|",
    ]
    for row in load["rows"]:
        other, bar = two.get(row["action"]), row["bar_p95"]
        cells = [f"{each['p50']:.2f} / {each['p95']:.2f}" if each else "" for each in (row, other)]
        aim = f"95 % in {bar:g}" if bar else ""
        lines.append(f"| {row['action']} | {' | '.join(cells)} | {aim} |")
    errors, wrong = (sum(row[key] for row in load["rows"]) for key in ("errors", "wrong"))
    memory = load["memory_mb"]
    lines += [
        "",
        "Heat maps and batches were computed all the while on the one server, and on the two. "
        f"One server: {errors} errors, {wrong} wrong or foreign answers; memory "
        f"{memory['warm']:,.0f} MB before, {memory['peak']:,.0f} MB at most. Of the pair one was "
        f"killed: {pair['errors_after_kill']} further errors, everybody was back within "
        f"{pair['seconds_until_all_back']:.0f} s.",
    ]
    if bare := load.get("bare_page"):
        lines[-1] += (
            " As many who opened a Streamlit page of one line at once, without the app, waited "
            f"{bare['p50']:.2f} / {bare['p95']:.2f} s."
        )
    if (BENCHMARKS / "soak.json").exists():
        soak = _benchmark("soak")
        lines[-1] += (
            f" {soak['uploads']:,} uploads over {soak['sessions']} visits: {soak['errors']} "
            f"errors, {soak['wrong']} wrong answers, memory {soak['growth_mb_after_200']:+.0f} MB "
            "after the first 200."
        )
    return "\n".join(lines)


def _benchmark(name: str) -> dict[str, Any]:
    return json.loads((BENCHMARKS / f"{name}.json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    for model in list_models():
        write_card(load_bundle(model))
    before = README.read_text(encoding="utf-8")
    README.write_text(filled(before), encoding="utf-8")
    sys.stderr.write("README.md is filled\n")
