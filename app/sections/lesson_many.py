"""Steps 5, 6, 8 and 9 of the lesson: many test pictures, replayed from the stored tables."""

from __future__ import annotations

from bisect import bisect_right

import streamlit as st

from app import services
from app.components import metric
from app.figures.lesson import Bar, bars
from app.figures.scenario import scenario_alt, scenario_figure
from app.figures.theme import MacUnit, exit_name, percent, times_less
from app.figures.tradeoff import thresholds_text
from app.language import say
from app.replay.dial import dial
from app.replay.labs import measured_lab
from app.sections.quiz_question import ask_question
from app.sections.scenario import scenario_section
from app.teach.lesson_counts import exit_counts, looking_counts
from app.teach.presenter import is_presenting
from app.teach.questions import Question
from dvt_core.bundle import Bundle
from dvt_core.scenario import SCENARIOS
from dvt_core.simulation import DROPS, FixedModel, simulate, totals
from dvt_core.thresholds import replay

SCENARIO_PX = 400
LOSSES = (0.5, 2.0, 5.0)  # points of accuracy between which one may guess


def draw_tradeoff(bundle: Bundle) -> None:
    """A guess about half the compute; then the lab."""
    question = _half_the_compute(bundle)
    if question is None:
        st.caption(_no_half(bundle))
    elif ask_question(question, is_brief=is_presenting()) is None:
        return
    with st.container(key="lesson_lab"):
        measured_lab(bundle)


def _half_the_compute(bundle: Bundle) -> Question | None:
    """What half the cost of all exits costs in accuracy; None where it cannot be had."""
    table, front = services.get_table(bundle, "test"), services.get_front(bundle)
    full, half = table.info.exit_macs[-1], table.info.exit_macs[-1] / 2
    if table.num_exits == 1 or front.points[0].macs > half:
        return None
    thresholds = front.at_budget(half).thresholds
    point, best = replay(table, thresholds), table.exit_accuracy[-1]
    loss, unit = 100 * (best - point.accuracy), MacUnit.of(table.info.exit_macs)
    first, second, third = LOSSES
    options = (
        say("less than {most} points", most=f"{first:g}"),
        say("{least} to {most} points", least=f"{first:g}", most=f"{second:g}"),
        say("{least} to {most} points", least=f"{second:g}", most=f"{third:g}"),
        say("more than {least} points", least=f"{third:g}"),
    )
    because = say(
        "Solved on calibration, on test: {accuracy} at {macs} against {best} at {full}, a "
        "difference of {loss} points.",
        full=unit.format(full),
        macs=unit.format(point.macs),
        accuracy=percent(point.accuracy, 2),
        best=percent(best, 2),
        loss=f"{loss:.2f}",
    )
    text = say("Guess: what does half the compute cost in accuracy?")
    right = bisect_right(LOSSES, loss)
    return Question("half", text, options, right, because, (bundle.weights_sha256, thresholds))


def _no_half(bundle: Bundle) -> str:
    """Why half the compute cannot be asked for."""
    if bundle.config.num_exits == 1:
        return say(
            "This model has one exit: every picture costs the same, there is one point only."
        )
    return say(
        "Half the compute cannot be had from this model: even exit 1 alone costs more than half of "
        "all exits."
    )


def draw_shares(bundle: Bundle) -> None:
    """Where the test pictures leave under the dial."""
    setting, table = dial(bundle), services.get_table(bundle, "test")
    costs = table.info.exit_macs
    unit, parts = MacUnit.of(costs), []
    for count in exit_counts(table, setting.thresholds):
        value = say("{count} pictures: none", count=0)
        if count.leaving:
            value = say(
                "{count} pictures, right on {share}; {macs} each",
                count=f"{count.leaving:,}",
                share=percent(count.right / count.leaving),
                macs=unit.format(costs[count.exit_index]),
            )
        share = count.leaving / table.n
        parts.append(Bar(exit_name(count.exit_index), share, value, count.exit_index, is_exit=True))
    st.html(bars(parts))
    point = replay(table, setting.thresholds)
    st.markdown(
        say(
            "All {count} test pictures: **{accuracy}** right at **{macs}** per picture ({saved}; "
            "always full is {full}). Easy means here that an exit was sure early; it may be sure "
            "and wrong.",
            count=f"{table.n:,}",
            accuracy=percent(point.accuracy),
            macs=unit.format(point.macs),
            saved=times_less(point.macs, costs[-1]),
            full=unit.format(costs[-1]),
        )
    )


def draw_overthinking(bundle: Bundle) -> None:
    """What later exits change for better and for worse, and what the threshold makes of it."""
    table = services.get_table(bundle, "test")
    if table.num_exits == 1:
        st.info(say("This model has one exit: there is no earlier answer to lose."))
        return
    setting = dial(bundle)
    found = looking_counts(table, setting.thresholds)
    rows = (
        (say("right at every exit"), found.always_right),
        (say("wrong early, right at the last exit"), found.helped),
        (say("right early, wrong at the last exit: overthinking"), found.overthought),
        (say("wrong at every exit"), found.never_right),
    )
    parts = [
        Bar(name, count / table.n, f"{count:,} ({percent(count / table.n)})")
        for name, count in rows
    ]
    st.html(bars(parts))
    st.caption(
        say(
            "Overthinking counts here where an exit is right and the last one wrong, whatever the "
            "threshold; the page {page} counts at the thresholds in force.",
            page=say("Easy & hard"),
        )
    )
    st.markdown(
        say(
            "At threshold {threshold}, **{kept}** of the {count} overthought pictures leave at an "
            "exit that is right. The price: **{lost}** pictures are answered wrong early that the "
            "last exit gets right.",
            threshold=thresholds_text(setting.thresholds),
            kept=f"{found.kept:,}",
            count=f"{found.overthought:,}",
            lost=f"{found.lost:,}",
        )
    )


def draw_resources(bundle: Bundle) -> None:
    """The scenario part; for a presenter its figure alone, low enough for a projector."""
    if not is_presenting():
        scenario_section(bundle)
        return
    table, front = services.get_table(bundle, "test"), services.get_front(bundle)
    scenario, fixed = SCENARIOS[0], FixedModel.full_cascade(table)
    steps, unit = simulate(front, table, scenario, fixed), MacUnit.of(table.info.exit_macs)
    figure = scenario_figure(
        scenario, steps, fixed, unit, overload=DROPS, dark=st.context.theme.type == "dark"
    )
    figure.update_layout(height=SCENARIO_PX, legend={"y": -0.24})
    words = scenario_alt(scenario, steps, fixed, unit, DROPS)
    st.plotly_chart(figure, key="lesson_scenario", alt=words)
    ours, theirs = totals(steps, DROPS)
    with st.grid("auto", min_column_width=220):
        name = say("Answered right (simulated)")
        metric(name, percent(ours.right), say("full cascade: {share}", share=percent(theirs.right)))
        metric(
            say("Dropped for want of compute"),
            say("{count} of {all}", count=f"{ours.dropped:,.0f}", all=f"{ours.arrivals:,}"),
            say("full cascade: {share}", share=f"{theirs.dropped:,.0f}"),
        )
