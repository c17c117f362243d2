"""Driving the app without a browser: open a page, read what it shows."""

import json
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

from app.replay.ask import ask_from
from app.replay.dial import Setting, get_choices, resolve
from dvt_core.bundle import Bundle
from scripts.load.visitor import trigger_id

MAIN = str(Path(__file__).parents[2] / "app" / "main.py")
LOOK, TRADEOFF, MODELS = "views/look.py", "views/tradeoff.py", "views/models.py"


def open_app(page: str | None = None, **query: str) -> AppTest:
    """The app at a page, opened through a link with these query parameters."""
    at = AppTest.from_file(MAIN, default_timeout=60)
    for key, value in query.items():
        at.query_params[key] = value
    at.run()
    if page:
        at.switch_page(page).run()
    assert not at.exception
    return at


def metrics(at: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in at.metric}


def html(at: AppTest) -> str:
    return " ".join(element.value for element in at.html)


def captions(at: AppTest) -> str:
    return " ".join(element.value for element in at.caption)


def figure(at: AppTest) -> dict:
    """The first chart, as plotly's JSON."""
    return json.loads(at.get("plotly_chart")[0].proto.spec)


def chart(at: AppTest) -> dict[str, dict]:
    """The traces of the first chart by name."""
    return {trace["name"]: trace for trace in figure(at)["data"]}


def rows(at: AppTest, index: int = 0) -> list[dict[str, str]]:
    """A table's rows."""
    return at.table[index].value.to_dict("records")


def sent(at: AppTest, key: str) -> dict:
    """What the page sends to the live component with this key."""
    components = at.get("bidi_component")
    (found,) = [one.proto for one in components if one.proto.id.endswith(f"-{key}")]
    return json.loads(found.json)["page"]


def tell(at: AppTest, key: str, told: Any) -> AppTest:
    """Lets the live component with this key trigger something, as a browser tells it.

    Args:
        at: the app.
        key: of the component.
        told: what travels: [{"event": name, "value": value}], unless a test tells nonsense.
    """
    (shown,) = [one.proto for one in at.get("bidi_component") if one.proto.id.endswith(f"-{key}")]
    states = at._tree.get_widget_states()
    states.widgets.add(id=trigger_id(shown.id), json_trigger_value=json.dumps(told))
    return at._run(states)


def pick(at: AppTest, key: str, thumb: Any) -> AppTest:
    """Presses a thumbnail of the row with this key: "samples", "tray", "second_samples", ..."""
    tell(at, key, [{"event": "pick", "value": thumb}])
    assert not at.exception
    return at


def thumbs(at: AppTest, key: str) -> list[str]:
    """The words on the thumbnails of the row with this key."""
    return [thumb["word"] for thumb in sent(at, key)["thumbs"]]


def layers(at: AppTest) -> dict[str, dict[str, Any]]:
    """The lines and marks of the trade-off lab by id."""
    return {layer["id"]: layer for layer in sent(at, "tradeoff")["layers"]}


def ask(at: AppTest, **values: Any) -> AppTest:
    """Lets go of the dial at these values, as the browser tells it: way, threshold, budget, ..."""
    push, _ = at.session_state["dial_pushed"]
    said = {**at.session_state["dial_ask"], **values, "push": push}
    at.session_state["dial"] = {"ask": said}
    at.run()
    assert not at.exception
    return at


def setting(at: AppTest, bundle: Bundle) -> Setting:
    """The thresholds in force, and the sentence about them that stands under the dial."""
    choices = get_choices(bundle)
    return resolve(ask_from(at.session_state["dial_ask"], choices.default, choices.ranges), choices)
