"""What the lanes and the class table (live/easy_hard.js, live/class_table.js) need of one model.

The numbers are constant for a model, so the browser gets them once; words in the visitor's
language and the place of the thumbnails are added where they are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from app import services
from app.figures.exits import word
from app.replay.replay_data import pack, table_data
from app.services import BY_FILES
from dvt_core.bundle import Bundle
from dvt_core.errors import InputError
from dvt_core.exit_table import ExitTable
from dvt_core.outcomes import OUTCOMES, by_class, outcome_lookup
from dvt_core.solver import NEVER

MAX_CLASSES = 1 << 16  # class indices travel in two bytes
MAX_IMAGES = 1 << 20  # an image's place is the last 20 bits of the number it is sorted by


def board_data(table: ExitTable, class_names: Sequence[str]) -> dict[str, Any]:
    """Every image of a test table as `makeBoard` in live/lanes.js reads it.

    Raises:
        InputError: more images or classes than fit.
    """
    if table.n >= MAX_IMAGES or table.info.num_classes > MAX_CLASSES:
        raise InputError(
            f"the table has {table.n:,} images of {table.info.num_classes:,} classes, this page "
            f"shows fewer than {MAX_IMAGES:,} of at most {MAX_CLASSES:,}"
        )
    return {
        "table": table_data(table),
        "outcomes": len(OUTCOMES),
        "outcome_ids": list(OUTCOMES),
        "lookup": pack(outcome_lookup(table.num_exits).ravel(), "u1"),
        "last": pack(table.confidences[:, -1], "f4"),
        "labels": pack(table.labels, "u2"),
        "said": pack(table.predictions.T, "u2"),
        "numbers": pack(table.indices, "i4"),
        "words": list(map(word, class_names)),
    }


def class_data(table: ExitTable, class_names: Sequence[str]) -> dict[str, Any]:
    """What does not depend on the thresholds in the class table; None where there is no image."""
    numbers = by_class(table, (NEVER,) * (table.num_exits - 1))
    columns = numbers.exit_accuracy.T.tolist()
    alone = [[None if math.isnan(x) else x for x in column] for column in columns]
    return {
        "counts": numbers.counts.tolist(),
        "exit_accuracy": alone,
        "words": list(map(word, class_names)),
        "names": list(class_names),
    }


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=BY_FILES)
def get_board_data(bundle: Bundle) -> dict[str, Any]:
    """`board_data` of a model folder."""
    table = services.get_table(bundle, "test")
    return {**board_data(table, bundle.class_names), **_identity(bundle)}


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=BY_FILES)
def get_class_data(bundle: Bundle) -> dict[str, Any]:
    """`class_data` of a model folder."""
    table = services.get_table(bundle, "test")
    return {**class_data(table, bundle.class_names), **_identity(bundle)}


def _identity(bundle: Bundle) -> dict[str, str]:
    return {"model": str(bundle.path), "signature": services.signature(bundle)}


def is_same_set(table: ExitTable, labels: np.ndarray) -> bool:
    """Whether the table's images are those of a stored split: same rows, same labels.

    Args:
        table: what the exits said.
        labels: (n,) of the stored split, in its order.
    """
    fits = table.indices.max() < len(labels)
    return bool(fits and np.array_equal(labels[table.indices], table.labels))
