"""A long computation on the page: its button, place in the queue, progress, cancel, result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st
from streamlit.runtime import get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.jobs import CANCELLED, FAILED, WAITING, Job, JobQueue
from app.language import say

POLL_S = 0.5


@st.cache_resource(show_spinner=False)
def get_queue() -> JobQueue:
    """The queue of long computations, shared by all visitors."""
    return JobQueue()


def start_job(key: str, title: str, work: Callable[[Job], Any]) -> None:
    """Starts work for this visitor; it ends by itself when the visitor leaves.

    Args:
        key: of the panel that shows it.
        title: what it is, for people.
        work: see `JobQueue.submit`.

    Raises:
        InputError: too many are waiting.
    """
    context = get_script_run_ctx()
    owner = context.session_id if context else ""
    is_wanted = (lambda: get_instance().is_active_session(owner)) if context else (lambda: True)
    st.session_state[_key(key)] = get_queue().submit(owner, title, work, is_wanted)


def current_job(key: str) -> Job | None:
    """The last job that was started under this key in this session."""
    return st.session_state.get(_key(key))


def forget_job(key: str) -> None:
    """Takes a job, and its result, off the session."""
    job = st.session_state.pop(_key(key), None)
    if job is not None and job.is_open:
        job.cancel()


def job_panel(key: str) -> Job | None:
    """Draws the job under this key; the page is run again when it ends.

    Returns:
        The job, whose `result` is there once it is done; None if none was started.
    """
    job = current_job(key)
    if job is None:
        return None
    if job.is_open:
        _watch(key)
    elif job.state == FAILED:
        st.warning(say("{title}: {error}.", title=job.title, error=job.error))
    elif job.state == CANCELLED:
        st.caption(say("{title}: cancelled.", title=job.title))
    return job


@st.fragment(run_every=POLL_S)
def _watch(key: str) -> None:
    job = current_job(key)
    if job is None or not job.is_open:
        st.rerun()
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(job.fraction, _words(job))
        st.button(say("cancel"), key=f"cancel_{key}", on_click=job.cancel)


def _words(job: Job) -> str:
    if job.state == WAITING:
        place = get_queue().place(job)
        return say("{title}: {n} before it in the queue.", title=job.title, n=place)
    left = job.seconds_left()
    step = f" {job.words}." if job.words else ""
    eta = say(" About {seconds} s left.", seconds=f"{left:.0f}") if left is not None else ""
    return f"{job.title}.{step}{eta}"


def _key(key: str) -> str:
    return f"job_{key}"
