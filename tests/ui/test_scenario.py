"""Changing resources: the figure's lines are the simulation's numbers, the section shows them."""

import json
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app import services
from app.figures.scenario import ADAPTIVE, BUDGET, scenario_alt, scenario_figure
from app.figures.theme import NEUTRAL, MacUnit, exit_colour
from app.sections.scenario import BY_TITLE, SUMS, TITLE
from dvt_core.exit_table import ExitTable
from dvt_core.scenario import SCENARIOS, Scenario
from dvt_core.simulation import DROPS, OVERSPENDS, FixedModel, simulate, totals
from dvt_core.solver import pareto_front
from tests.core.synthetic_tables import cascade_table
from tests.ui.driver import captions, figure, metrics
from tests.ui.tiny_model import write_bundle

CALIBRATION, TEST = cascade_table(n=200, seed=1), cascade_table(n=150, seed=2)
UNIT = MacUnit.of(TEST.info.exit_macs)
SHORT = Scenario(
    "toy", "A toy", "Two plus one.", "hours", 0.5, (7, 20, 30), (1.0, 0.35, 0.5 * 20 / 130)
)
FULL = FixedModel.full_cascade(TEST)
STEPS = simulate(pareto_front(CALIBRATION), TEST, SHORT)


def drawn(overload=DROPS, **options):
    return scenario_figure(SHORT, STEPS, FULL, UNIT, overload=overload, **options)


def lines(drawing, axis):
    """Name -> values of the lines in the panel with this vertical axis."""
    return {t.name: list(t.y) for t in drawing.data if (t.yaxis or "y") == axis}


def hold(values):
    """Every value is kept to the end of its step, the last one too."""
    return pytest.approx([*values, values[-1]])


@pytest.mark.parametrize("overload", [DROPS, OVERSPENDS])
def test_panels_show_the_numbers_of_the_simulation(overload):
    drawing = drawn(overload)
    costs, right, gates = (lines(drawing, axis) for axis in ("y", "y2", "y3"))
    assert costs[BUDGET] == hold([130, 45.5, 10])
    assert costs["full cascade"] == hold([130, 130, 130])
    assert costs[ADAPTIVE] == hold([step.adaptive.macs / 1e6 for step in STEPS])
    accuracy = 100 * TEST.exit_accuracy[-1]
    kept = (1, 0.35, 0.5 * 20 / 130) if overload == DROPS else (1, 1, 1)
    assert right["full cascade"] == hold([accuracy * share for share in kept])
    assert right[ADAPTIVE] == hold([100 * step.adaptive.right(overload) for step in STEPS])
    half = 100 * TEST.exit_accuracy[0] * (0.5 if overload == DROPS else 1)
    assert right[ADAPTIVE][2] == pytest.approx(half)  # half of what exit 1 costs
    for i in range(2):
        assert gates[f"threshold of exit {i + 1}"] == hold([s.thresholds[i] for s in STEPS])
    assert all(tuple(trace.x) == (0, 0.5, 1, 1.5) for trace in drawing.data)
    assert {trace.line.shape for trace in drawing.data} == {"hv"}


@pytest.mark.parametrize(("dark", "ink"), [(False, "#111111"), (True, "#ffffff")])
def test_colour_means_exit_and_nothing_else(dark, ink):
    colours = {trace.name: trace.line.color for trace in drawn(dark=dark).data}
    assert colours == {
        BUDGET: NEUTRAL,
        "full cascade": NEUTRAL,
        ADAPTIVE: ink,
        "threshold of exit 1": exit_colour(0),
        "threshold of exit 2": exit_colour(1),
    }
    dashes = {trace.name: trace.line.dash for trace in drawn().data}
    assert dashes["full cascade"] == "dash" and dashes[ADAPTIVE] is None


def test_every_name_is_in_the_legend_once():
    named = [trace.name for trace in drawn().data if trace.showlegend is not False]
    assert len(named) == len(set(named)) == 5


def test_axes_have_units_and_do_not_exaggerate():
    drawing = drawn()
    titles = [note.text for note in drawing.layout.annotations]
    assert "MMACs per image" in titles[0] and "%" in titles[1] and "thresholds" in titles[2]
    assert drawing.layout.xaxis3.title.text == "time in hours"
    assert drawing.layout.yaxis2.rangemode == "tozero"
    calm = Scenario("calm", "Calm", "Nothing.", "hours", 1.0, (1, 1), (1.0, 1.0))
    steps = simulate(pareto_front(CALIBRATION), TEST, calm)
    low, high = scenario_figure(calm, steps, FULL, UNIT, overload=OVERSPENDS).layout.yaxis2.range
    assert high - low >= 4


def test_a_cascade_of_one_exit_has_no_threshold_panel():
    one = cascade_table(n=40, num_exits=1)
    fixed = FixedModel.full_cascade(one)
    steps = simulate(pareto_front(one), one, SHORT, fixed)
    drawing = scenario_figure(SHORT, steps, fixed, UNIT, overload=DROPS)
    assert {trace.yaxis for trace in drawing.data} == {"y", "y2"}
    assert drawing.layout.xaxis2.title.text == "time in hours"


def test_alt_says_the_totals_and_that_it_is_simulated():
    words = scenario_alt(SHORT, STEPS, FULL, UNIT, DROPS)
    adaptive, fixed = totals(STEPS, DROPS)
    assert words.startswith(
        "Simulated, A toy, 1.5 hours: the budget per image goes from 10.0 MMACs"
    )
    for total in (adaptive, fixed):
        assert f"{100 * total.right:.1f} % of all images" in words


