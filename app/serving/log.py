"""What the operator reads: one line per event on stderr, JSON or text, nothing personal in it.

A line names routes, pages, times and kinds of errors. It never holds a picture, a file's name, what
stood in a link, or an address. Lines that others write (Streamlit, uvicorn, libraries) come out in
the same form; of the values in them only numbers are kept. A traceback is one field: the places
that it passed, not what the error said, for that may quote a visitor.

    DVT_LOG=json|text     json unless a terminal reads it
    DVT_LOG_LEVEL=LEVEL   debug, info (default), warning or error; debug adds static files, polling,
                          and what errors said: for one's own tests, not for a class
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import threading
import traceback
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import streamlit.logger as streamlit_logger

FORM_ENV, LEVEL_ENV = "DVT_LOG", "DVT_LOG_LEVEL"
JSON, TEXT = "json", "text"
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
OURS = ("app", "dvt_core")
# They tell of every connection with its address; `app.serving.watch` tells what matters of it.
TALKATIVE = ("uvicorn", "uvicorn.error", "uvicorn.asgi", "uvicorn.access", "websockets")
OTHERS = ("streamlit", *TALKATIVE)
MAX_PLACES = 40  # of a traceback
_ROOT = str(Path(__file__).resolve().parents[2])
_PLAIN = re.compile(r"[\w./:{},+-]+", re.ASCII)
_FIELDS = "dvt_fields"

logger = logging.getLogger("app.event")
_handlers: list[logging.Handler] = []


def event(name: str, level: int = logging.INFO, /, **fields: Any) -> None:
    """Writes one line.

    Args:
        name: what happened, one word.
        level: of `logging`.
        fields: numbers and words of ours; nothing that a visitor sent.
    """
    if logger.isEnabledFor(level):
        logger.log(level, name, extra={_FIELDS: fields})


def places(error: BaseException, *, with_words: bool = False) -> str:
    """A traceback as one line: kinds of errors and where they passed, the innermost place first.

    Args:
        error: with what it was raised from.
        with_words: adds what the errors said, which may quote a visitor.
    """
    parts, seen = [], set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        stack = reversed(traceback.extract_tb(each.__traceback__)[-MAX_PLACES:])
        where = " < ".join(f"{_short(at.filename)}:{at.lineno} {at.name}" for at in stack)
        said = f" ({each})" if with_words else ""
        parts.append(f"{type(each).__name__}{said}{' at ' if where else ''}{where}")
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
    return " | after ".join(parts)


def _short(path: str) -> str:
    """A source file's path without what stands before the project or the installed package."""
    return re.split(r"site-packages/|lib/python[\d.]+/", path)[-1].removeprefix(f"{_ROOT}/")


class OneLine(logging.Formatter):
    """Every record as one line of one form, without what visitors sent."""

    def __init__(self, form: str, *, with_words: bool = False) -> None:
        """Takes `JSON` or `TEXT`, and whether what errors said is written, too."""
        super().__init__()
        self._form, self._with_words = form, with_words

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        head = {"time": when.replace("+00:00", "Z"), "level": record.levelname.lower()}
        fields = {**head, **self._fields(record)}
        if self._form == JSON:
            return json.dumps(fields, default=str)  # escapes control characters and line ends
        rest = (f"{key}={_word(value)}" for key, value in fields.items() if key not in FIRST)
        return " ".join((fields["time"], f"{fields['level']:7}", fields["event"], *rest))

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        own = getattr(record, _FIELDS, None)
        fields = {"event": record.msg, **own} if own is not None else self._foreign(record)
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            fields["traceback"] = places(error, with_words=self._with_words)
        return fields

    def _foreign(self, record: logging.LogRecord) -> dict[str, Any]:
        name = "error" if record.levelno >= logging.ERROR else "message"
        from_us = record.name.split(".")[0] in OURS
        try:
            words = record.getMessage() if from_us else _without_values(record)
        except (TypeError, ValueError, KeyError):
            words = str(record.msg)
        return {"event": name, "logger": record.name, "words": words}


