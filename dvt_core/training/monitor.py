"""What a run says about itself: a row per epoch, as CSV and as curves."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import torch
from torch import Tensor

from dvt_core.data import ImageSplit
from dvt_core.model import DynamicViT
from dvt_core.training.plots import plot_log
from dvt_core.whole_file import write_whole

LOG, CURVES = "training.csv", "curves.png"


class Monitor:
    """Accuracy of the averaged weights on some images of the calibration split."""

    def __init__(self, split: ImageSplit, model: DynamicViT, device: torch.device) -> None:
        """Decodes the images once."""
        self.images = torch.from_numpy(split.arrays(model.preprocess)).to(device)
        self.labels = torch.from_numpy(split.labels).to(device)

    @torch.no_grad()
    def row(self, model: DynamicViT, losses: Tensor, **place: float) -> dict[str, float]:
        """One row of the log: `place`, then training loss and accuracy of every exit."""
        right = torch.zeros(model.num_exits)
        for images, labels in zip(self.images.split(250), self.labels.split(250), strict=True):
            logits = model.eval()(model.preprocess.normalize(images))
            right += torch.stack([(each.argmax(1) == labels).sum() for each in logits]).cpu()
        row = dict(place)
        for i in range(model.num_exits):
            row[f"train_loss_{i + 1}"] = round(float(losses[i]), 4)
            row[f"calibration_accuracy_{i + 1}"] = round(float(right[i]) / len(self.labels), 4)
        return row


def write_log(rows: list[dict[str, float]], out_dir: Path) -> None:
    """Writes log and curves anew, so that a resumed run never has a row twice."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
    write_whole(out_dir / LOG, out.getvalue().encode())
    plot_log(rows, out_dir / CURVES)
