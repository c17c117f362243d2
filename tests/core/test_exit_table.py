import json
import pickle
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dvt_core.errors import InputError
from dvt_core.exit_table import ExitTable
from tests.core.synthetic_tables import cascade_table, table_info

ARRAYS = tuple(field.name for field in fields(ExitTable) if field.name != "info")


def parts(table):
    return {name: getattr(table, name).copy() for name in ARRAYS} | {"info": table.info}


def assert_same(one, other):
    assert one.info == other.info
    for name in ARRAYS:
        a, b = getattr(one, name), getattr(other, name)
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b, err_msg=name)


def test_from_probs_matches_a_plain_loop():
    random = np.random.default_rng(3)
    probs = random.dirichlet(np.ones(7), size=(40, 3)).astype(np.float32).round(1)  # many ties
    labels = random.integers(0, 7, 40)
    table = ExitTable.from_probs(probs, labels, np.arange(40), table_info(num_classes=7))
    for i in range(40):
        for k in range(3):
            row = [float(p) for p in probs[i, k]]
            order = sorted(range(7), key=lambda c: (-row[c], c))[:5]
            assert table.top5[i, k].tolist() == order
            assert table.top5_probs[i, k].tolist() == [row[c] for c in order]
            assert table.predictions[i, k] == probs[i, k].argmax()
            assert table.confidences[i, k] == probs[i, k].max()
            assert table.margins[i, k] == pytest.approx(row[order[0]] - row[order[1]])
            entropy = -sum(p * np.log(p) for p in row if p)
            assert table.entropies[i, k] == pytest.approx(max(entropy, 0), abs=1e-6)
            assert table.correct[i, k] == (labels[i] == order[0])


def test_entropy_is_in_nats():
    probs = np.full((1, 1, 4), 0.25)
    table = ExitTable.from_probs(probs, [0], [0], table_info(1, 4))
    assert table.entropies[0, 0] == pytest.approx(np.log(4))
    assert table.top5.shape == (1, 1, 4)  # fewer classes than five


def test_exit_accuracy_is_each_exit_alone():
    table = cascade_table(200)
    for k, accuracy in enumerate(table.exit_accuracy):
        assert accuracy == np.mean(table.predictions[:, k] == table.labels)


def test_table_survives_a_round_trip(tmp_path):
    table = cascade_table(300, num_exits=4)
    path = tmp_path / "new" / "table.parquet"
    table.save(path)
    assert_same(ExitTable.load(path), table)
    assert [file.name for file in path.parent.iterdir()] == ["table.parquet"]
    assert_same(pickle.loads(pickle.dumps(table)), table)


def test_table_is_readable_by_other_tools(tmp_path):
    table = cascade_table(50)
    table.save(tmp_path / "t.parquet")
    stored = pq.read_table(tmp_path / "t.parquet")
    assert stored["label"].to_pylist() == table.labels.tolist()
    assert stored["exit2_confidence"].to_pylist() == table.confidences[:, 1].tolist()
    assert stored["exit3_top5"].to_pylist() == table.top5[:, 2].tolist()


