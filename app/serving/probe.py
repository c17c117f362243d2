"""`python -m app.serving.probe [ADDRESS]`: asks the server beside it whether it is ready.

For the container's health check, which runs it every half minute: only the standard library, as
importing Streamlit would cost a second of a core each time. Exit code 0 if ready, 1 if not.
"""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request

PATIENCE_S = 45.0  # a round of the server ends within 40


def default_address() -> str:
    """Where this machine's server answers, by the settings that it was started with."""
    return f"http://127.0.0.1:{os.environ.get('STREAMLIT_SERVER_PORT') or 8501}/ready"


def probe(address: str, patience_s: float = PATIENCE_S) -> tuple[bool, str]:
    """Whether the server is ready, and its line, or why there is none.

    Args:
        address: of the server's `/ready`.
        patience_s: seconds until an answer must be there.
    """
    try:
        with urllib.request.urlopen(address, timeout=patience_s) as answer:
            line = answer.read(1000).decode(errors="replace")
        # Streamlit answers addresses that it does not know with its page, and 200.
        return line == "ready", line.partition("\n")[0]
    except urllib.error.HTTPError as error:
        with error:
            return False, error.read(1000).decode(errors="replace") or str(error)
    except OSError as error:
        return False, f"no answer: {error}"


def main() -> int:
    """Prints the line; the exit code."""
    is_ready, line = probe(sys.argv[1] if len(sys.argv) > 1 else default_address())
    print(line)
    return 0 if is_ready else 1


if __name__ == "__main__":
    sys.exit(main())
