"""The model: tokenizers, reuse, layers, stage, cascade, in the order data flows."""

from dvt_core.model.build import build_model
from dvt_core.model.cascade import DynamicViT, alone
from dvt_core.model.stage import Stage, StageOutput

__all__ = ["DynamicViT", "Stage", "StageOutput", "alone", "build_model"]
