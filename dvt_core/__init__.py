"""Dynamic vision transformers that stop as soon as they are sure.

The walk from a picture to an answer, one line per file, in import order:

    config, presets    what a cascade is made of, as plain numbers
    images             a file of unknown origin -> the picture a model sees -> (3, S, S) tensor
    model/tokenizers   picture -> tokens of one grid
    model/reuse        features and relations of the stage before -> this stage's grid
    model/layers       timm's attention and block, opened where things are handed on
    model/stage        tokens -> blocks -> logits, plus what the stage hands on
    model/cascade      the stages in order; the model never decides
    model/pretrained   one of timm's backbones in every stage, to start a fine-tuning from
    macs               what each stage costs, by arithmetic
    exit_table         what every exit said about every image of a split
    thresholds, solver accuracy and cost under any thresholds; the best ones for a budget
    inference          run a stage, ask the exit rule, stop or go on
    data, evaluate     a data set's splits; a model over a split -> exit table
    bundle             model folders: weights, tables, thresholds, card
    training/          recipe, augmentation, loop, publishing
    cli                all of it from the command line
"""

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dvt_core.bundle import list_models, load_bundle, load_model
    from dvt_core.config import DVTConfig, StageConfig
    from dvt_core.errors import InputError
    from dvt_core.exit_table import ExitTable
    from dvt_core.images import open_image
    from dvt_core.inference import classify
    from dvt_core.model import DynamicViT, build_model
    from dvt_core.model.pretrained import init_from_timm
    from dvt_core.results import ExitRecord, Prediction

_HOME = {
    "DVTConfig": "config",
    "StageConfig": "config",
    "InputError": "errors",
    "DynamicViT": "model",
    "build_model": "model",
    "init_from_timm": "model.pretrained",
    "load_model": "bundle",
    "load_bundle": "bundle",
    "list_models": "bundle",
    "open_image": "images",
    "classify": "inference",
    "Prediction": "results",
    "ExitRecord": "results",
    "ExitTable": "exit_table",
}
__all__ = [
    "DVTConfig",
    "DynamicViT",
    "ExitRecord",
    "ExitTable",
    "InputError",
    "Prediction",
    "StageConfig",
    "build_model",
    "classify",
    "init_from_timm",
    "list_models",
    "load_bundle",
    "load_model",
    "open_image",
]


# `import dvt_core` registers our names with timm.create_model. Only the command line leaves that to
# the commands that need a model, so that `dvt --help` answers at once without torch.
if not sys.argv or (sys.argv[0] != "-m" and Path(sys.argv[0]).name != "dvt"):
    import_module("dvt_core.model")


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that `dvt --help` needs no torch."""
    if name not in _HOME:
        raise AttributeError(f"module 'dvt_core' has no attribute {name!r}")
    return getattr(import_module(f"dvt_core.{_HOME[name]}"), name)
