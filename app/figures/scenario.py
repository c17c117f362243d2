"""Changing resources over time: the budget, what is answered right, and the thresholds in force."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.figures.theme import NEUTRAL, MacUnit, exit_colour, exit_name, percent
from app.figures.tradeoff import thresholds_text
from dvt_core.scenario import Scenario
from dvt_core.simulation import DROPS, FixedModel, Step, totals

ADAPTIVE, BUDGET = "the cascade, following the budget", "budget"
ROOM = "rgba(128, 135, 145, 0.18)"  # `NEUTRAL`, see-through: what the budget allows
_LOW, _HIGH = -0.05, 1.06  # of the thresholds' axis: 0 and "never" (1.01) are seen


def scenario_figure(
    scenario: Scenario,
    steps: Sequence[Step],
    fixed: FixedModel,
    unit: MacUnit,
    *,
    overload: str,
    dark: bool = False,
) -> go.Figure:
    """Panels over one time axis: cost and budget, right answers, thresholds.

    A cascade of one exit has no thresholds, so no third panel.

    Args:
        scenario: gives the unit of time.
        steps: of `simulate`.
        fixed: the fixed model in them.
        unit: unit of the cost axis.
        overload: one of `OVERLOADS`, what both models do where they do not fit.
        dark: whether the page is dark, for the ink.
    """
    ink, gates = "#ffffff" if dark else "#111111", len(steps[0].thresholds)
    right = _right(scenario, steps, fixed, overload, ink)
    panels = {
        f"{unit.name} per image, if every image is answered": _costs(
            scenario, steps, fixed, unit, ink
        ),
        "answered right, in % of all images": right,
        "confidence thresholds in force": [_threshold(scenario, steps, i) for i in range(gates)],
    }
    titles = [title for title, traces in panels.items() if traces]
    figure = _stacked(titles)
    for row, title in enumerate(titles, start=1):
        figure.add_traces(panels[title], rows=row, cols=1)
    figure.update_layout(
        height=190 * len(titles) + 90,
        margin={"l": 10, "r": 10, "t": 30, "b": 10},
        hovermode="closest",
        legend={"orientation": "h", "yanchor": "top", "y": -0.13, "x": 0},
        yaxis={"rangemode": "tozero"},
        yaxis2=_right_axis(right, overload),
    )
    figure.update_xaxes(title=f"time in {scenario.time_unit}", row=len(titles), col=1)
    if gates:
        figure.update_yaxes(range=[_LOW, _HIGH], row=3, col=1)
    return figure


def _stacked(titles: Sequence[str]) -> go.Figure:
    """Empty panels over one horizontal axis, each under its title."""
    figure = make_subplots(
        rows=len(titles),
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.09,
        row_heights=[1.2, 1.2, 1.0][: len(titles)],
        subplot_titles=titles,
    )
    figure.update_annotations(x=0, xanchor="left", font_size=14)
    return figure


def _line(
    scenario: Scenario, steps: Sequence[Step], values: Sequence[float], name: str
) -> go.Scatter:
    """A line that keeps each value to the end of its step."""
    return go.Scatter(
        x=[*(step.time for step in steps), steps[-1].time + scenario.step_length],
        y=[*values, values[-1]],
        mode="lines",
        name=name,
        legendgroup=name,
        line={"shape": "hv", "width": 2.5},
    )


def _costs(
    scenario: Scenario, steps: Sequence[Step], fixed: FixedModel, unit: MacUnit, ink: str
) -> list[go.Scatter]:
    """The budget, and what each model costs per image; above the budget it does not fit."""
    budget = _line(scenario, steps, [step.budget / unit.scale for step in steps], BUDGET)
    arrivals = [step.arrivals for step in steps]
    budget.update(
        line={"color": NEUTRAL, "width": 1},
        fill="tozeroy",
        fillcolor=ROOM,
        customdata=[*arrivals, arrivals[-1]],
        hovertemplate=f"budget %{{y:.3g}} {unit.name}<br>%{{customdata:,}} images arrive"
        f"<br>at %{{x:.3g}} {scenario.time_unit}<extra></extra>",
    )
    costs = [step.adaptive.macs / unit.scale for step in steps]
    fixed_costs = [step.fixed.macs / unit.scale for step in steps]
    lines = [
        _line(scenario, steps, fixed_costs, fixed.name).update(line=_dashed()),
        _line(scenario, steps, costs, ADAPTIVE).update(line_color=ink),
    ]
    for line in lines:
        line.hovertemplate = (
            f"{line.name}<br>%{{y:.3g}} {unit.name} per image"
            f"<br>at %{{x:.3g}} {scenario.time_unit}<extra></extra>"
        )
    return [budget, *lines]


def _right(
    scenario: Scenario, steps: Sequence[Step], fixed: FixedModel, overload: str, ink: str
) -> list[go.Scatter]:
    """Share of all arriving images that each model answers right."""
    shares = [100 * step.adaptive.right(overload) for step in steps]
    fixed_shares = [100 * step.fixed.right(overload) for step in steps]
    lines = [
        _line(scenario, steps, fixed_shares, fixed.name).update(line=_dashed()),
        _line(scenario, steps, shares, ADAPTIVE).update(line_color=ink),
    ]
    for line in lines:
        line.showlegend = False  # the upper panel has it
        line.hovertemplate = (
            f"{line.name}<br>%{{y:.1f}} % answered right"
            f"<br>at %{{x:.3g}} {scenario.time_unit}<extra></extra>"
        )
    return lines


def _right_axis(lines: Sequence[go.Scatter], overload: str) -> dict[str, object]:
    """From 0 where images are dropped; else close up, but not so close that nothing looks much."""
    if overload == DROPS:
        return {"rangemode": "tozero"}
    values = [value for line in lines for value in line.y or ()]
    return {"range": [min(values) - 2, max(values) + 2]}


def _dashed() -> dict[str, str]:
    return {"color": NEUTRAL, "dash": "dash"}


def _threshold(scenario: Scenario, steps: Sequence[Step], exit_index: int) -> go.Scatter:
    """One exit's threshold, in the exit's colour; 0 lets all leave, above 1 nobody."""
    values = [step.thresholds[exit_index] for step in steps]
    words = [thresholds_text((value,)) for value in values]
    wider = 2 * (len(steps[0].thresholds) - 1 - exit_index)  # seen below a later one's line
    return _line(scenario, steps, values, f"threshold of {exit_name(exit_index)}").update(
        line={"color": exit_colour(exit_index), "width": 2.5 + wider},
        customdata=[*words, words[-1]],
        hovertemplate=f"{exit_name(exit_index)} answers from confidence %{{customdata}}"
        f"<br>at %{{x:.3g}} {scenario.time_unit}<extra></extra>",
    )


def scenario_alt(
    scenario: Scenario,
    steps: Sequence[Step],
    fixed: FixedModel,
    unit: MacUnit,
    overload: str,
) -> str:
    """The figure in words, for people who do not see it."""
    end = steps[-1].time + scenario.step_length
    budgets = [step.budget for step in steps]
    models = zip(
        (ADAPTIVE, fixed.name),
        ([step.adaptive for step in steps], [step.fixed for step in steps]),
        totals(steps, overload),
        strict=True,
    )
    said = (
        f"{name}: {unit.format(min(s.macs for s in served))} to "
        f"{unit.format(max(s.macs for s in served))} per image, "
        f"{percent(min(s.right(overload) for s in served))} to "
        f"{percent(max(s.right(overload) for s in served))} answered right, "
        f"{percent(total.right)} of all images"
        for name, served, total in models
    )
    return (
        f"Simulated, {scenario.title}, {end:.3g} {scenario.time_unit}: the budget per image goes "
        f"from {unit.format(min(budgets))} to {unit.format(max(budgets))}. {'; '.join(said)}."
    )
