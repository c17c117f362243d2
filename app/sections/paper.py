"""The paper's own results: one experiment at a time, as a figure and as a table."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from app import services
from app.figures.paper import paper_alt, paper_figure, paper_rows
from dvt_core.paper import RESULTS, PaperPoint

LONG_TABLE = 24  # rows; longer ones are shown when asked for


@dataclass(frozen=True)
class Experiment:
    """What is drawn together.

    Attributes:
        title: for the choice.
        source: tables and figures of the paper.
        words: what to see, in a sentence or two.
        parts: names of the experiments in the file.
        dataset: whose points are drawn.
    """

    title: str
    source: str
    words: str
    parts: tuple[str, ...]
    dataset: str = "imagenet"

    def points(self) -> tuple[PaperPoint, ...]:
        """The points to draw, in the file's order."""
        return tuple(
            point
            for point in services.get_paper()
            if point.experiment in self.parts and point.dataset == self.dataset
        )


CIFAR_WORDS = (
    "The cascades, fine-tuned at 224 pixels, with their thresholds moved until they are as "
    "accurate as the T2T-ViT of the row."
)
EXPERIMENTS = (
    Experiment(
        "ImageNet",
        "Fig. 6, Tables 4, 5 and 10",
        "One cascade gives a whole curve. Its end, all exits for every image, costs more than its "
        "backbone alone; the gain comes from leaving early.",
        ("curve", "early-exit", "adaptive-depth", "deit", "baseline", "speed-up"),
    ),
    Experiment("CIFAR-10", "Table 3", CIFAR_WORDS, ("cifar",), "cifar10"),
    Experiment("CIFAR-100", "Table 3", CIFAR_WORDS, ("cifar",), "cifar100"),
    Experiment(
        "Images per second",
        "Table 2",
        "A cascade of two exits (7x7 and 14x14 tokens), which was faster in practice than three. "
        "The text says it is built on T2T-ViT-12, yet its last rows are above that cascade's best "
        "accuracy; the paper does not say more.",
        ("throughput",),
    ),
    Experiment(
        "DeiT-small",
        "Table 4",
        "The cascade on DeiT-small against its backbone and two ways to prune tokens.",
        ("deit",),
    ),
    Experiment(
        "Other early-exit networks",
        "Table 5",
        "Convolutional networks with early exits, at the same mean cost and with the same rule.",
        ("early-exit",),
    ),
    Experiment(
        "Token number alone",
        "Table 1",
        "Why a cascade at all: most pictures are answered right with few tokens.",
        ("motivation",),
    ),
    Experiment(
        "Reuse on and off",
        "Table 6",
        "Every exit alone, no early exit. Both kinds of reuse help the later exits for little "
        "cost; the first one pays for it a little.",
        ("ablation-reuse",),
    ),
    Experiment(
        "Design of feature reuse",
        "Table 7",
        "Two exits, trained with larger batches for speed, which costs some accuracy.",
        ("ablation-feature-design",),
    ),
    Experiment(
        "Design of relation reuse",
        "Table 8",
        "Two exits, trained with larger batches for speed, which costs some accuracy.",
        ("ablation-relation-design",),
    ),
    Experiment(
        "Exit criterion",
        "Table 9",
        "What decides who leaves: the largest probability, the entropy, or chance.",
        ("criterion",),
    ),
    Experiment(
        "More tokens or more layers",
        "Table 10",
        "The cascade against T2T-ViT-14 with two extra classifiers along its depth.",
        ("adaptive-depth",),
    ),
)


def paper_section() -> None:
    """Draws the choice, the figure, its table and the download."""
    titles = {experiment.title: experiment for experiment in EXPERIMENTS}
    chosen = st.selectbox(
        "Experiment",
        tuple(titles),
        format_func=lambda title: f"{title} ({titles[title].source})",
        key="experiment",
        bind="query-params",
    )
    experiment = titles.get(chosen or "", EXPERIMENTS[0])
    points, title = experiment.points(), f"{experiment.title}, {experiment.source}"
    st.markdown(experiment.words)
    figure = paper_figure(points, title, dark=st.context.theme.type == "dark")
    st.plotly_chart(figure, key="paper", alt=paper_alt(points, title))
    if len(points) <= LONG_TABLE or st.toggle(f"show all {len(points)} numbers", key="paper_rows"):
        st.table(paper_rows(points), border="horizontal", hide_index=True, alt=f"Table: {title}")
    st.caption(
        "Numbers of Wang et al. 2021, quoted; nothing on this part of the page was measured here. "
        "Top-1 accuracy on the validation images. Points that the paper only draws were read off "
        "its figure; the table and each point's label say so."
    )
    st.download_button(
        "Download the paper's numbers (CSV)",
        RESULTS.read_bytes(),
        file_name="dvt_paper_results.csv",
        mime="text/csv",
        on_click="ignore",
        help="Every point of the paper's tables and of its main figure, with its source.",
    )
