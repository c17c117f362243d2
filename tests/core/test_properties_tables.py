"""Exit tables, thresholds and model folders: what holds for any of them, and any damage."""

from __future__ import annotations

import hashlib
import json
import shutil
import tracemalloc
from copy import deepcopy
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from dvt_core.authors import AUTHORS, AuthorsResults
from dvt_core.bundle import CONFIG, THRESHOLDS, WEIGHTS, Bundle, load_bundle, save_bundle
from dvt_core.errors import InputError
from dvt_core.exit_table import ExitTable
from dvt_core.model import build_model
from dvt_core.model_limits import check_limits
from dvt_core.presets import PRESETS
from dvt_core.reliability import Reliability, compare, read_reliability
from dvt_core.solver import NEVER, pareto_front
from dvt_core.threshold_file import KIND, read_thresholds
from dvt_core.thresholds import OperatingPoint, exit_indices, replay, sweep
from tests.conftest import CLASSES, TINY, make_lively
from tests.core.examples import some
from tests.core.synthetic_tables import table_info
from tests.core.test_exit_table import ARRAYS, assert_same

MAX_MEMORY = 64_000_000  # bytes that reading a damaged small file may take


@st.composite
def tables(draw, max_images: int = 40, max_exits: int = 5) -> ExitTable:
    """Random answers; few distinct probabilities, so that confidences tie within and across."""
    n, exits = draw(st.integers(1, max_images)), draw(st.integers(1, max_exits))
    classes = draw(st.integers(2, 7))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    steps = draw(st.sampled_from((2, 4, 10, 10**6)))
    probs = random.integers(0, steps + 1, (n, exits, classes)) / np.float32(steps)
    indices = random.permutation(3 * n)[:n]
    info = table_info(exits, classes)
    return ExitTable.from_probs(probs, random.integers(0, classes, n), indices, info)


def thresholds_of(table: ExitTable) -> st.SearchStrategy[tuple[float, ...]]:
    """Confidences of the table themselves, their neighbours, and anything else that is finite."""
    held = [float(value) for value in np.unique(table.confidences)[:20]]
    beside = [float(np.nextafter(value, 2)) for value in held]
    anything = st.floats(allow_nan=False, allow_infinity=False)
    one = st.sampled_from([0.0, 1.0, NEVER, *held, *beside]) | anything
    return st.tuples(*[one] * (table.num_exits - 1))


def one_by_one(table: ExitTable, thresholds: tuple[float, ...]) -> tuple[list[int], OperatingPoint]:
    """The exit rule, image by image in Python numbers."""
    exits, right, macs = [], 0, 0
    for image in range(table.n):
        leaves = table.num_exits - 1
        for i, threshold in enumerate(thresholds):
            if float(table.confidences[image, i]) >= threshold:
                leaves = i
                break
        exits.append(leaves)
        right += int(table.predictions[image, leaves] == table.labels[image])
        macs += table.info.exit_macs[leaves]
    shares = tuple(exits.count(i) / table.n for i in range(table.num_exits))
    return exits, OperatingPoint(thresholds, right / table.n, macs / table.n, shares)


@some(60)
@given(st.data())
def test_replay_is_the_rule_image_by_image(data):
    table = data.draw(tables())
    settings_of = [data.draw(thresholds_of(table)) for _ in range(3)]
    points = sweep(table, np.array(settings_of).reshape(3, table.num_exits - 1))
    for thresholds, point in zip(settings_of, points, strict=True):
        exits, wanted = one_by_one(table, thresholds)
        assert exit_indices(table, thresholds).tolist() == exits
        assert point == replay(table, thresholds)
        assert point.thresholds == wanted.thresholds
        assert point.accuracy == wanted.accuracy and point.exit_shares == wanted.exit_shares
        assert point.macs == pytest.approx(wanted.macs, rel=1e-12)
        assert sum(point.exit_shares) == pytest.approx(1, abs=1e-12)
        assert min(point.exit_shares) >= 0


