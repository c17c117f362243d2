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
from app.language import say
from dvt_core.bundle import Bundle
from dvt_core.data import load_split
from dvt_core.data_sources import DATASETS, find_folder
from dvt_core.errors import InputError
from dvt_core.images import Preprocess, open_image
from dvt_core.samples import list_samples
from dvt_core.timing import LONGEST_BATCH_S, PerImage, Progress, Timing, first_pass, measure

BATCH_SIZES = (1, 16)
IMAGES, REPEATS = 64, 15  # at most
LEAST_IMAGES = 4
LIMIT_S = 4.0  # for each batch size
RESULTS = "real_time"  # session key
KEPT_RESULTS = 8
IMAGENET = "imagenet-1k"

Show = Callable[[float, str], object]  # the share that is done, and what is being done


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
    st.subheader(say("Real time, not only MACs"), anchor=False)
    st.markdown(
        say(
            "A saving in MACs is counted; whether it saves time has to be measured. The button "
            "runs the model on this computer over up to {n} pictures, with early exit really on "
            "and with all exits, in turns: one picture at a time, then {batch} at a time. It takes "
            "about {seconds} seconds, more on a busy computer.",
            n=IMAGES,
            batch=BATCH_SIZES[-1],
            seconds=f"{2 * LIMIT_S + 2:.0f}",
        )
    )
    kept: dict[tuple[object, ...], Measured] = st.session_state.setdefault(RESULTS, {})
    key = (bundle.weights_sha256, setting.thresholds)
    is_asked = st.button(say("measure on this computer"), key="real_time_measure")
    room = st.empty()
    if is_asked:
        try:
            result = _measure(bundle, setting.thresholds, room.progress)
            kept.pop(key, None)  # so that it is kept as the newest
            kept[key] = result
            for old in list(kept)[:-KEPT_RESULTS]:
                del kept[old]
        except InputError as error:
            st.warning(say("Nothing was measured: {error}.", error=error))
        room.empty()
    if key in kept:
        _show(kept[key], setting.thresholds)
    elif any(weights == bundle.weights_sha256 for weights, _ in kept):
        words = thresholds_text(setting.thresholds)
        st.caption(say("Not measured yet at the thresholds {thresholds}.", thresholds=words))


def _measure(bundle: Bundle, thresholds: tuple[float, ...], show: Show) -> Measured:
    """A first pass over a few images, then every batch size that this computer can do in time.

    Args:
        bundle: the model.
        thresholds: those in force.
        show: moves the bar.
    """
    show(0.0, say("Opening the pictures"))
    images, source = _pictures(bundle)
    model, run = services.get_model(bundle), services.get_worker().run
    timings: list[Timing] = []
    for index, size in enumerate(BATCH_SIZES):
        part = _share(bundle, thresholds, images, size, timings)
        if not len(part):
            continue
        timings.append(
            measure(
                model,
                part,
                thresholds,
                batch_size=size,
                repeats=REPEATS,
                limit_s=LIMIT_S,
                progress=_bar(show, index),
                run=run,
            )
        )
    date = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    return Measured(tuple(timings), source, date)


def _bar(show: Show, index: int) -> Progress:
    """Moves the bar while one of `BATCH_SIZES` is measured."""
    size, seconds = BATCH_SIZES[index], f"{LIMIT_S:.0f}"
    words = say("Measuring {n} pictures at a time, about {seconds} s", n=size, seconds=seconds)
    if size == 1:
        words = say("Measuring one picture at a time, about {seconds} s", seconds=seconds)
    began = time.perf_counter()

    def tell(done: int, passes: int) -> None:
        here = max(done / passes, (time.perf_counter() - began) / LIMIT_S)
        show((index + min(1.0, here)) / len(BATCH_SIZES), words)

    tell(0, 1)
    return tell


def _share(
    bundle: Bundle,
    thresholds: tuple[float, ...],
    images: torch.Tensor,
    batch_size: int,
    before: list[Timing],
) -> torch.Tensor:
    """As many images as can be measured in time, by a first pass over a few; maybe none."""
    too_slow = 2000 * LONGEST_BATCH_S  # ms; a batch takes less per image than one alone
    if len(images) < batch_size or any(batch_size * t.full.median > too_slow for t in before):
        return images[:0]
    model, run = services.get_model(bundle), services.get_worker().run
    cost = first_pass(model, images, thresholds, batch_size=batch_size, run=run)
    if before:  # the same pictures as one at a time, if they fill a batch
        available = max(batch_size, before[0].images)
        return images[: cost.images_within(LIMIT_S, batch_size, min(available, len(images)))]
    count, full_batch = cost.images_within(LIMIT_S, 1, len(images)), BATCH_SIZES[-1]
    if count < full_batch <= min(len(images), cost.images_within(1.5 * LIMIT_S, 1, len(images))):
        count = full_batch
    if count >= full_batch:
        return images[: count // full_batch * full_batch]
    return images[: max(count, LEAST_IMAGES)]  # a few, however slow the model is


def _pictures(bundle: Bundle) -> tuple[torch.Tensor, str]:
    """(n, 3, S, S) normalised, and what they are: test images, or the built-in samples.

    Nothing is downloaded: only a data set that lies on this machine is taken.
    """
    preprocess = Preprocess.from_config(bundle.config)
    name = _data_name(bundle)
    why = say("built-in samples, as the test images are not on this machine")
    if name in DATASETS and find_folder(name) is not None:
        try:
            split = load_split(name, "test", limit=IMAGES)
            arrays = torch.from_numpy(split.arrays(preprocess, threads=1))
            return preprocess.normalize(arrays), say("test images of {data}", data=split.title)
        except InputError as error:
            why = say("built-in samples, as the test images cannot be used: {error}", error=error)
    known = {word(label).lower() for label in bundle.class_names}
    samples = list_samples(bundle.class_names)
    fitting = [sample for sample in samples if word(sample.label).lower() in known] or samples
    tensors = [preprocess(open_image(sample.path)) for sample in fitting[:IMAGES]]
    return torch.stack(tensors), why


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
