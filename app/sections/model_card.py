"""The chosen model's card, and the paper's architectures, by arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app import services
from app.components import metric
from app.figures.theme import MacUnit, percent
from app.language import say
from dvt_core.bundle import Bundle
from dvt_core.config import DVTConfig
from dvt_core.errors import InputError
from dvt_core.macs import exit_macs, stage_macs
from dvt_core.presets import PRESETS

OUR_OWN = ("dvt_cifar10", "dvt_tiny_imagenet")  # presets that are not the paper's


def model_section(bundle: Bundle) -> None:
    """Draws what the chosen model is, then the paper's architectures."""
    st.subheader(bundle.title, anchor=False)
    config, costs = bundle.config, exit_macs(bundle.config)
    accuracy, whose = _accuracy(bundle)
    with st.grid("auto", min_column_width=150):
        parameters = f"{services.count_parameters(config) / 1e6:.3g} M"
        classes, side = f"{config.num_classes:,}", f"{config.img_size}x{config.img_size}"
        metric(say("Parameters"), parameters, say("all stages together"))
        metric(say("Exits"), str(config.num_exits), say("{n} classes", n=classes))
        metric(say("Picture"), side, say("pixels, as the model sees it"))
        full = MacUnit.of(costs).format(costs[-1])
        metric(say("Full cost"), full, say("all exits, per image"))
    st.table(
        _stages(config, accuracy),
        border="horizontal",
        hide_index=True,
        alt=say("The stages of {model}", model=bundle.title),
    )
    st.caption(say("Accuracy of each exit alone: {whose}.", whose=whose))
    st.markdown("\n".join(f"- **{name}**: {words}" for name, words in _facts(bundle)))
    st.subheader(say("The paper's architectures"), anchor=False)
    st.markdown(
        say(
            "These can be built and trained, and checkpoints of their authors converted (of the "
            "two-exit cascade none was published); **no weights of them are bundled**. Costs are "
            "arithmetic on the architecture, up to and including each exit."
        )
    )
    names = [name for name in PRESETS if name not in OUR_OWN]
    rows = [_architecture(name, PRESETS[name]) for name in names]
    st.table(rows, border="horizontal", hide_index=True, alt=say("The paper's architectures"))
    st.caption(say("The paper prints up to 1.5 % more: its counter adds norms and resizing."))


def _accuracy(bundle: Bundle) -> tuple[Sequence[float], str]:
    """Accuracy of every exit alone and whose number it is; empty if nobody's."""
    try:
        if bundle.has_table("test"):
            table = services.get_table(bundle, "test")
            n, data = f"{table.n:,}", table.info.data
            return table.exit_accuracy, say("measured on {n} test images, {data}", n=n, data=data)
        if exits := services.get_authors_exits(bundle):
            words = say("the authors' own numbers, ImageNet validation, not measured here")
            return [accuracy for _, accuracy in exits], words
    except InputError as error:
        return (), say("cannot be shown, {error}", error=error)
    return (), say("not measured yet, the Trade-off page says how")


def _stages(config: DVTConfig, accuracy: Sequence[float]) -> list[dict[str, str]]:
    costs, alone = exit_macs(config), stage_macs(config)
    unit = MacUnit.of(costs)
    return [
        {
            say("stage"): str(index + 1),
            say("tokens"): f"{stage.grid_size}x{stage.grid_size}",
            say("tokenizer"): stage.tokenizer.kind,
            say("width"): str(stage.embed_dim),
            say("depth"): str(stage.depth),
            say("heads"): str(stage.num_heads),
            say("{unit} of the stage", unit=unit.name): unit.number(alone[index]),
            say("{unit} up to its exit", unit=unit.name): unit.number(costs[index]),
            say("accuracy of its exit"): percent(accuracy[index]) if accuracy else say("unknown"),
        }
        for index, stage in enumerate(config.stages)
    ]


def _facts(bundle: Bundle) -> list[tuple[str, str]]:
    """What config.json says about the model's making, as text that is not markup."""
    config, training = bundle.config, bundle.info.get("training")
    unknown = say("unknown")
    on = {say("features"): config.feature_reuse, say("relations"): config.relation_reuse}
    facts = [
        (say("Reuse"), ", ".join(name for name, is_on in on.items() if is_on) or say("none")),
        (say("Data"), bundle.info.get("data", unknown)),
        (
            say("Training"),
            _sentence(training) if isinstance(training, dict) else training or unknown,
        ),
        (say("Folder"), bundle.path),
        (say("Weights"), f"sha256 {bundle.weights_sha256[:16]}…"),
    ]
    return [(name, f"`{str(value).replace('`', '')}`") for name, value in facts]


def _sentence(training: dict[str, Any]) -> str:
    """What `dvt train` notes, in words; anything else as it stands."""
    try:
        return say(
            "{epochs} epochs of {images} images, {minutes} minutes on {device}",
            epochs=training["epochs"],
            images=f"{training['images']:,}",
            minutes=f"{training['minutes']:g}",
            device=training["device"],
        )
    except (KeyError, TypeError, ValueError):
        return ", ".join(f"{key} {value}" for key, value in training.items())


def _architecture(name: str, config: DVTConfig) -> dict[str, str]:
    stage = config.stages[0]
    return {
        say("name"): name,
        say("tokens"): ", ".join(f"{side}x{side}" for side in config.grid_sizes),
        say("width"): str(stage.embed_dim),
        say("depth"): str(stage.depth),
        say("heads"): str(stage.num_heads),
        say("parameters"): f"{services.count_parameters(config) / 1e6:.1f} M",
        say("GMACs per exit"): ", ".join(
            map(MacUnit.of(exit_macs(config)).number, exit_macs(config))
        ),
    }