@some(60)
@given(st.data())
def test_a_higher_threshold_keeps_every_image_at_least_as_long(data):
    """True image by image, hence of cost and of the share beyond each exit; not of accuracy."""
    table = data.draw(tables())
    low, other = data.draw(thresholds_of(table)), data.draw(thresholds_of(table))
    high = tuple(map(max, low, other))
    assert (exit_indices(table, low) <= exit_indices(table, high)).all()
    one, two = replay(table, low), replay(table, high)
    assert one.macs <= two.macs
    beyond = [1 - np.cumsum(point.exit_shares) for point in (one, two)]
    assert (beyond[0] <= beyond[1] + 1e-12).all()
    first, last = table.info.exit_macs[0], table.info.exit_macs[-1]
    assert first <= one.macs * (1 + 1e-12) and two.macs <= last * (1 + 1e-12)


@some(40)
@given(tables(max_images=12, max_exits=4))
def test_the_front_is_all_that_is_efficient(table):
    values = [[*np.unique(row), NEVER] for row in table.exit_confidences[: table.num_exits - 1]]
    every = [one_by_one(table, combination)[1] for combination in product(*values)]
    front = pareto_front(table)
    assert front.is_exact
    best = {
        (point.macs, point.accuracy)
        for point in every
        if not any(
            (other.macs <= point.macs and other.accuracy > point.accuracy)
            or (other.macs < point.macs and other.accuracy >= point.accuracy)
            for other in every
        )
    }
    found = [(point.macs, point.accuracy) for point in front.points]
    np.testing.assert_allclose(found, sorted(best), rtol=1e-12)
    for point in front.points:
        assert one_by_one(table, point.thresholds)[1].exit_shares == point.exit_shares
    budget = table.info.exit_macs[-1] / 2
    if budget >= front.points[0].macs:
        affordable = [accuracy for macs, accuracy in best if macs <= budget]
        assert front.at_budget(budget).accuracy == max(affordable)


@some(25)
@given(tables())
def test_any_table_survives_its_file(table):
    with TemporaryDirectory() as folder:
        table.save(Path(folder) / "t.parquet")
        assert_same(ExitTable.load(Path(folder) / "t.parquet"), table)


@some(40)
@given(tables(), st.data())
def test_a_table_refuses_what_no_model_says(table, data):
    """NaN, probabilities above 1, classes out of range: anywhere in any array."""
    name = data.draw(st.sampled_from(ARRAYS))
    array = getattr(table, name).copy()
    place = data.draw(st.integers(0, array.size - 1))
    is_float = array.dtype.kind == "f"
    bad = (np.nan, -0.5, np.inf) if is_float else (-1, np.iinfo(array.dtype).min)
    array.reshape(-1)[place] = data.draw(st.sampled_from(bad))
    with pytest.raises(InputError) as caught:
        replace(table, **{name: array})
    assert "\n" not in str(caught.value)


# --- files that are damaged or something else


def one_sentence(error: InputError) -> None:
    sentence = str(error)
    assert sentence and len(sentence) < 1500 and sentence.isprintable(), sentence
    assert not sentence.endswith(".") and "Traceback" not in sentence


def usable_or_refused(read: Any) -> Any:
    """What `read` gives, or None after one sentence; a damaged file never takes much memory."""
    tracemalloc.start()
    try:
        return read()
    except InputError as error:
        one_sentence(error)
        return None
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MAX_MEMORY


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> tuple[ExitTable, bytes]:
    random = np.random.default_rng(4)
    probs = random.dirichlet(np.ones(6), (40, 3)).astype(np.float32)
    info = table_info(3, 6)
    table = ExitTable.from_probs(probs, random.integers(0, 6, 40), np.arange(40), info)
    path = tmp_path_factory.mktemp("table") / "t.parquet"
    table.save(path)
    return table, path.read_bytes()


def damaged(raw: bytes) -> st.SearchStrategy[bytes]:
    """Cut off, overwritten in places, with a piece taken out or put in twice; or any bytes."""
    place = st.integers(0, len(raw) - 1)

    def overwrite(spots: list[tuple[int, bytes]]) -> bytes:
        out = bytearray(raw)
        for at, new in spots:
            out[at : at + len(new)] = new
        return bytes(out)

    spots = st.lists(st.tuples(place, st.binary(min_size=1, max_size=8)), min_size=1, max_size=4)
    return st.one_of(
        place.map(lambda at: raw[:at]),
        place.map(lambda at: raw[at:]),
        spots.map(overwrite),
        st.tuples(place, place).map(lambda ab: raw[: ab[0]] + raw[ab[1] :]),
        st.binary(max_size=200),
    )


