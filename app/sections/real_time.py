"""Real time, not only MACs: what early exit saves on this computer, measured when asked for.

Nothing runs before the button is pressed; then it stands in the queue of long work and can be
cancelled (`app.sections.real_time_run` does it).
"""

from __future__ import annotations

import streamlit as st

from app.components import part
from app.figures.theme import exit_name, percent
from app.figures.tradeoff import thresholds_text
from app.language import say
from app.replay.dial import Setting
from app.sections.real_time_run import BATCH_SIZES, IMAGES, Measured, about_seconds, measuring
from app.work.job_panel import current_job, forget_job, job_panel, start_job
from app.work.jobs import DONE
from dvt_core.bundle import Bundle
from dvt_core.errors import InputError
from dvt_core.timing import PerImage, Timing

JOB = "real_time"  # key of the panel
ASKED = "real_time_asked"  # session key: the weights and thresholds that the job measures
RESULTS = "real_time"  # session key
KEPT_RESULTS = 8

Key = tuple[str, tuple[float, ...]]  # checksum of the weights, thresholds


@part
def real_time_section(bundle: Bundle, setting: Setting) -> None:
    """Draws what will be measured, the button, and the last result at these thresholds.

    Args:
        bundle: the model.
        setting: the thresholds in force.
    """
    st.subheader(say("Real time, not only MACs"), anchor=False)
    st.markdown(
        say(
            "A saving in MACs is counted; whether it saves time has to be measured. The button "
            "runs the model on this computer over up to {n} pictures, with early exit really on "
            "and with all exits, in turns: one picture at a time, then {batch} at a time. It takes "
            "about {seconds} seconds, more on a busy computer.",
            n=IMAGES,
            batch=BATCH_SIZES[-1],
            seconds=f"{about_seconds():.0f}",
        )
    )
    kept: dict[Key, Measured] = st.session_state.setdefault(RESULTS, {})
    key = (bundle.weights_sha256, setting.thresholds)
    job = current_job(JOB)
    st.button(
        say("measure on this computer"),
        key="real_time_measure",
        on_click=_start,
        args=(bundle, setting.thresholds),
        disabled=job is not None and job.is_open,
    )
    if refusal := st.session_state.pop("real_time_refused", ""):
        st.warning(say("Nothing was measured: {error}.", error=refusal))
    if (job := job_panel(JOB)) is not None and job.state == DONE:
        _keep(kept, st.session_state[ASKED], job.result)
        forget_job(JOB)
    if key in kept:
        _show(kept[key], setting.thresholds)
    elif any(weights == bundle.weights_sha256 for weights, _ in kept):
        words = thresholds_text(setting.thresholds)
        st.caption(say("Not measured yet at the thresholds {thresholds}.", thresholds=words))


def _start(bundle: Bundle, thresholds: tuple[float, ...]) -> None:
    try:
        start_job(JOB, say("Measuring"), measuring(bundle, thresholds))
        st.session_state[ASKED] = (bundle.weights_sha256, thresholds)
    except InputError as error:
        st.session_state["real_time_refused"] = str(error)


def _keep(kept: dict[Key, Measured], key: Key, result: Measured) -> None:
    kept.pop(key, None)  # so that it is kept as the newest
    kept[key] = result
    for old in list(kept)[:-KEPT_RESULTS]:
        del kept[old]


def _show(measured: Measured, thresholds: tuple[float, ...]) -> None:
    for timing in measured.timings:
        st.markdown(_sentence(timing))
    if not all(timing.is_clear for timing in measured.timings):
        st.caption(
            say(
                "Not a clear result: the repetitions of both sides overlap, or more time was "
                "spared than MACs. That is so where little leaves early, or where the computer "
                "does other things meanwhile; measure again when it is quiet."
            )
        )
    st.table(
        [_cells(timing) for timing in measured.timings],
        border="horizontal",
        hide_index=True,
        alt=say("Time and MACs, early exit against all exits"),
    )
    st.caption(_caption(measured, thresholds))


def _sentence(timing: Timing) -> str:
    """The result in words, said plainly also when it is slower."""
    size = timing.batch_size
    words = say("{n} pictures at a time", n=size) if size > 1 else say("One picture at a time")
    told = {"how": words, "speed": _faster(timing.time_ratio), "times": f"{timing.mac_ratio:.2f}"}
    real = timing.real_share
    if real is None:
        return say("{how}: no image left early, so nothing can be saved; {speed}.", **told)
    if real <= 0:
        return say(
            "{how}: {times}x fewer MACs, but **{speed}**: none of the saving is real here.", **told
        )
    return say("{how}: {times}x fewer MACs are **{speed}**.", **told)


def _faster(ratio: float) -> str:
    if f"{ratio:.2f}" == "1.00":
        return say("as fast")
    if ratio > 1:
        return say("{times}x faster", times=f"{ratio:.2f}")
    return say("{times}x slower", times=f"{1 / ratio:.2f}")


def _cells(timing: Timing) -> dict[str, str]:
    real = timing.real_share
    return {
        say("batch"): str(timing.batch_size),
        say("early exit, ms per image"): _spread(timing.adaptive),
        say("all exits, ms per image"): _spread(timing.full),
        say("early exit, images/s"): _rate(timing.adaptive),
        say("all exits, images/s"): _rate(timing.full),
        say("fewer MACs (simulated)"): f"{timing.mac_ratio:.2f}x",
        say("time (measured)"): _faster(timing.time_ratio),
        say("saving that is real"): say("nothing to save")
        if real is None
        else percent(max(real, 0.0), 0),
    }


def _spread(side: PerImage) -> str:
    digits = 1 if side.median >= 10 else 2
    middle, low, high = (f"{value:.{digits}f}" for value in (side.median, side.p10, side.p90))
    return say("{middle} ({low} to {high})", middle=middle, low=low, high=high)


def _rate(side: PerImage) -> str:
    rate = side.images_per_s
    return f"{rate:,.{0 if rate >= 100 else 1}f}"


def _caption(measured: Measured, thresholds: tuple[float, ...]) -> str:
    first = measured.timings[0]
    ways = "; ".join(
        say(
            "batch {n}: {pictures} pictures, {repeats} repetitions, they left at {exits}",
            n=t.batch_size,
            pictures=t.images,
            repeats=t.repeats,
            exits=", ".join(f"{exit_name(i)} {percent(s, 0)}" for i, s in enumerate(t.exit_shares)),
        )
        for t in measured.timings
    )
    skipped = set(BATCH_SIZES) - {t.batch_size for t in measured.timings}
    words = say(
        "{device}, {date}. Thresholds {thresholds}. Pictures: {source}; {ways}. Their shares per "
        "exit differ from the whole test set's. Medians, in brackets one in ten repetitions was "
        "quicker and one in ten slower; after a warm-up, the sides in turns. The saving that is "
        "real: time spared over MACs spared, both in % of all exits.",
        device=first.device,
        date=measured.date,
        thresholds=thresholds_text(thresholds),
        source=measured.source,
        ways=ways,
    )
    slow = (
        say("Batches of {n} were left out: too slow or too few pictures.", n=n) for n in skipped
    )
    return " ".join((words, *slow))
