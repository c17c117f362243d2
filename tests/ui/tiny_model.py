"""A tiny model folder, made at test time: the app's tests need no trained model."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dvt_core.bundle import Bundle, load_bundle, save_bundle
from dvt_core.config import DVTConfig, PatchTokenizerConfig, StageConfig
from dvt_core.exit_table import ExitTable
from dvt_core.macs import exit_macs
from dvt_core.model import build_model
from dvt_core.table_file import TableInfo

WORDS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
GRIDS = ((2, 16), (4, 8), (8, 4))  # tokens per side, pixels per token


def write_bundle(folder: Path, num_exits: int = 3, words: tuple[str, ...] = WORDS) -> Bundle:
    """A model with random weights, and its tables over random pictures, run for real."""
    torch.manual_seed(0)
    stages = tuple(
        StageConfig(PatchTokenizerConfig(patch), grid, 16, 1, 2) for grid, patch in GRIDS
    )
    config = DVTConfig(stages[:num_exits], num_classes=len(words), img_size=32, name="tiny")
    model = build_model(config, class_names=words).eval()
    for stage in model.stages:
        torch.nn.init.normal_(stage.head.weight, std=0.6)
    save_bundle(
        model,
        folder,
        name=folder.name,
        title="tiny test model",
        default_threshold=0.6,
        data="random pictures",
    )
    bundle = load_bundle(folder)
    for seed, split in enumerate(("calibration", "test")):
        images = torch.randn(400, 3, 32, 32, generator=torch.Generator().manual_seed(seed))
        with torch.inference_mode():
            probs = torch.stack(model(images), dim=1).softmax(dim=2).numpy()
        labels = probs[:, -1].argmax(axis=1)
        labels[::5] = (labels[::5] + 1) % len(words)  # one in five is beyond every exit
        info = TableInfo(
            model=bundle.name,
            weights_sha256=bundle.weights_sha256,
            data="random",
            split=split,
            num_classes=len(words),
            exit_macs=exit_macs(config),
            device="CPU",
            made_by="tests",
        )
        table = ExitTable.from_probs(probs, labels, np.arange(400), info)
        table.save(folder / f"{split}.parquet")
    return bundle


def png(mode: str = "RGB", size: tuple[int, int] = (60, 40)) -> bytes:
    """A small picture as a PNG file."""
    out = io.BytesIO()
    Image.effect_noise(size, 60).convert(mode).save(out, "PNG")
    return out.getvalue()
