"""Every way a picture comes in: what is good is shown, what is not gives one sentence."""

import base64
import io
import re
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from app import cascade_runs, services
from app.intake import chooser, paste, sample_sheet, tray
from app.intake.crop import framed
from app.intake.pictures import Picture, get_view, unlike_note
from app.intake.thumbs import thumbnail
from dvt_core.errors import InputError
from dvt_core.images import Crop, Preprocess, open_image
from dvt_core.samples import list_samples
from tests.ui.driver import captions, metrics, open_app, pick, sent, thumbs
from tests.ui.node import call_js
from tests.ui.tiny_model import WORDS, png, write_bundle

HEIC = b"\0\0\0\x18ftypheic" + bytes(99)


def open_upload(**query):
    at = open_app(**query)
    at.button_group(key="from").set_value("upload").run()
    return at


def drop(at, *files):
    at.file_uploader(key="look_upload").set_value([(*f, "image/png") for f in files]).run()
    assert not at.exception
    return at


def test_several_files_at_once_become_a_tray(models_dir):
    files = [(f"{i}.png", png(size=(60 + i, 40))) for i in range(3)]
    at = drop(open_upload(), *files)
    assert "2.png, 62x40 pixels" in captions(at) and not at.warning
    assert thumbs(at, "tray") == ["2.png", "1.png", "0.png"]
    pick(at, "tray", sent(at, "tray")["thumbs"][2]["id"])
    assert "0.png, 60x40 pixels" in captions(at)
    at.button(key="look_remove").click().run()
    assert "2.png, 62x40 pixels" in captions(at) and len(thumbs(at, "tray")) == 2


def test_limits_are_said_before_anything_is_uploaded(models_dir):
    said = captions(open_upload())
    assert "up to 20 MB and 40 megapixels" in said and "last 24 pictures, at most 60 MB" in said
    assert "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF" in said


def test_a_bad_file_among_good_ones_is_named_and_the_last_good_one_shown(models_dir):
    at = drop(open_upload(), ("a.png", png()), ("b.png", b"no"), ("c.png", png(size=(50, 40))))
    assert at.warning[0].value.startswith("b.png: ") and "c.png, 50x40" in captions(at)
    at = drop(at, ("d.heic", HEIC))
    assert len(at.warning) == 1 and at.warning[0].value.startswith("d.heic: the image is a HEIC")
    assert "c.png, 50x40" in captions(at) and "Answer" in metrics(at)
    at.run()
    assert at.warning[0].value.startswith("d.heic: ")  # as long as it lies in the uploader


def test_many_bad_files_are_not_told_at_length(models_dir):
    at = drop(open_upload(), *((f"{i}.png", b"no") for i in range(8)))
    words = at.warning[0].value
    assert len(at.warning) == 1 and "And 3 more." in words
    assert re.findall(r"(\d)\.png: ", words) == list("01234")
    assert "Answer" in metrics(at)


def test_an_own_picture_outlives_its_widget(models_dir):
    at = drop(open_upload(), ("a.png", png()))
    at.button_group(key="from").set_value("samples").run()
    assert "a.png" not in captions(at)
    at.button_group(key="from").set_value("camera").run()
    assert "a.png, 60x40" in captions(at)


@pytest.mark.parametrize("sizes", [[1] * 30, [9, 9, 9], [5, 20, 3, 3], [70], [1, 70, 2], []])
def test_tray_keeps_the_longest_row_of_newest_pictures_that_fits(sizes, monkeypatch):
    monkeypatch.setattr(tray, "MAX_TRAY_BYTES", 20)
    pictures = tuple(Picture(bytes(size), str(i)) for i, size in enumerate(sizes))
    fitting = [
        pictures[i:]
        for i in range(len(pictures))
        if len(pictures) - i <= 24 and (sum(sizes[i:]) <= 20 or i == len(pictures) - 1)
    ]
    assert tray.within_limits(pictures) == max(fitting, key=len, default=())


def test_the_oldest_picture_leaves_a_full_tray_and_it_is_said(models_dir, monkeypatch):
    monkeypatch.setattr(tray, "MAX_PICTURES", 2)
    at = drop(open_upload(), *((f"{i}.png", png(size=(60 + i, 40))) for i in range(3)))
    assert thumbs(at, "tray") == ["2.png", "1.png"]
    assert "The oldest left to make room (1)" in captions(at)