@some(100)
@given(st.data())
def test_a_damaged_table_file_is_refused_or_still_right(tmp_path_factory, good, data):
    table, raw = good
    path = tmp_path_factory.getbasetemp() / "damaged.parquet"
    path.write_bytes(data.draw(damaged(raw)))
    found = usable_or_refused(lambda: ExitTable.load(path))
    if found is not None:  # the checksums cover the numbers, not the words about them
        for name in ARRAYS:
            np.testing.assert_array_equal(getattr(found, name), getattr(table, name))


def with_column(name: str, make: Any) -> Any:
    def spoil(stored: pa.Table) -> pa.Table:
        place = stored.column_names.index(name)
        return stored.set_column(place, name, make(stored[name].combine_chunks()))

    return spoil


def nulls(column: pa.Array) -> pa.Array:
    return pa.array([None, *column.to_pylist()[1:]], type=column.type)


FOREIGN = {
    "a column is missing": lambda t: t.drop_columns("exit2_margin"),
    "a column is there twice": lambda t: t.append_column("label", t["label"]),
    "a label is null": with_column("label", nulls),
    "a confidence is null": with_column("exit1_confidence", nulls),
    "a top-5 row is null": with_column("exit1_top5", nulls),
    "a top-5 entry is null": with_column(
        "exit3_top5",
        lambda c: pa.array([[None, *row[1:]] for row in c.to_pylist()], type=c.type),
    ),
    "labels are text": with_column("label", lambda c: c.cast(pa.string())),
    "labels are float": with_column("label", lambda c: c.cast(pa.float64())),
    "labels are unsigned": with_column("label", lambda c: c.cast(pa.uint64())),
    "confidences are double": with_column("exit1_confidence", lambda c: c.cast(pa.float64())),
    "a list is a number": with_column("exit1_top5", lambda c: pa.array([1] * len(c), pa.int32())),
    "top-5 lists are short": with_column(
        "exit1_top5",
        lambda c: pa.array([row[:2] for row in c.to_pylist()], pa.list_(pa.int32(), 2)),
    ),
    "lists of any length": with_column(
        "exit1_top5", lambda c: pa.array(c.to_pylist(), pa.list_(pa.int32()))
    ),
    "no rows": lambda t: t.slice(0, 0),
    "no columns": lambda t: t.select([]),
}


@pytest.mark.parametrize("spoil", FOREIGN.values(), ids=FOREIGN)
def test_a_table_of_other_columns_is_refused(tmp_path, good, spoil):
    path = tmp_path / "t.parquet"
    path.write_bytes(good[1])
    stored = pq.read_table(path)
    pq.write_table(spoil(stored).replace_schema_metadata(stored.schema.metadata), path)
    with pytest.raises(InputError) as caught:
        ExitTable.load(path)
    one_sentence(caught.value)


def test_columns_of_others_are_passed_over(tmp_path, good):
    """Row groups of another size, other order, columns added by another tool: the same table."""
    path = tmp_path / "t.parquet"
    path.write_bytes(good[1])
    stored = pq.read_table(path)
    more = stored.append_column("note", pa.array(["words"] * len(stored)))
    more = more.append_column("nested", pa.array([[{"a": 1}]] * len(stored)))
    more = more.select(more.column_names[::-1]).replace_schema_metadata(stored.schema.metadata)
    pq.write_table(more, path, row_group_size=7)
    assert_same(ExitTable.load(path), good[0])


def test_a_table_of_less_than_a_megabyte_cannot_fill_the_memory(tmp_path, good):
    path = tmp_path / "t.parquet"
    path.write_bytes(good[1])
    metadata = pq.read_schema(path).metadata
    rows = 40_000_000
    stored = pa.table({"label": np.zeros(rows, np.int64), "index": np.zeros(rows, np.int64)})
    stored = pa.table({f"c{i}": stored["label"] for i in range(4)}, metadata=metadata)
    pq.write_table(stored, path, compression="zstd")
    del stored
    assert path.stat().st_size < 1_000_000
    before = pa.total_allocated_bytes()
    with pytest.raises(InputError, match="more than the limit of 1,000 MB"):
        ExitTable.load(path)
    assert pa.total_allocated_bytes() == before


