"""The frame of the app: page list, model choice, credits."""

from pathlib import Path

import streamlit as st

from app.comeback import ask_again_when_back
from app.components import STYLE
from app.intake.upload_box import forget_uploads
from app.language import later, say, say_later
from app.language_choice import choose_language
from app.model_choice import choose_model
from app.sections.take_home import take_home
from app.teach.presenter import choose_presenter, is_presenting, presenter_bar
from app.work.turns import DRAWING

VIEWS = Path(__file__).with_name("views")
FAVICON = Path(__file__).parents[1] / "assets" / "favicon.png"
SIDEBAR_PX = 230
PAPER = "https://arxiv.org/abs/2105.15075"

# Files in views/, what stands in the address, what stands in the sidebar.
PAGES = (
    ("look", "", later("Look")),
    ("tradeoff", "tradeoff", later("Trade-off")),
    ("easy_hard", "easy-hard", later("Easy & hard")),
    ("inside", "inside", later("Inside")),
    ("batch", "batch", later("Batch")),
    ("lesson", "lesson", later("Lesson")),
    ("models", "models", later("Models & paper")),
)

with DRAWING.turn():
    # No page icons: the browser would fetch them from an outside server.
    page = st.navigation(
        [
            st.Page(
                VIEWS / f"{name}.py", title=say_later(title), url_path=path, default=name == "look"
            )
            for name, path, title in PAGES
        ]
    )

    forget_uploads(page.url_path)
    st.set_page_config(
        page_title=f"{page.title} · Dynamic ViT Explorer",
        page_icon=str(FAVICON),
        layout="wide",
        initial_sidebar_state=SIDEBAR_PX,
    )
    st.html(STYLE)
    ask_again_when_back()

    with st.sidebar:
        choose_model()
        choose_language()
        choose_presenter()
        words = say(
            "After {paper}. An independent implementation with its own models.",
            paper=f"[Wang et al. 2021, Not All Images are Worth 16x16 Words]({PAPER})",
        )
        st.markdown(f":small[{words}]")

    if page.url_path != "lesson":  # which has a bar of its own
        presenter_bar()
    page.run()
    if not is_presenting():
        take_home(with_study=page.url_path == "models")
