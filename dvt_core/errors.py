"""The one exception for mistakes a person can correct.

The command line turns it into one line on stderr and exit code 2, the app into one sentence on
the page. Everything else that is raised is a bug of ours.
"""


class InputError(ValueError):
    """A caller's mistake; the message is one sentence: what, got, expected, what to do."""


def printable(text: object, limit: int = 100) -> str:
    """Foreign words for one sentence: no line breaks or control characters, at most `limit` long.

    Only for strings, numbers and errors: `str` of a foreign container may be without end.
    """
    words = str(text)
    shown = "".join(c if c.isprintable() else "?" for c in words[:limit])
    return shown + ("…" if len(words) > limit else "")
