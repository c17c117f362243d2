"""The paper's models against the official code's outputs, keys, sizes and costs.

Expected values come from the official implementation, run once and written down by the project's
reference notes; weights are filled by a rule (`fill`), so that no file of weights is needed.
"""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dvt_core.config import DVTConfig
from dvt_core.errors import InputError
from dvt_core.macs import exit_macs, stage_macs
from dvt_core.model import build_model
from dvt_core.model.official_names import official_names, official_state
from dvt_core.presets import PRESETS
from scripts.plain_cascade import plain_forward

from .test_macs import counted

REFERENCE = Path(__file__).parents[1] / "reference"
GAINS = {"qkv": 1.6, "kqv": 0.5, "project": 6.0}


def fill(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """The reference's rule: a float32 array that depends on the official key alone."""
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")
    rng = np.random.Generator(np.random.PCG64(seed))
    n = rng.standard_normal(size=shape, dtype=np.float32)
    parent, leaf = ("." + key).split(".")[-2:]
    if leaf in ("cls_token", "pos_embed"):
        return np.float32(0.5) * n
    if leaf == "w":
        return np.float32(0.7) * n
    if n.ndim > 1:
        return np.float32(GAINS.get(parent, 1.0) / np.sqrt(float(np.prod(shape[1:])))) * n
    return np.float32(1) + np.float32(0.1) * n if leaf == "weight" else np.float32(0.1) * n


def filled(config: str | DVTConfig, **overrides):
    """A model in float64 eval mode with the filled weights; fixed positions stay."""
    model = build_model(config, **overrides).eval().double()
    fixed = {name for name, p in model.named_parameters() if name.endswith("pos_embed")}
    fixed &= {name for name, p in model.named_parameters() if not p.requires_grad}
    keep = {official_names(model)[name] for name in fixed}
    for key, value in official_state(model).items():
        if key not in keep:
            value.copy_(torch.from_numpy(fill(key, tuple(value.shape))))
    return model


def shrunk(name: str, **changes) -> DVTConfig:
    """A preset at 64 px with two narrow blocks a stage: every mechanism, hardly any work."""
    config = PRESETS[name]
    stages = tuple(
        replace(
            stage,
            grid_size=stage.tokenizer.grid_size(64),
            embed_dim=4 * stage.num_heads,
            depth=2,
        )
        for stage in config.stages
    )
    return replace(config, stages=stages, img_size=64, num_classes=11, **changes)


@pytest.mark.slow
def test_t2t_vit_12_gives_the_official_logits():
    rng = np.random.Generator(np.random.PCG64(20210531))
    images = torch.from_numpy(rng.standard_normal(size=(4, 3, 224, 224), dtype=np.float32))
    expected = np.load(REFERENCE / "ref_DVT_T2t_vit_12.npz")
    with torch.inference_mode():
        double = filled("dvt_t2t_vit_12")
        for index, logits in enumerate(double(images.double())):
            want = expected[f"logits_exit{index + 1}"]
            np.testing.assert_allclose(logits.numpy(), want, atol=1e-6, rtol=0)
        for index, logits in enumerate(double.float()(images)):
            want = expected[f"logits_exit{index + 1}"]
            np.testing.assert_allclose(logits.numpy(), want, atol=1e-4, rtol=0)


PAPER = [name for name, config in PRESETS.items() if config.img_size == 224]
REUSE = [(False, False), (False, True), (True, False), (True, True)]


@pytest.mark.parametrize("reuse", REUSE, ids=["no reuse", "relations", "features", "both"])
@pytest.mark.parametrize("name", PAPER)
def test_presets_equal_the_plain_implementation(name, reuse):
    features, relations = reuse
    model = filled(shrunk(name, feature_reuse=features, relation_reuse=relations))
    images = torch.randn(5, 3, 64, 64, dtype=torch.float64)
    with torch.inference_mode():
        for got, want in zip(model(images), plain_forward(model, images, 2), strict=True):
            torch.testing.assert_close(got, want, atol=1e-9, rtol=0)
            assert want.std() > 0.1  # the weights do something


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dvt_t2t_vit_14", "dvt_deit_small", "dvt_t2t_vit_12_two_exits"])
def test_full_size_presets_equal_the_plain_implementation(name):
    model = filled(name)
    images = torch.randn(1, 3, 224, 224, dtype=torch.float64)
    with torch.inference_mode():
        for got, want in zip(model(images), plain_forward(model, images), strict=True):
            torch.testing.assert_close(got, want, atol=1e-9, rtol=0)


@pytest.mark.parametrize("name", PAPER)
def test_paper_macs_equal_torch_counter_at_small_size(name):
    config = shrunk(name)
    assert list(stage_macs(config)) == counted(config)


@pytest.mark.parametrize(
    ("name", "macs"),
    [
        ("dvt_t2t_vit_12", (467702400, 1446098208, 3455014176)),
        ("dvt_t2t_vit_14", (1200582272, 3818118304, 9264151296)),
        ("dvt_deit_small", (1142909952, 3643143168, 8800629120)),
        ("t2t_vit_12", (1762638336,)),
        ("t2t_vit_14", (4783468544,)),
        ("deit_small", (4598882304,)),
    ],
)
def test_presets_cost_what_the_official_models_cost(name, macs):
    assert exit_macs(PRESETS[name]) == macs


@pytest.mark.parametrize(
    ("name", "features", "relations", "total", "trainable"),
    [
        ("dvt_t2t_vit_12", 1, 1, 22461516, 22360140),
        ("dvt_t2t_vit_12", 0, 0, 20890956, 20789580),
        ("dvt_t2t_vit_12", 0, 1, 20918988, 20817612),
        ("dvt_t2t_vit_12", 1, 0, 22433484, 22332108),
        ("dvt_t2t_vit_14", 1, 1, 67881836, 67735916),
        ("dvt_deit_small", 1, 1, 70442232, 70442232),
        ("dvt_deit_small", 0, 0, 67257912, 67257912),
        ("dvt_deit_small", 0, 1, 67320696, 67320696),
        ("dvt_deit_small", 1, 0, 70379448, 70379448),
    ],
)
def test_presets_have_the_official_number_of_parameters(
    name, features, relations, total, trainable
):
    with torch.device("meta"):
        model = build_model(name, feature_reuse=bool(features), relation_reuse=bool(relations))
    assert sum(p.numel() for p in model.parameters()) == total
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == trainable


@pytest.mark.parametrize(
    ("name", "digest"),  # of the sorted lines "key (shape)" of the official state dict
    [
        ("dvt_t2t_vit_12", "ac5c186ca042f0f7c7d8f858c27d3f17d0e6c1b4338c51c0085707400f7932b2"),
        ("dvt_t2t_vit_14", "e1ec220d5e749fb0256390ded49059d8905eb2f538935413e586a715839efed2"),
        ("dvt_deit_small", "c699a70652d49b47beff7190f856a8fc44b269ea52176bbf9517ba73f277a0b4"),
    ],
)
def test_official_names_and_shapes_are_those_of_the_checkpoints(name, digest):
    with torch.device("meta"):
        state = official_state(build_model(name))
    lines = "\n".join(sorted(f"{key} {tuple(value.shape)}" for key, value in state.items()))
    assert hashlib.sha256(lines.encode()).hexdigest() == digest


def test_a_cascade_of_four_stages_has_no_official_names(tiny_config):
    four = replace(tiny_config, stages=(*tiny_config.stages, tiny_config.stages[-1]))
    with pytest.raises(InputError, match="4 stages"):
        official_names(build_model(four))


def test_sinusoid_is_interleaved_and_starts_at_the_class_token():
    with torch.device("cpu"):
        stage = build_model(shrunk("t2t_vit_7")).stages[0]
    table = stage.pos_embed[0].numpy()
    channels = table.shape[1]
    for position, channel in [(0, 0), (0, 1), (3, 4), (3, 5), (16, channels - 1)]:
        angle = position / 10000 ** (2 * (channel // 2) / channels)
        want = np.cos(angle) if channel % 2 else np.sin(angle)
        assert table[position, channel] == pytest.approx(want, abs=1e-7)
    assert not stage.pos_embed.requires_grad


def test_official_initialisation():
    """Linear weights std 0.02; performer features orthogonal rows of length sqrt(32)."""
    model = build_model("t2t_vit_7")
    features = model.stages[0].tokenizer.performers[0].w
    torch.testing.assert_close(features @ features.T, 32 * torch.eye(32), atol=1e-4, rtol=0)
    assert not features.requires_grad
    for module in model.modules():
        if isinstance(module, nn.Linear):
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.1)


def test_performers_drop_out_in_training_only():
    model = build_model(shrunk("t2t_vit_7"))
    images = torch.randn(2, 3, 64, 64)
    tokens = model.stages[0].tokenizer
    assert not torch.equal(tokens.train()(images), tokens(images))
    assert torch.equal(tokens.eval()(images), tokens(images))


@pytest.mark.parametrize("name", ["dvt_t2t_vit_12", "dvt_deit_small"])
def test_every_trainable_parameter_gets_a_gradient(name):
    model = filled(shrunk(name))
    sum(exit.square().sum() for exit in model(torch.randn(2, 3, 64, 64).double())).backward()
    without = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


def test_bfloat16_stays_close():
    model = filled(shrunk("dvt_t2t_vit_12")).float()
    images = torch.randn(4, 3, 64, 64)
    with torch.inference_mode():
        want = model(images)
        got = model.bfloat16()(images.bfloat16())
    for low, full in zip(got, want, strict=True):
        assert low.dtype == torch.bfloat16
        assert (low.float() - full).abs().mean() < 0.1 * full.std()


@pytest.mark.slow
def test_compiled_t2t_gives_the_same_logits():
    model = filled(shrunk("dvt_t2t_vit_12")).float()
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        compiled = torch.compile(model, backend="aot_eager")
        for got, want in zip(compiled(images), model(images), strict=True):
            torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-4)
