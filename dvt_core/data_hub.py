"""Named data sets from the Hugging Face hub, or from the cache it keeps on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from dvt_core.data_sources import DatasetInfo
from dvt_core.errors import InputError


def cache_folder(info: DatasetInfo) -> Path | None:
    """Where the `datasets` library keeps its copy of the set, or None if it has none."""
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    cache = Path(os.environ.get("HF_DATASETS_CACHE", home / "datasets"))
    folder = cache / info.hub_id.replace("/", "___")
    # an interrupted download leaves only folders called *.incomplete
    infos = folder.glob("**/dataset_info.json")
    return folder if any(not p.parent.name.endswith(".incomplete") for p in infos) else None


def load_from_hub(info: DatasetInfo) -> dict[str, Any]:
    """All stored splits, name -> `datasets.Dataset`; downloads with progress bars if needed.

    Raises:
        InputError: not in the cache and the hub cannot be reached or refuses; the sentence names
            all ways to get the data.
    """
    from datasets import load_dataset
    from huggingface_hub import HfApi

    try:
        if cache_folder(info) is None:
            # one short question first: load_dataset retries for half a minute when offline
            HfApi().dataset_info(info.hub_id, timeout=10)
        return {str(name): part for name, part in load_dataset(info.hub_id).items()}
    except Exception as error:  # the hub's client raises the classes of its HTTP library
        raise InputError(missing_message(info, str(error))) from error


def missing_message(info: DatasetInfo, reason: str = "") -> str:
    """One sentence: the set is not here, and every way to get it."""
    reason = " ".join(reason.split())[:160]
    return (
        f"the data set {info.name} is not on this machine"
        + (f" and the hub did not give it ({reason})" if reason else "")
        + f": name its folder with --data DIR (Parquet files train-*.parquet and "
        f"{info.test_splits[0]}-*.parquet, or class folders under train/ and "
        f"{info.test_splits[0]}/), or put it into ./data/{info.name} or $DVT_DATA/{info.name}, "
        f"or go online and run `python -m dvt_core data fetch {info.name}` "
        f"(hub: {info.hub_id})"
    )
