"""Pictures of a model folder: the curves of its training, and its trade-off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dvt_core.bundle import Bundle
from dvt_core.solver import pareto_front
from dvt_core.study import Study
from dvt_core.thresholds import sweep
from dvt_core.whole_file import whole_file

# as in app/figures/theme.py
EXIT_COLOURS = ("#0072B2", "#E69F00", "#D55E00", "#CC79A7", "#56B4E9", "#009E73")


def plot_log(rows: list[dict[str, float]], path: Path) -> None:
    """Writes a PNG: training loss and calibration accuracy of every exit against the epoch."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    loss, accuracy = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in rows]
    exits = sum(key.startswith("train_loss_") for key in rows[0])
    for i in range(1, exits + 1):
        colour = EXIT_COLOURS[(i - 1) % len(EXIT_COLOURS)]
        style = {"color": colour, "label": f"exit {i}", "marker": ".", "linewidth": 1.5}
        loss.plot(epochs, [row[f"train_loss_{i}"] for row in rows], **style)
        shares = [100 * row[f"calibration_accuracy_{i}"] for row in rows]
        accuracy.plot(epochs, shares, **style)
    loss.set(xlabel="epoch", ylabel="training loss (smoothed labels)")
    accuracy.set(xlabel="epoch", ylabel="accuracy on watched calibration images, %")
    for axes in (loss, accuracy):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    with whole_file(path) as part:
        figure.savefig(part, dpi=110, format="png")


def plot_tradeoff(bundle: Bundle, study: Study, path: Path) -> None:
    """Writes a PNG: accuracy against mean MMACs of a cascade, its exits and its baselines.

    The curve is solved on calibration and shown on test.
    """
    test, front = bundle.table("test"), pareto_front(bundle.table("calibration"))
    points = sweep(test, np.array([point.thresholds for point in front.points]))
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot(
        [point.macs / 1e6 for point in points],
        [100 * point.accuracy for point in points],
        color="#444444",
        label="cascade, thresholds solved on calibration",
    )
    for i, (macs, accuracy) in enumerate(zip(test.info.exit_macs, test.exit_accuracy, strict=True)):
        colour = EXIT_COLOURS[i % len(EXIT_COLOURS)]
        axes.plot(macs / 1e6, 100 * accuracy, "o", color=colour, label=f"exit {i + 1} for all")
    for i, each in enumerate(study.baselines):
        label = "static models, trained alone" if not i else None
        axes.plot(each.macs / 1e6, 100 * each.accuracy, "x", color="#777777", label=label)
        axes.annotate(
            f"  {each.name}", (each.macs / 1e6, 100 * each.accuracy), va="top", color="#777777"
        )
    axes.set(
        xlabel="MMACs per image (papers say MFLOPs)",
        ylabel=f"accuracy on {test.n:,} test images, %",
        title=bundle.title,
    )
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower right")
    with whole_file(path) as part:
        figure.savefig(part, dpi=110, format="png")
