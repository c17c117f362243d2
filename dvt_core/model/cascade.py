"""The cascade: stages from coarse to fine, each fed by the one before.

The model never decides. `forward` computes every exit (for training and for tables);
`dvt_core.inference.classify` has the same loop with the exit rule in it.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from dvt_core.config import DVTConfig
from dvt_core.errors import InputError
from dvt_core.images import Preprocess
from dvt_core.macs import exit_macs, stage_macs
from dvt_core.model.stage import Stage, StageOutput


class DynamicViT(nn.Module):
    """A cascade of vision transformers over one image with more and more tokens.

    Attributes:
        config: the sizes it was built from.
        class_names: num_classes words, or empty when unknown.
        preprocess: PIL image -> normalised (in_chans, S, S) tensor.
        name, weights_sha256: of the model folder it was loaded from; exit tables carry both.
    """

    def __init__(
        self,
        config: DVTConfig,
        *,
        class_names: tuple[str, ...] = (),
        drop_path_rate: float = 0.0,
    ) -> None:
        """Builds the stages; `drop_path_rate` rises linearly over the blocks of each stage."""
        super().__init__()
        if class_names and len(class_names) != config.num_classes:
            raise InputError(f"got {len(class_names)} class names for {config.num_classes} classes")
        self.config = config
        self.class_names = class_names
        self.name, self.weights_sha256 = config.name, ""
        self.preprocess = Preprocess.from_config(config)
        self.stages: Sequence[Stage] = nn.ModuleList(  # type: ignore[assignment]
            Stage(config, index, drop_path_rate) for index in range(config.num_exits)
        )

    @property
    def num_exits(self) -> int:
        """One exit per stage."""
        return self.config.num_exits

    @property
    def num_classes(self) -> int:
        """Size of each exit's logits."""
        return self.config.num_classes

    @property
    def stage_macs(self) -> tuple[int, ...]:
        """Multiply-accumulates of each stage alone, reuse modules included."""
        return stage_macs(self.config)

    @property
    def exit_macs(self) -> tuple[int, ...]:
        """Multiply-accumulates up to and including each exit."""
        return exit_macs(self.config)

    def check_images(self, images: Tensor) -> None:
        """Raises InputError unless images are a (B, in_chans, S, S) batch of this model's size."""
        size = (self.config.in_chans, self.config.img_size, self.config.img_size)
        if images.ndim != 4 or tuple(images.shape[1:]) != size:
            raise InputError(
                f"images have shape {tuple(images.shape)}, this model takes (B, {size[0]}, "
                f"{size[1]}, {size[2]}); model.preprocess makes it from a picture"
            )

    def forward(self, images: Tensor, *, stop_gradient: bool = False) -> tuple[Tensor, ...]:
        """Normalised images (B, in_chans, S, S) -> logits (B, num_classes) of every exit.

        With `stop_gradient` what a stage hands on is a fixed input for the next one, so that each
        stage learns from its own exit alone (the authors' MindSpore code does that to features;
        their PyTorch code does not).
        """
        self.check_images(images)
        previous: StageOutput | None = None
        logits = []
        for stage in self.stages:
            output: StageOutput = stage(images, previous)
            logits.append(output.logits)
            previous = output.detached() if stop_gradient else output
        return tuple(logits)


def alone(model: DynamicViT, index: int) -> DynamicViT:
    """Stage `index` (0-based) of a cascade without reuse, as a plain model of one exit.

    Stages that take nothing over share nothing, so training them in one cascade is training each
    alone (paper, table 6, first row; tested bit for bit). The stage is shared, not copied.

    Raises:
        InputError: no such stage, or stages that reuse something.
    """
    if model.config.feature_reuse or model.config.relation_reuse:
        raise InputError(
            f"{model.config.name} reuses features or relations, so no stage of it stands alone; "
            "set feature_reuse and relation_reuse to false"
        )
    single = DynamicViT(model.config.alone(index), class_names=model.class_names)
    single.stages[0] = model.stages[index]  # type: ignore[index]
    return single
