"""The frame of the app: page list, model choice, credits."""

from pathlib import Path

import streamlit as st
from PIL import Image

from app.components import STYLE
from app.model_choice import choose_model

VIEWS = Path(__file__).with_name("views")
FAVICON = Path(__file__).parents[1] / "assets" / "favicon.png"
SIDEBAR_PX = 230
PAPER = "https://arxiv.org/abs/2105.15075"

st.set_page_config(page_icon=Image.open(FAVICON), layout="wide", initial_sidebar_state=SIDEBAR_PX)

# No page icons: the browser would fetch them from an outside server.
page = st.navigation(
    [
        st.Page(
            VIEWS / "look.py",
            title="Look",
            default=True,
            help="One picture: which exit is sure enough, and what it cost.",
        ),
        st.Page(
            VIEWS / "tradeoff.py",
            title="Trade-off",
            url_path="tradeoff",
            help="A whole test set: accuracy and cost for every threshold.",
        ),
        st.Page(
            VIEWS / "models.py",
            title="Models & paper",
            url_path="models",
            help="This model, your own model folder, the paper's numbers, measured speed.",
        ),
    ]
)

st.set_page_config(page_title=f"{page.title} · Dynamic ViT Explorer")
st.html(STYLE)

with st.sidebar:
    choose_model()
    st.markdown(
        f":small[After [Wang et al. 2021, Not All Images are Worth 16x16 Words]({PAPER}). "
        "An independent implementation with its own models.]"
    )

page.run()
