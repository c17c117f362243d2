"""A model folder of one's own, and how to make one from the authors' weights."""

from __future__ import annotations

import re

import streamlit as st

from app.language import say
from app.model_choice import MODEL, choices, labels, open_folder
from app.serving.access import MODEL_ROOT, refusal
from dvt_core.errors import InputError

OFFICIAL = "https://github.com/blackfeather-wang/Dynamic-Vision-Transformer#pre-trained-models"
TSINGHUA = "https://cloud.tsinghua.edu.cn/f/{}/?dl=1"
GOOGLE = "https://drive.google.com/file/d/{}/view?usp=sharing"
RELEASED = {  # architecture -> keys of the two downloads, from the official README
    "dvt_t2t_vit_12": ("f7987d559f00435caa3d", "1-hu-OMWiwuc8iTd1PV-c8tv6jLZ8EVv9"),
    "dvt_t2t_vit_14": ("afda2eec77c7491bbdaf", "1clxKfhbOP1oKBimzoTGogNSSljPHT5WB"),
    "dvt_deit_small": ("c415017423dd40ab8e72", "1oXDm1LbJhTRgJn3W_aWGV_6uGM3zpZib"),
}
FIELD, SAID = "folder_path", "folder_said"  # session keys


def local_folder_section() -> None:
    """Draws the field and the way to the authors' weights."""
    field, weights = st.columns(2, gap="large")
    with field:
        st.subheader(say("Open a model folder"), anchor=False)
        _field()
    with weights:
        st.subheader(say("The authors' weights"), anchor=False)
        _authors_weights()


def _field() -> None:
    if reason := refusal(MODEL_ROOT):
        st.info(reason)
        return
    st.markdown(
        say(
            "A folder that `dvt train` or `dvt convert` wrote, on the machine that runs this app. "
            "It joins the list in the sidebar for this session; nothing in it is executed or "
            "changed."
        )
    )
    with st.form("folder", border=False):
        st.text_input(
            say("Model folder"),
            key=FIELD,
            max_chars=1000,
            placeholder="/home/me/models/dvt_t2t_vit_12",
            help=say(
                "A path. Where {root} names a folder, only paths under it are opened.",
                root=f"${MODEL_ROOT}",
            ),
        )
        st.form_submit_button(say("Open the folder"), on_click=_open)
    is_good, words = st.session_state.get(SAID, (True, ""))
    if words:
        (st.success if is_good else st.error)(words)


def _open() -> None:
    """Runs before the page is drawn, so that the sidebar already shows the new choice."""
    try:
        bundle = open_folder(st.session_state[FIELD])
    except InputError as error:
        st.session_state[SAID] = False, _as_it_is(f"{error}.")
    else:
        chosen = labels(choices())[st.session_state[MODEL]]
        words = say("Open and chosen as “{chosen}”: {title}.", chosen=chosen, title=bundle.title)
        st.session_state[SAID] = True, words


def _as_it_is(text: str) -> str:
    """Markdown that shows the text, whatever signs a path holds."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|$~:-])", r"\\\1", text)


def _authors_weights() -> None:
    st.markdown(
        say(
            "1. Download one of the checkpoints that the authors' {readme} lists, in your "
            "browser. This app cannot fetch them for you.\n"
            "2. Turn the file into a model folder. No code in it is executed, and every number "
            "that the authors stored beside the weights is kept as theirs.\n"
            "3. Open the folder here.",
            readme=f"[README]({OFFICIAL})",
        )
    )
    for name, (tsinghua, google) in RELEASED.items():
        st.markdown(
            say(
                "**{name}**: {tsinghua} or {google}, then",
                name=name,
                tsinghua=f"[Tsinghua Cloud]({TSINGHUA.format(tsinghua)})",
                google=f"[Google Drive]({GOOGLE.format(google)})",
            )
        )
        st.code(f"dvt convert FILE --model {name} --out DIR", language="sh", wrap_lines=True)
