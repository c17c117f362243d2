"""Easy & hard without a browser: its JavaScript against Python, thumbnails, fetching, the page."""

import io
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features
from datasets import Image as Picture
from PIL import Image
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from app import services
from app.figures.theme import percent
from app.intake import dataset_fetch, thumbnail_route
from app.intake.dataset_fetch import fetch_test_images, find_test_images, open_test_images
from app.intake.thumbnail_route import COLUMNS, SHEET_IMAGES, read_rows, serve
from app.sections.easy_hard import picked_row
from app.sections.easy_hard_data import board_data, class_data
from app.serving.headers import SecurityHeaders, security_headers
from app.work.jobs import Cancelled
from dvt_core.data_sources import DATASETS
from dvt_core.errors import InputError
from dvt_core.outcomes import OUTCOMES, by_class, count_outcomes, margins, outcomes
from dvt_core.thresholds import exit_indices
from tests.core.synthetic_tables import cascade_table
from tests.ui.driver import captions, html, metrics, open_app, sent
from tests.ui.node import call_js

PAGE = "views/easy_hard.py"
FILES = ("rule.js", "lanes.js")
ALL = {"label": -1, "low": 0, "high": 1, "outcome": -1, "sort": "near"}
WORDS = [f"word {i}" for i in range(10)]
NAMES = [f"class {i}" for i in range(10)]


# --- the browser's arithmetic ---------------------------------------------------------------


@pytest.mark.parametrize("num_exits", [1, 2, 3, 5])
def test_lanes_hold_every_image_once_where_python_puts_it(num_exits):
    table = cascade_table(n=600, num_exits=num_exits, decimals=2)  # rounded: ties with thresholds
    data, filter = board_data(table, WORDS), {**ALL, "exits": [True] * num_exits}
    settings = [[t] * (num_exits - 1) for t in (0.0, 0.55, 0.8, 1.01)]
    for thresholds, got in zip(
        settings, call_js(FILES, [("listed", [data, t, filter]) for t in settings]), strict=True
    ):
        assert got["exits"] == exit_indices(table, thresholds).tolist()
        assert got["outcomes"] == outcomes(table, thresholds).tolist()
        assert got["counts"] == count_outcomes(table, thresholds).ravel().tolist()
        if num_exits > 1:  # JSON has no infinity
            assert got["margins"] == margins(table, thresholds).tolist()
        shown = [i for lane in got["lanes"] for group in lane for i in group["images"]]
        assert sorted(shown) == list(range(table.n))
        for e, lane in enumerate(got["lanes"]):
            assert [g["outcome"] for g in lane] == sorted(g["outcome"] for g in lane)
            for group in lane:
                images = np.array(group["images"])
                assert (exit_indices(table, thresholds)[images] == e).all()
                assert (outcomes(table, thresholds)[images] == group["outcome"]).all()


FILTERS = [
    {"label": 3},
    {"exits": [False, True, True]},
    {"low": 0.5, "high": 0.9},
    {"outcome": OUTCOMES.index("rescued"), "low": 0.3},
    {"label": 2, "high": 0.75, "exits": [True, False, True]},
]


@pytest.mark.parametrize("part", FILTERS, ids=str)
def test_filters_keep_what_they_say(part):
    table, thresholds = cascade_table(n=800), [0.7, 0.6]
    filter = {**ALL, "exits": [True] * 3, **part}
    (got,) = call_js(FILES, [("listed", [board_data(table, WORDS), thresholds, filter])])
    exits, found = exit_indices(table, thresholds), outcomes(table, thresholds)
    confidence = table.confidences[np.arange(table.n), exits].astype(float)
    keep = np.array(filter["exits"])[exits] & (confidence >= filter["low"])
    if filter["high"] < 1:
        keep &= confidence <= filter["high"]
    if filter["label"] >= 0:
        keep &= table.labels == filter["label"]
    if filter["outcome"] >= 0:
        keep &= found == filter["outcome"]
    shown = [i for lane in got["lanes"] for group in lane for i in group["images"]]
    assert sorted(shown) == np.flatnonzero(keep).tolist() and 0 < len(shown) < table.n


def test_samples_are_shown_only_while_no_filter_is_set():
    whole = {**ALL, "exits": [True] * 3}
    parts = [{}, {"sort": "sure"}, {"label": 0}, {"outcome": 0}, *FILTERS]
    calls = [("isOpen", [{**whole, **part}]) for part in parts]
    assert call_js(FILES, calls) == [True, True] + [False] * (len(parts) - 2)


