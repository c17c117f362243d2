"""Every way a picture comes in: what is good is shown, what is not gives one sentence."""

import base64
import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from app import dataset_pictures, paste, services, tray
from app.pictures import Picture, get_view, unlike_note
from dvt_core.errors import InputError
from dvt_core.exit_table import ExitTable
from dvt_core.images import Crop, Preprocess, open_image
from dvt_core.samples import list_samples
from tests.ui.driver import captions, metrics, open_app
from tests.ui.tiny_model import WORDS, png


def open_upload(**query):
    at = open_app(**query)
    at.button_group(key="from").set_value("upload").run()
    return at


def drop(at, *files):
    at.file_uploader(key="look_upload").set_value([(*f, "image/png") for f in files]).run()
    assert not at.exception
    return at


def buttons(at, start):
    return [button for button in at.button if (button.key or "").startswith(start)]


def test_several_files_at_once_become_a_tray(models_dir):
    files = [(f"{i}.png", png(size=(60 + i, 40))) for i in range(3)]
    at = drop(open_upload(), *files)
    assert "2.png, 62x40 pixels" in captions(at) and not at.warning
    assert [button.label for button in buttons(at, "tray_")] == ["2.png", "1.png", "0.png"]
    buttons(at, "tray_")[2].click().run()
    assert "0.png, 60x40 pixels" in captions(at)
    at.button(key="look_remove").click().run()
    assert "2.png, 62x40 pixels" in captions(at) and len(buttons(at, "tray_")) == 2


def test_a_bad_file_among_good_ones_is_named_and_the_last_good_one_shown(models_dir):
    at = drop(open_upload(), ("a.png", png()), ("b.png", b"nothing"), ("c.png", png(size=(50, 40))))
    at = drop(at, ("a.png", png()), ("d.heic", b"\0\0\0\x18ftypheic" + bytes(99)))
    assert len(at.warning) == 1 and at.warning[0].value.startswith("d.heic: the image is a HEIC")
    assert "Answer" in metrics(at)
