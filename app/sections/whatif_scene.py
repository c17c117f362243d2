"""What a what-if is about: one picture, one model and the thresholds in force."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st
import torch
from PIL import Image

from app import cascade_runs
from app.figures.strip import Card, thumbnail
from app.figures.tradeoff import thresholds_text
from app.intake.pictures import Picture, View, digest
from app.language import say, say_later
from app.sections.whatif_runs import Run
from dvt_core.bundle import Bundle
from dvt_core.images import Preprocess
from dvt_core.picture_edits import EDITS, Edit, apply_edit
from dvt_core.results import Prediction


@dataclass(frozen=True, eq=False)
class Scene:
    """What is looked at: model, picture as the model sees it, its digest, thresholds in force."""

    bundle: Bundle
    picture: Picture
    view: View
    digest: str
    thresholds: tuple[float, ...]

    @property
    def seen(self) -> Image.Image:
        """The unchanged picture as the model sees it."""
        return self.view.seen

    def changed(self, edit: Edit, value: float) -> Image.Image:
        """The picture after a change."""
        return apply_edit(edit.name, self.seen, value)

    def predict(self, edit: Edit, value: float) -> Prediction:
        """The run of one changed picture; asked again, it comes from the cache."""
        if value == edit.neutral:  # the trace above has run it
            name, tensor = self.picture.digest, self.view.tensor
        else:
            name = digest(f"{self.digest} {edit.name} {value!r}".encode())
            tensor = tensor_of(self.bundle, self.changed(edit, value))
        return cascade_runs.predict(
            self.bundle, name, self.thresholds, all_exits=False, _tensor=tensor
        )

    def card(self, run: Run) -> Card:
        """A run with its picture, made anew."""
        edit, remark = EDITS[run.edit], ""
        if run.thresholds != self.thresholds:
            words = thresholds_text(run.thresholds)
            remark = say("threshold then {thresholds}", thresholds=words)
        return Card(
            _thumbnail(self.digest, run.edit, run.value, self.seen),
            say("unchanged") if run.value == edit.neutral else label_of(edit, run.value),
            run.exit_index,
            run.confidence,
            self.bundle.class_names[run.label],
            remark,
        )


def label_of(edit: Edit, value: float) -> str:
    """A change and how much of it: "blur 3 %"."""
    return f"{say_later(edit.name)} {value:g}{edit.unit}"


def tensor_of(bundle: Bundle, seen: Image.Image) -> torch.Tensor:
    """(1, 3, S, S) float32 of a picture that already is as the model sees it."""
    pixels = torch.from_numpy(np.array(seen)).permute(2, 0, 1)
    return Preprocess.from_config(bundle.config).normalize(pixels)[None]


@st.cache_data(max_entries=512, show_spinner=False)
def _thumbnail(picture: str, edit_name: str, value: float, _seen: Image.Image) -> str:
    """`picture` is the digest of `_seen`."""
    return thumbnail(apply_edit(edit_name, _seen, value))
