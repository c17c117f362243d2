"""Cascades filled from a ViT: the oracle is timm's own model at the size of each stage."""

from copy import deepcopy
from pathlib import Path

import huggingface_hub
import pytest
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from dvt_core import init_from_timm
from dvt_core.config import DVTConfig, PatchTokenizerConfig, StageConfig
from dvt_core.errors import InputError
from dvt_core.model import DynamicViT, build_model
from dvt_core.model.pretrained import is_weights_file

PATCHES = {2: (16, 0), 3: (12, 2), 4: (8, 0)}  # grid -> patch size and padding at 32 px
OFF = {"feature_reuse": False, "relation_reuse": False}


def cascade(*grids: int, **options) -> DynamicViT:
    stages = tuple(
        StageConfig(PatchTokenizerConfig(*PATCHES[grid]), grid, 24, 3, num_heads=3)
        for grid in grids
    )
    options = {"context_hidden": 10, "context_dim": 6, "num_classes": 7} | options
    return build_model(DVTConfig(stages, img_size=32), **options).eval()


def lively(vit: VisionTransformer) -> VisionTransformer:
    """Every parameter moves the logits; the tokens' channel means are far from zero."""
    for name, parameter in vit.named_parameters():
        if parameter.ndim > 1 and name.endswith("weight"):
            nn.init.normal_(parameter, 0.05, 1.5 * parameter[0].numel() ** -0.5)
        else:
            nn.init.normal_(parameter, 1 if "norm" in name and "weight" in name else 0.3, 0.3)
    return vit.eval()


@pytest.fixture
def vit() -> VisionTransformer:
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 3}
    return lively(VisionTransformer(**sizes, num_classes=7))


@pytest.fixture
def pictures() -> Tensor:
    return torch.randn(4, 3, 32, 32)


def resampled(vit: VisionTransformer, images: Tensor, patch: int, padding: int) -> Tensor:
    """The backbone's logits after timm resized it; timm knows no padding, so images bring it."""
    images = F.pad(images, [padding] * 4)
    vit.set_input_size(img_size=images.shape[-1], patch_size=patch)
    return vit(images)


