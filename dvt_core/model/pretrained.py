"""A cascade that starts from one of timm's pretrained ViT or DeiT backbones, for fine-tuning.

Every stage gets the same backbone, brought to its grid: the patch embedding is resampled to the
stage's patch size, the position embedding interpolated. Reuse starts silent, so that each exit
begins where the backbone stands on that grid.

References:
    Beyer et al. 2023 (FlexiViT), section 3.4: resampling a patch embedding ("PI-resize"), as
        timm.layers.resample_patch_embed.
    Zhang et al. 2023 (ControlNet), section 3.1: a new path starts at zero and learns from there.
    Ashkboos et al. 2024 (SliceGPT), section 3: the channel mean of a pre-norm transformer's
        tokens can be taken out of its weights, because every reader's LayerNorm drops it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import timm
import torch
from huggingface_hub import HfApi, hf_hub_download, try_to_load_from_cache
from timm.layers.patch_embed import resample_patch_embed
from timm.layers.pos_embed import resample_abs_pos_embed
from timm.models import PretrainedCfg, get_pretrained_cfg
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from dvt_core.checkpoint_file import find_weights, read_checkpoint
from dvt_core.config import DVTConfig, PatchTokenizerConfig
from dvt_core.errors import InputError
from dvt_core.model.cascade import DynamicViT
from dvt_core.model.reuse import FeatureReuse, RelationReuse
from dvt_core.model.stage import Stage

_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
_EXAMPLE = "deit_small_patch16_224.fb_in1k"
_HUB_FILE = "model.safetensors"
_HEAD = ("head.weight", "head.bias")
# What is added to the tokens; the channel is the last axis of the first two, the first of others.
_ADDED_AS_IT_IS = ("cls_token", "pos_embed")
_WRITERS = tuple(
    f"{layer}.{part}"
    for layer in ("patch_embed.proj", "attn.proj", "mlp.fc2")
    for part in ("weight", "bias")
)


def init_from_timm(model: DynamicViT, source: str | Path | Mapping[str, Tensor]) -> None:
    """Fills every stage of a freshly built cascade from one pretrained backbone.

    Blocks, norms and class token are copied; the head too if the backbone has as many classes,
    else it stays fresh. Reuse modules keep their initialisation but for their last layers, which
    start at zero: `relation_reuse.conv2` and every `feature_reuse.fc2`. With random ones, every
    later stage would start from disturbed attention and norms, and unlearn what it was given.

    At zero, reused relations and context are exactly nothing, gradients reach these layers at
    once and the layers before them from the second step on (in a stage's last block, whose
    context only the next stage can see, a step later). The joint norm of tokens and context
    would still count the zeros among its channels; `_with_context` makes up for that. What
    remains: its eps counts (C + context_dim) / C times, 1.125e-6 for 1e-6 in DeiT-small.

    Args:
        model: as `build_model` gives it; patch tokenizers only. A refused call changes nothing.
        source: a timm name such as "deit_small_patch16_224.fb_in1k" (from the hub's cache, else
            downloaded), a local file (.safetensors, or .pth, .pt, .bin, also below "model" or
            "state_dict"; never runs code), or a state dict with timm's keys. A name also tells
            the number of heads and the normalisation, which are checked; weights alone do not,
            so `num_heads`, `mean` and `std` of the configuration are taken at their word.

    Raises:
        InputError: weights that cannot be had, read or fitted, or that want other pictures.
    """
    for index, stage in enumerate(model.config.stages):
        if not isinstance(stage.tokenizer, PatchTokenizerConfig) or stage.pos_embed != "learned":
            raise InputError(
                f"stage {index + 1} of {model.name} has a {stage.tokenizer.kind} tokenizer and "
                f"{stage.pos_embed} positions, but timm's ViT and DeiT weights fit patch "
                "tokenizers with learned positions only; take a preset like dvt_deit_small"
            )
    if isinstance(source, Mapping):
        state = dict(source)
    else:
        path = Path(source) if is_weights_file(source) else _from_hub(str(source), model.config)
        _, state = find_weights(read_checkpoint(path))
    filled = [_stage_values(state, model.config, i) for i in range(model.num_exits)]
    for stage, values in zip(model.stages, filled, strict=True):
        _fill(stage, values)


def is_weights_file(source: str | Path) -> bool:
    """Whether `source` names a file of weights rather than a model of timm's."""
    return Path(source).suffix in _SUFFIXES


def _from_hub(name: str, config: DVTConfig) -> Path:
    """The weights file of a timm model; what can be refused is refused before the download."""
    try:
        known = get_pretrained_cfg(name)
    except RuntimeError:  # a known architecture, an unknown tag
        known = None
    if known is None or not known.hf_hub_id:
        raise InputError(
            f"timm has no pretrained weights called {name!r}; a name looks like {_EXAMPLE}, a "
            f"local file ends in {', '.join(_SUFFIXES)}"
        )
    wanted, own = _normalisation(known), _normalisation(config)
    if wanted != own:
        raise InputError(
            f"{name} was trained on pictures with {wanted}, but the model has {own}; give the "
            "former to build_model, or write them under [model_options] of the recipe"
        )
    with torch.device("meta"):  # shapes only
        backbone = timm.create_model(name)
    if not isinstance(backbone, VisionTransformer):
        raise InputError(f"{name} is a {type(backbone).__name__}, only ViT and DeiT fit a cascade")
    heads: Any = backbone.blocks[0].attn.num_heads  # type: ignore[union-attr]
    for index, stage in enumerate(config.stages):
        _stage_values(backbone.state_dict(), config, index)
        if heads != stage.num_heads:
            raise InputError(f"{name} has {heads} heads, stage {index + 1} has {stage.num_heads}")
    return _download(name, known.hf_hub_id)


