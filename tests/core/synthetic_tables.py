"""Exit tables for tests: random, or shaped like a real cascade's."""

import numpy as np

from dvt_core.exit_table import ExitTable, TableInfo

MACS = (20_000_000, 60_000_000, 130_000_000, 250_000_000, 400_000_000)


def table_info(num_exits=3, num_classes=10, **changes):
    fields = {
        "model": "toy",
        "weights_sha256": "ab" * 32,
        "data": "synthetic",
        "split": "calibration",
        "num_classes": num_classes,
        "exit_macs": MACS[:num_exits],
        "device": "CPU",
        "made_by": "tests",
    }
    return TableInfo(**{**fields, **changes})


def cascade_table(n=500, num_exits=3, seed=0, decimals=None, num_classes=10):
    """Later exits are better, images differ in difficulty; `decimals` rounds probs: ties."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, num_classes, n)
    ease = random.gamma(1.5, 2.0, n)
    logits = random.standard_normal((n, num_exits, num_classes)) * 1.3
    strength = ease[:, None] + np.linspace(0, 2, num_exits)
    logits[np.arange(n)[:, None], np.arange(num_exits), labels[:, None]] += strength
    probs = np.exp(logits - logits.max(-1, keepdims=True))
    probs = (probs / probs.sum(-1, keepdims=True)).astype(np.float32)
    if decimals is not None:
        probs = probs.round(decimals)
    return ExitTable.from_probs(probs, labels, np.arange(n), table_info(num_exits, num_classes))
