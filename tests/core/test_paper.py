"""The paper's numbers: complete, in agreement with each other, and checked when read."""

import csv
import re
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from dvt_core.errors import InputError
from dvt_core.macs import exit_macs
from dvt_core.paper import (
    COLUMNS,
    PRINTED,
    READ_OFF,
    RESULTS,
    PaperPoint,
    by_series,
    load_paper_results,
    select,
    to_csv,
)
from dvt_core.presets import PRESETS

POINTS = load_paper_results()
T12, T14 = "DVT (T2T-ViT-12)", "DVT (T2T-ViT-14)"


def _claimed(point: PaperPoint) -> float:
    found = re.match(r"\+?([\d.]+)", point.claim)
    assert found, point
    return float(found.group(1))


def _rounds_to(value: float, claim: PaperPoint) -> bool:
    digits = len(re.split(r"[. x]", claim.claim)[1])
    return abs(value - _claimed(claim)) <= 0.5 * 10**-digits + 1e-9


def _row(experiment: str, series: str, **wanted: object) -> tuple[float | None, ...]:
    return tuple(
        (p.gmacs if p.images_per_s is None else p.images_per_s, p.top1)
        for p in select(POINTS, experiment=experiment, series=series, **wanted)
    )


@pytest.mark.parametrize(
    ("experiment", "count"),
    [
        ("motivation", 3),
        ("curve", 20 + 24),
        ("baseline", 6 + 2 + 2 + 3 + 4 + 2 + 2),
        ("speed-up", 5),
        ("early-exit", 4 * 6),
        ("adaptive-depth", 2 * 5),
        ("deit", 4 + 6),
        ("cifar", 2 * 2 * 5),
        ("throughput", 2 * 5),
        ("ablation-reuse", 4 * 3),
        ("ablation-feature-design", 6 * 2),
        ("ablation-relation-design", 6 * 2),
        ("criterion", 3 * 4),
    ],
)
def test_every_table_is_complete(experiment, count):
    assert len(select(POINTS, experiment=experiment)) == count


def test_nothing_else_is_in_the_file():
    assert len(POINTS) == 195 and len(set(POINTS)) == 195


# Typed again from the paper's tables, apart from the file.
@pytest.mark.parametrize(
    ("experiment", "series", "wanted", "values"),
    [
        ("motivation", "T2T-ViT-12", {"setting": "4x4 tokens"}, ((0.21, 60.8),)),
        ("early-exit", T12, {"gmacs": 1.25}, ((1.25, 77.89),)),
        ("early-exit", "RANet", {"gmacs": 2.0}, ((2.0, 75.10),)),
        ("early-exit", "IMTA-MSDNet", {"gmacs": 0.75}, ((0.75, 70.84),)),
        ("adaptive-depth", T14, {"gmacs": 4.0}, ((4.0, 82.42),)),
        ("deit", "DVT (DeiT-small)", {"setting": "accuracy of DynamicViT"}, ((2.37, 79.3),)),
        ("deit", "DeiT-small", {}, ((4.61, 79.8),)),
        ("throughput", "DVT (two exits)", {"setting": "accuracy of T2T-ViT-19"}, ((666, 81.93),)),
        ("criterion", "entropy", {"gmacs": 1.5}, ((1.5, 78.4),)),
        ("baseline", "PVT", {"gmacs": 6.7}, ((6.7, 81.2),)),
        (
            "ablation-reuse",
            "both (DVT)",
            {},
            ((0.47, 69.04), (1.46, 75.65), (3.5, 80.0)),
        ),
        ("ablation-feature-design", "proposed", {"exit": 2}, ((1.43, 75.23),)),
        ("ablation-relation-design", "naive upsampling of the map", {"exit": 2}, ((1.41, 73.34),)),
    ],
)
def test_spot_values(experiment, series, wanted, values):
    assert _row(experiment, series, **wanted) == values


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
def test_cifar_savings_are_the_printed_ones_and_accuracy_is_matched(dataset):
    rows = select(POINTS, experiment="cifar", dataset=dataset)
    base, ours = select(rows, kind="static"), select(rows, kind="dvt")
    assert len(base) == len(ours) == 5
    for static, dvt in zip(base, ours, strict=True):
        assert dvt.setting == f"accuracy of {static.setting}"
        assert 0 <= dvt.top1 - static.top1 <= 0.031
        # costs are printed with two decimals, so the printed ratio may be of finer numbers
        low, high = (static.gmacs / (dvt.gmacs + d) for d in (0.005, -0.005))
        assert low - 0.05 <= _claimed(dvt) <= high + 0.05


def test_speed_ups_agree_with_the_end_points():
    base = {p.setting: p for p in select(POINTS, experiment="baseline", series="T2T-ViT")}
    for dvt in select(POINTS, experiment="speed-up"):
        static = base[dvt.setting.removeprefix("accuracy of ")]
        assert static.top1 == dvt.top1
        high = (static.gmacs + static.gmacs_error) / (dvt.gmacs - dvt.gmacs_error)
        low = (static.gmacs - static.gmacs_error) / (dvt.gmacs + dvt.gmacs_error)
        assert low - 0.05 <= _claimed(dvt) <= high + 0.05