def paste_into(monkeypatch, payload):
    monkeypatch.setattr(paste, "_mount", lambda **_: SimpleNamespace(picture=payload))
    at = open_upload()
    assert not at.exception
    return at


def test_a_pasted_picture_is_shown(models_dir, monkeypatch):
    data = png(size=(50, 30))
    at = paste_into(monkeypatch, {"data": base64.b64encode(data).decode()})
    assert "pasted picture, 50x30 pixels" in captions(at) and not at.warning
    monkeypatch.setattr(paste, "_mount", lambda **_: SimpleNamespace(picture=None))
    at.run()
    assert "pasted picture, 50x30 pixels" in captions(at)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"data": "$$$ no base64 $$$"}, "arrived damaged"),
        ({"data": "é" * 8}, "arrived damaged"),
        ({"data": "abc"}, "arrived damaged"),
        ({"data": ""}, "holds no picture"),
        ({"data": ["x"]}, "holds no picture"),
        ({}, "holds no picture"),
        ("text", "holds no picture"),
        (7, "holds no picture"),
        ({"data": base64.b64encode(b"hello, this is text").decode()}, "known kind"),
        ({"data": base64.b64encode(png()[:70]).decode()}, "damaged or incomplete"),
        ({"data": base64.b64encode(HEIC).decode()}, "HEIC"),
        ({"data": "A" * 26_666_672}, "larger than 20 MB"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_bad_paste_gives_one_sentence(models_dir, monkeypatch, payload, words):
    at = paste_into(monkeypatch, payload)
    assert len(at.warning) == 1 and words in at.warning[0].value
    assert at.warning[0].value.startswith("pasted picture: ")
    assert "Answer" in metrics(at)  # a sample


def test_the_largest_paste_passes_and_one_byte_more_does_not():
    limit = 20_000_000
    data = bytes(limit)
    assert paste.read_payload({"data": base64.b64encode(data).decode()}).data == data
    more = paste.read_payload(
        {"data": base64.b64encode(data + b"x").decode()}
    )  # same base64 length
    with pytest.raises(InputError, match="20 MB"):
        open_image(more.data)
    with pytest.raises(InputError, match="20 MB"):
        paste.read_payload({"data": base64.b64encode(data + bytes(3)).decode()})


def test_the_box_refuses_in_the_browser_what_python_would_refuse():
    said = call_js(
        ("paste.js",), [("refusal", [n, 20_000_000]) for n in (0, 1, 20_000_000, 2e7 + 1)]
    )
    assert said[1:3] == ["", ""] and "empty" in said[0] and "more than 20 MB" in said[3]
    text = {"kind": "string", "type": "text/plain"}
    assert (
        call_js(("paste.js",), [("pictureOf", [c]) for c in ({}, {"items": [text]}, None)])
        == [None] * 3
    )


def seen_by_the_model(at, monkeypatch):
    """The tensors that the model was called with in the next run."""
    tensors, real = [], cascade_runs.classify
    monkeypatch.setattr(
        cascade_runs, "classify", lambda m, x, *a, **k: tensors.append(x) or real(m, x, *a, **k)
    )
    at.run()
    assert not at.exception
    return tensors


def test_the_crop_moves_what_the_model_sees(models_dir, monkeypatch):
    data = png(size=(90, 60))
    at = drop(open_upload(), ("a.png", data))
    at.session_state["crop"] = True
    at.run()
    at.slider(key="crop_zoom").set_value(1.5)
    at.slider(key="crop_x").set_value(100)
    tensors = seen_by_the_model(at, monkeypatch)
    large = open_image(data).resize((72, 48), Image.BICUBIC)
    pixels = np.asarray(large.crop((40, 8, 72, 40)))
    preprocess = Preprocess.from_config(services.get_bundle("tiny").config)
    assert tensors
    for tensor in tensors:  # the trace's, and those of the sections below it
        seen = preprocess.denormalize(tensor)[0].permute(1, 2, 0)
        np.testing.assert_array_equal(seen.numpy(), pixels)
    at.session_state["crop"] = False
    at.run()
    assert "The crop was moved." in captions(at)


def test_a_crop_belongs_to_its_picture_and_can_be_reset(models_dir):
    at = drop(open_upload(), ("a.png", png(size=(90, 60))), ("b.png", png(size=(60, 90))))
    at.session_state["crop"] = True
    at.run()
    at.slider(key="crop_y").set_value(10).run()
    pick(at, "tray", sent(at, "tray")["thumbs"][1]["id"])
    assert at.slider(key="crop_y").value == 50 and at.slider(key="crop_y").disabled
    assert not at.slider(key="crop_x").disabled
    pick(at, "tray", sent(at, "tray")["thumbs"][0]["id"])
    assert at.slider(key="crop_y").value == 10
    at.button(key="crop_reset").click().run()
    assert at.slider(key="crop_y").value == 50


def test_view_and_digest_follow_the_crop(models_dir):
    bundle, data = services.get_bundle("tiny"), png(size=(1300, 800))
    crops = [Crop(), Crop(0, 0.5, 1), Crop(0.5, 0.5, 2)]
    pictures = [Picture(data, "x", crop=crop) for crop in crops]
    assert len({picture.digest for picture in pictures}) == 3
    assert pictures[0].digest == pictures[0].content == Picture(data, "y").digest
    for picture in pictures:
        view = get_view(bundle, picture)
        preprocess = Preprocess.from_config(bundle.config)
        np.testing.assert_array_equal(view.seen, preprocess.view(open_image(data), picture.crop))
        assert view.size == (1300, 800) and max(view.original.size) == 640
        left, top, right, bottom = view.frame
        side = 800 / 1300 * 640 / picture.crop.zoom
        assert (right - left, bottom - top) == pytest.approx((side, side), abs=1)
        assert left + right == pytest.approx(side if picture.crop.x == 0 else 640, abs=1)
        drawn = np.asarray(framed(view)).astype(int)
        inside = np.asarray(view.original)[round(top) + 4 : round(bottom) - 4]
        inside = inside[:, round(left) + 4 : round(right) - 4]
        kept = drawn[round(top) + 4 : round(bottom) - 4, round(left) + 4 : round(right) - 4]
        np.testing.assert_array_equal(kept, inside)


@pytest.fixture
def test_set(models_dir, tmp_path, monkeypatch):
    """Three pictures of each class as a folder of class folders, named as the tiny model's data."""
    monkeypatch.setenv("DVT_DATA", str(tmp_path / "data"))
    for index, name in enumerate(WORDS):
        folder = tmp_path / "data" / "random" / "test" / name
        folder.mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (40, 30), (25 * index, 60 * i, 0)).save(folder / f"{i}.png")
    return tmp_path / "data" / "random"