@pytest.mark.parametrize("sort", ["near", "far", "sure", "unsure", "number"])
def test_cards_of_a_group_are_sorted(sort):
    table, thresholds = cascade_table(n=800), [0.7, 0.6]
    filter = {**ALL, "exits": [True] * 3, "sort": sort}
    (got,) = call_js(FILES, [("listed", [board_data(table, WORDS), thresholds, filter])])
    exits, margin = exit_indices(table, thresholds), margins(table, thresholds)
    confidence = table.confidences[np.arange(table.n), exits].astype(float)
    value = {"near": margin, "far": -margin, "sure": -confidence, "unsure": confidence}
    for lane in got["lanes"]:
        for group in lane:
            values = value.get(sort, np.arange(table.n))[group["images"]]
            assert (np.diff(values) > -2e-6).all(), "out of order by more than a millionth"


def test_a_lane_draws_the_rows_in_sight_and_no_others():
    groups = [{"outcome": 0, "start": 0, "count": 7}, {"outcome": 4, "start": 7, "count": 5}]
    columns, head, card = 3, 30, 100
    (laid,) = call_js(FILES, [("layout", [groups, columns, head, card])])
    assert laid["height"] == 2 * head + (3 + 2) * card
    spans = [(y, y + 90) for y in range(-100, 700, 7)]
    calls = [("inSight", [laid["places"], columns, head, card, *span]) for span in spans]
    for (low, high), seen in zip(spans, call_js(FILES, calls), strict=True):
        wanted = set()
        for top, group in ((0, groups[0]), (head + 3 * card, groups[1])):
            for k in range(group["count"]):
                y = top + head + k // columns * card
                if y < high and y + card > low:
                    wanted.add(group["start"] + k)
        got = [g["start"] + k for g, first, after in seen for k in range(first, after)]
        assert sorted(got) == sorted(wanted)


@pytest.mark.parametrize("num_exits", [1, 3])
def test_class_numbers_are_those_of_python(num_exits):
    table, classes = cascade_table(n=500, num_exits=num_exits), 10
    thresholds = [0.7, 0.6][: num_exits - 1]
    files = ("rule.js", "lanes.js", "class_table.js")
    data = board_data(table, WORDS)
    (got,) = call_js(files, [("classesUnder", [data, thresholds, classes])])
    wanted = by_class(table, thresholds)
    assert got["macs"] == pytest.approx(wanted.macs) and len(got["macs"]) == classes
    assert got["accuracy"] == pytest.approx(wanted.accuracy)
    fixed = class_data(table, WORDS)
    assert fixed["counts"] == wanted.counts.tolist()
    assert pytest.approx(wanted.exit_accuracy) == np.array(fixed["exit_accuracy"]).T


# --- thumbnails -----------------------------------------------------------------------------


def _write_set(
    folder: Path, labels: np.ndarray, name: str = "test.parquet", names: Sequence[str] = NAMES
) -> list[Image.Image]:
    """A Parquet test split of one-coloured pictures, 16 pixels square."""
    random = np.random.default_rng(1)
    colours = random.integers(0, 256, (len(labels), 3), dtype=np.uint8)
    pictures = [Image.new("RGB", (16, 16), tuple(map(int, colour))) for colour in colours]
    cells = []
    for picture in pictures:
        out = io.BytesIO()
        picture.save(out, "PNG")
        cells.append({"bytes": out.getvalue(), "path": None})
    folder.mkdir(parents=True, exist_ok=True)
    features = Features({"image": Picture(decode=False), "label": ClassLabel(names=list(names))})
    stored = Dataset.from_dict({"image": cells, "label": labels}, features=features)
    stored.to_parquet(folder / name)
    return pictures


@pytest.fixture
def served(tmp_path, monkeypatch):
    monkeypatch.setattr(thumbnail_route, "_sets", type(thumbnail_route._sets)())
    labels = np.arange(100) % 10
    pictures = _write_set(tmp_path / "toys", labels)
    split = open_test_images("toys", tmp_path / "toys")
    return serve("toys", tmp_path / "toys", split), pictures


@pytest.fixture
def client() -> TestClient:
    return TestClient(
        Starlette(routes=thumbnail_route.ROUTES, middleware=[Middleware(SecurityHeaders)])
    )


