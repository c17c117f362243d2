"""A model folder of one's own, and how to make one from the authors' weights."""

from __future__ import annotations

import streamlit as st

from app.model_choice import MODEL, ROOT_ENV, choices, labels, open_folder, refusal
from dvt_core.errors import InputError

RELEASED = ("dvt_t2t_vit_12", "dvt_t2t_vit_14", "dvt_deit_small")
DOWNLOADS = (
    "https://github.com/blackfeather-wang/Dynamic-Vision-Transformer"
    "#pre-trained-models-and-inference"
)
FIELD, SAID = "folder_path", "folder_said"  # session keys


def local_folder_section() -> None:
    """Draws the field and the way to the authors' weights."""
    field, weights = st.columns(2, gap="large")
    with field:
        st.subheader("Open a model folder", anchor=False)
        _field()
    with weights:
        st.subheader("The authors' weights", anchor=False)
        _authors_weights()


def _field() -> None:
    if reason := refusal():
        st.info(reason)
        return
    st.markdown(
        "A folder that `dvt train` or `dvt convert` wrote, on the machine that runs this app. It "
        "joins the list in the sidebar for this session; nothing in it is executed or changed."
    )
    with st.form("folder", border=False):
        st.text_input(
            "Model folder",
            key=FIELD,
            max_chars=1000,
            placeholder="/home/me/models/dvt_t2t_vit_12",
            help=f"A path. Over a network only paths under ${ROOT_ENV} are opened.",
        )
        st.form_submit_button("Open the folder", on_click=_open)
    is_good, words = st.session_state.get(SAID, (True, ""))
    if words:
        (st.success if is_good else st.error)(words)


def _open() -> None:
    """Runs before the page is drawn, so that the sidebar already shows the new choice."""
    try:
        bundle = open_folder(st.session_state[FIELD])
    except InputError as error:
        st.session_state[SAID] = False, f"{error}."
    else:
        chosen = labels(choices())[st.session_state[MODEL]]
        st.session_state[SAID] = True, f"Open and chosen as “{chosen}”: {bundle.title}."


def _authors_weights() -> None:
    st.markdown(
        f"1. The authors' [README]({DOWNLOADS}) lists their checkpoints on Tsinghua Cloud and "
        "Google Drive. Download one in your browser; this app asks no other server, so it cannot "
        "fetch them for you.\n"
        "2. Turn the file into a model folder. No code in it is executed, and every number that "
        "the authors stored beside the weights is kept as theirs:"
    )
    for name in RELEASED:
        st.code(f"dvt convert FILE --model {name} --out DIR", language="sh", wrap_lines=True)
    st.markdown("3. Open the folder here.")
