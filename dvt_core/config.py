"""What a cascade is made of, as plain numbers.

No torch is imported here, so names and sizes can be listed instantly. A configuration is frozen,
checks itself, and travels through JSON (`DVTConfig.to_dict` / `from_dict`) in a model folder.

References:
    Wang et al., "Not All Images are Worth 16x16 Words", NeurIPS 2021, arXiv 2105.15075
    (section 3 for the cascade, 3.2 for the two reuse mechanisms).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar

from dvt_core.errors import InputError

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class PatchTokenizerConfig:
    """One convolution with kernel = stride = `patch_size`, as in ViT and DeiT.

    The official 10x10 grid at 224 px is `patch_size=23, padding=3`: (224 + 6 - 23) // 23 + 1.
    """

    kind: ClassVar[str] = "patch"
    patch_size: int
    padding: int = 0

    def grid_size(self, img_size: int) -> int:
        """Tokens per side for a square image of `img_size` pixels."""
        return (img_size + 2 * self.padding - self.patch_size) // self.patch_size + 1


@dataclass(frozen=True)
class ConvLevelConfig:
    """One resolution of the convolutional stem: `size` x `size` cells of `channels` channels.

    A level is a strided 3x3 convolution to `channels` followed by `depth` residual pairs of 3x3
    convolutions. `stride` divides the side of the level before it; a `size` that the stride does
    not give is reached by average pooling first.
    """

    size: int
    channels: int
    depth: int = 0
    stride: int = 1


@dataclass(frozen=True)
class ConvTokenizerConfig:
    """A small convolutional stem for small images; the last level's size is the token grid."""

    kind: ClassVar[str] = "conv"
    levels: tuple[ConvLevelConfig, ...]

    def __post_init__(self) -> None:
        """Checks that there is a level."""
        if not self.levels:
            raise InputError("a conv tokenizer got no levels, it needs at least one")

    def grid_size(self, img_size: int) -> int:
        """Tokens per side: the size of the last level, whatever the image size."""
        return self.levels[-1].size


@dataclass(frozen=True)
class UnfoldConfig:
    """One soft split of Tokens-to-Token: overlapping windows, each flattened into one token."""

    kernel_size: int
    stride: int
    padding: int

    def grid_size(self, size: int) -> int:
        """Windows per side over `size` pixels or tokens."""
        return (size + 2 * self.padding - self.kernel_size) // self.stride + 1


@dataclass(frozen=True)
class T2TTokenizerConfig:
    """Tokens-to-Token: soft splits with a performer layer between each two (Yuan et al. 2021).

    `token_dim` is the width of the performer layers, `num_features` the number of their random
    features, `dropout` acts inside them in training only (hard coded in the official code).
    """

    kind: ClassVar[str] = "t2t"
    unfolds: tuple[UnfoldConfig, ...]
    token_dim: int = 64
    num_features: int = 32
    dropout: float = 0.1

    def __post_init__(self) -> None:
        """Checks that there is a soft split."""
        if not self.unfolds:
            raise InputError("a t2t tokenizer got no unfolds, it needs at least one")

    def grid_sizes(self, img_size: int) -> tuple[int, ...]:
        """Tokens per side after every soft split."""
        sizes = [img_size]
        for unfold in self.unfolds:
            sizes.append(unfold.grid_size(sizes[-1]))
        return tuple(sizes[1:])

    def grid_size(self, img_size: int) -> int:
        """Tokens per side for a square image of `img_size` pixels."""
        return self.grid_sizes(img_size)[-1]


TokenizerConfig = PatchTokenizerConfig | ConvTokenizerConfig | T2TTokenizerConfig
TOKENIZERS: dict[str, type[Any]] = {
    t.kind: t for t in (PatchTokenizerConfig, ConvTokenizerConfig, T2TTokenizerConfig)
}
POS_EMBEDS = ("learned", "sinusoid")
POOLS = ("token", "avg")


