"""An exit's badge as HTML, and class names as people read them."""

from __future__ import annotations

from html import escape

from app.figures.theme import exit_colour, exit_name, ink_on


def word(class_name: str) -> str:
    """A class name without its synonyms: "tench, Tinca tinca" is "tench"."""
    return class_name.split(",")[0].strip()


def badge(exit_index: int, text: str | None = None) -> str:
    """A small label in the exit's colour."""
    colour = exit_colour(exit_index)
    style = f"background:{colour};color:{ink_on(colour)}"
    return f'<span class="dvt-badge" style="{style}">{escape(text or exit_name(exit_index))}</span>'
