"""The parts of the page that answer while something is dragged: small components in plain JS.

A component is one ES module made of the files beside this one: shared functions (`rule.js`) first,
its own file last. There is no build step and nothing is fetched; the browser gets the text with
the page. Components of a page share its document, so the dial tells the others about every drag
frame with an event (`dvt-dial`), and the server hears of it when the thumb is let go.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streamlit.components.v2 import component as register

FOLDER = Path(__file__).parent
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


def component(name: str, *files: str) -> Callable[..., Any]:
    """Registers a component once and returns what mounts it.

    Args:
        name: unique in the app.
        files: .js files of this folder in the order they need each other, the last with the
            default export, and .css files.
    """
    texts = {suffix: _joined(files, suffix) for suffix in (".js", ".css")}
    return register(
        f"dvt_{name}", html="<div class='root'></div>", css=texts[".css"], js=texts[".js"]
    )


def _joined(files: tuple[str, ...], suffix: str) -> str:
    """The files of one kind as one text; functions shared between files need no export in it."""
    texts = [(FOLDER / file).read_text("utf-8") for file in files if file.endswith(suffix)]
    return _EXPORT.sub("", "\n".join(texts))
