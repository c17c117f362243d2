"""The curves of a training run as one picture, drawn from the rows of its log."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

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
    figure.savefig(path, dpi=110)