def test_one_stage_is_the_backbone(vit, pictures):
    model = cascade(4)
    init_from_timm(model, vit.state_dict())
    torch.testing.assert_close(model(pictures)[0], vit(pictures), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("reuse", [OFF, {"feature_reuse": False}, {"relation_reuse": False}, {}])
def test_every_exit_starts_as_timms_backbone_on_that_grid(vit, pictures, reuse):
    """In float64, where nothing but the share of eps in the joint norm is left."""
    model = cascade(2, 3, 4, **reuse)
    init_from_timm(model, vit.state_dict())
    for exit, size in zip(model.double()(pictures.double()), PATCHES.values(), strict=True):
        want = resampled(deepcopy(vit).double(), pictures.double(), *size)
        torch.testing.assert_close(exit, want, atol=1e-6, rtol=1e-6)


def test_reused_relations_are_exactly_zero_at_first(vit, pictures):
    model = cascade(2, 4)
    init_from_timm(model, vit.state_dict())
    first = model.stages[0](pictures, None, keep_relations=True)
    second = model.stages[1](pictures, first, keep_relations=True)
    assert first.relations.abs().max() > 1 and torch.count_nonzero(second.reused) == 0


def test_gradients_reach_the_silent_layers_at_once_and_all_reuse_soon(vit, pictures):
    """A last block's context reaches no class token, so in the last stage it has no gradient."""
    model = cascade(2, 3, 4).train()
    init_from_timm(model, vit.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    reuse = {name for name, _ in model.named_parameters() if "_reuse." in name}
    reached = []
    for _ in range(3):
        optimizer.zero_grad()
        sum(F.cross_entropy(exit, torch.arange(4)) for exit in model(pictures)).backward()
        reached.append({n for n, p in model.named_parameters() if n in reuse and p.grad.any()})
        optimizer.step()
    silent = {n for n in reuse if ("fc2" in n and "blocks.2" not in n) or "conv2" in n}
    assert reached[0] == silent
    assert reached[2] == {n for n in reuse if not n.startswith("stages.2.blocks.2.")}


def test_a_head_of_other_classes_stays_fresh(vit, pictures):
    model = cascade(4, num_classes=5)
    fresh = model.stages[0].head.weight.clone()
    init_from_timm(model, vit.state_dict())
    assert torch.equal(model.stages[0].head.weight, fresh)
    norm = model.stages[0](pictures).features[:, 0]
    vit.reset_classifier(0)
    torch.testing.assert_close(model.stages[0].norm(norm), vit(pictures), atol=1e-5, rtol=1e-5)


def save(state: dict[str, Tensor], path: Path) -> None:
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        nested = {".pth": {"model": state}, ".pt": {"state_dict": state, "epoch": 3}}
        torch.save(nested.get(path.suffix, state), path)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt", ".bin"])
def test_local_files_are_read(vit, pictures, tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    save(vit.state_dict(), path)
    model = cascade(4)
    init_from_timm(model, str(path))
    torch.testing.assert_close(model(pictures)[0], vit(pictures), atol=1e-5, rtol=1e-5)


class Foreign:
    """Pickled, it would make a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_files_that_are_no_weights_are_refused_in_words(vit, tmp_path):
    trap, path = tmp_path / "trap", tmp_path / "weights.pth"
    torch.save({"model": vit.state_dict(), "args": Foreign(trap)}, path)
    with pytest.raises(InputError, match="can run any program"):
        init_from_timm(cascade(4), path)
    assert not trap.exists()
    torch.save({"model": [1, 2]}, path)
    with pytest.raises(InputError, match="no weights"):
        init_from_timm(cascade(4), path)
    for damaged in (path, tmp_path / "weights.safetensors"):
        save(vit.state_dict(), damaged)
        damaged.write_bytes(damaged.read_bytes()[:5000])
        with pytest.raises(InputError, match=r"damaged|cut off"):
            init_from_timm(cascade(4), damaged)
    with pytest.raises(InputError, match=r"cannot read .*absent\.pth"):
        init_from_timm(cascade(4), tmp_path / "absent.pth")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"norm.bias": None}, "norm.bias is missing"),
        ({"blocks.0.ls1.gamma": torch.ones(24)}, "blocks.0.ls1.gamma is unknown"),
        ({"dist_token": torch.ones(1, 1, 24)}, "distilled DeiT"),
        ({"cls_token": None}, "no cls_token"),
        ({"pos_embed": torch.ones(1, 16, 24)}, "16 positions"),
        ({"cls_token": torch.ones(1, 1, 36)}, "36 channels wide and 3 blocks deep.* is 24 wide"),
        ({"blocks.3.norm1.bias": torch.ones(24)}, "4 blocks deep.* 3 deep"),
        ({"patch_embed.proj.weight": torch.ones(24, 1, 8, 8)}, r"\(24, 1, 8, 8\), expected"),
    ],
)
def test_a_backbone_that_does_not_fit_is_refused_and_changes_nothing(vit, change, words):
    state = {k: v for k, v in (vit.state_dict() | change).items() if v is not None}
    model = cascade(4)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(InputError, match=words):
        init_from_timm(model, state)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_only_cascades_of_patch_tokens_can_be_filled(vit, tiny_model):
    for model in (tiny_model, build_model("t2t_vit_7")):
        with pytest.raises(InputError, match=r"a (conv|t2t) tokenizer"):
            init_from_timm(model, vit.state_dict())


def test_names_are_told_from_files():
    assert is_weights_file("deit/model.safetensors") and is_weights_file(Path("a.b.pth"))
    assert not is_weights_file("deit_small_patch16_224.fb_in1k")


# By name. timm's test_vit is a ViT for tests, 64 wide, trained on pictures normalised with 0.5.
NAME, HALF = "test_vit.r160_in1k", {"mean": [0.5] * 3, "std": [0.5] * 3}


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache of the hub, and no network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def small(heads: int = 2, **options) -> DynamicViT:
    tokenizer = PatchTokenizerConfig(16)
    stage = StageConfig(tokenizer, 4, 64, 6, num_heads=heads, mlp_ratio=3.0)
    return build_model(DVTConfig((stage,), img_size=64), **options).eval()


def test_a_name_is_filled_from_the_hubs_cache(cache):
    backbone = timm.create_model(NAME, img_size=64).eval()
    folder = cache / "models--timm--test_vit.r160_in1k"
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    save_file(backbone.state_dict(), folder / "snapshots" / "abc" / "model.safetensors")
    model = small(**HALF)
    init_from_timm(model, NAME)
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(model(images)[0], backbone(images), atol=1e-5, rtol=1e-5)
    assert DVTConfig.from_dict(model.config.to_dict()) == model.config  # lists became tuples


def test_without_network_the_message_says_what_to_download(cache):
    url = "https://huggingface.co/timm/test_vit.r160_in1k/resolve/main/model.safetensors"
    with pytest.raises(InputError, match=f"not on this machine.*{url}.*name that file"):
        init_from_timm(small(**HALF), NAME)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        (NAME, {}, r"trained on pictures with mean = \[0.5, 0.5, 0.5\].*\[model_options\]"),
        (NAME, HALF | {"heads": 4}, "has 2 heads, stage 1 has 4"),
        ("deit_tiny_patch16_224.fb_in1k", {}, "192 channels wide and 12 blocks deep"),
        ("resnet18.tv_in1k", {"interpolation": "bilinear"}, "is a ResNet"),
        ("test_vit.no_such_tag", {}, "no pretrained weights called"),
        ("dvt_cifar10", {}, "no pretrained weights called"),
    ],
)
def test_a_name_is_refused_before_anything_is_downloaded(cache, name, options, words):
    with pytest.raises(InputError, match=words):
        init_from_timm(small(**options), name)


def test_deit_small_fills_all_stages_of_the_papers_cascade():
    backbone = lively(timm.create_model("deit_small_patch16_224"))
    images = torch.randn(1, 3, 224, 224)
    for name, sizes in (
        ("deit_small", [(16, 0)]),
        ("dvt_deit_small", [(32, 0), (23, 3), (16, 0)]),
    ):
        model = build_model(name).eval()
        init_from_timm(model, backbone.state_dict())
        for exit, size in zip(model(images), sizes, strict=True):
            want = resampled(deepcopy(backbone), images, *size)
            torch.testing.assert_close(exit, want, atol=1e-3, rtol=1e-3)
