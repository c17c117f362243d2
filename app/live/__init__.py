"""The parts of the page that answer while something is dragged: small components in plain JS.

A component is one ES module made of the files beside this one: shared functions (`words.js` in all
of them, `rule.js`) first, its own file last. There is no build step and nothing is fetched; the
browser gets the text with the page. Components of a page share its document, so the dial tells the
others about every drag frame with an event (`dvt-dial`), and the server hears of it when the thumb
is let go.

A sentence of the browser's own is `say("in English {value}", {value})`. Python sends the table of
these sentences in the visitor's language with the data; a component calls `speak(data)` first, and
draws anew when `data.language` has changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from streamlit.components.v2 import component as register

from app.language import ENGLISH, chinese, language

FOLDER = Path(__file__).parent
FIRST = "words.js"  # in every component
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)
_SAID = re.compile(r"""\bsay\(\s*"((?:[^"\\]|\\.)*)\"""")


def component(name: str, *files: str) -> Callable[..., Any]:
    """Registers a component once and returns what mounts it.

    What it returns takes `key`, `data` (a dict), and Streamlit's callbacks.

    Args:
        name: unique in the app.
        files: .js files of this folder in the order they need each other, the last with the
            default export, and .css files.
    """
    files = (FIRST, *files)
    texts = {suffix: _joined(files, suffix) for suffix in (".js", ".css")}
    draw = register(
        f"dvt_{name}", html="<div class='root'></div>", css=texts[".css"], js=texts[".js"]
    )

    def mount(*, key: str, data: dict[str, Any], **more: Any) -> Any:
        # In one value: Streamlit examines each for whether it could be a data frame.
        return draw(key=key, data={"page": {**data, **_words(files, language())}}, **more)

    return mount


def sentences(file: str) -> tuple[str, ...]:
    """The English sentences that a .js file says, in its order."""
    return tuple(_SAID.findall((FOLDER / file).read_text("utf-8")))


@cache
def _words(files: tuple[str, ...], spoken: str) -> dict[str, Any]:
    """What is added to a component's data; English needs no table."""
    said = (
        [] if spoken == ENGLISH else [s for f in files if f.endswith(".js") for s in sentences(f)]
    )
    table = {text: chinese().get(text, text) for text in said}
    return {"language": spoken, "strings": table}


def _joined(files: tuple[str, ...], suffix: str) -> str:
    """The files of one kind as one text; functions shared between files need no export in it."""
    texts = [(FOLDER / file).read_text("utf-8") for file in files if file.endswith(suffix)]
    return _EXPORT.sub("", "\n".join(texts))
