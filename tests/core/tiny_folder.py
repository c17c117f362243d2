"""A labelled folder of small pictures in which colour tells the class."""

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"apple": (220, 30, 30), "bird": (60, 120, 220), "cat": (40, 200, 60)}


def write_folder(root: Path, per_class: int, size: int = 20) -> None:
    """train/ and test/ with one folder per class; noise makes every picture different."""
    random = np.random.default_rng(0)
    for split in ("train", "test"):
        for name, colour in COLOURS.items():
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(per_class):
                noise = random.normal(0, 30, (size, size, 3))
                pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