FIRST = ("time", "level", "event")


class _Hidden:
    """Stands for a value that may be a visitor's: its type is all that is written of it."""

    def __init__(self, value: Any) -> None:
        self._name = f"<{type(value).__name__}>"

    def __repr__(self) -> str:
        return self._name


def _without_values(record: logging.LogRecord) -> str:
    """The message with its numbers; other values are left out."""
    if isinstance(record.args, Mapping):
        return str(record.msg) % {key: _number(value) for key, value in record.args.items()}
    if record.args:
        return str(record.msg) % tuple(map(_number, record.args))
    # An exception as the message, or words that were put together before: only literals are known.
    return str(record.msg) if isinstance(record.msg, str) else repr(_Hidden(record.msg))


def _number(value: Any) -> Any:
    return value if isinstance(value, int | float) else _Hidden(value)


def _word(value: Any) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def install(environ: Mapping[str, str] = os.environ, stream: TextIO | None = None) -> None:
    """Sends everything that is logged in this process through one handler; once more replaces it.

    Args:
        environ: where the form and the level are read.
        stream: stderr if None.
    """
    out: TextIO = stream or sys.stderr
    chosen = environ.get(FORM_ENV, "")
    form = chosen if chosen in (JSON, TEXT) else TEXT if out.isatty() else JSON
    wanted = environ.get(LEVEL_ENV, "").lower()
    level = LEVELS.get(wanted, logging.INFO)
    handler = logging.StreamHandler(out)
    handler.setFormatter(OneLine(form, with_words=level == logging.DEBUG))
    root = logging.getLogger()
    while _handlers:
        root.removeHandler(_handlers.pop())
    _handlers.append(handler)
    root.addHandler(handler)
    _quiet(level)
    _catch_what_is_printed()
    if (chosen and chosen != form) or (wanted and wanted not in LEVELS):
        event("setting", logging.WARNING, ignored=f"{FORM_ENV} or {LEVEL_ENV}: unknown value")


def _join(other: logging.Logger) -> None:
    """Makes another logger write through our handler, and through no handler of its own."""
    other.handlers.clear()
    other.propagate = True
    if other.name in TALKATIVE:
        other.setLevel(logging.WARNING)


def _quiet(level: int) -> None:
    """Takes the other handlers away and sets whose lines are written from which level on."""
    streamlit_logger.setup_formatter = _join  # of the loggers that Streamlit makes later
    streamlit_logger.set_log_level(max(level, logging.INFO))
    for name in (*logging.root.manager.loggerDict,):
        if name.split(".")[0] in {each.split(".")[0] for each in OTHERS}:
            _join(logging.getLogger(name))
    for name in TALKATIVE:
        _join(logging.getLogger(name))
    for name in OURS:
        logging.getLogger(name).setLevel(level)


def _catch_what_is_printed() -> None:
    """What Python prints over several lines becomes an event, too."""

    def warn(message: Any, category: type[Warning], filename: str, lineno: int, *_: Any) -> None:
        where = f"{_short(filename)}:{lineno}"
        event("warning", logging.WARNING, kind=category.__name__, where=where)

    def thread_failed(args: threading.ExceptHookArgs) -> None:
        _failed("thread", args.exc_value, args.exc_traceback)

    def failed_late(args: sys.UnraisableHookArgs) -> None:
        _failed("unraisable", args.exc_value, args.exc_traceback)

    warnings.showwarning = warn
    threading.excepthook, sys.unraisablehook = thread_failed, failed_late


def _failed(what: str, error: BaseException | None, passed: TracebackType | None) -> None:
    if error is not None and not isinstance(error, SystemExit):
        logger.error("error", exc_info=(type(error), error, passed), extra={_FIELDS: {"in": what}})
