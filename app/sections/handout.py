"""The hand-out, to be replaced."""

from __future__ import annotations

from dvt_core.bundle import Bundle


def handout_section(bundle: Bundle) -> None:
    """Nothing yet."""
