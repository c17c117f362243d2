"""Changing resources over time: the budget, what is answered right, and the thresholds in force."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.figures.theme import NEUTRAL, MacUnit, exit_colour, exit_name, percent
from app.figures.tradeoff import thresholds_text
from app.language import later, say, say_later
from dvt_core.scenario import Scenario
from dvt_core.simulation import DROPS, FixedModel, Step, totals

ADAPTIVE, BUDGET = later("the cascade, following the budget"), later("budget")
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
        say("{unit} per image, if every image is answered", unit=unit.name): _costs(
            scenario, steps, fixed, unit, ink
        ),
        say("answered right, in % of all images"): right,
        say("confidence thresholds in force"): [
            _threshold(scenario, steps, i) for i in range(gates)
        ],
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
    figure.update_xaxes(
        title=say("time in {unit}", unit=say_later(scenario.time_unit)), row=len(titles), col=1
    )
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
    budget = _line(scenario, steps, [step.budget / unit.scale for step in steps], say_later(BUDGET))
    arrivals = [step.arrivals for step in steps]
    budget.update(
        line={"color": NEUTRAL, "width": 1},
        fill="tozeroy",
        fillcolor=ROOM,
        customdata=[*arrivals, arrivals[-1]],
        hovertemplate=say(
            "budget {macs}<br>{count} images arrive",
            macs=f"%{{y:.3g}} {unit.name}",
            count="%{customdata:,}",
        )
        + _moment(scenario),
    )
    costs = [step.adaptive.macs / unit.scale for step in steps]
    fixed_costs = [step.fixed.macs / unit.scale for step in steps]
    lines = [
        _line(scenario, steps, fixed_costs, fixed_name(fixed)).update(line=_dashed()),
        _line(scenario, steps, costs, say_later(ADAPTIVE)).update(line_color=ink),
    ]
    for line in lines:
        cost = say("{macs} per image", macs=f"%{{y:.3g}} {unit.name}")
        line.hovertemplate = f"{line.name}<br>{cost}{_moment(scenario)}"
    return [budget, *lines]


def fixed_name(fixed: FixedModel) -> str:
    """What people call the fixed model: its word, or the grid of a static one."""
    kind, _, grid = fixed.name.partition(" ")
    return say("static {name}", name=grid) if kind == "static" else say_later(fixed.name)


def _moment(scenario: Scenario) -> str:
    """The end of a tooltip: when."""
    when = say("at {time} {unit}", time="%{x:.3g}", unit=say_later(scenario.time_unit))
    return f"<br>{when}<extra></extra>"


def _right(
    scenario: Scenario, steps: Sequence[Step], fixed: FixedModel, overload: str, ink: str
) -> list[go.Scatter]:
    """Share of all arriving images that each model answers right."""
    shares = [100 * step.adaptive.right(overload) for step in steps]
    fixed_shares = [100 * step.fixed.right(overload) for step in steps]
    lines = [
        _line(scenario, steps, fixed_shares, fixed_name(fixed)).update(line=_dashed()),
        _line(scenario, steps, shares, say_later(ADAPTIVE)).update(line_color=ink),
    ]
    for line in lines:
        line.showlegend = False  # the upper panel has it
        right = say("{percent} answered right", percent="%{y:.1f} %")
        line.hovertemplate = f"{line.name}<br>{right}{_moment(scenario)}"
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
    name = exit_name(exit_index)
    answers = say(
        "{exit} answers from confidence {threshold}", exit=name, threshold="%{customdata}"
    )
    return _line(scenario, steps, values, say("threshold of {exit}", exit=name)).update(
        line={"color": exit_colour(exit_index), "width": 2.5 + wider},
        customdata=[*words, words[-1]],
        hovertemplate=answers + _moment(scenario),
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
        (say_later(ADAPTIVE), fixed_name(fixed)),
        ([step.adaptive for step in steps], [step.fixed for step in steps]),
        totals(steps, overload),
        strict=True,
    )
    said = (
        say(
            "{name}: {least} to {most} per image, {worst} to {best} answered right, {right} of all "
            "images",
            name=name,
            least=unit.format(min(s.macs for s in served)),
            most=unit.format(max(s.macs for s in served)),
            worst=percent(min(s.right(overload) for s in served)),
            best=percent(max(s.right(overload) for s in served)),
            right=percent(total.right),
        )
        for name, served, total in models
    )
    return say(
        "Simulated, {scenario}, {end} {unit}: the budget per image goes from {least} to {most}. "
        "{models}.",
        scenario=say_later(scenario.title),
        end=f"{end:.3g}",
        unit=say_later(scenario.time_unit),
        least=unit.format(min(budgets)),
        most=unit.format(max(budgets)),
        models="; ".join(said),
    )
