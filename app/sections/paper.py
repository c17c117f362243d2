"""The paper's own results: one experiment at a time, as a figure and as a table."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from app import services
from app.figures.paper import paper_alt, paper_figure, paper_rows
from app.figures.paper_words import source_words
from app.language import later, say, say_later
from app.linked import linked_choice
from dvt_core.paper import RESULTS, PaperPoint

LONG_TABLE = 24  # rows; longer ones are shown when asked for


@dataclass(frozen=True)
class Experiment:
    """What is drawn together.

    Attributes:
        title: for the choice, and in the link.
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


CIFAR_WORDS = later(
    "The cascades, fine-tuned at 224 pixels, with their thresholds moved until they are as "
    "accurate as the T2T-ViT of the row."
)
EXPERIMENTS = (
    Experiment(
        later("ImageNet"),
        later("Fig. 6, Tables 4, 5 and 10"),
        later(
            "One cascade gives a whole curve. Its end, all exits for every image, costs more than "
            "its backbone alone; the gain comes from leaving early."
        ),
        ("curve", "early-exit", "adaptive-depth", "deit", "baseline", "speed-up"),
    ),
    Experiment(later("CIFAR-10"), later("Table 3"), CIFAR_WORDS, ("cifar",), "cifar10"),
    Experiment(later("CIFAR-100"), later("Table 3"), CIFAR_WORDS, ("cifar",), "cifar100"),
    Experiment(
        later("Images per second"),
        later("Table 2"),
        later(
            "A cascade of two exits (7x7 and 14x14 tokens), which was faster in practice than "
            "three. The text says it is built on T2T-ViT-12, yet its last rows are above that "
            "cascade's best accuracy; the paper does not say more."
        ),
        ("throughput",),
    ),
    Experiment(
        later("DeiT-small"),
        later("Table 4"),
        later("The cascade on DeiT-small against its backbone and two ways to prune tokens."),
        ("deit",),
    ),
    Experiment(
        later("Other early-exit networks"),
        later("Table 5"),
        later(
            "Convolutional networks with early exits, at the same mean cost and with the same rule."
        ),
        ("early-exit",),
    ),
    Experiment(
        later("Token number alone"),
        later("Table 1"),
        later("Why a cascade at all: most pictures are answered right with few tokens."),
        ("motivation",),
    ),
    Experiment(
        later("Reuse on and off"),
        later("Table 6"),
        later(
            "Every exit alone, no early exit. Both kinds of reuse help the later exits for little "
            "cost; the first one pays for it a little."
        ),
        ("ablation-reuse",),
    ),
    Experiment(
        later("Design of feature reuse"),
        later("Table 7"),
        later("Two exits, trained with larger batches for speed, which costs some accuracy."),
        ("ablation-feature-design",),
    ),
    Experiment(
        later("Design of relation reuse"),
        later("Table 8"),
        later("Two exits, trained with larger batches for speed, which costs some accuracy."),
        ("ablation-relation-design",),
    ),
    Experiment(
        later("Exit criterion"),
        later("Table 9"),
        later("What decides who leaves: the largest probability, the entropy, or chance."),
        ("criterion",),
    ),
    Experiment(
        later("More tokens or more layers"),
        later("Table 10"),
        later("The cascade against T2T-ViT-14 with two extra classifiers along its depth."),
        ("adaptive-depth",),
    ),
)


def paper_section() -> None:
    """Draws the choice, the figure, its table and the download."""
    by_title = {experiment.title: experiment for experiment in EXPERIMENTS}
    labels = {
        title: f"{say_later(title)} ({source_words(experiment.source)})"
        for title, experiment in by_title.items()
    }
    experiment = by_title[linked_choice(st.selectbox, say("Experiment"), labels, key="experiment")]
    points = experiment.points()
    title = f"{say_later(experiment.title)}, {source_words(experiment.source)}"
    st.markdown(say_later(experiment.words))
    figure = paper_figure(points, title, dark=st.context.theme.type == "dark")
    st.plotly_chart(figure, key="paper", alt=paper_alt(points, title))
    if len(points) <= LONG_TABLE or st.toggle(
        say("show all {n} numbers", n=len(points)), key="paper_rows"
    ):
        st.table(
            paper_rows(points),
            border="horizontal",
            hide_index=True,
            alt=say("Table: {title}", title=title),
        )
    st.caption(
        say(
            "Numbers of Wang et al. 2021, quoted; nothing on this part of the page was measured "
            "here. Top-1 accuracy on the validation images. Points that the paper only draws were "
            "read off its figure; the table and each point's label say so."
        )
    )
    st.download_button(
        say("Download the paper's numbers (CSV)"),
        RESULTS.read_bytes(),
        file_name="dvt_paper_results.csv",
        mime="text/csv",
        on_click="ignore",
        help=say("Every point of the paper's tables and of its main figure, with its source."),
    )
