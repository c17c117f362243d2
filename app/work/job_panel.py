"""A long computation on the page: its place in the queue, progress, cancel, how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.language import say
from app.serving.watched_work import WatchedQueue
from app.work.jobs import CANCELLED, FAILED, WAITING, Job, JobQueue

POLL_S = 0.5
COMPUTING, NETWORK = "computing", "network"  # what work takes; each kind has its own queue
AWAY_S = 20.0  # a phone that changes its network is back before


@st.cache_resource(show_spinner=False)
def get_queue(kind: str) -> JobQueue:
    """The queue of long work of a kind, `COMPUTING` or `NETWORK`, shared by all visitors."""
    return WatchedQueue(kind)


def start_job(key: str, title: str, work: Callable[[Job], Any], kind: str = COMPUTING) -> None:
    """Starts work for this visitor; it goes on while other pages of the app are looked at.

    It ends by itself when the visitor has been gone for `AWAY_S`. The last job under the same key
    and its result are forgotten.

    Args:
        key: of the panel that shows it.
        title: what it is, for people, in their language.
        work: see `JobQueue.submit`.
        kind: whose turn it waits for: a slow network holds up nobody's computation.

    Raises:
        InputError: too many are waiting, or this visitor has one of this kind that is not finished.
    """
    context = get_script_run_ctx()
    owner = context.session_id if context else ""
    job = get_queue(kind).submit(owner, title, work, Presence(owner))
    st.session_state[_key(key)] = job


def is_crowded() -> bool:
    """Whether more than one visitor has the app open."""
    manager = getattr(runtime.get_instance(), "_session_mgr", None) if runtime.exists() else None
    return manager is not None and manager.num_active_sessions() > 1


class Presence:
    """Whether a visitor still has the page open, or had it a moment ago."""

    def __init__(self, session_id: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Begins with the visitor present; `clock` counts seconds."""
        self._session_id, self._clock = session_id, clock
        self._seen = clock()

    def __call__(self) -> bool:
        """Asked from any thread; True too where there is no server to ask."""
        if not runtime.exists() or runtime.get_instance().is_active_session(self._session_id):
            self._seen = self._clock()
        return self._clock() - self._seen < AWAY_S


def current_job(key: str) -> Job | None:
    """The last job that was started under this key in this session."""
    return st.session_state.get(_key(key))


def forget_job(key: str) -> None:
    """Takes a job, and its result, off the session."""
    job = st.session_state.pop(_key(key), None)
    if job is not None and job.is_open:
        job.cancel()


def job_panel(key: str) -> Job | None:
    """Draws the job under this key; the page is run again, once, when it ends.

    While it is open only this panel is drawn anew, twice a second.

    Returns:
        The job, whose `result` is there once it is done; None if none was started.
    """
    job = current_job(key)
    if job is None:
        return None
    if job.is_open:
        _watch(key)
    elif job.state == FAILED:
        error = job.error or say("something went wrong on this computer; its log says what")
        st.warning(say("{title}: {error}.", title=job.title, error=error))
    elif job.state == CANCELLED:
        st.caption(say("{title}: cancelled.", title=job.title))
    return job


@st.fragment(run_every=POLL_S)
def _watch(key: str) -> None:
    job = current_job(key)
    if job is None or not job.is_open:
        st.rerun()
    st.progress(job.fraction, job_words(job))
    st.button(
        say("cancel"),
        key=f"cancel_{key}",
        on_click=job.cancel,
        disabled=job.is_stopping,
    )


def job_words(job: Job) -> str:
    """One sentence about an open job: its place, or its step and the time that is left."""
    if job.is_stopping:
        return say("{title}: stopping.", title=job.title)
    if job.state == WAITING:
        place = job.place()
        if place:
            return say("{title}: {n} before it in the queue.", title=job.title, n=place)
        return say("{title}: starting.", title=job.title)
    what = say("{title}: {step}", title=job.title, step=job.words) if job.words else job.title
    left = job.seconds_left()
    if left is None:
        return say("{what}.", what=what)
    if left > 90:
        return say("{what}. About {n} minutes left.", what=what, n=round(left / 60))
    return say("{what}. About {n} s left.", what=what, n=max(1, round(left)))


def _key(key: str) -> str:
    return f"job_{key}"
