"""What cannot change while a page is drawn is found out once, however often it is asked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from streamlit.runtime.scriptrunner import get_script_run_ctx

Answer = TypeVar("Answer")


def once_per_run(find: Callable[..., Answer]) -> Callable[..., Answer]:
    """Keeps the answers of a function, by its arguments, until the run of the page ends.

    A page is then drawn from one state of the disk from top to bottom, and asks for it once: at
    sixty visitors that is a tenth of the server's time. Outside a run nothing is kept.
    """
    kept = threading.local()  # a run is a thread's

    @wraps(find)
    def found(*args: Any) -> Answer:
        context = get_script_run_ctx(suppress_warning=True)
        if context is None:
            return find(*args)
        if getattr(kept, "run", None) is not context.cursors:  # Streamlit makes them for each run
            kept.run, kept.answers = context.cursors, {}
        if args not in kept.answers:
            kept.answers[args] = find(*args)
        return kept.answers[args]

    return found