def page():
    import streamlit as st

    from app import services
    from app.sections.scenario import scenario_section

    scenario_section(services.get_bundle(st.selectbox("Model", ["tiny", "small"], key="model")))


def open_section(**query: str) -> AppTest:
    at = AppTest.from_function(page, default_timeout=60)
    for key, value in query.items():
        at.query_params[key] = value
    at.run()
    assert not at.exception
    return at


def expected(folder: Path, scenario: Scenario, overload: str, fixed: FixedModel | None = None):
    calibration, test = (ExitTable.load(folder / f"{split}.parquet") for split in services.TABLES)
    return totals(simulate(pareto_front(calibration), test, scenario, fixed), overload)


def shown(at: AppTest) -> list[tuple[str, str]]:
    return [(each.value, each.delta) for each in at.metric]


def as_shown(adaptive, fixed, name: str, overload: str) -> list[tuple[str, str]]:
    middle = (f"{adaptive.dropped:,.0f} of {adaptive.arrivals:,}", f"{fixed.dropped:,.0f}")
    if overload == OVERSPENDS:
        over = (adaptive.overspent, fixed.overspent)
        middle = tuple(f"{sum_ / 1e9:#.3g} GMACs" if sum_ else "nothing" for sum_ in over)
    pairs = (
        (f"{100 * adaptive.right:.1f} %", f"{100 * fixed.right:.1f} %"),
        middle,
        (SUMS.format(adaptive.macs), SUMS.format(fixed.macs)),
    )
    return [(value, f"{name}: {other}") for value, other in pairs]


def test_section_shows_the_simulation_and_says_that_it_is_one(models_dir):
    at = open_section()
    assert at.subheader[0].value == TITLE and "simulated" in TITLE
    assert at.selectbox(key="scenario").options == [each.title for each in SCENARIOS]
    assert at.selectbox(key="fixed_model").options == ["full cascade"]
    sums = expected(models_dir / "tiny", SCENARIOS[0], DROPS)
    assert shown(at) == as_shown(*sums, "full cascade", DROPS)
    assert SCENARIOS[0].description in [each.value for each in at.markdown]
    said = captions(at)
    assert said.startswith("Simulated") and "made up" in said
    assert "400 calibration images" in said and "400 test images" in said
    assert len(at.get("plotly_chart")) == 1 and not at.error


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
def test_a_link_opens_every_scenario(models_dir, scenario):
    at = open_section(scenario=scenario.title, overload=OVERSPENDS)
    sums = expected(models_dir / "tiny", scenario, OVERSPENDS)
    assert shown(at) == as_shown(*sums, "full cascade", OVERSPENDS)
    assert f"time in {scenario.time_unit}" in json.dumps(figure(at)["layout"])
    assert BY_TITLE[scenario.title] is scenario


def test_a_link_with_nonsense_falls_back(models_dir):
    at = open_section(scenario="The moon", fixed_model="static 9x9", overload="waits")
    assert not at.error and at.selectbox(key="scenario").value == SCENARIOS[0].title
    assert list(metrics(at)) == [
        "Cascade: answered right",
        "Cascade: images dropped",
        "Cascade: spent",
    ]


@pytest.fixture
def with_static(models_dir: Path) -> Path:
    """The tiny model with one static model beside it: its own second exit, alone."""
    folder = models_dir / "tiny"
    for split in services.TABLES:
        table = ExitTable.load(folder / f"{split}.parquet")
        alone = table.exit_alone(1, table.info.exit_macs[1], "4x4")
        alone.save(folder / "baselines" / "4x4" / f"{split}.parquet")
    return folder


def test_a_static_model_can_be_the_fixed_one(with_static):
    at = open_section()
    at.selectbox(key="fixed_model").set_value("static 4x4").run()
    test = ExitTable.load(with_static / "test.parquet")
    static = FixedModel("static 4x4", test.info.exit_macs[1], test.exit_accuracy[1])
    sums = expected(with_static, SCENARIOS[0], DROPS, static)
    assert shown(at) == as_shown(*sums, "static 4x4", DROPS)
    assert {trace["name"] for trace in figure(at)["data"]} >= {"static 4x4", ADAPTIVE}


def test_a_choice_that_the_next_model_does_not_have_falls_back(with_static):
    write_bundle(with_static.parent / "small", num_exits=2)
    at = open_section(fixed_model="static 4x4")
    assert "static 4x4" in at.metric[0].delta
    at.selectbox(key="model").set_value("small").run()
    assert not at.exception and not at.error
    assert at.selectbox(key="fixed_model").value == "full cascade"
    assert "full cascade" in at.metric[0].delta
    names = {trace["name"] for trace in figure(at)["data"]}
    assert "threshold of exit 1" in names and "threshold of exit 2" not in names


def test_damaged_static_models_are_said_and_the_rest_stays(with_static):
    (with_static / "baselines" / "4x4" / "test.parquet").write_bytes(b"broken")
    at = open_section()
    assert not at.error and at.selectbox(key="fixed_model").options == ["full cascade"]
    assert "static models beside this one cannot be shown" in captions(at)


def test_a_damaged_table_is_one_sentence(models_dir):
    shutil.copy(__file__, models_dir / "tiny" / "test.parquet")
    at = open_section()
    assert len(at.error) == 1 and "test.parquet" in at.error[0].value and not at.metric
