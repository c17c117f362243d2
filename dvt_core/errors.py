"""The one exception for mistakes a person can correct.

The command line turns it into one line on stderr and exit code 2, the app into one sentence on
the page. Everything else that is raised is a bug of ours.
"""


class InputError(ValueError):
    """A caller's mistake; the message is one sentence: what, got, expected, what to do."""
