"""The parts of a model card that compare: static baselines, reuse, exit criteria, confidence.

Every number is computed from the tables beside the model; a part whose tables are missing is
left out.
"""

from __future__ import annotations

import json
import math
from typing import Any

from dvt_core.bundle import Bundle
from dvt_core.criteria import CRITERIA, criteria_curve
from dvt_core.exit_table import ExitTable
from dvt_core.reliability import RELIABILITY
from dvt_core.solver import pareto_front
from dvt_core.study import (
    BASELINES,
    VARIANT_WORDS,
    Saving,
    Spread,
    Study,
    load_study,
    recipe_differences,
    saving,
)

TRADEOFF = "tradeoff.png"


def study_parts(bundle: Bundle) -> str:
    """Markdown of all parts, or an empty text."""
    study = load_study(bundle)
    tables = bundle.table("calibration"), bundle.table("test")
    parts = [
        _baselines(bundle, study, *tables) if study.baselines else "",
        _ablation(study) if study.ablation else "",
        _criteria(*tables) if tables[0].num_exits > 1 else "",
        _reliability(bundle),
    ]
    return "\n".join(part for part in parts if part)


def table(heading: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [heading, ("---",) * len(heading), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def savings(bundle: Bundle, study: Study) -> list[tuple[str, Saving | None]]:
    """Grid of every baseline and what the cascade spends at its accuracy."""
    front, test = pareto_front(bundle.table("calibration")), bundle.table("test")
    return [(each.name, saving(front, test, each)) for each in study.baselines]


def baseline_table(bundle: Bundle, study: Study) -> str:
    """Every static baseline against the cascade at its accuracy."""
    rows = []
    for each, (_, found) in zip(study.baselines, savings(bundle, study), strict=True):
        cells = (each.name, f"{100 * each.accuracy:.1f} %", f"{each.macs / 1e6:.1f}")
        if found is None:
            rows.append((*cells, "not reached", "", "", ""))
            continue
        gain = found.gain_spread
        rows.append(
            (
                *cells,
                f"{100 * found.point.accuracy:.1f} % ({100 * gain.low:+.1f} to "
                f"{100 * gain.high:+.1f} points)",
                f"{found.point.macs / 1e6:.1f}",
                f"**{found.times_fewer:.2f}x** ({_interval(found.times_fewer_spread)})",
                f"{found.read_off_times:.2f}x ({_interval(found.read_off_spread)})"
                if found.read_off
                else "not reached",
            )
        )
    heading = (
        "static model",
        "accuracy",
        "MMACs",
        "cascade there",
        "MMACs per image",
        "fewer MACs",
        "read off the test curve",
    )
    return table(heading, rows)


def _interval(spread: Spread) -> str:
    return f"{spread.low:.2f} to {spread.high:.2f}"


def _baselines(bundle: Bundle, study: Study, calibration: ExitTable, test: ExitTable) -> str:
    return f"""## Against static models

The plain backbone on each token grid, trained alone with the same recipe, epochs and data. The
cascade is held against each: its thresholds are the cheapest of those solved on calibration
(n = {calibration.n:,}) that are as accurate there as the static model; both are shown on test
(n = {test.n:,}). The last column chooses the solved point on the test curve instead, as one reads
a published figure. In brackets: 95 % of 1,000 bootstrap resamples of the test images (one training
run each, so the spread over seeds is not in it).

{baseline_table(bundle, study)}

{_differences(bundle, study)}![Accuracy against MMACs: cascade and static models]({TRADEOFF})
"""


def _differences(bundle: Bundle, study: Study) -> str:
    """What a baseline was trained with otherwise; the same for all, or said for each."""
    said = []
    for each in study.baselines:
        found = recipe_differences(bundle, bundle.path / BASELINES / each.name)
        said += [
            f"{each.name}: `{key}` is {theirs!r}, the cascade's is {mine!r}"
            for key, (mine, theirs) in found.items()
        ]
    return f"Trained otherwise than the cascade: {'; '.join(said)}.\n\n" if said else ""


def _ablation(study: Study) -> str:
    return f"""## Reuse on and off

One recipe with and without feature and relation reuse (the paper's table 6, on this data;
{study.ablation_epochs} epochs each): accuracy of each exit on test, and the cost up to it. In
brackets: points above "no reuse". One run each; one standard error of such a difference is
{_error_of_difference(study):.1f} points.

{ablation_table(study)}
"""


def ablation_table(study: Study) -> str:
    """The paper's table 6 from stored tables."""
    exits = next(iter(study.ablation.values()))[1].num_exits
    base = study.ablation.get("neither")
    rows = []
    for variant, (_, test) in study.ablation.items():
        cells = [VARIANT_WORDS[variant]]
        for i, accuracy in enumerate(test.exit_accuracy):
            gain = ""
            if base is not None and variant != "neither":
                gain = f" ({100 * (accuracy - base[1].exit_accuracy[i]):+.1f})"
            cells += [f"{100 * accuracy:.1f} %{gain}", f"{test.info.exit_macs[i] / 1e6:.1f}"]
        rows.append(tuple(cells))
    heading = ["variant"]
    for i in range(exits):
        heading += [f"exit {i + 1}", "MMACs"]
    return table(tuple(heading), rows)


def _error_of_difference(study: Study) -> float:
    """In points, if both runs' answers were independent: an upper bound for the same images."""
    tests = [test for _, test in study.ablation.values()]
    worst = max(p * (1 - p) for test in tests for p in test.exit_accuracy)
    return 100 * math.sqrt(2 * worst / tests[0].n)


def _criteria(calibration: ExitTable, test: ExitTable) -> str:
    return f"""## What an exit asks

The same number of images leaves at each exit, chosen by confidence, by entropy, by the margin
between the two best classes, or at random (the paper's table 9, on this data; test,
n = {test.n:,}; the numbers that leave are those of thresholds solved on calibration).

{criteria_table(calibration, test)}
"""


def criteria_table(calibration: ExitTable, test: ExitTable) -> str:
    """The paper's table 9 from stored tables."""
    rows = []
    for point in criteria_curve(calibration, test):
        shares = ", ".join(f"{100 * count / test.n:.0f} %" for count in point.exit_counts)
        accuracies = (f"{100 * point.accuracies[name]:.1f} %" for name in CRITERIA)
        rows.append((f"{point.macs / 1e6:.1f}", shares, *accuracies))
    return table(("MMACs per image", "share of exits", *CRITERIA), rows)


def read_reliability(bundle: Bundle) -> dict[str, Any] | None:
    """reliability.json of a model folder, None where there is none."""
    path = bundle.path / RELIABILITY
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _reliability(bundle: Bundle) -> str:
    raw = read_reliability(bundle)
    if raw is None:
        return ""
    before, after = raw["before"], raw["after"]
    rows = []
    for i, temperature in enumerate(raw["temperatures"]):
        cells = [str(i + 1), f"{temperature:.3f}", "yes" if raw["shipped"][i] else "no"]
        for split in ("calibration", "test"):
            cells += [f"{100 * side[split][i]['ece']:.1f} %" for side in (before, after)]
        rows.append(tuple(cells))
    heading = (
        "exit",
        "temperature",
        "in the weights",
        *(f"ECE {s}, {w}" for s in _SPLITS for w in _SIDES),
    )
    return f"""## Are the confidences honest?

Expected calibration error (15 bins) of each exit before and after dividing its logits by a
temperature fitted on the calibration split. Where it makes the exit more honest on that split,
the weights hold it, folded into the exit's head; the other tables here are of those weights.

{table(heading, rows)}

The curve hardly needs them: mean test accuracy over 59 budgets is {_pair(raw, "solved")} with one
solved threshold per exit and {_pair(raw, "shared")} with one threshold for all (before, after).
"""


_SPLITS, _SIDES = ("calibration", "test"), ("before", "after")


def _pair(raw: dict[str, Any], key: str) -> str:
    return f"{100 * raw['before'][key]:.2f} % and {100 * raw['after'][key]:.2f} %"
