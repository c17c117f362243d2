"""What the dial says: its names, and the sentences that tell where the thresholds come from."""

from __future__ import annotations

from app.language import say


def dial_names() -> dict[str, str]:
    """What the dial's parts and sliders are called; "{exit}" is filled in by the browser."""
    return {
        "ways": say("Ask by"),
        "reset": say("reset"),
        "threshold": say("Confidence threshold"),
        "budget": say("Budget, in % of the full cascade's cost"),
        "accuracy": say("Wanted accuracy in %"),
        "each": say("Threshold of exit {exit}"),
    }


def way_names() -> dict[str, tuple[str, str]]:
    """Way to ask -> (what is on its button, what it does)."""
    return {
        "threshold": (say("threshold"), say("One threshold for every exit but the last.")),
        "budget": (
            say("budget"),
            say("The best solved thresholds whose mean cost stays within the budget."),
        ),
        "accuracy": (say("accuracy"), say("The cheapest solved thresholds that reach it.")),
        "each": (say("per exit"), say("One threshold for each exit, set by hand.")),
    }


def dial_sentences(calibration: str) -> dict[str, str]:
    """Sentences whose {values} are filled in by `app.replay.dial` and by live/dial.js.

    Args:
        calibration: how many images the solved thresholds are from; "" if they are the authors'.
    """
    return {
        "shared": say(
            "In force at every exit but the last: {thresholds}, set by hand. "
            "An exit answers when its confidence reaches it."
        ),
        "each": say(
            "In force: {thresholds}, one per exit, set by hand. The last exit always answers."
        ),
        "solved": _solved(calibration) if calibration else _authors(),
        "one_exit": say(
            "This model has one exit. It always answers, so there is no threshold to set."
        ),
        "asked_budget": say("a budget of {macs} per image"),
        "asked_accuracy": say("{accuracy} % right answers"),
    }


def _solved(n: str) -> str:
    values = {name: f"{{{name}}}" for name in ("thresholds", "asked", "accuracy", "macs")}
    return say(
        "In force: {thresholds}, solved for {asked} on {n} calibration images "
        "({accuracy} at {macs} there).",
        n=n,
        **values,
    )


def _authors() -> str:
    return say(
        "In force: {thresholds}, the best fit to {asked} that the authors stored with their "
        "weights. It gave them {accuracy} at {macs} on ImageNet validation; not measured here."
    )
