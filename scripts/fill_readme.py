"""Fills the README's numbers from the bundled model's stored tables: `make readme`.

Between `<!-- filled by scripts/fill_readme.py: NAME -->` and `<!-- end -->` nothing is typed by
hand; a test compares the README with what this script would write.
"""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from pathlib import Path

from dvt_core.bundle import Bundle, load_bundle
from dvt_core.images import open_image
from dvt_core.inference import classify
from dvt_core.solver import pareto_front
from dvt_core.thresholds import replay

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
BLOCK = r"(<!-- filled by scripts/fill_readme.py: {name} -->\n).*?(<!-- end -->)"
PICTURES = ("cifar10_03_0.png", "cifar10_05_6.png", "cifar10_08_3.png")


def filled(text: str) -> str:
    """The README with every block written anew."""
    bundle = load_bundle("cifar10")
    for name, block in (
        ("model", model_block(bundle)),
        ("classify", classify_block(bundle)),
        ("evaluate", evaluate_block(bundle)),
        ("train", train_block(bundle)),
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
            f"- solved to be {words}: {100 * point.accuracy:.1f} % at "
            f"{point.macs / 1e6:.1f} MMACs, {test.info.exit_macs[-1] / point.macs:.1f}x less"
        )
    return (
        f"`{bundle.name}`, {bundle.info['data']}. Accuracy on the {test.n:,} test images; "
        f"thresholds solved\non {calibration.n:,} calibration images; neither was trained on.\n\n"
        + "\n".join(rows)
        + "\n\nEarly exit, thresholds solved on calibration, shown on test:\n\n"
        + "\n".join(lines)
        + "\n\nMore in the [model card](assets/models/cifar10/README.md)."
    )


def classify_block(bundle: Bundle) -> str:
    """A command on bundled samples, and its answers."""
    spec = find_spec("foolbox")
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent / "data"
    model = bundle.load_model()
    rows = ["| picture | answer | exit | confidences of the visited exits |", "|---|---|---|---|"]
    for name in PICTURES:
        tensor = model.preprocess(open_image(folder / name))
        answer = classify(model, tensor[None], bundle.default_threshold)[0]
        seen = ", ".join(f"{confidence:.2f}" for confidence in answer.confidences)
        word = bundle.class_names[answer.label]
        rows.append(f"| `{name}` | {word} | {answer.exit_index + 1} | {seen} |")
    paths = " ".join(f"$SAMPLES/{name}" for name in PICTURES)
    return (
        "```sh\nSAMPLES=$(echo .venv/lib/python3*/site-packages/foolbox/data)\n"
        f"dvt classify {paths}\n```\n\n" + "\n".join(rows)
    )


def evaluate_block(bundle: Bundle) -> str:
    """The command and the accuracies it prints."""
    test = bundle.table("test")
    shares = ", ".join(f"{100 * share:.1f} %" for share in test.exit_accuracy)
    return (
        f"```sh\ndvt evaluate --model {bundle.name} --data cifar10    # {shares}\n"
        f"dvt sweep --model {bundle.name}                       # from the stored table\n```"
    )


def train_block(bundle: Bundle) -> str:
    """The command, how long it took where, and the accuracy of the last exit."""
    notes, test = bundle.info["training"], bundle.table("test")
    return (
        f"```sh\ndvt train assets/recipes/{bundle.name}.toml --out runs/{bundle.name}\n```\n\n"
        f"{notes['epochs']} epochs took {notes['minutes']:.0f} minutes on {notes['device']}; "
        f"the last exit\nreaches {100 * test.exit_accuracy[-1]:.1f} % on test."
    )


if __name__ == "__main__":
    before = README.read_text(encoding="utf-8")
    README.write_text(filled(before), encoding="utf-8")
    sys.stderr.write("README.md is filled from assets/models/cifar10\n")