def colour_of(at):
    """(class, number within the class) of the picture shown, read from its name."""
    row = int(re.search(r"random test image (\d+)", captions(at))[1])
    return divmod(row, 3)


def test_data_set_pictures_are_chosen_by_number_and_class(test_set):
    at = open_app(**{"from": "data set", "image": "4"})
    assert colour_of(at) == (1, 1) and "Labelled: automobile." in captions(at)
    assert metrics(at)["Labelled"] == "automobile"
    at.button(key="image_next").click().run()
    assert colour_of(at) == (1, 2)
    at.selectbox(key="image_class").set_value("cat").run()
    assert colour_of(at) == (3, 0)
    at.button(key="image_previous").click().run()
    assert colour_of(at) == (3, 2)  # around the end
    at.button(key="image_random").click().run()
    assert colour_of(at)[0] == 3
    at.number_input(key="image").set_value(29).run()
    assert colour_of(at) == (9, 2) and at.selectbox(key="image_class").value == "all classes"
    at.button(key="image_next").click().run()
    assert colour_of(at) == (0, 0) and not at.warning


def test_data_set_pictures_are_opened_one_by_one(test_set, monkeypatch):
    for path in test_set.glob("test/*/*.png"):
        if (path.parent.name, path.name) != ("bird", "1.png"):
            path.write_bytes(b"never opened")
    at = open_app(**{"from": "data set", "image": "7"})
    assert colour_of(at) == (2, 1) and not at.warning
    at.button(key="image_next").click().run()
    assert len(at.warning) == 1 and "known kind" in at.warning[0].value and "Answer" in metrics(at)