def test_save_keeps_the_old_file_when_writing_fails(tmp_path, monkeypatch):
    table, path = cascade_table(20), tmp_path / "t.parquet"
    table.save(path)

    def fail(where, raw):
        with where.open("wb") as file:
            file.write(raw[:20])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(InputError, match="No space left"):
        cascade_table(30).save(path)
    assert_same(ExitTable.load(path), table)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_large_table_is_small_on_disk(tmp_path):
    cascade_table(10_000).save(tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").stat().st_size < 1_200_000


def test_damaged_files_give_one_sentence(tmp_path):
    path = tmp_path / "t.parquet"
    table = cascade_table(1000)
    table.save(path)
    good = path.read_bytes()
    num_noticed = 0
    for position in np.linspace(4, len(good) - 1, 100).astype(int):
        path.write_bytes(good[:position] + bytes([good[position] ^ 255]) + good[position + 1 :])
        try:
            loaded = ExitTable.load(path)
        except InputError:
            num_noticed += 1
        else:  # the byte was a statistic or a name, the numbers must be right
            np.testing.assert_array_equal(loaded.confidences, table.confidences)
            np.testing.assert_array_equal(loaded.top5, table.top5)
    assert num_noticed > 80
    for text in (b"", b"PAR1", b"not a table", good[:-9], good[: len(good) // 2], good[9:]):
        path.write_bytes(text)
        with pytest.raises(InputError, match="damaged or something else") as caught:
            ExitTable.load(path)
        assert "\n" not in str(caught.value)


def test_foreign_and_missing_files_give_one_sentence(tmp_path):
    path = tmp_path / "t.parquet"
    with pytest.raises(InputError, match="no exit table at"):
        ExitTable.load(path)
    with pytest.raises(InputError, match="no exit table at"):
        ExitTable.load(tmp_path)
    foreign = pa.table({"label": [1, 2]})
    pq.write_table(foreign, path)
    with pytest.raises(InputError, match="something else"):
        ExitTable.load(path)
    info = {"version": 1, "info": {**vars(table_info()), "exit_macs": [1, 2, 3]}}
    for document, message in (
        ({"version": 2}, "version is 2"),
        ({"version": 1, "info": {"model": "x"}}, "not an exit table"),
        ([], "not an exit table"),
        (info, "not an exit table"),
    ):
        metadata = {b"dvt_exit_table": json.dumps(document).encode()}
        pq.write_table(foreign.replace_schema_metadata(metadata), path)
        with pytest.raises(InputError, match=message):
            ExitTable.load(path)


def put(name, place, value):
    return lambda table: table[name].__setitem__(place, value)


BAD_TABLES = {
    "label too large": (put("labels", 0, 10), "labels has values outside 0 to 9"),
    "negative label": (put("labels", 0, -1), "labels"),
    "negative index": (put("indices", 3, -1), "indices"),
    "nan confidence": (put("confidences", (0, 1), np.nan), "confidences"),
    "confidence above 1": (put("confidences", (0, 1), 1.01), "confidences"),
    "infinite entropy": (put("entropies", (0, 1), np.inf), "entropies"),
    "negative entropy": (put("entropies", (0, 1), -0.1), "entropies"),
    "negative margin": (put("margins", (0, 0), -0.1), "margins"),
    "prediction is not top-1": (
        lambda t: t.update(predictions=(t["predictions"] + 1) % 10),
        "do not agree",
    ),
    "float64": (lambda t: t.update(confidences=t["confidences"].astype(float)), "float64"),
    "int32 labels": (lambda t: t.update(labels=t["labels"].astype(np.int32)), "int32"),
    "one image short": (lambda t: t.update(margins=t["margins"][1:]), r"\(19, 3\)"),
    "an exit short": (lambda t: t.update(top5=t["top5"][:, 1:]), "top5"),
    "a list": (lambda t: t.update(entropies=t["entropies"].tolist()), "list"),
    "empty": (lambda t: t.update({k: t[k][:0] for k in ARRAYS}), "no images"),
}


@pytest.mark.parametrize(("spoil", "message"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_a_wrong_table_names_what_is_wrong(spoil, message):
    fields = parts(cascade_table(20))
    spoil(fields)
    with pytest.raises(InputError, match=message):
        ExitTable(**fields)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_classes": 1},
        {"num_classes": "10"},
        {"exit_macs": ()},
        {"exit_macs": (1, 1, 2)},
        {"exit_macs": (0, 1, 2)},
        {"exit_macs": (1.5, 2, 3)},
        {"exit_macs": (1, float("inf"))},
        {"exit_macs": 5},
        {"model": 3},
    ],
    ids=str,
)
def test_table_info_checks_itself(changes):
    with pytest.raises(InputError):
        table_info(**changes)


def test_from_probs_refuses_logits_and_wrong_shapes():
    probs = np.full((2, 3, 10), 0.1)
    for wrong in (probs - 1, probs * 20, probs * np.nan, probs[:1], probs[..., :9], probs[:, 0]):
        with pytest.raises(InputError, match="probs has"):
            ExitTable.from_probs(wrong, [0, 1], [0, 1], table_info())


def test_arrays_cannot_be_changed():
    table = cascade_table(5)
    with pytest.raises(ValueError, match="read-only"):
        table.confidences[0, 0] = 0


def test_concat_and_head_cut_and_join():
    table = cascade_table(90)
    pieces = {name: np.split(getattr(table, name), [20, 50]) for name in ARRAYS}
    tables = [
        ExitTable(**{name: pieces[name][k] for name in ARRAYS}, info=table_info(device=f"cuda:{k}"))
        for k in range(3)
    ]
    joined = ExitTable.concat(tables)
    assert joined.info.device == "cuda:0"
    assert_same(joined.head(20), tables[0])
    np.testing.assert_array_equal(joined.confidences, table.confidences)
    assert table.head(1000).n == 90
    with pytest.raises(InputError, match="overlap"):
        ExitTable.concat([table, table.head(1)])
    with pytest.raises(InputError, match="different"):
        ExitTable.concat([table, cascade_table(5, num_exits=2)])
    with pytest.raises(InputError, match="no tables"):
        ExitTable.concat([])
    with pytest.raises(InputError, match="at least 1"):
        table.head(0)


def test_check_model_compares_weights_not_names():
    table, sha = cascade_table(5), "ab" * 32
    table.check_model("renamed", weights_sha256=sha, num_exits=3, num_classes=10)
    for wrong in ({"weights_sha256": "cd" * 32}, {"num_exits": 2}, {"num_classes": 100}):
        model = {"weights_sha256": sha, "num_exits": 3, "num_classes": 10, **wrong}
        with pytest.raises(InputError, match=r"made with model 'toy' .*, not 'mine'"):
            table.check_model("mine", **model)