# --- any JSON in the places of ours

WORDS = st.sampled_from(["", "a", "token", "exit\n1", "9" * 30, "\x00", "é", "x" * 5000])
NUMBERS = st.one_of(
    st.integers(-3, 9),
    st.sampled_from([10**9, -(10**9), 10**30, 10**400, 2**31, 2**63, 0.5, -0.0, 1e300]),
    st.floats(),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, WORDS)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


def paths_in(document: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where values stand in a JSON document, down to the numbers."""
    inner = document.items() if isinstance(document, dict) else enumerate(document)
    found = []
    for key, value in inner:
        found.append((*here, key))
        if isinstance(value, dict | list):
            found += paths_in(value, (*here, key))
    return found


@st.composite
def edited(draw, document: dict[str, Any]) -> Any:
    """The document with one to three values replaced by anything, or taken out."""
    out = deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        places = paths_in(out)
        if not places:
            break
        *way, last = draw(st.sampled_from(places))
        target = out
        for key in way:
            target = target[key]
        if draw(st.integers(0, 4)) == 0:
            del target[last]
        else:
            target[last] = draw(ANYTHING)
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory, good) -> Path:
    """A whole model folder: weights, tables, solved points, the authors' numbers."""
    torch.manual_seed(0)
    out = tmp_path_factory.mktemp("models") / "tiny"
    model = make_lively(build_model(TINY, class_names=CLASSES))
    bundle = save_bundle(model, out, name="tiny", title="Tiny", default_threshold=0.5)
    info = replace(good[0].info, weights_sha256=bundle.weights_sha256)
    for split in ("calibration", "test"):
        replace(good[0], info=replace(info, split=split)).save(out / f"{split}.parquet")
    points = [point.to_dict() for point in pareto_front(good[0]).points[:4]]
    (out / THRESHOLDS).write_text(json.dumps({"points": points}))
    authors = AuthorsResults.from_dict(
        {
            "exit_macs": [1e9, 2e9, 3e9],
            "exit_accuracy": [0.5, 0.6, 0.7],
            "points": [{"thresholds": [0.5, 1e8], "macs": 1.5e9, "accuracy": 0.6}],
            "source": "x.pth, sha256 00",
        }
    )
    (out / AUTHORS).write_text(json.dumps(authors.to_dict()))
    return out


@pytest.fixture
def copy(folder, tmp_path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def read_all(path: Path, *, with_model: bool = True) -> dict[str, Any]:
    """Everything a folder holds, each part or None where it was refused in one sentence."""
    bundle = usable_or_refused(lambda: load_bundle(path))
    if bundle is None:
        return {}
    parts: dict[str, Any] = {"bundle": bundle}
    for name, read in {
        "solved": lambda: bundle.solved,
        "authors": lambda: bundle.authors,
        "test": lambda: bundle.table("test"),
    }.items():
        parts[name] = usable_or_refused(read)
    if with_model:
        parts["model"] = usable_or_refused(bundle.load_model)
    return parts


def test_the_whole_folder_is_read(copy):
    assert all(part is not None for part in read_all(copy).values())


@some(100)
@given(st.data())
def test_any_config_is_refused_or_gives_a_model_that_can_be_built(tmp_path_factory, folder, data):
    path = tmp_path_factory.getbasetemp() / "edited"
    path.mkdir(exist_ok=True)
    raw = json.loads((folder / CONFIG).read_text())
    (path / CONFIG).write_text(json.dumps(data.draw(edited(raw))))
    bundle = usable_or_refused(lambda: load_bundle(path))
    if bundle is not None:
        check_usable(bundle)
        shutil.copyfile(folder / WEIGHTS, path / WEIGHTS)
        usable_or_refused(bundle.load_model)


def check_usable(bundle: Bundle) -> None:
    assert len(bundle.class_names) == bundle.config.num_classes
    assert 0 <= bundle.default_threshold <= 1
    with torch.device("meta"):
        build_model(bundle.config)


HUGE = {
    "a hundred GB": {"embed_dim": 16_384, "num_heads": 1, "depth": 100},
    "a billion wide": {"embed_dim": 10**9, "num_heads": 1},
    "a billion deep": {"depth": 10**9},
    "negative": {"embed_dim": -8},
    "a text": {"depth": "3"},
    "a fraction": {"depth": 2.5},
    "true": {"depth": True},
    "no number": {"mlp_ratio": float("nan")},
    "endless": {"mlp_ratio": float("inf")},
    "wide inside": {"mlp_ratio": 1e9},
    "nested": {"grid_size": [[2]]},
}


@pytest.mark.parametrize("change", HUGE.values(), ids=HUGE)
def test_a_config_that_asks_for_too_much_is_refused_before_anything_is_built(copy, change):
    raw = json.loads((copy / CONFIG).read_text())
    raw["architecture"]["stages"][0] |= change
    (copy / CONFIG).write_text(json.dumps(raw))
    assert "model" not in read_all(copy) or read_all(copy)["model"] is None


@pytest.mark.parametrize(
    "change",
    [
        {"num_classes": 10**9, "class_names": []},
        {"img_size": 10**9},
        {"class_names": "abcdef"},
        {"class_names": [1, 2, 3, 4, 5, 6]},
        {"default_threshold": float("nan")},
        {"default_threshold": "0.5"},
        {"name": ["tiny"]},
        {"weights_sha256": None},
    ],
    ids=str,
)
def test_other_values_of_a_config_are_refused(copy, change):
    raw = json.loads((copy / CONFIG).read_text())
    for key, value in change.items():
        (raw["architecture"] if key in raw["architecture"] else raw)[key] = value
    (copy / CONFIG).write_text(json.dumps(raw))
    with pytest.raises(InputError) as caught:
        load_bundle(copy)
    one_sentence(caught.value)


def test_a_small_model_of_endless_tokens_is_refused(copy):
    """Few weights, but 65,537 tokens: it would fit its file and fill the memory when it runs."""
    raw = json.loads((copy / CONFIG).read_text())
    stage = {"tokenizer": {"kind": "patch", "patch_size": 1}, "grid_size": 256}
    stage |= {"embed_dim": 1, "depth": 1, "num_heads": 1}
    raw["architecture"] |= {"stages": [stage], "img_size": 256}
    (copy / CONFIG).write_text(json.dumps(raw))
    with pytest.raises(InputError, match="attention logits for a picture, more than the limit"):
        load_bundle(copy)


@pytest.mark.parametrize("name", PRESETS)
def test_the_papers_models_lie_within_the_limits(name):
    check_limits(PRESETS[name])


def test_weights_larger_than_the_architecture_are_not_read(copy):
    with (copy / WEIGHTS).open("r+b") as file:
        file.truncate(10**11)  # a hole: takes no room on the disk
    with pytest.raises(InputError, match="cannot be right: larger than"):
        load_bundle(copy).load_model()


def test_weights_that_are_no_numbers_are_refused(copy):
    state = load_file(copy / WEIGHTS)
    state["stages.0.head.bias"][0] = float("nan")
    save_file(state, copy / WEIGHTS)
    raw = json.loads((copy / CONFIG).read_text())
    raw["weights_sha256"] = hashlib.sha256((copy / WEIGHTS).read_bytes()).hexdigest()
    (copy / CONFIG).write_text(json.dumps(raw))
    with pytest.raises(InputError, match=r"\(NaN\): stages.0.head.bias"):
        load_bundle(copy).load_model()


FILES = (CONFIG, WEIGHTS, THRESHOLDS, AUTHORS, "test.parquet")


@some(80)
@given(st.data())
def test_any_damage_to_any_file_of_a_folder_is_one_sentence(tmp_path_factory, folder, data):
    path = tmp_path_factory.getbasetemp() / "broken"
    shutil.copytree(folder, path, dirs_exist_ok=True)
    name = data.draw(st.sampled_from(FILES))
    raw = (folder / name).read_bytes()
    (path / name).write_bytes(data.draw(damaged(raw)))
    parts = read_all(path, with_model=name in (CONFIG, WEIGHTS))
    if name == WEIGHTS:
        assert (parts["model"] is None) == ((path / name).read_bytes() != raw)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("other", FILES)
def test_files_that_changed_places_are_refused(copy, folder, name, other):
    (copy / name).write_bytes((folder / other).read_bytes())
    parts = read_all(copy)
    assert (name == other) == (bool(parts) and all(p is not None for p in parts.values()))


def test_the_files_of_another_model_are_refused(copy, tmp_path):
    torch.manual_seed(1)
    model = make_lively(build_model(TINY, class_names=CLASSES))
    theirs = save_bundle(model, tmp_path / "other", name="o", title="O", default_threshold=0.5)
    (copy / WEIGHTS).write_bytes((theirs.path / WEIGHTS).read_bytes())
    assert read_all(copy)["model"] is None
    (copy / CONFIG).write_bytes((theirs.path / CONFIG).read_bytes())
    parts = read_all(copy)
    assert parts["model"] is not None and parts["test"] is None


@some(60)
@given(st.data())
def test_any_json_in_place_of_the_numbers_is_refused_or_plain_numbers(
    tmp_path_factory, folder, data
):
    path = tmp_path_factory.getbasetemp() / "numbers"
    shutil.copytree(folder, path, dirs_exist_ok=True)
    name = data.draw(st.sampled_from((THRESHOLDS, AUTHORS)))
    raw = json.loads((folder / name).read_text())
    document = data.draw(edited(raw) | ANYTHING)
    (path / name).write_text(json.dumps(document))
    parts = read_all(path, with_model=False)
    numbers: list[Any] = []
    for point in parts["solved"] or ():
        assert len(point.thresholds) == 2 and len(point.exit_shares) == 3
        numbers += [*point.thresholds, point.accuracy, point.macs, *point.exit_shares]
    if parts["authors"] is not None:
        lists = asdict(parts["authors"])
        numbers += [*lists["exit_macs"], *lists["exit_accuracy"]]
        for point in lists["points"]:
            assert len(point["thresholds"]) in (0, 2)
            numbers += [*point["thresholds"], point["macs"], point["accuracy"]]
    assert all(type(number) in (int, float) and np.isfinite(number) for number in numbers)


@pytest.fixture(scope="module")
def honest(good) -> dict[str, Any]:
    side = (good[0], good[0])
    return compare(side, side, [0.5, 1.0, 2.0], shipped=[True, False, True])


@some(60)
@given(st.data())
def test_any_reliability_file_is_refused_or_numbers_in_their_ranges(tmp_path_factory, honest, data):
    path = tmp_path_factory.getbasetemp() / "reliability.json"
    path.write_text(json.dumps(honest))
    assert read_reliability(path, 3) == honest
    with pytest.raises(InputError, match="damaged"):
        read_reliability(path, 2)
    path.write_text(json.dumps(data.draw(edited(honest) | ANYTHING)))
    found = usable_or_refused(lambda: read_reliability(path, 3))
    if found is not None:
        for part in (found["before"], found["after"]):
            for each in (*part["calibration"], *part["test"]):
                assert 0 <= each["ece"] <= 1 and len(each["counts"]) == 15
                assert Reliability(each["counts"], each["confidences"], each["accuracies"]).ece >= 0
            assert 0 <= part["solved"] <= 1


@some(100)
@given(st.data())
def test_any_thresholds_file_is_refused_or_two_finite_numbers(tmp_path_factory, folder, data):
    path = tmp_path_factory.getbasetemp() / "thresholds.json"
    bundle = load_bundle(folder)
    raw = {"kind": KIND, "format": 1, "model": "tiny", "weights_sha256": bundle.weights_sha256}
    raw |= {"thresholds": [0.5, 0.75]}
    path.write_text(json.dumps(data.draw(st.one_of(edited(raw), edited(raw), ANYTHING))))
    found = usable_or_refused(lambda: read_thresholds(path, bundle))
    assert found is None or (len(found) == 2 and np.isfinite(found).all())


@pytest.mark.parametrize("text", ["[" * 100_000, '{"points":' * 50_000, "\ud800", "1" * 5000, ""])
@pytest.mark.parametrize("name", [CONFIG, THRESHOLDS, AUTHORS])
def test_json_that_no_parser_likes_is_one_sentence(copy, name, text):
    (copy / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    parts = read_all(copy, with_model=False)
    assert not parts or None in parts.values()
    other = copy / "thresholds-to-take-home.json"
    other.write_bytes(text.encode("utf-8", "surrogatepass"))
    if parts:
        assert usable_or_refused(lambda: read_thresholds(other, parts["bundle"])) is None