def test_a_data_set_that_is_not_there_is_named(models_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("DVT_DATA", str(tmp_path / "empty"))
    at = open_app(**{"from": "data set"})
    assert "data set random is not on this machine" in at.info[0].value
    assert str(tmp_path / "empty") in at.info[0].value
    assert list_samples(WORDS)[0].title in captions(at)


def test_a_data_set_of_another_model_is_refused(test_set, models_dir):
    write_bundle(models_dir / "small", 2, words=("yes", "no"))
    at = open_app(**{"from": "data set", "model": "small"})
    assert len(at.warning) == 1 and "10 classes, but this model has 2" in at.warning[0].value
    assert "Answer" in metrics(at)


@pytest.mark.parametrize(
    "query",
    [
        {"from": "nonsense"},
        {"from": ""},
        {"sample": "nonsense"},
        {"sample": "../../etc/passwd"},
        {"from": "data set", "image": "nonsense"},
        {"from": "data set", "image": "99999999"},
        {"from": "data set", "image": "-3"},
        {"from": "upload", "sample": "nonsense"},
        {"look_compare": "true", "second_from": "nonsense", "second_sample": "x"},
    ],
    ids=str,
)
def test_a_broken_link_opens_a_working_page(test_set, query):
    at = open_app(**query)
    assert not at.exception and not at.error and "Answer" in metrics(at)


def two_choosers() -> None:
    import streamlit as st

    from app import services
    from app.intake.chooser import choose_picture

    bundle = services.get_bundle("tiny")
    for slot in ("", "second"):
        picture, view = choose_picture(bundle, slot)
        st.caption(f"{slot}: {picture.name} {view.size[0]}x{view.size[1]}")


def test_two_choosers_stand_side_by_side_and_share_the_tray(models_dir):
    at = AppTest.from_function(two_choosers, default_timeout=60).run()
    assert not at.exception
    first, second, third = (list_samples(WORDS)[place] for place in (0, 3, 5))
    pick(at, "second_samples", second.id)
    assert f": {first.title} " in captions(at) and f"second: {second.title} " in captions(at)
    pick(at, "samples", third.id)
    assert f": {third.title} " in captions(at) and f"second: {second.title} " in captions(at)
    chosen = [sent(at, key)["chosen"] for key in ("samples", "second_samples")]
    assert chosen == [third.id, second.id]
    pick(at, "samples", first.id)
    at.button_group(key="second_from").set_value("upload").run()
    at.file_uploader(key="second_look_upload").upload("mine.png", png()).run()
    assert f": {first.title} " in captions(at) and "second: mine.png 60x40" in captions(at)
    at.button_group(key="from").set_value("upload").run()
    assert ": mine.png 60x40" in captions(at) and not at.exception


def gif() -> bytes:
    out = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime")]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (png("RGBA"), "60x40"),
        (png("L"), "60x40"),
        (png("P"), "60x40"),
        (png(size=(1, 1)), "1x1"),
        (png(size=(5000, 1)), "5000x1"),
        (png(size=(1300, 1100)), "1300x1100"),  # reduced when opened, but that is our business
        (gif(), "8x8"),
    ],
    ids=["alpha", "grey", "palette", "dot", "strip", "large", "animation"],
)
def test_odd_pictures_are_traced(models_dir, data, size):
    at = drop(open_upload(), ("odd.png", data))
    assert f"odd.png, {size} pixels" in captions(at) and not at.warning and "Answer" in metrics(at)


@pytest.mark.parametrize("data", [b"", HEIC, b"<svg xmlns='x'/>", png()[:50], b"%PDF-1.4"], ids=str)
def test_what_is_no_picture_gives_one_sentence(models_dir, data):
    at = drop(open_upload(), ("odd.png", data))
    assert len(at.warning) == 1 and at.warning[0].value.count("odd.png") == 1
    assert "Answer" in metrics(at)


