"""Where a picture comes from: samples, own files, the camera, a data set; never a blank page.

A file that cannot be used gives one sentence, and the page goes on with the last good picture.
"""

from __future__ import annotations

from functools import lru_cache, partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.intake.crop import adjust_crop
from app.intake.dataset_pictures import IMAGE, dataset_of, dataset_picture, linked_picture
from app.intake.paste import paste_box
from app.intake.pictures import Picture, View, get_view, open_picture
from app.intake.sample_sheet import serve_sheet
from app.intake.thumbs import Thumb, picture_rule, strip, thumbnail
from app.intake.tray import chosen, complain, draw_tray, limits, put, put_files
from app.intake.upload_box import note, upload_box
from app.language import later, say, say_later
from app.linked import linked_choice
from dvt_core.bundle import Bundle
from dvt_core.errors import InputError
from dvt_core.images import MAX_BYTES
from dvt_core.samples import Sample, list_samples

LOOKED_FROM = "looked_from"  # session key: which of the sources below it came from
LOOKED_AT = "looked_at"  # session key: the picture that Look shows
SAMPLES, UPLOAD, CAMERA, DATA_SET = "samples", "upload", "camera", "data set"  # in the link
_SOURCES = {
    SAMPLES: later("samples"),
    UPLOAD: later("upload"),
    CAMERA: later("camera"),
    DATA_SET: later("data set"),
}


def choose_picture(bundle: Bundle, slot: str = "") -> tuple[Picture, View]:
    """Draws the intake and returns the picture to look at, opened.

    Args:
        bundle: the model.
        slot: "" for a page's only chooser; another word gives a second one with its own state,
            its keys and parameters of the link beginning with that word. Both share the tray.
    """
    prefix = f"{slot}_" if slot else ""
    chooser, room = st.columns([36, 64])
    source = _ask_source(bundle, chooser, prefix)
    with room:
        sample = _pick_sample(bundle, prefix, is_shown=source == SAMPLES)
        picture = None
        if source in (UPLOAD, CAMERA):
            picture = _own(source, prefix)
        elif source == DATA_SET:
            picture = _of_data_set(bundle, prefix)
    if not slot:
        st.session_state[LOOKED_FROM] = source if picture else SAMPLES
    with chooser:
        picture = adjust_crop(bundle, picture or sample, prefix)
    if not slot:
        st.session_state[LOOKED_AT] = picture
    return picture, get_view(bundle, picture)


def last_picture(bundle: Bundle) -> Picture:
    """The picture last looked at in this session, for pages without a chooser.

    In a fresh session the one that the link names, else a sample. The page's own link names it,
    too, but for a person's own picture, which no link can bring back.
    """
    picture = st.session_state.get(LOOKED_AT)
    if picture is None:
        linked = linked_picture(bundle) if st.query_params.get("from") == DATA_SET else None
        return linked or _pick_sample(bundle, "", is_shown=False)
    source = st.session_state.get(LOOKED_FROM)
    if source == SAMPLES:
        _pick_sample(bundle, "", is_shown=False)
    elif source == DATA_SET:
        st.query_params["from"] = DATA_SET
        st.query_params[IMAGE] = str(st.session_state.get(f"{IMAGE}_before", 0))
    return picture


def _ask_source(bundle: Bundle, chooser: DeltaGenerator, prefix: str) -> str:
    sources = {name: say_later(words) for name, words in _SOURCES.items()}
    if not dataset_of(bundle):
        del sources[DATA_SET]
    key = f"{prefix}from"
    if not prefix and key not in {*st.session_state, *st.query_params}:  # back from another page
        st.session_state[key] = st.session_state.get(LOOKED_FROM, SAMPLES)
    return linked_choice(
        chooser.segmented_control,
        say("Picture from"),
        sources,
        key=key,
        required=True,
        wrap=True,
    )


def _own(source: str, prefix: str) -> Picture | None:
    """The widgets for own pictures and the tray of them; None if there is none yet."""
    sentences = _upload(prefix) if source == UPLOAD else _photograph(prefix)
    complain(sentences)
    draw_tray(prefix)
    return chosen(prefix)


