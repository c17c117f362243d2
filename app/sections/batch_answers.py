"""The batch's answers in numbers: its table, the labelled pictures, files to take home."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from app.figures.exits import word
from app.figures.theme import MacUnit, exit_colour, exit_name, ink_on, percent
from app.intake.batch_intake import command
from app.intake.chooser import UPLOAD
from app.intake.pictures import Picture
from app.intake.tray import plain, put
from app.language import say
from app.sections.batch_live import own_test_table
from app.sections.batch_source import Shown, plain_text, show_unusable
from dvt_core.batch import answer_columns, to_csv, to_parquet
from dvt_core.bundle import Bundle, list_models
from dvt_core.class_words import is_ambiguous
from dvt_core.errors import InputError
from dvt_core.exit_table import ExitTable
from dvt_core.intervals import FEW, share_interval

LOOK = "views/look.py"
NAMED = 12  # folders without a class that are named


def labels_section(bundle: Bundle, shown: Shown) -> None:
    """How many pictures are labelled, which folders are not, and every exit alone."""
    batch, labelled = shown.batch, shown.batch.labelled
    if batch.strange:
        folders = [plain_text(word(folder)) for folder in batch.strange]
        named = ", ".join(folders[:NAMED])
        if len(folders) > NAMED:
            named = say("{names} and {n} more", names=named, n=len(folders) - NAMED)
        st.caption(_strange_words(shown, named))
        if several := [f for f in batch.strange if is_ambiguous(bundle.class_names, f)]:
            st.caption(
                say(
                    "Some of these names fit several classes and therefore none: {folders}. Call a "
                    "folder by the whole name of its class.",
                    folders=", ".join(plain_text(word(folder)) for folder in several[:NAMED]),
                )
            )
    if labelled is None:
        st.caption(
            say(
                "No picture is labelled, so there is no accuracy. Put pictures into folders that "
                "are called like the classes, and zip these or choose the folder that holds them."
            )
        )
        return
    if labelled.n == 1:
        st.info(say("Only one labelled picture: it says nothing about the accuracy on others."))
    elif labelled.n < FEW:
        st.info(
            say(
                "Only {n} labelled pictures: another {n} like them could give quite another "
                "accuracy. The 95 % intervals say how far.",
                n=labelled.n,
            )
        )
    st.markdown(say("**Every exit alone**, on the labelled pictures"))
    st.table(_exits_alone(labelled, own_test_table(bundle)))


def _strange_words(shown: Shown, folders: str) -> str:
    """How many pictures have a label that is no class; `folders` names these labels."""
    n = sum(bool(f) for f in _unlabelled(shown))
    values = {"n": f"{n:,}", "all": f"{shown.batch.n:,}", "folders": folders}
    if shown.offer.is_samples and n == 1:
        words = say("1 of {all} samples shows what the model has no word for: {folders}.", **values)
    elif shown.offer.is_samples:
        words = say(
            "{n} of {all} samples show what the model has no word for: {folders}.", **values
        )
    elif n == 1:
        words = say("1 of {all} pictures lies in a folder that is no class: {folders}.", **values)
    else:
        words = say("{n} of {all} pictures lie in folders that are no class: {folders}.", **values)
    if n == 1:
        return f"{words} {say('It counts for exits and cost, not for accuracy.')}"
    return f"{words} {say('They count for exits and cost, not for accuracy.')}"


def _unlabelled(shown: Shown) -> list[str]:
    batch = shown.batch
    return [f for f, known in zip(batch.folders, batch.is_labelled, strict=True) if not known]


def _exits_alone(labelled: ExitTable, test: ExitTable | None) -> dict[str, list[str]]:
    unit = MacUnit.of(labelled.info.exit_macs)
    right = labelled.correct.sum(axis=0).tolist()
    intervals = [share_interval(count, labelled.n) for count in right]
    columns = {
        say("exit"): [exit_name(i) for i in range(labelled.num_exits)],
        say("cost"): list(map(unit.format, labelled.info.exit_macs)),
        say("right"): [f"{count:,} / {labelled.n:,}" for count in right],
        say("accuracy"): list(map(percent, labelled.exit_accuracy)),
        say("95 % interval"): [
            say("{low} to {high}", low=f"{100 * low:.1f}", high=percent(high))
            for low, high in intervals
        ],
    }
    if test is not None:
        columns[say("on the test set")] = list(map(percent, test.exit_accuracy))
    return columns


def answers_section(bundle: Bundle, shown: Shown, thresholds: Sequence[float]) -> None:
    """The table under the thresholds in force, a row to look at, and the downloads."""
    batch = shown.batch
    columns = answer_columns(batch, bundle.class_names, thresholds)
    st.subheader(say("Every picture"), anchor=False)
    chosen = _table(bundle, shown, columns)
    if chosen is None:
        st.caption(say("Click at the left of a row to look at its picture."))
    else:
        _chosen_row(bundle, shown, chosen)
    show_unusable((*shown.offer.left_out, *batch.unusable))
    _downloads(shown, columns)
    if line := command(shown.offer, _model_name(bundle), bundle.class_names, thresholds):
        st.caption(say("The same numbers on the command line:"))
        st.code(line, language="sh", wrap_lines=True)


def _model_name(bundle: Bundle) -> str:
    return bundle.name if bundle.name in list_models() else str(bundle.path)


def _table(bundle: Bundle, shown: Shown, columns: dict[str, list[Any]]) -> int | None:
    """Draws the table; the row that is chosen."""
    unit = MacUnit.of(shown.batch.said.info.exit_macs)
    exit_head, sure, cost = say("exit"), say("confidence"), say("cost in {unit}", unit=unit.name)
    names = [exit_name(i) for i in range(shown.batch.said.num_exits)]
    data: dict[str, list[Any]] = {}
    if shown.thumbs:
        data[" "] = [shown.thumbs.get(int(i)) for i in shown.batch.said.indices]
    data |= {
        say("picture"): columns["picture"],
        exit_head: [names[i - 1] for i in columns["exit"]],
        say("class"): list(map(word, columns["class"])),
        sure: [100 * value for value in columns["confidence"]],
        cost: [macs / unit.scale for macs in columns["macs"]],
    }
    if "label" in columns:
        verdicts = {True: say("right"), False: say("wrong"), None: ""}
        data[say("label")] = [word(label) if label else "" for label in columns["label"]]
        data[say("answer")] = [verdicts[value] for value in columns["right"]]
    styles = {
        name: f"background-color:{exit_colour(i)};color:{ink_on(exit_colour(i))}"
        for i, name in enumerate(names)
    }
    shown_rows = pd.DataFrame(data).style.map(lambda name: styles.get(name, ""), subset=[exit_head])
    event = st.dataframe(
        shown_rows,
        hide_index=True,
        key=f"batch_table_{shown.token}",
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            " ": st.column_config.ImageColumn(width="small"),
            sure: st.column_config.NumberColumn(format="%.1f %%"),
            cost: st.column_config.NumberColumn(format="%.3g"),
        },
        alt=say("every picture with its exit, class, confidence and cost"),
    )
    rows = event["selection"]["rows"]
    return rows[0] if rows and rows[0] < shown.batch.n else None


def _chosen_row(bundle: Bundle, shown: Shown, row: int) -> None:
    """What every exit says about the chosen picture, and the way to Look."""
    said = shown.batch.said
    answers = [
        say(
            "{exit}: {word}, {confidence} sure",
            exit=exit_name(i),
            word=plain_text(word(bundle.class_names[said.predictions[row, i]])),
            confidence=percent(float(said.confidences[row, i])),
        )
        for i in range(said.num_exits)
    ]
    with st.container(horizontal=True, vertical_alignment="center"):
        is_asked = st.button(say("Look at this picture"), key="batch_look")
        st.markdown(f"**{plain_text(shown.batch.names[row])}** · {' · '.join(answers)}")
    if is_asked:
        try:
            _take_to_look(bundle, shown, row)
        except (InputError, OSError) as error:
            st.warning(f"{plain_text(str(error))}.")


def _take_to_look(bundle: Bundle, shown: Shown, row: int) -> None:
    batch = shown.batch
    source = shown.offer.sources[int(batch.said.indices[row])]
    data = source.read()
    is_known = bool(batch.is_labelled[row])
    label = bundle.class_names[int(batch.said.labels[row])] if is_known else ""
    name = plain(source.name.split("/")[-1])
    put(Picture(data if isinstance(data, bytes) else data.read_bytes(), name, "", label), "")
    st.session_state["from"] = UPLOAD
    st.switch_page(LOOK, query_params={})  # without it a bound parameter is an error


def _downloads(shown: Shown, columns: dict[str, list[Any]]) -> None:
    """Answers under the thresholds in force, and the labelled pictures' exit table."""
    name = plain(Path(shown.offer.title).stem).strip() or "batch"
    files = [
        (say("Answers (CSV)"), partial(to_csv, columns), f"{name}.csv", "text/csv"),
        (
            say("Answers (Parquet)"),
            partial(to_parquet, columns),
            f"{name}.parquet",
            "application/vnd.apache.parquet",
        ),
    ]
    if shown.batch.labelled is not None:
        files.append(
            (
                say("Exit table of the labelled (Parquet)"),
                shown.batch.labelled.to_bytes,
                f"{name}_exit_table.parquet",
                "application/vnd.apache.parquet",
            )
        )
    with st.container(horizontal=True):
        for label, data, file_name, mime in files:
            st.download_button(label, data, file_name, mime, on_click="ignore")
    st.caption(
        say(
            "The answers are those under the thresholds in force, beside what every exit said. The "
            "exit table is what `dvt evaluate --out` writes; `dvt sweep --table` reads it."
        )
    )
