"""Pieces of a page that show one aspect of a result each."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from PIL import Image

from app.figures.exits import badge, confidence, top_classes, word
from app.figures.theme import MacUnit, exit_name, percent, times_less
from app.figures.tokens import ghosted, token_grid
from app.intake import Picture
from dvt_core.bundle import Bundle
from dvt_core.config import StageConfig
from dvt_core.macs import exit_macs
from dvt_core.results import ExitRecord, Prediction

STYLE = Path(__file__).with_name("style.css")
LATER = "look_later"  # session key: show what the skipped exits would say
NAMED_CLASSES = 12  # up to this many classes are listed by name


def answer(bundle: Bundle, picture: Picture, prediction: Prediction) -> None:
    """The headline: what the cascade answered, where it stopped and what that cost."""
    costs = exit_macs(bundle.config)
    unit, names = MacUnit.of(costs), bundle.class_names
    spent = percent(prediction.macs / costs[-1], 0)
    saved = times_less(prediction.macs, costs[-1])
    words = [_word(name) for name in names]
    given = names[prediction.label]
    facts = [
        ("Answer", word(given), f"{percent(prediction.confidence)} sure"),
        ("Stopped at", exit_name(prediction.exit_index), f"of {len(costs)} exits"),
        ("Spent", unit.format(prediction.macs), f"{spent} of {unit.number(costs[-1])}: {saved}"),
    ]
    if _word(picture.label) in words:
        verdict = "right" if _word(picture.label) == words[prediction.label] else "wrong"
        facts.append(("Labelled", word(picture.label), f"the answer is {verdict}"))
    facts.append(("Time", f"{prediction.fired.milliseconds:.1f} ms", "on this computer"))
    with st.grid("auto", min_column_width=150):
        for label, value, remark in facts:
            metric(label, value, remark, given if label == "Answer" and "," in given else None)


def metric(label: str, value: str, remark: str, more: str | None = None) -> None:
    """A number with a remark below it, without good or bad colours; `more` is a tooltip."""
    st.metric(label, value, remark, delta_color="off", delta_arrow="off", help=more)


def about_classes(bundle: Bundle, picture: Picture) -> None:
    """Says so when the picture's own word is none of the model's classes, and lists them."""
    names = bundle.class_names
    if picture.label and _word(picture.label) not in map(_word, names):
        st.info(
            f"This picture is labelled “{word(picture.label)}”, a word this model does not have. "
            f"It must pick one of its {len(names):,}, and may look sure all the same."
        )
    if len(names) <= NAMED_CLASSES:
        st.caption(f"The model knows {len(names)} words: {', '.join(names)}.")
    else:
        st.caption(f"The model knows {len(names):,} words and must pick one of them.")
        with st.expander(f"All {len(names):,} words"):
            st.caption(", ".join(sorted(map(word, names), key=str.lower)))


def _word(class_name: str) -> str:
    """What two data sets' names of one class have in common."""
    return word(class_name).lower()


def lane_head(stage_index: int, stage: StageConfig) -> str:
    """The title line of a stage's lane, as HTML."""
    side = stage.grid_size
    return (
        f'<div class="dvt-head">{badge(stage_index)}<span>stage {stage_index + 1} · '
        f"{side}x{side} = {side * side} tokens</span></div>"
    )


def computed_lane(
    bundle: Bundle, seen: Image.Image, prediction: Prediction, record: ExitRecord
) -> None:
    """One stage that ran: grid, top-5, confidence against threshold, verdict, cost."""
    index, stage = record.exit_index, bundle.config.stages[record.exit_index]
    is_last = index == bundle.config.num_exits - 1
    threshold = None if is_last else prediction.thresholds[index]
    if index < prediction.exit_index:
        verdict = "Not sure enough, go on."
    elif threshold is None:
        verdict = f"Last exit, it always answers: {exit_name(index)}."
    else:
        verdict = f"Sure enough, stop: {exit_name(index)}."
    before = prediction.records[index - 1] if index else None
    with st.container(border=True, key=f"lane_{index}", height="stretch"):
        st.html(lane_head(index, stage))
        _grid_picture(seen, stage)
        st.html(top_classes(record, bundle.class_names))
        st.html(confidence(record, threshold))
        st.html(f'<p class="dvt-verdict">{verdict}</p>')
        st.caption(_cost_line(bundle, record, before))


def skipped_lane(
    bundle: Bundle, seen: Image.Image, prediction: Prediction, record: ExitRecord | None, index: int
) -> None:
    """One stage after the exit that answered: not computed, or computed because someone asked.

    The first of these lanes holds the switch to ask (`LATER` in the session).
    """
    stage, costs = bundle.config.stages[index], exit_macs(bundle.config)
    cost = MacUnit.of(costs).format(costs[index] - costs[index - 1])
    stopped = exit_name(prediction.exit_index)
    with st.container(border=True, key=f"ghost_{index}", height="stretch"):
        st.html(lane_head(index, stage))
        if record is None:
            _grid_picture(seen, stage, is_ghost=True)
            words = f"Not computed: the model stopped at {stopped}."
            st.html(f'<p class="dvt-verdict dvt-ghost">{words}</p>')
            st.caption(f"{cost} spared.")
        else:
            _grid_picture(seen, stage)
            st.html(f'<div class="dvt-ghost">{top_classes(record, bundle.class_names)}</div>')
            st.html('<p class="dvt-verdict dvt-ghost">Not part of the answer.</p>')
            words = f"Computed because you asked, for {cost} more. The model stopped at {stopped}."
            st.caption(words)
        if index == prediction.exit_index + 1:
            st.toggle(
                "show what the later exits would say",
                key=LATER,
                help="Runs the stages that were skipped. They are not part of the answer.",
            )


def _grid_picture(seen: Image.Image, stage: StageConfig, *, is_ghost: bool = False) -> None:
    picture = token_grid(seen, stage)
    side = stage.grid_size
    st.image(
        ghosted(picture) if is_ghost else picture,
        width="stretch",
        alt=f"the picture under a grid of {side} by {side} tokens",
    )


def _cost_line(bundle: Bundle, record: ExitRecord, before: ExitRecord | None) -> str:
    unit = MacUnit.of(exit_macs(bundle.config))
    macs = record.macs - (before.macs if before else 0)
    milliseconds = record.milliseconds - (before.milliseconds if before else 0)
    total = f" · {unit.format(record.macs)} so far" if before else ""
    return f"+{unit.format(macs)}, {milliseconds:.1f} ms{total}"
