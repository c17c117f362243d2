"""The frame of the app: page list, model choice, credits."""

from pathlib import Path

import streamlit as st
from PIL import Image

from app.components import STYLE
from app.language import choose_language, say
from app.model_choice import choose_model

VIEWS = Path(__file__).with_name("views")
FAVICON = Path(__file__).parents[1] / "assets" / "favicon.png"
SIDEBAR_PX = 230
PAPER = "https://arxiv.org/abs/2105.15075"

# Files in views/, what stands in the address, what stands in the sidebar.
PAGES = (
    ("look", "", "Look"),
    ("tradeoff", "tradeoff", "Trade-off"),
    ("easy_hard", "easy-hard", "Easy & hard"),
    ("inside", "inside", "Inside"),
    ("batch", "batch", "Batch"),
    ("lesson", "lesson", "Lesson"),
    ("models", "models", "Models & paper"),
)

st.set_page_config(page_icon=Image.open(FAVICON), layout="wide", initial_sidebar_state=SIDEBAR_PX)

# No page icons: the browser would fetch them from an outside server.
page = st.navigation(
    [
        st.Page(VIEWS / f"{name}.py", title=say(title), url_path=path, default=name == "look")
        for name, path, title in PAGES
    ]
)

st.set_page_config(page_title=f"{page.title} · Dynamic ViT Explorer")
st.html(STYLE)

with st.sidebar:
    choose_model()
    choose_language()
    st.markdown(
        f":small[After [Wang et al. 2021, Not All Images are Worth 16x16 Words]({PAPER}). "
        "An independent implementation with its own models.]"
    )

page.run()
