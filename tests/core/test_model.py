"""The cascade against timm's ViT, the official sizes, and itself with reuse switched off."""

import json

import pytest
import timm
import torch
from timm.models.vision_transformer import VisionTransformer

from dvt_core.config import DVTConfig
from dvt_core.errors import InputError
from dvt_core.model import build_model
from dvt_core.presets import PRESETS


def test_stage_without_reuse_matches_timm_vit():
    """Stage 1 of the DeiT preset is a plain ViT: timm's weights load by their own names."""
    torch.manual_seed(0)
    vit = VisionTransformer(
        img_size=64, patch_size=16, embed_dim=24, depth=3, num_heads=3, num_classes=7
    ).eval()
    raw = PRESETS["dvt_deit_small"].to_dict()
    stage = raw["stages"][2] | {"grid_size": 4, "embed_dim": 24, "depth": 3, "num_heads": 3}
    config = DVTConfig.from_dict(raw | {"stages": [stage], "img_size": 64, "num_classes": 7})
    model = build_model(config).eval()
    state = {k.replace("patch_embed.", "tokenizer."): v for k, v in vit.state_dict().items()}
    missing = model.stages[0].load_state_dict(state, strict=True)
    assert not missing.missing_keys
    images = torch.randn(3, 3, 64, 64)
    torch.testing.assert_close(model(images)[0], vit(images), atol=1e-5, rtol=1e-5)


def test_a_stage_that_reads_the_mean_matches_timm_vit_with_average_pooling():
    torch.manual_seed(0)
    vit = VisionTransformer(
        img_size=64, patch_size=16, embed_dim=24, depth=2, num_heads=3, num_classes=7,
        global_pool="avg", fc_norm=True,
    ).eval()  # fmt: skip
    torch.nn.init.normal_(vit.fc_norm.weight)
    raw = PRESETS["dvt_deit_small"].to_dict()
    stage = raw["stages"][2] | {"grid_size": 4, "embed_dim": 24, "depth": 2, "num_heads": 3}
    stage |= {"global_pool": "avg"}
    config = DVTConfig.from_dict(raw | {"stages": [stage], "img_size": 64, "num_classes": 7})
    model = build_model(config).eval()
    names = {"patch_embed.": "tokenizer.", "fc_norm.": "norm."}
    state = {}
    for key, value in vit.state_dict().items():
        for theirs, ours in names.items():
            key = key.replace(theirs, ours)
        state[key] = value
    model.stages[0].load_state_dict(state)
    images = torch.randn(3, 3, 64, 64)
    torch.testing.assert_close(model(images)[0], vit(images), atol=1e-5, rtol=1e-5)
    with pytest.raises(InputError, match="global_pool is 'max', known are token, avg"):
        DVTConfig.from_dict(raw | {"stages": [stage | {"global_pool": "max"}]})


def test_timm_create_model_gives_a_cascade():
    model = timm.create_model("dvt_cifar10", num_classes=4).eval()
    logits = model(torch.randn(2, 3, 32, 32))
    assert [tuple(exit.shape) for exit in logits] == [(2, 4)] * 3


def test_reuse_modules_are_absent_when_switched_off(tiny_config):
    off = build_model(tiny_config, feature_reuse=False, relation_reuse=False)
    names = [name for name, _ in off.named_parameters() if "reuse" in name]
    first = [n for n, _ in build_model(tiny_config).stages[0].named_parameters() if "reuse" in n]
    assert names == [] and first == []


def test_without_reuse_the_stages_share_nothing(tiny_config, images):
    model = build_model(tiny_config, feature_reuse=False, relation_reuse=False).eval()
    alone = [stage(images).logits for stage in model.stages]
    for got, want in zip(model(images), alone, strict=True):
        torch.testing.assert_close(got, want)


def test_every_parameter_gets_a_gradient_from_the_last_exit(tiny_model, images):
    """Features and relations carry it back through all stages; only their heads are left out."""
    tiny_model(images)[-1].sum().backward()
    without = {n for n, p in tiny_model.named_parameters() if p.grad is None}
    allowed = {f"stages.{i}.{part}" for i in (0, 1) for part in HEAD}
    assert without == allowed


HEAD = ("norm.weight", "norm.bias", "head.weight", "head.bias")


def test_keeping_relations_changes_no_logits(tiny_model, images):
    previous = None
    for stage, want in zip(tiny_model.stages, tiny_model(images), strict=True):
        previous = stage(images, previous, keep_relations=True)
        torch.testing.assert_close(previous.logits, want, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_config_survives_json(name):
    config = PRESETS[name]
    assert DVTConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stages": []}, "no stages"),
        ({"img_size": 17}, "grid_size is"),
        ({"colour": 1}, "colour"),
        ({"stages": [{"tokenizer": {"kind": "magic"}}]}, "unknown tokenizer 'magic'"),
    ],
    ids=["no stages", "grid does not fit", "unknown field", "unknown tokenizer"],
)
def test_a_bad_config_is_refused_in_words(change, words):
    raw = PRESETS["dvt_deit_small"].to_dict() | change
    with pytest.raises(InputError, match=words):
        DVTConfig.from_dict(raw)


def test_wrong_calls_are_refused_in_words(tiny_model):
    with pytest.raises(InputError, match="known are"):
        build_model("dvt_nothing")
    with pytest.raises(InputError, match="no such field"):
        build_model("dvt_cifar10", depth=3)
    with pytest.raises(InputError, match="this model takes"):
        tiny_model(torch.randn(3, 16, 16))


@pytest.mark.slow
def test_compiled_model_gives_the_same_logits(tiny_model, images):
    compiled = torch.compile(tiny_model, backend="aot_eager")
    for got, want in zip(compiled(images), tiny_model(images), strict=True):
        torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-4)
