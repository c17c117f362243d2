"""Why this class: for every exit, which parts of the picture move a class's logit, side by side.

The maps are computed in the queue of long work (`app.work.job_panel`), the model runs in the
worker. What was computed is kept for everyone by picture, weights, method and classes: numbers
only.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

import streamlit as st

from app import cascade_runs, services
from app.attribution import (
    GRAD_CAM,
    GRADIENTS,
    OCCLUSION,
    Attribution,
    attribute,
    estimate_seconds,
    window_px,
)
from app.components import part
from app.figures.exits import word
from app.intake.pictures import Picture, View
from app.language import later, say, say_later
from app.linked import linked_choice
from app.sections.why_maps import show_maps
from app.work.job_panel import current_job, forget_job, is_crowded, job_panel, start_job
from app.work.jobs import Job
from app.work.slices import patient_run
from dvt_core.bundle import Bundle
from dvt_core.config import DVTConfig
from dvt_core.errors import InputError
from dvt_core.results import Prediction
from dvt_core.solver import NEVER

JOB = "why"  # key of the panel
ASKED = "why_asked"  # session key: what the job computes
KEPT_RESULTS = 64
LAST, OWN, OTHER = "last", "own", "other"
TARGETS = {
    LAST: later("the last exit's answer"),
    OWN: later("each exit's own answer"),
    OTHER: later("another class"),
}
NAMES = {
    GRADIENTS: later("integrated gradients"),
    OCCLUSION: later("occlusion"),
    GRAD_CAM: later("Grad-CAM"),
}

# Path and checksum of the weights, picture, method, one class per exit.
Key = tuple[str, str, str, str, tuple[int, ...]]


class Kept:
    """The results that were last made or looked at, for everyone; a full shelf drops the oldest."""

    def __init__(self, size: int = KEPT_RESULTS) -> None:
        """Begins empty; keeps at most `size`."""
        self._results: OrderedDict[Key, tuple[Attribution, ...]] = OrderedDict()
        self._lock, self._size = Lock(), size

    def get(self, key: Key) -> tuple[Attribution, ...] | None:
        """One map per exit, or None."""
        with self._lock:
            if key in self._results:
                self._results.move_to_end(key)
            return self._results.get(key)

    def put(self, key: Key, result: tuple[Attribution, ...]) -> None:
        """Keeps a result."""
        with self._lock:
            self._results[key] = result
            self._results.move_to_end(key)
            while len(self._results) > self._size:
                self._results.popitem(last=False)


@st.cache_resource(show_spinner=False)
def get_kept() -> Kept:
    """The shelf, shared by all visitors."""
    return Kept()


@part
def why_section(bundle: Bundle, picture: Picture, view: View) -> None:
    """Draws the choice of method and class, the button with its time, and the maps.

    Args:
        bundle: the model.
        picture: what is looked at.
        view: the same, opened for this model.
    """
    st.subheader(say("Why this class?"), anchor=False)
    st.markdown(
        say("Which parts of the picture speak for a class, and does a later exit look elsewhere?")
    )
    try:
        prediction = _all_exits(bundle, picture, view)
        method, targets = _ask(bundle, prediction)
        weights = str(bundle.path), bundle.weights_sha256
        key: Key = (*weights, picture.digest, method, targets)
        result = get_kept().get(key)
        if result is None:
            result = _compute(bundle, view, key)
        if result is not None:
            show_maps(bundle, picture, view, prediction, result)
    except InputError as error:
        st.warning(f"{error}.")


def _all_exits(bundle: Bundle, picture: Picture, view: View) -> Prediction:
    never = (NEVER,) * (bundle.config.num_exits - 1)
    return cascade_runs.predict(bundle, picture.digest, never, all_exits=True, _tensor=view.tensor)


def _ask(bundle: Bundle, prediction: Prediction) -> tuple[str, tuple[int, ...]]:
    """The chosen method, and the class for every exit."""
    left, right = st.columns(2)
    method = linked_choice(
        left.segmented_control,
        say("Method"),
        {name: say_later(words) for name, words in NAMES.items()},
        key="why_method",
        required=True,
        wrap=True,
    )
    choice = linked_choice(
        right.segmented_control,
        say("The class to explain"),
        {name: say_later(words) for name, words in TARGETS.items()},
        key="why_target",
        required=True,
        wrap=True,
    )
    st.caption(_limits(bundle.config, method))
    labels = tuple(record.label for record in prediction.records)
    if choice == OWN:
        return method, labels
    if choice == LAST:
        return method, labels[-1:] * len(labels)
    names = bundle.class_names
    target = right.selectbox(
        say("Class"),
        range(len(names)),
        format_func=lambda index: word(names[index]),
        # The runner-up is what people ask about: why not the other one?
        index=prediction.records[-1].top(2)[-1][0],
        key=f"why_class_{bundle.name}",
    )
    return method, (target,) * len(labels)


def _limits(config: DVTConfig, method: str) -> str:
    """What a method does, and what it cannot say."""
    if method == GRADIENTS:
        return say(
            "Adds up how the class's logit reacts to each pixel on the way from one plain colour, "
            "the mean of the training pictures, to this picture. Limits: another plain colour "
            "gives another map, and single pixels are noisy, so look at regions."
        )
    if method == OCCLUSION:
        size, stride = window_px(config.img_size)
        return say(
            "Covers a window of {size}x{size} pixels with the mean colour, moves it by {stride} "
            "pixels, and notes how far the class's logit falls. Limits: the model never learned "
            "from covered pictures, and nothing smaller than the window shows.",
            size=size,
            stride=stride,
        )
    grids = ", ".join(f"{stage.grid_size}x{stage.grid_size}" for stage in config.stages)
    return say(
        "Weighs the tokens that enter the last block by how the class's logit reacts to them. "
        "Limits: no finer than the tokens ({grids}), only what speaks for the class, and a token "
        "may already hold what attention brought from elsewhere.",
        grids=grids,
    )


def _compute(bundle: Bundle, view: View, key: Key) -> tuple[Attribution, ...] | None:
    """The button, or the job that it started; the result once it is there."""
    job, asked = current_job(JOB), st.session_state.get(ASKED)
    is_busy = job is not None and job.is_open
    if is_busy or asked == key:
        job_panel(JOB)
    if job is not None and not is_busy and asked == key and job.result is not None:
        return job.result
    if not (is_busy and asked == key):
        seconds = max(1, round(_seconds(bundle, key[3], view.tensor)))
        st.button(
            say("compute the maps, about {n} s on this computer", n=seconds),
            key="why_compute",
            on_click=_start,
            args=(bundle, view, key),
            disabled=is_busy,
        )
    if error := st.session_state.pop("why_refused", ""):
        st.warning(f"{error}.")
    return None


@st.cache_data(max_entries=64, ttl=600, show_spinner=False, hash_funcs=services.BY_WEIGHTS)
def _seconds(bundle: Bundle, method: str, _tensor: object) -> float:
    """How long the maps take here and now, from one slice, measured every ten minutes at most."""
    model, run = services.get_model(bundle), services.get_worker().run
    return estimate_seconds(model, _tensor, method, run)  # type: ignore[arg-type]


def _start(bundle: Bundle, view: View, key: Key) -> None:
    title = say("Maps by {method}", method=say_later(NAMES[key[3]]))
    try:
        forget_job(JOB)
        start_job(JOB, title, _work(bundle, view, key))
        st.session_state[ASKED] = key
    except InputError as error:
        st.session_state["why_refused"] = str(error)


def _work(bundle: Bundle, view: View, key: Key) -> Callable[[Job], tuple[Attribution, ...]]:
    """What the job does; everything of the session, words too, is taken here."""
    model, worker, kept = services.get_model(bundle), services.get_worker(), get_kept()
    exits, (*_, method, targets) = bundle.config.num_exits, key
    words = [say("exit {n} of {exits}", n=i + 1, exits=exits) for i in range(exits)]

    def work(job: Job) -> tuple[Attribution, ...]:
        result = kept.get(key)  # somebody before us in the queue may have asked the same
        if result is None:

            def step(done: float, index: int) -> None:
                job.step(done, words[index])

            run = patient_run(job, worker.run_while, is_crowded)
            result = attribute(model, view.tensor, targets, method, run=run, step=step)
            kept.put(key, result)
        return result

    return work
