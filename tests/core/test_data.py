"""Splits of small sets made here, and of the real ones where they are found."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dvt_core.data import SPLITS, _calibration_mask, data_status, fetch, load_split
from dvt_core.errors import InputError
from dvt_core.images import Preprocess

NAMES = ["ant", "bee", "cat"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test sees this machine's data, writes to its caches or goes online by accident."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))


def picture(seed: int, size: int = 12) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def encoded(seed: int, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    picture(seed).save(out, kind)
    return out.getvalue()


def write_parquet(
    path: Path, labels, names=None, image="image", label="label", first=0, kind="PNG"
) -> None:
    cells = [{"bytes": encoded(first + i, kind), "path": None} for i in range(len(labels))]
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({image: pa.array(cells, struct), label: pa.array(labels, pa.int64())})
    features = {image: {"_type": "Image"}, label: {"dtype": "int64", "_type": "Value"}}
    if names:
        features[label] = {"names": names, "_type": "ClassLabel"}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata(metadata), path)


def test_a_table_opens_no_file_of_this_machine(tmp_path):
    secret = tmp_path / "secret.png"
    picture(7).save(secret)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "beside.png").write_bytes(secret.read_bytes())
    names = [None, str(secret), "../secret.png", "beside.png", f"file://{secret}"]
    cells = [{"bytes": encoded(i) if name is None else None, "path": name}
             for i, name in enumerate(names)]  # fmt: skip
    table = pa.table({"image": cells, "label": list(range(len(cells)))})
    pq.write_table(table, tmp_path / "set" / "test-0.parquet")
    split = load_split(tmp_path / "set", "test")
    assert np.array_equal(np.asarray(split.image(0)), np.asarray(picture(0)))
    for row in range(1, len(names)):
        with pytest.raises(InputError, match=f"row {row} holds no picture"):
            split.image(row)


def write_class_folders(folder: Path, count: int, first: int = 0) -> None:
    for k, name in enumerate(NAMES):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            picture(first + 100 * k + i).save(folder / name / f"{i}.png")


@pytest.fixture
def parquet_set(tmp_path) -> Path:
    folder = tmp_path / "insects"
    labels = np.arange(60) % 3
    write_parquet(folder / "train-00000-of-00002.parquet", labels[:35], NAMES)
    write_parquet(folder / "train-00001-of-00002.parquet", labels[35:], NAMES, first=35)
    write_parquet(folder / "validation-00000-of-00001.parquet", [2, 0, 1], NAMES, first=900)
    return folder


def test_load_split_reads_parquet(parquet_set):
    test = load_split(parquet_set, "test")
    assert (test.name, test.split, test.class_names) == ("insects", "test", tuple(NAMES))
    np.testing.assert_array_equal(test.labels, [2, 0, 1])
    np.testing.assert_array_equal(test.image(1), picture(901))


def test_load_split_cuts_calibration_from_train(parquet_set):
    train, calibration = (load_split(parquet_set, split) for split in SPLITS[:2])
    assert (len(train), len(calibration)) == (54, 6)
    assert sorted([*train.indices, *calibration.indices]) == list(range(60))
    np.testing.assert_array_equal(np.bincount(calibration.labels), [2, 2, 2])
    for part in (train, calibration):
        np.testing.assert_array_equal(part.labels, part.indices % 3)
        for i in (0, len(part) - 1):
            np.testing.assert_array_equal(part.image(i), picture(int(part.indices[i])))
    again = load_split(parquet_set, "calibration")
    np.testing.assert_array_equal(again.indices, calibration.indices)


@pytest.mark.parametrize("size", [12, 8, 20])
def test_arrays_matches_image_by_image(parquet_set, size):
    train, preprocess, calls = load_split(parquet_set, "train"), Preprocess(size), []
    arrays = train.arrays(preprocess, lambda done, total: calls.append((done, total)))
    assert (arrays.shape, arrays.dtype) == ((54, 3, size, size), np.uint8)
    for i in range(len(train)):
        view = np.asarray(preprocess.view(train.image(i)))
        np.testing.assert_array_equal(arrays[i].transpose(1, 2, 0), view)
    assert calls[-1] == (54, 54)


def test_load_split_limit_spreads_over_the_split(parquet_set):
    whole, part = (load_split(parquet_set, "train", limit=n) for n in (None, 9))
    np.testing.assert_array_equal(part.indices, whole.indices[np.arange(9) * 6])
    np.testing.assert_array_equal(part.labels, part.indices % 3)
    assert len(load_split(parquet_set, "test", limit=99)) == 3


@pytest.mark.parametrize(
    ("image", "label"), [("img", "fine_label"), ("image", "labels")], ids=["cifar100", "labels"]
)
def test_load_split_knows_hub_columns(tmp_path, image, label):
    write_parquet(tmp_path / "s" / "data" / "test-0.parquet", [1, 0], None, image, label)
    test = load_split(tmp_path / "s", "test")
    assert test.class_names == ("0", "1")
    np.testing.assert_array_equal(test.image(0), picture(0))


def test_load_split_turns_wordnet_ids_into_words(tmp_path):
    write_parquet(tmp_path / "s" / "test.parquet", [1, 0], ["n01443537", "n01641577"])
    names = load_split(tmp_path / "s", "test").class_names
    assert names == ("goldfish, Carassius auratus", "bullfrog, Rana catesbeiana")


@pytest.mark.parametrize("test_name", ["test", "val", "valid"])
def test_load_split_reads_class_folders(tmp_path, test_name):
    root = tmp_path / "odd [name] *"
    write_class_folders(root / "train", 10)
    write_class_folders(root / test_name, 2, first=50)
    train, calibration, test = (load_split(root, split) for split in SPLITS)
    assert (len(train), len(calibration), len(test)) == (27, 3, 6)
    assert not set(train.indices) & set(calibration.indices)
    np.testing.assert_array_equal(test.labels, [0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(test.image(2), picture(150))
    assert test.class_names == tuple(NAMES)


def test_load_split_takes_plain_class_folders_as_test(tmp_path):
    write_class_folders(tmp_path / "mine", 3)
    (tmp_path / "mine" / "notes").mkdir()
    (tmp_path / "mine" / "ant" / "readme.txt").write_text("not a picture")
    test = load_split(tmp_path / "mine", "test")
    assert (len(test), test.class_names) == (9, tuple(NAMES))
    with pytest.raises(InputError, match="has no train split"):
        load_split(tmp_path / "mine", "train")


def test_image_names_the_damaged_row(tmp_path):
    write_class_folders(tmp_path / "mine", 2)
    (tmp_path / "mine" / "bee" / "0.png").write_bytes(b"")
    test = load_split(tmp_path / "mine", "test")
    for read in (lambda: test.image(2), lambda: test.arrays(Preprocess(8))):
        with pytest.raises(InputError, match=r"row 2 of mine \(test\).*is empty"):
            read()


@pytest.mark.parametrize(
    "place",
    [
        ("data_dir", "."),
        ("data_dir", "cifar10-jpeg"),
        ("env", "."),
        ("env", "cifar10-jpeg"),
        ("cwd", "data"),
    ],
    ids=str,
)
def test_load_split_finds_named_sets(tmp_path, monkeypatch, place):
    parent = tmp_path / ("data" if place[0] == "cwd" else "elsewhere")
    names = [str(i) for i in range(10)]
    write_parquet(parent / "cifar10-jpeg" / "test-0.parquet", [3, 9, 0], names)
    write_parquet(parent / "cifar100" / "test-0.parquet", [3], ["no", "no"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVT_DATA", raising=False)
    if place[0] == "env":
        monkeypatch.setenv("DVT_DATA", str(parent / place[1]))
    data_dir = parent / place[1] if place[0] == "data_dir" else None
    test = load_split("cifar10", "test", data_dir=data_dir)
    assert (len(test), test.title) == (3, "CIFAR-10")
    assert data_status("cifar10", data_dir).place.samefile(fetch("cifar10", data_dir))


def test_a_jpeg_copy_of_cifar_is_named_as_one(tmp_path):
    names = [str(i) for i in range(10)]
    write_parquet(tmp_path / "cifar10" / "test-0.parquet", [3, 9], names, kind="JPEG")
    title = load_split("cifar10", "test", data_dir=tmp_path).title
    assert title == "CIFAR-10, re-encoded as JPEG"


def test_load_split_refuses_the_wrong_set(parquet_set):
    with pytest.raises(InputError, match="has 3 classes, but tiny-imagenet has 200"):
        load_split("tiny-imagenet", "test", data_dir=parquet_set)


@pytest.mark.parametrize(
    ("data", "split", "options", "message"),
    [
        ("cifar11", "test", {}, "neither a folder nor a known data set"),
        ("cifar10", "dev", {}, "unknown split 'dev'"),
        ("cifar10", "test", {"limit": 0}, "limit is 0"),
        ("cifar10", "test", {"data_dir": Path("nowhere")}, "nowhere does not hold cifar10"),
        (".", "test", {}, "holds no labelled images"),
    ],
    ids=["name", "split", "limit", "data_dir", "empty"],
)
def test_load_split_refuses(tmp_path, monkeypatch, data, split, options, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        load_split(data, split, **options)


@pytest.mark.parametrize("name", ["data list", "cifar-10"])
def test_fetch_refuses_unknown_names(name):
    with pytest.raises(InputError, match="known are cifar10"):
        fetch(name)


def test_fetch_keeps_a_parquet_copy(tmp_path, monkeypatch):
    from datasets import load_dataset

    write_parquet(tmp_path / "hub.parquet", np.arange(20) % 10, [*"abcdefghij"], image="img")
    stored = load_dataset("parquet", data_files=[str(tmp_path / "hub.parquet")], split="train")
    monkeypatch.setattr("dvt_core.data.load_from_hub", lambda info: {"test": stored})
    place = fetch("cifar10", tmp_path / "copies")
    assert place == tmp_path / "copies" / "cifar10"
    test = load_split("cifar10", "test", data_dir=tmp_path / "copies")
    np.testing.assert_array_equal(test.labels, np.arange(20) % 10)
    np.testing.assert_array_equal(test.image(7), picture(7))
    monkeypatch.setattr("dvt_core.data.find_folder", lambda name, data_dir: None)
    assert fetch("cifar10").is_dir()
    assert len(load_split("cifar10", "test")) == 20


def test_load_split_refuses_broken_parquet(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "test-0.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        load_split(tmp_path / "s", "test")


def test_load_split_refuses_unlabelled_rows(tmp_path):
    write_parquet(tmp_path / "s" / "test-0.parquet", [-1, -1], NAMES)
    with pytest.raises(InputError, match="no rows with labels"):
        load_split(tmp_path / "s", "test")


def test_missing_data_names_all_ways(monkeypatch):
    monkeypatch.setattr("dvt_core.data.find_folder", lambda name, data_dir: None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="imagenet-1k is not on this machine") as caught:
        load_split("imagenet-1k", "test")
    message = str(caught.value)
    ways = ["--data DIR", "./data/imagenet-1k", "$DVT_DATA/imagenet-1k", "data fetch imagenet-1k"]
    assert all(way in message for way in [*ways, "ILSVRC/imagenet-1k"]), message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("counts", "wanted"),
    [([50, 50], 10), ([97, 2, 1], 10), ([2] * 30, 30), ([30_000, 30_000, 40_001], 5000), ([1], 0)],
    ids=str,
)
def test_calibration_mask_is_stratified(counts, wanted):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    mask = _calibration_mask(labels)
    chosen = np.bincount(labels[mask], minlength=len(counts))
    assert mask.sum() == wanted
    for count, got in zip(counts, chosen, strict=True):
        assert min(1, count - 1) <= got <= max(0, count - 1)
        share = count * wanted / len(labels)
        assert abs(got - share) <= 1 + (share < 1)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "size", "counts"),
    [("cifar10", 32, (45_000, 5000, 10_000)), ("tiny-imagenet", 64, (95_000, 5000, 10_000))],
    ids=["cifar10", "tiny-imagenet"],
)
def test_real_sets_have_even_disjoint_splits(name, size, counts):
    status = data_status(name)
    if status.place is None:
        pytest.skip(f"{name} is not on this machine (set $DVT_DATA)")
    parts = [load_split(name, split) for split in SPLITS]
    assert tuple(len(part) for part in parts) == counts
    assert not set(parts[0].indices) & set(parts[1].indices)
    for part in parts:
        assert len(set(np.bincount(part.labels, minlength=status.info.num_classes))) == 1
    some = parts[2].subset(np.arange(0, 10_000, 1000))
    arrays = some.arrays(Preprocess(size))
    for i in range(len(some)):
        np.testing.assert_array_equal(arrays[i].transpose(1, 2, 0), some.image(i))
