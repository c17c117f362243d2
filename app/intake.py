"""Where a picture comes from: the samples, a file, or the camera; never a blank page.

A file that cannot be used gives one sentence, and the page goes on with the last good picture.
"""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass

import streamlit as st
from PIL import ImageOps

from app import services
from dvt_core.bundle import Bundle
from dvt_core.errors import InputError
from dvt_core.images import open_image
from dvt_core.samples import Sample, get_sample, list_samples

SOURCES = ("samples", "upload", "camera")
THUMB_PX = 128


@dataclass(frozen=True)
class Picture:
    """One encoded picture and what is known about it.

    Attributes:
        data: the bytes of the file.
        name: file name or title, for people.
        source: where a sample is from and its licence; "" for a person's own picture.
        label: the class word a sample is labelled with; "" if unknown.
    """

    data: bytes
    name: str
    source: str = ""
    label: str = ""

    @property
    def digest(self) -> str:
        """The key of everything that is kept about this picture."""
        return services.digest(self.data)


def choose_picture(bundle: Bundle) -> tuple[Picture, services.View]:
    """Draws the intake and returns the picture to look at, opened."""
    chooser, room = st.columns([3, 7])
    source = chooser.segmented_control(
        "Picture from",
        SOURCES,
        default=SOURCES[0],
        required=True,
        key="from",
        bind="query-params",
    )
    with room:
        sample = _pick_sample(bundle, source == SOURCES[0])
        own = {"upload": _upload, "camera": _photograph}.get(source, _nothing)()
    if own is not None:
        try:
            view = services.get_view(bundle, own.digest, own.data)
        except InputError as error:
            st.warning(
                f"{own.name}: {error}. JPEG, PNG, WebP, GIF, BMP and TIFF work. "
                "Below is the last picture that worked."
            )
        else:
            st.session_state["look_own"] = own
            return own, view
    picture = sample if source == SOURCES[0] else st.session_state.get("look_own", sample)
    return picture, services.get_view(bundle, picture.digest, picture.data)


def _upload() -> Picture | None:
    file = st.file_uploader(
        "A picture from this device",
        key="look_upload",
        help="JPEG, PNG, WebP, GIF, BMP or TIFF, up to 20 MB. It stays in this computer's memory.",
    )
    return None if file is None else Picture(file.getvalue(), _plain(file.name))


def _plain(name: str) -> str:
    """A file name from outside, short and without characters that mean something on the page."""
    return re.sub(r"[^\w .()-]", "_", name)[-60:]


def _nothing() -> None:
    return None


def _photograph() -> Picture | None:
    st.caption("The camera needs this page on localhost or https; on a phone, upload works too.")
    file = st.camera_input("A picture from the camera", key="look_camera")
    return None if file is None else Picture(file.getvalue(), "camera")


def _pick_sample(bundle: Bundle, shown: bool) -> Picture:
    samples = {sample.id: sample for sample in list_samples(bundle.class_names)}
    chosen = st.session_state.get("look_sample", st.query_params.get("sample"))
    sample = samples.get(chosen or "") or next(iter(samples.values()))
    if shown:
        _gallery(tuple(samples.values()), sample)
    return Picture(
        sample.path.read_bytes(),
        sample.title,
        f"{sample.source}, {sample.licence}",
        sample.label,
    )


def _gallery(samples: tuple[Sample, ...], chosen: Sample) -> None:
    """A strip of thumbnails; each is a button with the sample's word."""
    frame = f".st-key-{_button_key(chosen.id)} button{{outline:3px solid;outline-offset:-3px}}"
    st.html(f"<style>{_thumbnail_css(tuple(s.id for s in samples))}{frame}</style>")
    with st.container(horizontal=True, wrap=False, gap="xsmall", key="samples"):
        for sample in samples:
            st.button(
                sample.label.split(",")[0],
                help=sample.title,
                key=_button_key(sample.id),
                on_click=_take_sample,
                args=(sample.id,),
                width=84,
            )


def _take_sample(sample_id: str) -> None:
    st.session_state["look_sample"] = st.query_params["sample"] = sample_id


def _button_key(sample_id: str) -> str:
    return "sample_" + "".join(c if c.isalnum() else "_" for c in sample_id)


@st.cache_data(max_entries=8, show_spinner=False)
def _thumbnail_css(sample_ids: tuple[str, ...]) -> str:
    """One rule per sample that puts its picture on its button."""
    rules = []
    for sample_id in sample_ids:
        image = ImageOps.fit(open_image(get_sample(sample_id).path), (THUMB_PX, THUMB_PX))
        out = io.BytesIO()
        image.save(out, "JPEG", quality=80)
        data = base64.b64encode(out.getvalue()).decode()
        rules.append(
            f".st-key-{_button_key(sample_id)} button"
            f"{{background-image:url(data:image/jpeg;base64,{data})}}"
        )
    return "".join(rules)
