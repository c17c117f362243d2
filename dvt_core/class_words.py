"""Which class of a model a folder's name means: "golden_retriever", "GOLDFISH" or "n01443537".

People name folders after classes in their own way. A name is compared without case, accents'
encoding, hyphens and underscores, first with whole class names, then with their first words, then
with all synonyms. What fits two classes fits none.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from dvt_core.data_sources import in_words

_WORDNET_ID = re.compile(r"n\d{8}")


def find_class(class_names: Sequence[str], folders: Sequence[str]) -> int | None:
    """The class of a picture that lies in these folders; None if none of them names one.

    Args:
        class_names: of the model; synonyms are separated by commas.
        folders: from the outermost to the one that holds the picture, which is asked first.
    """
    names = tuple(class_names)
    for folder in reversed(folders):
        found = _find(names, folder)
        if found is not None:
            return found
    return None


def is_ambiguous(class_names: Sequence[str], folder: str) -> bool:
    """Whether a folder's name fits several classes of the model, so that it labels nothing."""
    return len(_fitting(tuple(class_names), folder)) > 1


def _find(class_names: tuple[str, ...], folder: str) -> int | None:
    fitting = _fitting(class_names, folder)
    return next(iter(fitting)) if len(fitting) == 1 else None


@lru_cache(maxsize=8192)
def _fitting(class_names: tuple[str, ...], folder: str) -> frozenset[int]:
    """The classes that a name fits."""
    if _WORDNET_ID.fullmatch(folder):
        words = in_words([folder])[0]
        return frozenset(i for i, name in enumerate(class_names) if name == words)
    name = _plain(folder)
    # People keep cats in a folder called "cats".
    for asked in (name, name[:-1] if name.endswith("s") else ""):
        for level in _levels(class_names):
            if asked and asked in level:
                return frozenset(level[asked])
    return frozenset()


@lru_cache(maxsize=16)
def _levels(class_names: tuple[str, ...]) -> tuple[dict[str, set[int]], ...]:
    """Plain name -> classes, for whole names, first words, and all synonyms."""
    levels: tuple[dict[str, set[int]], ...] = ({}, {}, {})
    for index, name in enumerate(class_names):
        synonyms = name.split(",")
        for level, words in zip(levels, ([name], synonyms[:1], synonyms), strict=True):
            for word in words:
                level.setdefault(_plain(word), set()).add(index)
    return levels


def _plain(name: str) -> str:
    """What two spellings of a name have in common: lower case words with single spaces."""
    text = unicodedata.normalize("NFKC", name).casefold().replace("_", " ").replace("'", "")
    return " ".join(re.findall(r"\w+", text))
