"""Finds what people read: sentences in the code, and all texts of a page that AppTest drew."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from streamlit.testing.v1 import AppTest

APP = Path(__file__).parents[2] / "app"
FILES = sorted(APP.rglob("*.py"))
JS_FILES = sorted((APP / "live").glob("*.js"))
SAY, LATER = "say", "later"

# Where an element's message keeps what people read, and where a live component's data does not.
_TEXTS = {"body", "label", "help", "placeholder", "options", "alt", "caption", "content", "title"}
_TEXTS |= {"delta", "text", "altText"}
_NOT_READ = {"strings", "language", "html", "id", "kind", "way", "model", "signature", "picture"}
_NOT_READ |= {"colour", "ink", "ask", "defaults", "image", "key", "push", "src", "href", "data"}


def relative(path: Path) -> str:
    return path.relative_to(APP).as_posix()


def calls(path: Path, *names: str) -> Iterator[ast.Call]:
    """Calls of plain functions with these names in a file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in names:
            yield node


def literal(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def raw_text(node: ast.expr) -> str:
    """The literal English in an expression, what goes through say or later left out."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.Call | ast.Attribute | ast.Subscript | ast.Lambda):
        return ""
    if isinstance(node, ast.Dict):  # of a figure: its keys are plotly's
        return " ".join(map(raw_text, node.values))
    return " ".join(raw_text(n) for n in ast.iter_child_nodes(node) if isinstance(n, ast.expr))


def code_of(path: Path) -> str:
    """JavaScript without comments."""
    text = re.sub(r"/\*.*?\*/", "", path.read_text("utf-8"), flags=re.DOTALL)
    return re.sub(r"(^|[\s;{}(,])//[^\n]*", r"\1", text)


def page_texts(at: AppTest) -> list[str]:
    """Everything that people read on a page, and what live components write there."""
    return [text for text in _all_texts(at) if text.strip()]


def _all_texts(at: AppTest) -> Iterator[str]:
    for block in (at.main, at.sidebar):
        for node in block:
            proto = getattr(node, "proto", None)
            if proto is None:
                continue
            kind = node.type
            if kind in ("arrow_data_frame", "arrow_table", "table", "dataframe"):
                frame: Any = getattr(node, "value")  # noqa: B009
                yield from map(str, frame.columns)
                yield from (str(value) for value in frame.to_numpy().ravel())
            elif kind == "plotly_chart":
                yield from _plotly_texts(json.loads(proto.spec))
            elif kind == "bidi_component":
                yield from _read(json.loads(proto.json))
            elif kind != "code":
                yield from _proto_texts(MessageToDict(proto, preserving_proto_field_name=True))


def _proto_texts(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _proto_texts(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _proto_texts(inner, key)
    elif isinstance(value, str) and key in _TEXTS:
        yield re.sub(r"<style>.*?</style>|<[^>]*>", " ", value, flags=re.DOTALL)


def _read(value: Any) -> Iterator[str]:
    """The strings of a live component's data that end on the page."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in _NOT_READ:
                yield from _read(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _read(inner)
    elif isinstance(value, str) and len(value) < 2000:
        yield value


def _plotly_texts(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name != "template":
                yield from _plotly_texts(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _plotly_texts(inner, key)
    elif isinstance(value, str) and key in ("text", "name", "hovertemplate", "title", "y", "x"):
        yield re.sub(r"%\{[^}]*\}|<[^>]*>", " ", value)