def test_a_sheet_holds_the_images_in_the_order_asked(served, client):
    (thumbs, pictures), rows = served, [42, 7, 99, 0, 3, 50, 51, 52, 8, 42]
    answer = client.get(f"/{thumbs.address}{','.join(map(str, rows))}.jpg")
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/jpeg"
    assert "immutable" in answer.headers["cache-control"]
    for name, value in security_headers("testserver").items():
        assert answer.headers[name] == value
    sheet = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB")).astype(int)
    assert sheet.shape == (2 * 16, COLUMNS * 16, 3)
    for place, row in enumerate(rows):
        y, x = place // COLUMNS * 16, place % COLUMNS * 16
        tile = sheet[y : y + 16, x : x + 16]
        assert np.abs(tile - np.asarray(pictures[row]).astype(int)).max() <= 6, "JPEG's rounding"


def test_too_many_sheets_are_refused_and_later_drawn(served, client, monkeypatch):
    """Two that draw and two that wait are all that may be open; a place is free when one ends."""
    go, drawn = threading.Event(), []

    def slow(thumbs, rows):
        drawn.append(rows)
        assert go.wait(60)
        return b"a sheet"

    monkeypatch.setattr(thumbnail_route, "_sheet", slow)
    monkeypatch.setattr(thumbnail_route, "_waiting", threading.BoundedSemaphore(4))
    address = f"/{served[0].address}"
    with client, ThreadPoolExecutor(4) as visitors:
        asked = [visitors.submit(client.get, f"{address}{row}.jpg") for row in range(4)]
        while thumbnail_route._waiting._value:
            time.sleep(0.01)
        refused = client.get(f"{address}7.jpg")
        assert refused.status_code == 503 and refused.headers["retry-after"] == "2"
        go.set()
        assert [one.result().status_code for one in asked] == [200] * 4
        assert client.get(f"{address}7.jpg").content == b"a sheet"
    assert sorted(drawn) == [(0,), (1,), (2,), (3,), (7,)]


def test_a_failed_sheet_is_asked_for_again_a_few_times():
    calls = [("retryAfter", [n, chance]) for n in range(1, 5) for chance in (0, 0.5)]
    waits = call_js(("sheets.js",), calls)
    assert waits == [1000, 2000, 2000, 4000, 4000, 8000, None, None]


def test_what_is_no_list_of_known_rows_is_not_found(served, client):
    address = f"/{served[0].address}"
    too_many = ",".join(["1"] * (SHEET_IMAGES + 1))
    bad = ["100", "-1", "1,,2", "1-3", "a", "%2e%2e", "1%2f2", "٣", "99999999", too_many, ""]
    for rows in bad:
        assert client.get(f"{address}{rows}.jpg").status_code == 404, rows
    known = f"/thumbs/toys/{served[0].stamp}/1.jpg"
    assert client.get(known).status_code == 200
    assert client.get(known.replace("toys", "cifar10")).status_code == 404
    assert client.get(known.replace(served[0].stamp, "0" * 12)).status_code == 404
    assert client.get("/thumbs/..%2f..%2fetc/passwd/1.jpg").status_code == 404
    assert client.post(known).status_code == 405


def test_a_damaged_image_leaves_the_others(tmp_path):
    labels = np.zeros(3, dtype=np.int64)
    _write_set(tmp_path / "bad", labels)
    table = pq.read_table(tmp_path / "bad" / "test.parquet").to_pydict()
    table["image"][1]["bytes"] = b"broken"
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {"image": pa.array(table["image"], kind), "label": table["label"]}
    pq.write_table(pa.table(columns), tmp_path / "bad" / "test.parquet")
    thumbs = serve("bad", tmp_path / "bad", open_test_images("bad", tmp_path / "bad"))
    sheet = np.asarray(Image.open(io.BytesIO(thumbnail_route._sheet(thumbs, (0, 1, 2)))))
    assert np.abs(sheet[:16, 16:32].astype(int) - 128).max() <= 6
    assert np.abs(sheet[:16, :16].astype(int) - 128).max() > 6


def test_another_copy_of_a_set_has_another_address(tmp_path):
    labels = np.zeros(3, dtype=np.int64)
    _write_set(tmp_path / "set", labels)
    split = open_test_images("set", tmp_path / "set")
    before = serve("set", tmp_path / "set", split).address
    assert serve("set", tmp_path / "set", split).address == before
    _write_set(tmp_path / "set", np.zeros(4, dtype=np.int64))
    assert serve("set", tmp_path / "set", split).address != before
    assert read_rows("0,2", 3) == (0, 2) and read_rows("0,3", 3) == ()