def test_unlike_note_compares_with_the_fifth_percentile(models_dir):
    table = services.get_table(services.get_bundle("tiny"), "test")
    ordered = np.sort(table.confidences[:, -1])
    low, high = float(ordered[len(ordered) // 20 - 2]), float(ordered[len(ordered) // 20 + 2])
    assert "maybe" in unlike_note([low / 2, low], table)
    assert unlike_note([high, low], table) == "" == unlike_note([1.0], table)
    assert unlike_note([low], None) == "" == unlike_note([], table)


def test_every_page_with_a_picture_links_to_it(models_dir):
    sample = list_samples(WORDS)[4]
    at = open_app()
    pick(at, "samples", sample.id)
    for page in ("views/inside.py", "views/tradeoff.py", "views/look.py"):
        at.switch_page(page).run()
        assert at.query_params["sample"] in (sample.id, [sample.id]), page
    assert sample.title in captions(at)
    first = list_samples(WORDS)[0]
    pick(at, "samples", first.id)
    assert "sample" not in at.query_params  # shown unasked: nothing to say
    assert "sample" not in open_app(sample="nope").query_params


def named():
    """A page without a chooser, which names its picture."""
    import streamlit as st

    from app import services
    from app.intake.chooser import last_picture

    st.caption(last_picture(services.get_bundle("tiny")).name)


@pytest.mark.parametrize("row", ["7", "99999", "-1", "x"])
def test_a_link_to_a_page_without_a_chooser_opens_the_picture(test_set, row):
    at = AppTest.from_function(named, default_timeout=60)
    at.query_params["sample"] = list_samples(WORDS)[4].id
    assert list_samples(WORDS)[4].title in captions(at.run())
    at = AppTest.from_function(named, default_timeout=60)
    at.query_params.update({"from": "data set", "image": row})
    shown = captions(at.run())
    assert shown == ("random test image 7" if row == "7" else list_samples(WORDS)[0].title)


def test_a_test_image_stays_in_the_link_and_in_hand_on_other_pages(test_set):
    at = open_app(**{"from": "data set", "image": "7"})
    at.switch_page("views/tradeoff.py").run()
    assert at.query_params["from"] in ("data set", ["data set"])
    assert at.query_params["image"] in ("7", ["7"])
    at.query_params.clear()
    at.switch_page("views/look.py").run()
    assert colour_of(at) == (2, 1)


def test_the_samples_pictures_stand_in_a_sheet_that_browsers_keep(models_dir):
    row = sent(open_app(), "samples")
    address = row["sheet"]
    assert re.fullmatch(r"samples/[0-9a-f]{32}\.css", address)
    client = TestClient(Starlette(routes=sample_sheet.ROUTES))
    answer = client.get(f"/{address}")
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]
    samples = list_samples(services.get_bundle("tiny").class_names)
    for sample in samples:
        picture = thumbnail(Picture(sample.path.read_bytes(), sample.title))
        rule = f'[data-id="{sample.id}"]{{background-image:url(data:image/jpeg;base64,{picture})}}'
        assert rule in answer.text and picture not in str(row)
    assert [thumb["id"] for thumb in row["thumbs"]] == [sample.id for sample in samples]
    write_bundle(models_dir / "small", 2, words=("yes", "no"))
    assert sent(open_app(model="small"), "samples")["sheet"] == address  # one for all models
    assert client.get("/samples/00.css").status_code == 404


FOREIGN = (None, True, 0, 2**70, "", "nonsense", "../../etc/passwd", [], ["cifar10_05"], {"id": 1})


@pytest.mark.parametrize("key", ["samples", "tray"])
def test_only_what_is_offered_can_be_picked(models_dir, key):
    at = open_app() if key == "samples" else open_upload()
    if key == "tray":
        drop(at, *((f"{side}.png", png(size=(side, side))) for side in (50, 60, 70)))
    last = sent(at, key)["thumbs"][-1]
    pick(at, key, last["id"])
    assert sent(at, key)["chosen"] == last["id"] and last["title"] in captions(at)
    before = sent(at, key), captions(at)
    for value in (*FOREIGN, "x" * 10**6, last["title"], f"{last['id']} "):
        pick(at, key, value)
        assert (sent(at, key), captions(at)) == before, str(value)[:60]


def test_a_pick_draws_the_page_once(models_dir, monkeypatch):
    at, drawn, real = open_app(), [], chooser.strip
    monkeypatch.setattr(chooser, "strip", lambda *args: drawn.append(args) or real(*args))
    sample = list_samples(services.get_bundle("tiny").class_names)[4]
    pick(at, "samples", sample.id)
    assert len(drawn) == 1 and sent(at, "samples")["chosen"] == sample.id


def test_the_arrows_move_along_a_row_and_no_further():
    keys = ["ArrowRight", "ArrowLeft", "Home", "End", "Enter", "ArrowDown"]
    said = call_js(("thumbs.js",), [("placeAfter", [key, at, 5]) for key in keys for at in (0, 4)])
    assert said == [1, 4, 0, 3, 0, 0, 4, 4, None, None, None, None]


def test_a_row_is_scrolled_only_to_what_is_out_of_sight():
    """One thumbnail is 84 wide; the row shows 300 pixels of itself."""
    cases = {
        (0, 0): None,
        (216, 0): None,
        (217, 0): 109,
        (1000, 0): 892,
        (0, 50): 0,
        (50, 50): None,
    }
    asked = [("scrolledTo", [{"left": left, "width": 84}, at, 300]) for left, at in cases]
    assert call_js(("thumbs.js",), asked) == list(cases.values())
