"""What moves the weights: AdamW alone, or Muon for the matrices inside with AdamW for the rest.

References:
    Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; timm.optim.Muon.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from timm.optim import muon
from timm.optim._param_groups import param_groups_weight_decay

from dvt_core.model import DynamicViT
from dvt_core.training.recipe import Recipe

_REUSE_RATE = 0.1  # of the others' rate: AdamW's usual one where Muon's is 8e-3
_UNDECAYED = ("cls_token", "pos_embed")


def build_optimizer(model: DynamicViT, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimizer over all trainable parameters; biases, norms and tokens undecayed."""
    if recipe.optimizer == "muon":
        return Float32Muon(_muon_groups(model, recipe.weight_decay), lr=recipe.lr)
    groups = param_groups_weight_decay(model, recipe.weight_decay, no_weight_decay_list=_UNDECAYED)
    return torch.optim.AdamW(groups, lr=recipe.lr, betas=(0.9, 0.99), fused=True)


class Float32Muon(muon.Muon):
    """timm's Muon, which orthogonalises in float32 where the weights are on a CPU.

    timm does it in bfloat16. A CPU without instructions for that imitates them: a step of Muon
    then takes twice as long as all the rest of a training step, in float32 a tenth of it.
    """

    def step(self, closure: Any = None) -> Any:
        """One step, as the base class does it."""
        is_on_cpu = self.param_groups[0]["params"][0].device.type == "cpu"
        with _float32_newton_schulz() if is_on_cpu else contextlib.nullcontext():
            return super().step(closure)


@contextlib.contextmanager
def _float32_newton_schulz() -> Iterator[None]:
    """timm's function has the choice of type, its optimizer does not hand it on."""
    original = muon.zeropower_via_newtonschulz
    muon.zeropower_via_newtonschulz = partial(original, dtype=torch.float32)
    try:
        yield
    finally:
        muon.zeropower_via_newtonschulz = original


def _muon_groups(model: DynamicViT, weight_decay: float) -> list[dict[str, object]]:
    """Matrices for Muon; heads and what sees pixels, vectors, and what reuses, for AdamW.

    Muon's steps are scaled to AdamW's size (timm's "match_rms_adamw"), so one rate serves all but
    the reuse modules. Their outputs join raw attention logits and a norm shared with the tokens:
    at Muon's rate they soon outweigh both, and a stage learns less with reuse than without.
    """
    hidden, outer, reuse, vectors = [], [], [], []
    for name, parameter in model.named_parameters():
        sees_pixels = parameter.ndim == 4 and parameter.shape[1] == model.config.in_chans
        if not parameter.requires_grad:
            continue
        if "_reuse." in name:
            reuse.append(parameter)
        elif parameter.ndim < 2 or name.endswith(_UNDECAYED):
            vectors.append(parameter)
        elif ".head." in name or sees_pixels:
            outer.append(parameter)
        else:
            hidden.append(parameter)
    groups: list[dict[str, object]] = [
        {"params": hidden, "weight_decay": weight_decay},
        {"params": outer, "weight_decay": weight_decay, "use_fallback": True},
        {"params": vectors, "weight_decay": 0.0, "use_fallback": True},
        {
            "params": reuse,
            "weight_decay": weight_decay,
            "use_fallback": True,
            "fallback_lr_scale": _REUSE_RATE,
        },
    ]
    return [group for group in groups if group["params"]]
