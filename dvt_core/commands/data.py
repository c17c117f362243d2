"""`dvt data list` and `dvt data fetch`: the data sets known by name."""

from __future__ import annotations

from argparse import Namespace

from dvt_core.commands.wording import align
from dvt_core.data import DATASETS, data_status
from dvt_core.data import fetch as fetch_dataset


def list_datasets(args: Namespace) -> tuple[list[str], str]:
    """Names, and where each lies on this machine; never goes online."""
    rows = [("name", "classes", "on this machine", "")]
    for name, info in DATASETS.items():
        place = data_status(name).place
        rows.append((name, str(info.num_classes), str(place or "no"), info.note))
    return list(DATASETS), align(rows)


def fetch(args: Namespace) -> tuple[str, str]:
    """Downloads a data set unless it is here already; progress bars go to stderr."""
    place = fetch_dataset(args.name)
    return str(place), f"{args.name}: {place}"
