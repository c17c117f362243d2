"""Drives the running app as a class of people would, and checks every answer it gives.

No browser: `visitor` speaks Streamlit's own protocol, `mirror` keeps what a browser would know of
its page. The known answers come from `dvt_core` in this process (`pictures`), so an answer that
belongs to somebody else's picture is seen (`answers`).

    python -m scripts.load class     sixty people for a minute
    python -m scripts.load soak      2,000 uploads over 100 sessions that come and go
    python -m scripts.load cost      processor time of the server per action
"""
