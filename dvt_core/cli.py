"""The command line: words in, one answer out.

This file knows the commands and their options and how mistakes end; what the commands do is in
`dvt_core.commands`, imported only when one runs, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from dvt_core.errors import InputError
from dvt_core.option_types import count, crop, fraction, gmacs, numbers_or_file

EPILOG = "Exit code: 0, or 2 with one line on stderr when something in the call was wrong."
MAX_LINE = 400  # letters of the line on stderr
CLASSIFY_NOTE = """\
Every picture is read before the model starts: one that cannot be read ends the command with
exit code 2 and no answers. An exit answers when its confidence reaches the threshold; the last
exit always answers. Pictures run one at a time, so milliseconds are each picture's own."""
CONVERT_NOTE = """\
The authors publish their checkpoints as links (Tsinghua Cloud, Google Drive) in the README of
https://github.com/blackfeather-wang/Dynamic-Vision-Transformer: T2T-ViT-12, T2T-ViT-14 and
DeiT-small. Download one by hand, then for instance:

  dvt convert FILE.pth.tar --model dvt_t2t_vit_12 --out models/dvt_t2t_vit_12

Checkpoints of that repository's training, and the plain backbones of T2T-ViT and DeiT, work too.
No code in the file is run. 'dvt models' lists the architectures."""


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are InputErrors, one line like all others."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (see '{self.prog} --help')")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the process's exit code.

    Args:
        argv: words after the program's name; None takes the process's own.

    Returns:
        0, 2 after a caller's mistake (one line on stderr), 130 after Ctrl-C, or 141 when the
        reader of stdout went away.
    """
    try:
        if any("\0" in word for word in argv or ()):
            raise InputError("a word of the call holds a NUL character, which no name can")
        args = build_parser().parse_args(argv)
        # Nothing but the answer may reach stdout, whatever a library prints on the way.
        with contextlib.redirect_stdout(sys.stderr):
            module = importlib.import_module(f"dvt_core.commands.{args.module}")
            answer = getattr(module, args.command)(args)
        if answer is not None:  # another process of the same run gives it
            document, text = answer
            as_json = getattr(args, "json", False)
            print(json.dumps(document, indent=2, allow_nan=False) if as_json else text, flush=True)
    except InputError as error:
        print(f"dvt: {_one_line(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("dvt: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Python flushes stdout once more at exit; give it somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:  # a path that the system refuses: too long, or not ours
        if error.strerror is None or error.filename is None:
            raise
        print(f"dvt: {_one_line(f'{error.filename}: {error.strerror}')}", file=sys.stderr)
        return 2
    return 0


def _one_line(text: str) -> str:
    """A sentence for a terminal: it may quote words of any length, with control characters."""
    text = " ".join(text.split())
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return text if len(text) <= MAX_LINE else f"{text[: MAX_LINE - 120]} ... {text[-115:]}"


def build_parser() -> argparse.ArgumentParser:
    """All commands and options. Every command sets `module` and `command`, its function."""
    parser = _Parser(
        prog="dvt",
        description="Trains, runs and explains early-exit cascades of vision transformers.",
        epilog=EPILOG,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_classify(commands)
    _add_evaluate(commands)
    _add_table_commands(commands)
    _add_model_commands(commands)
    _add_study(commands)
    _add_convert(commands)
    _add_train(commands)
    _add_data(commands)
    return parser


def _add(commands: argparse._SubParsersAction, module: str, name: str, text: str) -> _Parser:
    parser = commands.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(module=module, command=name)
    return parser


def _add_model(
    parser: argparse.ArgumentParser,
    default: str | None = None,
    what: str = "a bundled model or a model folder",
) -> None:
    parser.add_argument(
        "--model",
        metavar="NAME|DIR",
        default=default,
        required=default is None,
        help=what + (f" (default: {default})" if default else ""),
    )


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document instead")


def _add_rule(parser: argparse.ArgumentParser) -> argparse._MutuallyExclusiveGroup:
    """The options that set thresholds; at most one of the group may be given."""
    rule = parser.add_mutually_exclusive_group()
    rule.add_argument("--threshold", type=float, metavar="T", help="one threshold for all exits")
    rule.add_argument(
        "--thresholds",
        type=numbers_or_file,
        metavar="T1,T2|FILE.json",
        help="one threshold for each exit but the last, or the app's thresholds.json",
    )
    return rule


def _add_classify(commands: argparse._SubParsersAction) -> None:
    parser = _add(commands, "classify", "classify", "say what is in pictures, stopping early")
    parser.epilog = CLASSIFY_NOTE
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    _add_model(parser, default="tiny-imagenet")
    _add_rule(parser).add_argument(
        "--budget",
        type=gmacs,
        metavar="GMACS",
        help="the best thresholds for a mean cost per picture, solved on the calibration split "
        "(converted weights that have none yet: the authors' thresholds)",
    )
    parser.add_argument(
        "--crop",
        type=crop,
        metavar="X,Y,ZOOM",
        help="the square that is looked at: 0,0 is the upper left end, 1,1 the lower right, zoom 1 "
        "to 8 (default: 0.5,0.5,1)",
    )
    parser.add_argument(
        "--all-exits", action="store_true", help="compute and show the later exits too"
    )
    _add_json(parser)


def _add_evaluate(commands: argparse._SubParsersAction) -> None:
    parser = _add(commands, "evaluate", "evaluate", "run a model over a data set")
    _add_model(parser)
    parser.add_argument(
        "--data", required=True, metavar="NAME|DIR", help="see 'dvt data list', or a folder"
    )
    parser.add_argument("--split", choices=("train", "calibration", "test"), default="test")
    _add_rule(parser)
    parser.add_argument("--limit", type=count, metavar="N", help="only N images, evenly spread")
    parser.add_argument(
        "--out", type=Path, metavar="TABLE.parquet", help="write what every exit said, per image"
    )
    _add_json(parser)


def _add_table_commands(commands: argparse._SubParsersAction) -> None:
    sweep = _add(commands, "tables", "sweep", "show accuracy and cost over the threshold")
    _add_model(sweep)
    sweep.add_argument(
        "--table",
        type=Path,
        metavar="TABLE",
        help="a table that 'dvt evaluate --out' wrote (default: the model's own of the test split)",
    )
    _add_rule(sweep)
    _add_json(sweep)
    solve = _add(commands, "tables", "thresholds", "find the best thresholds for a goal")
    solve.epilog = "Solved on the calibration split; never on the test split."
    _add_model(solve)
    goal = solve.add_mutually_exclusive_group(required=True)
    goal.add_argument("--budget", type=gmacs, metavar="GMACS", help="mean GMACs per image")
    goal.add_argument("--accuracy", type=fraction, metavar="A", help="wanted accuracy, 0 to 1")
    _add_json(solve)


def _add_model_commands(commands: argparse._SubParsersAction) -> None:
    macs = _add(commands, "models", "macs", "say what every stage and exit costs")
    _add_model(macs, what="a bundled model, a model folder or an architecture")
    _add_json(macs)
    _add_json(_add(commands, "models", "models", "list the bundled models and the architectures"))


def _add_study(commands: argparse._SubParsersAction) -> None:
    study = _add(commands, "study", "study", "hold a cascade against static models and ablations")
    _add_model(study)
    _add_json(study)
    attach = _add(commands, "study", "attach", "put a finished run beside a model, to compare")
    attach.epilog = (
        "A run is the same cascade with any of the reuses, a row of the ablation; one without any "
        "gives the static baselines."
    )
    attach.add_argument("run", type=Path, metavar="RUN", help="the folder that 'dvt train' left")
    attach.add_argument("--to", dest="model", required=True, metavar="NAME|DIR")
    attach.add_argument(
        "--baselines", action="store_true", help="as static baselines, one for each token grid"
    )
    card = _add(commands, "study", "card", "write a model's card anew from its stored tables")
    _add_model(card)


def _add_convert(commands: argparse._SubParsersAction) -> None:
    parser = _add(commands, "convert", "convert", "make a model folder of the authors' checkpoint")
    parser.epilog = CONVERT_NOTE
    parser.add_argument("checkpoint", type=Path, metavar="FILE")
    parser.add_argument("--model", required=True, metavar="ARCHITECTURE")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="a new folder")
    for part in ("feature", "relation"):
        parser.add_argument(
            f"--no-{part}-reuse",
            dest=f"{part}_reuse",
            action="store_false",
            help=f"the weights were trained without {part} reuse",
        )
    _add_json(parser)


def _add_train(commands: argparse._SubParsersAction) -> None:
    parser = _add(commands, "training", "train", "train a cascade from a recipe")
    parser.add_argument("recipe", type=Path, metavar="RECIPE")
    parser.add_argument("--data", metavar="DIR", type=Path, help="where the data set lies")
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        help="on a disk all machines see (default: runs/ and the recipe's name)",
    )
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")


def _add_data(commands: argparse._SubParsersAction) -> None:
    parser = _add(commands, "data", "data", "list data sets, or fetch one from the hub")
    actions = parser.add_subparsers(metavar="list|fetch", required=True)
    listing = _add(actions, "data", "list", "list the data sets known by name")
    listing.set_defaults(command="list_datasets")
    _add_json(listing)
    fetch = _add(actions, "data", "fetch", "fetch a data set from the hub")
    fetch.add_argument("name", metavar="NAME")
    _add_json(fetch)
