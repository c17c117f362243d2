"""A batch against its pictures one by one; folders against the classes they are called after."""

import csv
import io
from functools import partial

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from dvt_core.batch import (
    SLICE_MAX,
    Source,
    answer_columns,
    run_batch,
    slice_size,
    to_csv,
    to_parquet,
)
from dvt_core.class_words import find_class, is_ambiguous
from dvt_core.config import DVTConfig, PatchTokenizerConfig, StageConfig
from dvt_core.errors import InputError
from dvt_core.exit_table import ExitTable
from dvt_core.images import open_image
from dvt_core.inference import classify
from dvt_core.model import DynamicViT, build_model
from dvt_core.thresholds import replay

WORDS = ("airplane", "cat", "golden retriever, Labrador", "potter's wheel")
FOLDERS = ("cat", "Golden_Retriever", "holiday", "")


@pytest.fixture(scope="module")
def model() -> DynamicViT:
    torch.manual_seed(0)
    stages = tuple(
        StageConfig(PatchTokenizerConfig(patch), grid, 16, 1, 2) for grid, patch in ((2, 8), (4, 4))
    )
    config = DVTConfig(stages, num_classes=len(WORDS), img_size=16, name="small")
    model = build_model(config, class_names=WORDS).eval().requires_grad_(False)
    for stage in model.stages:
        torch.nn.init.normal_(stage.head.weight, std=0.6)
    model.name, model.weights_sha256 = "small", "00ff"
    return model


def picture(seed: int) -> bytes:
    random, out = np.random.default_rng(seed), io.BytesIO()
    size = random.integers(10, 40, 2)
    Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()


def sources(n: int, damaged: tuple[int, ...] = ()) -> list[Source]:
    found = []
    for i in range(n):
        folder = FOLDERS[i % 4]
        data = picture(i)[: 40 if i in damaged else None]
        folders = (folder,) if folder else ()
        found.append(Source("/".join((*folders, f"{i}.png")), folders, partial(bytes, data)))
    return found


@pytest.mark.parametrize("n", [1, SLICE_MAX, 2 * SLICE_MAX + 5])
def test_a_batch_says_what_its_pictures_say_one_by_one(model, n):
    batch = run_batch(model, sources(n), WORDS, data="mine")
    for place, source in enumerate(sources(n)):
        tensor = model.preprocess(open_image(source.read()))[None]
        records = classify(model, tensor, 2.0, all_exits=True)[0].records
        assert batch.said.predictions[place].tolist() == [r.label for r in records]
        assert batch.said.confidences[place] == pytest.approx([r.confidence for r in records], 1e-4)
    assert batch.said.indices.tolist() == list(range(n))
    assert batch.said.info.data == "mine" and batch.said.info.exit_macs == model.exit_macs


def test_a_damaged_picture_is_named_and_the_rest_goes_on(model):
    n, damaged = 40, (0, 33, 39)
    seen: list[int] = []
    batch = run_batch(
        model, sources(n, damaged), WORDS, data="", keep=lambda place, _: seen.append(place)
    )
    whole = run_batch(model, sources(n), WORDS, data="")
    rest = [i for i in range(n) if i not in damaged]
    assert [name for name, _ in batch.unusable] == [sources(n)[i].name for i in damaged]
    assert batch.said.indices.tolist() == seen == rest
    np.testing.assert_array_equal(batch.said.predictions, whole.said.predictions[rest])
    assert batch.names == tuple(whole.names[i] for i in rest)
    with pytest.raises(InputError, match=r"none of the 2 pictures can be used; cat/0\.png: "):
        run_batch(model, sources(2, (0, 1)), WORDS, data="")


def test_work_comes_in_slices_and_ends_where_the_step_says(model):
    sizes: list[int] = []
    steps: list[tuple[int, int]] = []

    def run(function, *args):
        sizes.append(len(args[1]))
        return function(*args)

    def step(done: int, total: int) -> None:
        steps.append((done, total))
        if done == 50:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_batch(model, sources(70), WORDS, data="", run=run, step=step)
    assert sizes == [SLICE_MAX] and steps == [(i, 70) for i in range(1, 51)]
    assert [slice_size(macs) for macs in (10**6, 3 * 10**8, 10**10)] == [SLICE_MAX, 3, 1]


def test_labelled_pictures_make_an_exit_table_and_the_others_none(model, tmp_path):
    batch = run_batch(model, sources(40), WORDS, data="mine")
    labelled = batch.labelled
    assert labelled is not None and batch.strange == ("holiday",)
    assert labelled.indices.tolist() == [i for i in range(40) if i % 4 < 2]
    assert labelled.labels.tolist() == [1, 2] * 10
    labelled.save(tmp_path / "table.parquet")
    read = ExitTable.load(tmp_path / "table.parquet")
    assert replay(read, 0.5) == replay(labelled, 0.5)
    assert run_batch(model, sources(4)[3:], WORDS, data="").labelled is None


@pytest.mark.parametrize("threshold", [0.0, 0.45, 1.01])
def test_answers_are_those_of_early_exit(model, threshold):
    batch = run_batch(model, sources(40), WORDS, data="")
    columns = answer_columns(batch, WORDS, threshold)
    images = torch.stack([model.preprocess(open_image(s.read())) for s in sources(40)])
    for i, one in enumerate(classify(model, images, threshold)):
        assert columns["exit"][i] == one.exit_index + 1 and columns["macs"][i] == one.macs
        assert columns["class"][i] == WORDS[one.label]
        assert columns["confidence"][i] == pytest.approx(one.confidence, 1e-4)
        label = (None, "cat", WORDS[2], None)[(i + 1) % 4]
        assert columns["label"][i] == label
        assert columns["right"][i] == (None if label is None else label == WORDS[one.label])


def test_files_to_take_home_hold_the_answers(model):
    batch = run_batch(model, sources(12), WORDS, data="")
    columns = answer_columns(batch, WORDS, 0.5)
    table = pq.read_table(io.BytesIO(to_parquet(columns))).to_pydict()
    assert table == columns
    rows = list(csv.DictReader(io.StringIO(to_csv(columns))))
    assert [float(row["exit2_confidence"]) for row in rows] == columns["exit2_confidence"]
    assert [row["class"] for row in rows] == columns["class"]
    assert to_csv({"picture": ["=1+1.png", "-a.png"], "macs": [-1, 2]}).splitlines() == [
        "picture,macs", "'=1+1.png,-1", "'-a.png,2",
    ]  # fmt: skip


CLASSES = (
    "goldfish, Carassius auratus",
    "crane, bird",
    "crane, machine",
    "hog, pig",
    "wire-haired fox terrier",
    "glass",
    "cat",
    "potter's wheel",
)


@pytest.mark.parametrize(
    ("folders", "found"),
    [
        (("goldfish",), 0),
        (("GoldFish, Carassius auratus",), 0),
        (("n01443537",), 0),
        (("n00000000",), None),
        (("carassius_auratus",), 0),
        (("crane",), None),  # two classes begin so
        (("crane-bird",), 1),
        (("PIG",), 3),
        (("Wire_Haired Fox-Terrier",), 4),
        (("glass",), 5),
        (("Cats",), 6),
        (("potters_wheel",), 7),
        (("cat", "images"), 6),
        (("goldfish", "cat"), 6),
        (("holiday",), None),
        (("",), None),
        ((), None),
    ],
)
def test_folders_are_found_among_the_classes(folders, found):
    assert find_class(CLASSES, folders) == found
    assert is_ambiguous(CLASSES, "".join(folders[-1:])) == (folders == ("crane",))
