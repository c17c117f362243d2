"""Which pictures make the batch, and the job that runs them."""

from __future__ import annotations

import base64
import io
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

import streamlit as st
from PIL import Image, ImageOps

from app import services
from app.figures.theme import MacUnit
from app.intake.batch_intake import (
    MAX_BATCH_BYTES,
    MAX_PICTURES,
    Offer,
    from_files,
    from_folder,
    from_samples,
)
from app.intake.tray import plain
from app.intake.upload_box import upload_box
from app.language import say
from app.linked import linked_choice
from app.services import BY_WEIGHTS
from app.serving.access import DATA_ROOT, allowed_folder, refusal
from app.work.job_panel import current_job, forget_job, is_crowded, job_panel, start_job
from app.work.jobs import DONE, Job
from app.work.slices import patient_run
from dvt_core.batch import Batch, run_batch
from dvt_core.bundle import Bundle
from dvt_core.errors import InputError
from dvt_core.macs import exit_macs
from dvt_core.samples import list_samples

KEY = "batch"  # of the job
SHOWN, OFFER = "batch_shown", "batch_offer"  # session keys: the last batch; (of what, offer)
SOURCE, LAST = "batch_from", "batch_last"  # session keys: the choice; the same after other pages
SAMPLES, FILES, DEVICE, FOLDER = "samples", "files", "device-folder", "folder"
THUMB_PX, MAX_THUMBS = 48, 300  # a longer table has no thumbnails: they travel with every change


@dataclass(frozen=True, eq=False)
class Shown:
    """A batch that was run, kept in the session.

    Attributes:
        offer: where its pictures are.
        batch: what all exits said.
        weights: checksum of the model that ran.
        thumbs: place among the sources -> a small JPEG as a data address.
        token: a name for caches, of this run alone.
    """

    offer: Offer
    batch: Batch
    weights: str
    thumbs: dict[int, str] = field(repr=False)
    token: str = field(default_factory=lambda: secrets.token_hex(8))


def source_section(bundle: Bundle) -> Shown:
    """Draws the choice and the job; returns the batch to show, of the samples if there is none."""
    if LAST in st.session_state and SOURCE not in {*st.session_state, *st.query_params}:
        st.session_state[SOURCE] = st.session_state[LAST]  # back from another page
    source = linked_choice(st.segmented_control, say("Pictures from"), _sources(), key=SOURCE)
    st.session_state[LAST] = source
    try:
        offer = _offer(source, bundle)
        if offer is None:  # no file is chosen any more: those that were are not kept
            st.session_state.pop(OFFER, None)
            offer = _others(bundle)
    except InputError as error:
        st.warning(f"{plain_text(str(error))}.")
        offer = None
    if offer is not None and source != SAMPLES:
        _offer_button(bundle, offer)
    job = job_panel(KEY)
    if job is not None and job.state == DONE:
        st.session_state[SHOWN] = job.result
        forget_job(KEY)
    return _shown(bundle, source)


def _others(bundle: Bundle) -> Offer | None:
    """The pictures that were last run with another model, to be run with this one."""
    kept: Shown | None = st.session_state.get(SHOWN)
    return kept.offer if kept is not None and kept.weights != bundle.weights_sha256 else None


def _sources() -> dict[str, str]:
    sources = {
        SAMPLES: say("samples"),
        FILES: say("files or zips"),
        DEVICE: say("a folder of this device"),
    }
    return sources if refusal(DATA_ROOT) else {**sources, FOLDER: say("a folder beside the app")}


def _shown(bundle: Bundle, source: str) -> Shown:
    kept: Shown | None = st.session_state.get(SHOWN)
    if kept is not None and source != SAMPLES:
        if kept.weights == bundle.weights_sha256:
            return kept
        st.info(say("Your last pictures were run with another model. Run them again to see them."))
    if source != SAMPLES:
        st.caption(say("Below are the samples until your pictures have been run."))
    with st.spinner(say("Running the samples")):
        return _run_samples(bundle)


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs=BY_WEIGHTS)
def _run_samples(bundle: Bundle) -> Shown:
    """The samples' batch, once for everybody."""
    offer = from_samples(list_samples(bundle.class_names))
    return _work(bundle)(Job(offer.title, ""), offer, lambda *_: None)  # of no queue, ends alone


def _offer(source: str, bundle: Bundle) -> Offer | None:
    """What was chosen, listed; None if nothing was."""
    if source == SAMPLES:
        st.caption(
            say(
                "The {n} built-in samples, as a first example: photos and test images, of classes "
                "that the model knows and of others.",
                n=len(list_samples(bundle.class_names)),
            )
        )
        return None
    if source == FOLDER:
        path = st.text_input(say("Folder on the machine that runs this app"), key="batch_folder")
        st.caption(_limits(source))
        if not path.strip():
            return None
        folder = allowed_folder(path, DATA_ROOT)
        return _once(("folder", str(folder)), lambda: from_folder(folder))
    is_folder = source == DEVICE
    files = upload_box(
        say("A folder of this device; its sub-folders are the labels")
        if is_folder
        else say("Pictures and zip files of this device: choose, or drop them here"),
        accept_multiple_files="directory" if is_folder else True,
        key=f"batch_{source}",
    )
    st.caption(_limits(source))
    if not files:
        return None
    names = tuple(file.file_id for file in files)
    return _once(names, lambda: from_files([(file.name, file.getvalue()) for file in files]))


