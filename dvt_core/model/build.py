"""Names and configurations -> models, also through `timm.create_model`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from timm.models import register_model

from dvt_core.config import DVTConfig
from dvt_core.errors import InputError
from dvt_core.model.cascade import DynamicViT
from dvt_core.presets import PRESETS


def build_model(
    config: str | DVTConfig,
    *,
    class_names: tuple[str, ...] = (),
    drop_path_rate: float = 0.0,
    **overrides: Any,
) -> DynamicViT:
    """A freshly initialised cascade.

    Args:
        config: a preset's name (`dvt_core.presets.PRESETS`) or a configuration.
        class_names: words for the classes, kept on the model.
        drop_path_rate: stochastic depth of the last block, for training.
        **overrides: fields of `DVTConfig` to change, for instance `num_classes=100` or
            `relation_reuse=False`.

    Raises:
        InputError: unknown preset or field, or sizes that do not fit together.
    """
    if isinstance(config, str):
        if config not in PRESETS:
            raise InputError(f"unknown model {config!r}, known are {', '.join(sorted(PRESETS))}")
        config = PRESETS[config]
    # a list, as TOML and JSON have it, would not equal the configuration read back from a folder
    fields = {key: tuple(v) if isinstance(v, list) else v for key, v in overrides.items()}
    try:
        config = replace(config, **fields)
    except TypeError as error:
        raise InputError(f"a model configuration has no such field: {error}") from error
    return DynamicViT(config, class_names=class_names, drop_path_rate=drop_path_rate)


def _entrypoint(name: str) -> Callable[..., DynamicViT]:
    def create(pretrained: bool = False, **kwargs: Any) -> DynamicViT:
        if pretrained:
            raise InputError(f"{name} has no weights on a hub; use dvt_core.load_model instead")
        for key in ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"):  # timm's own
            kwargs.pop(key, None)
        return build_model(name, **kwargs)

    create.__name__ = create.__qualname__ = name
    create.__module__ = __name__
    create.__doc__ = f"The preset {name!r} of dvt_core.presets."
    return create


for _name in PRESETS:
    globals()[_name] = register_model(_entrypoint(_name))