def test_throughput_gains_are_the_printed_ones():
    static, dvt = (select(POINTS, experiment="throughput", kind=kind) for kind in ("static", "dvt"))
    for base, ours in zip(static, dvt, strict=True):
        gain = ours.top1 - base.top1
        if ours.claim.endswith("x"):
            assert gain == 0
            gain = ours.images_per_s / base.images_per_s
        assert _rounds_to(gain, ours), ours


def test_reuse_costs_the_printed_share_more():
    rows = select(POINTS, experiment="ablation-reuse")
    plain = {p.exit: p.gmacs for p in select(rows, series="no reuse")}
    with_claim = [p for p in rows if p.claim]
    assert len(with_claim) == 6
    for point in with_claim:
        assert _rounds_to(100 * (point.gmacs / plain[point.exit] - 1), point), point


def test_no_reuse_ends_where_the_backbone_alone_does():
    last = select(POINTS, experiment="ablation-reuse", series="no reuse", exit=3)[0]
    alone = select(POINTS, experiment="baseline", setting="T2T-ViT-12")[0]
    assert last.top1 == alone.top1 == 76.74


def test_costs_of_the_exits_are_ours_within_the_counters_difference():
    printed = [p.gmacs for p in select(POINTS, experiment="ablation-reuse", series="both (DVT)")]
    ours = np.array(exit_macs(PRESETS["dvt_t2t_vit_12"])) / 1e9
    assert np.allclose(printed, ours, rtol=0.015)  # theirs counts norms and resizing too


def test_two_tables_that_give_the_same_numbers_agree():
    early, criterion = _row("early-exit", T12), _row("criterion", "confidence (DVT)")
    assert criterion == early[:4]


@pytest.mark.parametrize(("series", "table"), [(T12, "early-exit"), (T14, "adaptive-depth")])
def test_digitised_curve_passes_by_the_printed_points(series, table):
    curve = select(POINTS, experiment="curve", series=series)
    assert all(p.exact == READ_OFF and p.source == "Fig. 6" for p in curve)
    x, y = [p.gmacs for p in curve], [p.top1 for p in curve]
    for gmacs, top1 in _row(table, series):
        error = max(p.top1_error for p in curve if abs(p.gmacs - gmacs) <= 0.15)
        assert abs(np.interp(gmacs, x, y) - top1) <= error + 1e-9, (gmacs, top1)


@pytest.mark.parametrize(
    "experiment", ["curve", "early-exit", "adaptive-depth", "criterion", "ablation-reuse"]
)
def test_curves_rise_with_cost(experiment):
    for series, points in by_series(select(POINTS, experiment=experiment)).items():
        for before, after in pairwise(points):
            assert before.gmacs < after.gmacs and before.top1 <= after.top1, series


def test_only_figure_readings_have_errors():
    read = [p for p in POINTS if p.exact == READ_OFF]
    assert {p.experiment for p in read} == {"curve", "baseline", "speed-up"}
    assert all(p.source.startswith("Fig. 6") for p in read)
    assert len(select(POINTS, exact=PRINTED)) == len(POINTS) - len(read)


def test_csv_reads_back(tmp_path):
    (tmp_path / "again.csv").write_text(to_csv(POINTS))
    assert load_paper_results(tmp_path / "again.csv") == POINTS


def test_module_needs_no_torch():
    code = "import sys; sys.argv = ['dvt']; import dvt_core.paper; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=RESULTS.parents[2]).returncode == 0


GOOD = dict(zip(COLUMNS, RESULTS.read_text().splitlines()[1].split(","), strict=True))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "ours"}, "line 2 .* kind is 'ours', known are dvt"),
        ({"top1": "767"}, "line 2 .* top1 is 767.0, expected a percentage"),
        ({"top1": ""}, "top1 is None"),
        ({"gmacs": "nan"}, "nan is no finite number"),
        ({"gmacs": "-1"}, "-1 is no finite number"),
        ({"gmacs": "much"}, "line 2 .*much"),
        ({"gmacs": ""}, "either gmacs or images_per_s"),
        ({"images_per_s": "9"}, "either gmacs or images_per_s"),
        ({"series": ""}, "must not be empty"),
        ({"exact": "roughly"}, "exact is 'roughly'"),
        ({"top1_error": "0.2"}, "errors of 0"),
        ({"exit": "first"}, "line 2 .*first"),
    ],
    ids=str,
)
def test_damaged_row_is_named(tmp_path, change, words):
    with (tmp_path / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerow({**GOOD, **change})
    with pytest.raises(InputError, match=words):
        load_paper_results(tmp_path / "results.csv")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "other columns"),
        (b"a,b\n1,2\n", "other columns"),
        (",".join(COLUMNS).encode() + b"\n", "holds no points"),
        (",".join(COLUMNS).encode() + b"\nmotivation,imagenet\n", "line 2 .* 14 fields"),
        (",".join(COLUMNS).encode() + b"\n" + b"x," * 20 + b"\n", "line 2 .* 14 fields"),
        (b"\xff\xfe\x00", "no CSV file"),
    ],
    ids=["empty", "columns", "no rows", "short row", "long row", "binary"],
)
def test_damaged_file_is_said(tmp_path, raw, words):
    (tmp_path / "results.csv").write_bytes(raw)
    with pytest.raises(InputError, match=words):
        load_paper_results(tmp_path / "results.csv")


def test_missing_file_is_said(tmp_path):
    with pytest.raises(InputError, match="cannot read the paper's numbers"):
        load_paper_results(tmp_path / "none.csv")