def _upload(prefix: str) -> list[str]:
    """Takes in files and what is pasted; one sentence for each that cannot be used."""
    files = upload_box(
        say("Pictures from this device: choose, or drop them here"),
        accept_multiple_files=True,
        max_upload_size=MAX_BYTES // 10**6,  # the server takes more: zips, on Batch
        key=f"{prefix}look_upload",
        help=say(
            "Nothing is written to disk, and nothing leaves the machine that serves this page."
        ),
    )
    sentences = put_files(files, prefix)
    try:
        pasted = paste_box(prefix)
        if pasted is not None:
            open_picture(pasted)
            put(pasted, prefix)
    except InputError as error:
        sentences = [f"{say('pasted picture')}: {error}", *sentences]
    st.caption(limits())
    return sentences


def _photograph(prefix: str) -> list[str]:
    st.caption(
        say("The camera needs this page on localhost or https; on a phone, upload works too.")
    )
    file = st.camera_input(say("A picture from the camera"), key=f"{prefix}look_camera")
    files = [] if file is None else [file]
    note(f"{prefix}look_camera", files)
    return put_files(files, prefix, say("camera"))


def _of_data_set(bundle: Bundle, prefix: str) -> Picture | None:
    """A test image; None, and a sentence, if there is none to be had."""
    try:
        picture = dataset_picture(bundle, dataset_of(bundle), prefix)
        if picture is not None:
            open_picture(picture)
        return picture
    except InputError as error:
        st.warning(say("{error}. Below is a sample.", error=error))
        return None


def _pick_sample(bundle: Bundle, prefix: str, *, is_shown: bool) -> Picture:
    samples = _samples(bundle.class_names)
    asked = st.session_state.get(f"{prefix}look_sample", st.query_params.get(f"{prefix}sample"))
    # A second chooser starts with another picture than the first.
    first = list(samples.values())[bool(prefix)]
    sample = samples.get(asked or "") or first
    _link_sample(prefix, "" if sample is first else sample.id)
    if is_shown:
        label, take = say("samples"), partial(_take_sample, prefix)
        thumbs, sheet = _sample_thumbs(bundle.class_names), serve_sheet(_sample_rules())
        strip(f"{prefix}samples", label, thumbs, sample.id, take, sheet)
    return _opened_sample(sample)


def _opened_sample(sample: Sample) -> Picture:
    return Picture(
        sample.path.read_bytes(),
        sample.title,
        f"{sample.source}, {sample.licence}",
        sample.label,
    )


# Not Streamlit's cache: it would hash and copy the samples in every run.
@lru_cache(maxsize=16)
def _samples(class_names: tuple[str, ...]) -> dict[str, Sample]:
    """By id; those whose class a model knows come first."""
    return {sample.id: sample for sample in list_samples(class_names)}


@lru_cache(maxsize=16)
def _sample_thumbs(class_names: tuple[str, ...]) -> tuple[Thumb, ...]:
    """The samples' thumbnails in the order of `_samples`; their pictures are in the sheet."""
    return tuple(
        Thumb(id=sample.id, word=sample.label.split(",")[0], title=sample.title)
        for sample in _samples(class_names).values()
    )


@lru_cache(maxsize=1)
def _sample_rules() -> str:
    """The style sheet with the samples' pictures, the same for every model."""
    samples = list_samples()
    return "".join(picture_rule(each.id, thumbnail(_opened_sample(each))) for each in samples)


def _take_sample(prefix: str, sample_id: str) -> None:
    st.session_state[f"{prefix}look_sample"] = sample_id


def _link_sample(prefix: str, sample_id: str) -> None:
    """Keeps the sample for other pages, and in this page's link; "" for the one shown unasked."""
    key, parameter = f"{prefix}look_sample", f"{prefix}sample"
    if sample_id:
        st.session_state[key] = sample_id
        if st.query_params.get(parameter) != sample_id:
            st.query_params[parameter] = sample_id
    elif parameter in st.query_params:
        del st.query_params[parameter]