# --- where the images lie, and fetching them ------------------------------------------------


class _Hub:
    """As much of `HfFileSystem` as is used."""

    def __init__(self, files: dict[str, Path]) -> None:
        self.files = files

    def find(self, path: str, *, detail: bool) -> dict[str, dict[str, int]]:
        return {f"{path}/{n}": {"size": f.stat().st_size} for n, f in self.files.items()}

    def open(self, path: str, mode: str):
        return next(f for n, f in self.files.items() if path.endswith(n)).open(mode)


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No data set is found; what is fetched goes to a folder of the test."""
    monkeypatch.setattr(dataset_fetch, "find_folder", lambda name: None)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv(dataset_fetch.CACHE_ENV, str(tmp_path / "kept"))
    return tmp_path


def _hub_of_cifar10(folder: Path) -> _Hub:
    labels = np.arange(40) % 10
    _write_set(folder / "far", labels, "test-00000-of-00001.parquet")
    _write_set(folder / "far", np.arange(60) % 10, "train-00000-of-00001.parquet")
    return _Hub({f"plain_text/{p.name}": p for p in (folder / "far").iterdir()})


def test_only_the_test_split_is_fetched_and_then_found(nowhere):
    assert find_test_images("cifar10") is None
    steps: list[float] = []
    hub = _hub_of_cifar10(nowhere)
    folder = fetch_test_images("cifar10", steps.append, hub=lambda: hub)
    assert find_test_images("cifar10") == folder
    assert [path.name for path in folder.iterdir()] == ["test-00000-of-00001.parquet"]
    assert steps == sorted(steps) and steps[-1] == 1.0
    split = open_test_images("cifar10", folder)
    assert split.labels.tolist() == (np.arange(40) % 10).tolist() and split.image(3).size == (
        16,
        16,
    )


@pytest.mark.parametrize("way", ["offline", "cancelled", "not a set"])
def test_a_failed_fetch_leaves_nothing(nowhere, way):
    def offline():
        raise socket.gaierror("Name or service not known")

    def cancel(fraction: float) -> None:
        raise Cancelled

    hub = _hub_of_cifar10(nowhere)
    if way == "not a set":
        (nowhere / "far" / "test-00000-of-00001.parquet").write_bytes(b"<html>log in</html>")
    step = cancel if way == "cancelled" else lambda fraction: None
    wanted = (Cancelled, None) if way == "cancelled" else (InputError, "^one sentence$")
    with pytest.raises(wanted[0], match=wanted[1]):
        fetch_test_images(
            "cifar10", step, "one sentence", hub=offline if way == "offline" else lambda: hub
        )
    assert find_test_images("cifar10") is None
    assert [path.name for path in (nowhere / "kept").iterdir()] == [".cifar10.lock"]


def test_the_cache_of_the_hub_is_found_and_read(nowhere):
    images = _write_set(nowhere / "far", np.arange(20) % 10)
    stored = Dataset.from_parquet(str(nowhere / "far" / "test.parquet"), cache_dir=nowhere / "tmp")
    folder = nowhere / "hub" / "uoft-cs___cifar10" / "plain_text" / "0.0.0" / "abc"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text("{}")
    made = next((nowhere / "tmp").glob("**/*.arrow"))
    made.rename(folder / "cifar10-test.arrow")
    assert find_test_images("cifar10") == nowhere / "hub" / "uoft-cs___cifar10"
    split = open_test_images("cifar10", nowhere / "hub" / "uoft-cs___cifar10")
    assert len(split) == len(stored) == 20
    assert split.image(5).getpixel((0, 0)) == images[5].getpixel((0, 0))


def test_no_route_out_is_no_way_out(monkeypatch):
    class Unreachable:
        def __init__(self, *_):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def connect(self, address):
            raise OSError("Network is unreachable")

    monkeypatch.setattr(dataset_fetch.socket, "socket", Unreachable)
    assert not dataset_fetch.has_way_out()
    monkeypatch.undo()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert not dataset_fetch.has_way_out()
    assert set(dataset_fetch.FETCHABLE) <= set(DATASETS)


# --- the page -------------------------------------------------------------------------------


@pytest.fixture
def no_data(tmp_path, monkeypatch):
    monkeypatch.setenv("DVT_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(dataset_fetch, "has_way_out", lambda: False)
    return tmp_path / "data"


def test_without_the_data_set_the_page_says_so_and_shows_samples(models_dir, no_data):
    at = open_app(PAGE)
    assert "The test images are not on this machine" in captions(at)
    data = sent(at, "lanes")
    assert data["thumbs"] is None and len(data["samples"]) > 5
    sample = data["samples"][0]
    assert sample["picture"].startswith("data:image/jpeg") and len(sample["confidences"]) == 3


def test_where_the_pictures_come_from_is_said_above_the_lanes(models_dir, no_data):
    parts = open_app(PAGE).main.children.values()
    section = next(one for one in parts if len(getattr(one, "children", ())) == 3)
    dial, said, lanes = section.children.values()
    assert [one.type for one in (dial, said)] == ["flex_container"] * 2
    assert lanes.proto.id.endswith("-lanes") and said.proto.id.endswith("-lanes_pictures")
    assert "not on this machine" in getattr(said.children[0], "value", "")


def test_the_stored_answers_of_a_clicked_image_are_shown(models_dir, no_data):
    at = open_app(PAGE)
    bundle = services.get_bundle("tiny")
    table, row = bundle.table("test"), 17
    at.session_state["lanes"] = {"picked": row}
    at.run()
    shown = html(at)
    assert (
        f"Test image {table.indices[row]}, labelled {bundle.class_names[table.labels[row]]}"
        in shown
    )
    for probability in table.top5_probs[row, :, 0]:
        assert percent(float(probability)) in shown
    fired = exit_indices(table, bundle.default_threshold)[row]
    assert shown.count("not asked; it would say") == 2 - fired
    del at.session_state["lanes"]  # the browser tells a click once
    at.run()
    assert "From the stored table" not in html(at)


@pytest.mark.parametrize("sent_row", [None, -1, 400, True, 1.5, "3", {"row": 1}], ids=str)
def test_what_is_no_row_is_no_row(sent_row):
    assert picked_row(sent_row, 400) is None
    assert picked_row(399, 400) == 399


def _place_data(no_data: Path, labels: np.ndarray) -> None:
    _write_set(no_data / "random", labels)


def test_with_the_data_set_a_click_opens_look(models_dir, no_data):
    table = services.get_bundle("tiny").table("test")
    _place_data(no_data, table.labels)
    at = open_app(PAGE)
    assert "from this machine's disk" in captions(at)
    data = sent(at, "lanes")
    assert data["thumbs"]["address"].startswith("thumbs/random/") and data["samples"] == []
    at.session_state["lanes"] = {"picked": 23}
    at.run()
    assert not at.exception and "random test image 23" in captions(at)
    assert "Answer" in metrics(at)


def test_other_test_images_than_the_tables_are_not_shown(models_dir, no_data):
    table = services.get_bundle("tiny").table("test")
    _place_data(no_data, np.roll(table.labels, 1))
    at = open_app(PAGE)
    assert "its test images are not those of the stored table" in captions(at)
    assert sent(at, "lanes")["thumbs"] is None


def test_the_table_has_every_class_and_the_pairs_are_listed(models_dir, no_data):
    at = open_app(PAGE)
    bundle = services.get_bundle("tiny")
    data = sent(at, "class_table")
    assert data["names"] == list(bundle.class_names) and sum(data["counts"]) == 400
    assert "fewer" in html(at)


def test_without_a_test_table_the_page_says_how_to_make_one(models_dir, no_data):
    (models_dir / "tiny" / "test.parquet").unlink()
    at = open_app(PAGE)
    assert "--split test" in at.code[0].value and not at.error


def test_a_damaged_table_is_said(models_dir, no_data):
    (models_dir / "tiny" / "test.parquet").write_bytes(b"broken")
    at = open_app(PAGE)
    assert len(at.error) == 1 and "test.parquet" in at.error[0].value


def test_the_page_in_chinese(models_dir, no_data):
    at = open_app(PAGE, language="zh")
    data = sent(at, "lanes")
    assert data["language"] == "zh" and data["strings"]["never right"] == "始终不对"
    assert "本机上没有测试图片" in captions(at)


def test_a_model_of_one_exit_has_one_lane(models_dir, no_data):
    from tests.ui.tiny_model import write_bundle

    write_bundle(models_dir / "single", 1)
    at = open_app(PAGE, model="single")
    assert len(sent(at, "lanes")["colours"]) == 1 and not at.error