def _normalisation(config: DVTConfig | PretrainedCfg) -> str:
    """How pictures are prepared, as it would stand in a recipe."""
    fields = ("mean", "std", "interpolation")
    return ", ".join(f"{field} = {json.dumps(getattr(config, field))}" for field in fields)


def _download(name: str, repository: str) -> Path:
    try:
        cached = try_to_load_from_cache(repository, _HUB_FILE)
        if isinstance(cached, str):
            return Path(cached)
        # one short question first: the download retries for a minute when offline
        HfApi().model_info(repository, timeout=10)
        return Path(hf_hub_download(repository, _HUB_FILE))
    except Exception as error:  # the hub's client raises the classes of its HTTP library
        raise InputError(
            f"the weights of {name} are not on this machine and the hub did not give them "
            f"({' '.join(str(error).split())[:160]}): download "
            f"https://huggingface.co/{repository}/resolve/main/{_HUB_FILE} where there is "
            "network and name that file instead"
        ) from error


def _stage_values(state: Mapping[str, Tensor], config: DVTConfig, index: int) -> dict[str, Tensor]:
    """The backbone's state dict, timm's keys, resampled to a stage's patch size and grid."""
    stage = config.stages[index]
    with torch.device("meta"):
        plain = Stage(replace(config, stages=(stage,)), 0).state_dict()
    wanted = {key.replace("tokenizer.", "patch_embed."): value for key, value in plain.items()}
    values = {key: value.float() for key, value in state.items()}
    if "head.weight" not in values or len(values["head.weight"]) != config.num_classes:
        for key in _HEAD:
            wanted.pop(key)
            values.pop(key, None)
    _check_kind(values, config, index)
    found = [f"{key} is missing" for key in wanted if key not in values]
    found += [f"{key} is unknown" for key in values if key not in wanted]
    if not found:
        _resample(values, wanted)
        found = [
            f"{key} is {tuple(values[key].shape)}, expected {tuple(wanted[key].shape)}"
            for key in wanted
            if values[key].shape != wanted[key].shape
        ]
    if found:
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise InputError(
            f"the backbone does not fit stage {index + 1}: {'; '.join(found[:5])}{more}"
        )
    return values


def _check_kind(values: Mapping[str, Tensor], config: DVTConfig, index: int) -> None:
    """Refuses what needs other words than a list of keys: no ViT, a distilled one, other sizes."""
    stage = config.stages[index]
    if "dist_token" in values:
        raise InputError(
            "the backbone is a distilled DeiT, whose second token (dist_token) a cascade has no "
            f"place for; take a plain one like {_EXAMPLE}"
        )
    for key, axes in (("cls_token", 3), ("pos_embed", 3), ("patch_embed.proj.weight", 4)):
        if key not in values or values[key].ndim != axes:
            raise InputError(f"the backbone is no ViT of timm's: it has no {key} of {axes} axes")
    width = values["cls_token"].shape[-1]
    depth = len({key.split(".")[1] for key in values if key.startswith("blocks.")})
    if (width, depth) != (stage.embed_dim, stage.depth):
        raise InputError(
            f"the backbone is {width} channels wide and {depth} blocks deep, but stage "
            f"{index + 1} is {stage.embed_dim} wide and {stage.depth} deep; choose two that agree"
        )
    num_tokens = values["pos_embed"].shape[1]
    if num_tokens < 2 or math.isqrt(num_tokens - 1) ** 2 != num_tokens - 1:
        raise InputError(
            f"the backbone has {num_tokens} positions, expected a class token and a square grid"
        )


def _resample(values: dict[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Brings the patch embedding and the positions to the wanted sizes, as timm does."""
    patch = wanted["patch_embed.proj.weight"].shape[-1]
    weight = values["patch_embed.proj.weight"]
    values["patch_embed.proj.weight"] = resample_patch_embed(weight, [patch, patch])
    grid = math.isqrt(wanted["pos_embed"].shape[1] - 1)
    values["pos_embed"] = resample_abs_pos_embed(values["pos_embed"], [grid, grid])


@torch.no_grad()
def _fill(stage: Stage, values: dict[str, Tensor]) -> None:
    own = stage.state_dict()  # the stage's own tensors
    if any(isinstance(module, FeatureReuse) for module in stage.modules()):
        values = _with_context(values, own)
    for key, value in values.items():
        target = own[key.replace("patch_embed.", "tokenizer.")]
        target[tuple(slice(size) for size in value.shape)] = value  # context channels come last
    for module in stage.modules():
        if isinstance(module, FeatureReuse):
            last = module.fc2
        elif isinstance(module, RelationReuse):
            last = module.conv2
        else:
            continue
        last.weight.zero_()
        last.bias.zero_()  # type: ignore[union-attr]


def _with_context(values: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same function for a stage whose norm2 spans C token and K context channels.

    With tokens of zero mean over their channels, K zeros more leave the mean at zero and make the
    variance C / (C + K) of what it was; a weight times the root of that is norm2 as before. The
    mean is taken out of all that is added to the tokens. Nobody notices: every norm drops it.
    """
    out = dict(values)
    for key, value in values.items():
        if key in _ADDED_AS_IT_IS:
            out[key] = value - value.mean(-1, keepdim=True)
        elif key.endswith(_WRITERS):
            out[key] = value - value.mean(0, keepdim=True)
        elif key.endswith("norm2.weight"):
            out[key] = value * (len(value) / len(own[key])) ** 0.5
    return out
