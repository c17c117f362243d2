"""Costs by arithmetic against torch's counter and the official numbers."""

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from dvt_core.macs import exit_macs, stage_macs
from dvt_core.model import build_model
from dvt_core.presets import PRESETS


def counted(config) -> list[int]:
    """Multiply-accumulates of each stage as torch's counter sees them running."""
    model = build_model(config).eval()
    images = torch.randn(1, 3, config.img_size, config.img_size)
    previous, counts = None, []
    with torch.no_grad():
        for stage in model.stages:
            with FlopCounterMode(display=False) as counter:
                previous = stage(images, previous)
            counts.append(counter.get_total_flops() // 2)
    return counts


@pytest.mark.parametrize("features", [False, True])
@pytest.mark.parametrize("relations", [False, True])
def test_stage_macs_equal_torch_counter(tiny_config, features, relations):
    config = replace(tiny_config, feature_reuse=features, relation_reuse=relations)
    assert list(stage_macs(config)) == counted(config)


def test_preset_macs_equal_torch_counter():
    assert list(stage_macs(PRESETS["dvt_cifar10"])) == counted(PRESETS["dvt_cifar10"])


def test_cifar10_preset_spans_at_least_five_fold():
    macs = exit_macs(PRESETS["dvt_cifar10"])
    assert macs[-1] / macs[0] >= 5