def _once(of: tuple[str, ...], make: Callable[[], Offer]) -> Offer:
    """Lists files once, not in every run of the page."""
    kept = st.session_state.get(OFFER)
    if kept is None or kept[0] != of or kept[1].is_dropped:
        st.session_state.pop(OFFER, None)  # also where the new ones are refused
        kept = st.session_state[OFFER] = of, make()
    return kept[1]


def _limits(source: str) -> str:
    bounds = say(
        "At most {pictures} pictures; of more, as many are taken evenly spread.",
        pictures=f"{MAX_PICTURES:,}",
    )
    if source != FOLDER:
        bounds = say(
            "At most {pictures} pictures and {size} MB; they stay in the server's memory until you "
            "run others or close the page, at the longest, and are never written to disk.",
            pictures=f"{MAX_PICTURES:,}",
            size=MAX_BATCH_BYTES // 10**6,
        )
    labels = say("The folder that a picture lies in is its label: cat/001.jpg is a cat.")
    return f"{bounds} {labels}"


def _offer_button(bundle: Bundle, offer: Offer) -> None:
    """What was found, what running it takes, and the button."""
    n, full = len(offer.sources), exit_macs(bundle.config)[-1]
    if offer.found > n:
        st.caption(
            say(
                "{found} pictures were found; {n} of them are taken.",
                found=f"{offer.found:,}",
                n=f"{n:,}",
            )
        )
    if not n:
        st.warning(say("There is no picture among these files."))
        show_unusable(offer.left_out)
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        words = say("Run {n} pictures", n=f"{n:,}") if n > 1 else say("Run the picture")
        is_asked = st.button(words, key="batch_run", type="primary")
        st.caption(
            say(
                "All exits, {macs} for each picture, so that any threshold can be tried afterwards "
                "without running again.",
                macs=MacUnit.of(exit_macs(bundle.config)).format(full),
            ),
            width="stretch",
        )
    if is_asked:
        try:
            _start(bundle, offer)
        except InputError as error:  # too many wait, or this visitor's last job is not finished
            st.warning(f"{plain_text(str(error))}.")


def _start(bundle: Bundle, offer: Offer) -> None:
    work, words = _work(bundle), say("{done} of {n} pictures")

    def run(job: Job) -> Shown:
        def step(done: int, total: int) -> None:
            job.step(done / total, words.format(done=f"{done:,}", n=f"{total:,}"))

        return work(job, offer, step)

    with offer.kept():  # from now on no other visitor's batch takes its place
        start_job(KEY, say("Running {title}", title=plain(offer.title)), run)
        offer.keep_for(current_job(KEY))


def _work(bundle: Bundle) -> Callable[[Job, Offer, Callable[[int, int], None]], Shown]:
    """What runs an offer; it needs no page, as the model and the worker are fetched here."""
    model, worker = services.get_model(bundle), services.get_worker()
    names, weights = bundle.class_names, bundle.weights_sha256

    def work(job: Job, offer: Offer, step: Callable[[int, int], None]) -> Shown:
        thumbs: dict[int, str] = {}
        is_short = len(offer.sources) <= MAX_THUMBS

        def keep(place: int, image: Image.Image) -> None:
            if is_short:
                thumbs[place] = _thumb(image)

        run = patient_run(job, worker.run_while, is_crowded)
        batch = run_batch(
            model, offer.sources, names, data=offer.title, run=run, step=step, keep=keep
        )
        return Shown(offer, batch, weights, thumbs)

    return work


def _thumb(image: Image.Image) -> str:
    out = io.BytesIO()
    ImageOps.fit(image, (THUMB_PX, THUMB_PX)).save(out, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"


def show_unusable(unusable: tuple[tuple[str, str], ...]) -> None:
    """The files that could not be used, with one sentence each, where there are any."""
    if not unusable:
        return
    n = len(unusable)
    words = (
        say("{n} files could not be used", n=f"{n:,}") if n > 1 else say("1 file cannot be used")
    )
    with st.expander(words):
        columns = {
            say("file"): [n for n, _ in unusable],
            say("why"): [f"{w}." for _, w in unusable],
        }
        st.dataframe(columns, hide_index=True, alt=say("files that could not be used"))


def plain_text(text: str) -> str:
    """Text from outside, such as a path, as Markdown that shows it as it is."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>()#+!|$~:" else c for c in text)