@dataclass(frozen=True)
class StageConfig:
    """One transformer of the cascade. Names are timm's.

    `pos_embed` is "learned" (ViT, DeiT) or "sinusoid" (T2T-ViT: fixed, never trained).
    `global_pool` is "token" (the head reads the class token, as in the paper) or "avg" (it reads
    the mean of the patch tokens, so that these, which the next stage reuses, learn what is where).
    """

    tokenizer: TokenizerConfig
    grid_size: int
    embed_dim: int
    depth: int
    num_heads: int
    mlp_ratio: float = 4.0
    qkv_bias: bool = True
    pos_embed: str = "learned"
    global_pool: str = "token"

    def __post_init__(self) -> None:
        """Checks the sizes."""
        for name in ("grid_size", "embed_dim", "depth", "num_heads"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}, it must be at least 1")
        if self.embed_dim % self.num_heads:
            raise InputError(
                f"embed_dim {self.embed_dim} is not a multiple of num_heads {self.num_heads}"
            )
        if self.pos_embed not in POS_EMBEDS:
            raise InputError(f"pos_embed is {self.pos_embed!r}, known are {', '.join(POS_EMBEDS)}")
        if self.global_pool not in POOLS:
            raise InputError(f"global_pool is {self.global_pool!r}, known are {', '.join(POOLS)}")

    @property
    def num_tokens(self) -> int:
        """Tokens of one image, class token included."""
        return self.grid_size**2 + 1


@dataclass(frozen=True)
class DVTConfig:
    """A whole cascade: stages from coarse to fine, and what they hand on.

    `context_hidden` and `context_dim` are the 128 and 48 of the feature reuse MLP (paper 3.2;
    official code); `relation_hidden_ratio` is the 3 in heads*depth -> 3*heads*depth.
    """

    stages: tuple[StageConfig, ...]
    num_classes: int = 1000
    img_size: int = 224
    in_chans: int = 3
    feature_reuse: bool = True
    relation_reuse: bool = True
    context_hidden: int = 128
    context_dim: int = 48
    relation_hidden_ratio: int = 3
    norm_eps: float = 1e-6
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    crop_pct: float = 1.0
    interpolation: str = "bicubic"
    name: str = field(default="custom", compare=False)

    def __post_init__(self) -> None:
        """Checks channels, and that every tokenizer gives the grid its stage expects."""
        if not self.stages:
            raise InputError("a cascade got no stages, it needs at least one")
        if not len(self.mean) == len(self.std) == self.in_chans:
            raise InputError(
                f"mean has {len(self.mean)} and std {len(self.std)} values for "
                f"{self.in_chans} channels"
            )
        for i, stage in enumerate(self.stages):
            got = stage.tokenizer.grid_size(self.img_size)
            if got != stage.grid_size:
                raise InputError(
                    f"stage {i + 1}: the {stage.tokenizer.kind} tokenizer gives a "
                    f"{got}x{got} grid at {self.img_size} px, but grid_size is {stage.grid_size}"
                )

    @property
    def num_exits(self) -> int:
        """One exit per stage."""
        return len(self.stages)

    @property
    def grid_sizes(self) -> tuple[int, ...]:
        """Tokens per side of every stage."""
        return tuple(stage.grid_size for stage in self.stages)

    def alone(self, index: int) -> DVTConfig:
        """Stage `index` (0-based) as a plain model of one exit: the static baseline of its grid."""
        if not 0 <= index < self.num_exits:
            raise InputError(f"there is no stage {index + 1}, {self.name} has {self.num_exits}")
        return replace(self, stages=(self.stages[index],))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; `from_dict` reads it back."""
        out = asdict(self)
        for stage, raw in zip(self.stages, out["stages"], strict=True):
            raw["tokenizer"] = {"kind": stage.tokenizer.kind, **raw["tokenizer"]}
        return out

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> DVTConfig:
        """Reads what `to_dict` wrote.

        Raises:
            InputError: unknown, missing or ill-typed fields, named.
        """
        try:
            stages = tuple(_stage_from_dict(stage) for stage in raw["stages"])
            rest = {k: _frozen(v) for k, v in raw.items() if k != "stages"}
            config = cls(stages=stages, **rest)
        except InputError:
            raise
        except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
            raise InputError(f"the model configuration does not fit: {error}") from error
        return config


def _stage_from_dict(raw: dict[str, Any]) -> StageConfig:
    fields = dict(raw)
    tokenizer = dict(fields.pop("tokenizer"))
    kind = tokenizer.pop("kind")
    if kind not in TOKENIZERS:
        raise InputError(f"unknown tokenizer {kind!r}, known are {', '.join(sorted(TOKENIZERS))}")
    for name, part in (("levels", ConvLevelConfig), ("unfolds", UnfoldConfig)):
        if name in tokenizer:
            tokenizer[name] = tuple(part(**each) for each in tokenizer[name])
    return StageConfig(tokenizer=TOKENIZERS[kind](**tokenizer), **fields)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
