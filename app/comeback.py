"""After a lost connection the browser asks for its page again, and a new server draws it anew.

Streamlit's front end connects again by itself, but asks for a run only if a part of the page asks
again from time to time; else a server that does not know the session (another replica, or the same
one after a restart) hears of the next click alone, and that knows nothing of the thresholds. Asked
for the page, it reads them from the link.
"""

from __future__ import annotations

from datetime import timedelta

import streamlit as st


@st.fragment(run_every=timedelta(days=1))
def ask_again_when_back() -> None:
    """Draws nothing; that it is on the page is what counts."""
