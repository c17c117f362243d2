"""Real time, not only MACs: what early exit saves on this computer, measured when asked for.

The model runs in the inference worker in slices of a fraction of a second, so other people's
pictures get their turn in between. Nothing runs before the button is pressed.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st
import torch

from app import services
from app.dial import Setting
from app.figures.exits import word
from app.figures.theme import exit_name, percent
from app.figures.tradeoff import thresholds_text
from dvt_core.bundle import Bundle
from dvt_core.data import load_split
from dvt_core.data_sources import DATASETS, find_folder
from dvt_core.errors import InputError
from dvt_core.images import Preprocess, open_image
from dvt_core.samples import list_samples
from dvt_core.timing import PerImage, Timing, first_pass, measure

BATCH_SIZES = (1, 16)
IMAGES, REPEATS = 64, 15  # at most
LIMIT_S = 4.0  # for each batch size
RESULTS = "real_time"  # session key
KEPT_RESULTS = 8
IMAGENET = "imagenet-1k"


@dataclass(frozen=True)
class Measured:
    """One press of the button: numbers and words only.

    Attributes:
        timings: one per batch size that was measured.
        source: what the images were.
        date: local date and time.
    """

    timings: tuple[Timing, ...]
    source: str
    date: str


@st.fragment
def real_time_section(bundle: Bundle, setting: Setting) -> None:
    """Draws what will be measured, the button, and the last result at these thresholds.

    Args:
        bundle: the model.
        setting: the thresholds in force.
    """
    st.subheader("Real time, not only MACs", anchor=False)
    st.markdown(
        "A saving in MACs is counted; whether it saves time has to be measured. The button runs "
        f"the model on this computer over up to {IMAGES} pictures, with early exit really on and "
        "with all exits, in turns: one picture at a time, then "
        f"{BATCH_SIZES[-1]} at a time. It takes about {2 * LIMIT_S + 2:.0f} seconds."
    )
    kept: dict[tuple[object, ...], Measured] = st.session_state.setdefault(RESULTS, {})
    key = (bundle.weights_sha256, setting.thresholds)
    is_asked = st.button("measure on this computer", key="real_time_measure")
    room = st.empty()
    if is_asked:
        try:
            kept.pop(key, None)
            kept[key] = _measure(bundle, setting.thresholds, room.progress)
            for old in list(kept)[:-KEPT_RESULTS]:
                del kept[old]
        except InputError as error:
            st.warning(f"Nothing was measured: {error}.")
        room.empty()
    if key in kept:
        _show(kept[key], setting.thresholds)
    elif any(weights == bundle.weights_sha256 for weights, _ in kept):
        st.caption(f"Not measured yet at the thresholds {thresholds_text(setting.thresholds)}.")


def _measure(
    bundle: Bundle, thresholds: tuple[float, ...], show: Callable[[float, str], object]
) -> Measured:
    """A first pass over a few images, then every batch size that this computer can do in time.

    Args:
        bundle: the model.
        thresholds: those in force.
        show: called with the share that is done and what is being done.
    """
    show(0.0, "Opening the pictures")
    images, source = _pictures(bundle)
    model, run = services.get_model(bundle), services.get_worker().run
    show(0.0, "A first pass, to see how long it will take")
    cost = first_pass(model, images, thresholds, run=run)
    counts = {size: cost.images_within(LIMIT_S, size, len(images)) for size in BATCH_SIZES}
    counts[1] = max(counts[1], min(4, len(images)))  # a few in any case, however slow it is
    sizes = [size for size in BATCH_SIZES if counts[size]]
    total = sum(min(LIMIT_S, cost.estimate_s(counts[size], REPEATS)) for size in sizes)
    began, timings = time.perf_counter(), []

    for size in sizes:
        words = f"About {max(1, round(total))} s in all: {_at_a_time(size)}"

        def tell(done: int, passes: int, words: str = words) -> None:
            show(min(1.0, (time.perf_counter() - began) / total), words)

        tell(0, 1)
        timings.append(
            measure(
                model,
                images[: counts[size]],
                thresholds,
                batch_size=size,
                repeats=REPEATS,
                limit_s=LIMIT_S,
                progress=tell,
                run=run,
            )
        )
    date = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    return Measured(tuple(timings), source, date)


def _pictures(bundle: Bundle) -> tuple[torch.Tensor, str]:
    """(n, 3, S, S) normalised, and what they are: test images, or the built-in samples.

    Nothing is downloaded: only a data set that lies on this machine is taken.
    """
    preprocess = Preprocess.from_config(bundle.config)
    name, why = _data_name(bundle), "are not on this machine"
    if name in DATASETS and find_folder(name) is not None:
        try:
            split = load_split(name, "test", limit=IMAGES)
            arrays = torch.from_numpy(split.arrays(preprocess, threads=1))
            return preprocess.normalize(arrays), f"test images of {split.title}"
        except InputError as error:
            why = f"cannot be used: {error}"
    known = {word(label).lower() for label in bundle.class_names}
    samples = list_samples(bundle.class_names)
    fitting = [sample for sample in samples if word(sample.label).lower() in known] or samples
    tensors = [preprocess(open_image(sample.path)) for sample in fitting[:IMAGES]]
    return torch.stack(tensors), f"built-in samples, as the test images {why}"


def _data_name(bundle: Bundle) -> str:
    """The data set whose test images the model was measured on."""
    if bundle.has_table("test"):
        return services.get_table(bundle, "test").info.data
    is_imagenet = bundle.config.num_classes == DATASETS[IMAGENET].num_classes
    return IMAGENET if is_imagenet else ""


def _show(measured: Measured, thresholds: tuple[float, ...]) -> None:
    for timing in measured.timings:
        st.markdown(_sentence(timing))
    st.table(
        [_cells(timing) for timing in measured.timings],
        border="horizontal",
        hide_index=True,
        alt="Time and MACs, early exit against all exits",
    )
    st.caption(_caption(measured, thresholds))


def _at_a_time(batch_size: int) -> str:
    return "one picture at a time" if batch_size == 1 else f"{batch_size} pictures at a time"


def _sentence(timing: Timing) -> str:
    """The result in words, said plainly also when it is slower."""
    words, real = _at_a_time(timing.batch_size).capitalize(), timing.real_share
    speed = _faster(timing.time_ratio)
    if real is None:
        return f"{words}: no image left early, so nothing can be saved; {speed}."
    if real <= 0:
        return (
            f"{words}: {timing.mac_ratio:.2f}x fewer MACs, but **{speed}**: none of the saving "
            "is real here."
        )
    return f"{words}: {timing.mac_ratio:.2f}x fewer MACs are **{speed}**."


def _faster(ratio: float) -> str:
    if f"{ratio:.2f}" == "1.00":
        return "as fast"
    return f"{ratio:.2f}x faster" if ratio > 1 else f"{1 / ratio:.2f}x slower"


def _cells(timing: Timing) -> dict[str, str]:
    real = timing.real_share
    return {
        "batch": str(timing.batch_size),
        "early exit, ms per image": _spread(timing.adaptive),
        "all exits, ms per image": _spread(timing.full),
        "early exit, images/s": _rate(timing.adaptive),
        "all exits, images/s": _rate(timing.full),
        "fewer MACs (simulated)": f"{timing.mac_ratio:.2f}x",
        "time (measured)": _faster(timing.time_ratio),
        "saving that is real": "nothing to save" if real is None else percent(max(real, 0.0), 0),
    }


def _spread(side: PerImage) -> str:
    digits = 1 if side.median >= 10 else 2
    values = (f"{value:.{digits}f}" for value in (side.median, side.p10, side.p90))
    return "{} ({} to {})".format(*values)


def _rate(side: PerImage) -> str:
    rate = side.images_per_s
    return f"{rate:,.{0 if rate >= 100 else 1}f}"


def _caption(measured: Measured, thresholds: tuple[float, ...]) -> str:
    first = measured.timings[0]
    ways = "; ".join(
        f"batch {t.batch_size}: {t.images} pictures, {t.repeats} repetitions, they left at "
        + ", ".join(f"{exit_name(i)} {percent(s, 0)}" for i, s in enumerate(t.exit_shares))
        for t in measured.timings
    )
    skipped = set(BATCH_SIZES) - {t.batch_size for t in measured.timings}
    slow = "".join(f" Batches of {n} were left out: too slow or too few pictures." for n in skipped)
    return (
        f"{first.device}, {first.threads} torch threads, {measured.date}. Thresholds "
        f"{thresholds_text(thresholds)}. Pictures: {measured.source}; {ways}. Their shares per "
        "exit differ from the whole test set's. Medians, in brackets one in ten repetitions was "
        "quicker and one in ten slower; after a warm-up, the sides in turns. The saving that is "
        f"real: time spared over MACs spared, both in % of all exits.{slow}"
    )
