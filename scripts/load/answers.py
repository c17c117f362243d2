"""What a page says, held against what is known: a wrong answer, or somebody else's, is seen."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from scripts.load.mirror import Mirror
from scripts.load.pictures import Known

SAME = 1e-4  # confidences of one picture in two processes; two pictures differ by far more


def wrong_trace(
    page: Mirror, known: Known, thresholds: Sequence[float], classes: Sequence[str]
) -> str:
    """What is wrong with the answer on Look; "" if it is the known one.

    Compared are the pixels that the model saw, the thresholds, each computed exit's word and
    confidence, how many exits were computed, and the headline.
    """
    said = page.component("trace")
    if said is None:
        return f"the page {page.title()!r} shows no trace"
    if not np.array_equal(_pixels(said["picture"]), known.seen):
        return f"another picture than {known.name}"
    if not np.allclose(said["thresholds"], thresholds, atol=1e-9):
        return f"thresholds {said['thresholds']} in place of {list(thresholds)}"
    stop = known.exit_at(thresholds)
    computed = [lane["said"] for lane in said["lanes"] if lane["said"]]
    if len(computed) != stop + 1:
        return f"{known.name}: {len(computed)} exits computed in place of {stop + 1}"
    for index, lane in enumerate(computed):
        word, sure = _said(known, index, classes)
        if lane["word"] != word or abs(lane["confidence"] - sure) > SAME:
            return (
                f"{known.name}: exit {index + 1} says {lane['word']} {lane['confidence']:.4f}"
                + (f" in place of {word} {sure:.4f}")
            )
    return _wrong_headline(page, known, stop, classes)


def _wrong_headline(page: Mirror, known: Known, stop: int, classes: Sequence[str]) -> str:
    word, sure = _said(known, stop, classes)
    metrics = page.metrics()
    told = (*metrics.get("Answer", ("", "")), metrics.get("Stopped at", ("", ""))[0])
    wanted = (word, f"{100 * sure:.1f} % sure", f"exit {stop + 1}")
    return "" if told == wanted else f"{known.name}: the headline says {told}, expected {wanted}"


def _said(known: Known, index: int, classes: Sequence[str]) -> tuple[str, float]:
    probs = known.probs[index]
    return classes[int(probs.argmax())].split(",")[0].strip(), float(probs.max())


def _pixels(address: str) -> np.ndarray:
    with Image.open(io.BytesIO(base64.b64decode(address.split(",", 1)[1]))) as image:
        return np.asarray(image.convert("RGB"))


def whose(page: Mirror, known: Known, everybody: Iterable[Known]) -> str:
    """Whose picture a page shows in place of the known one, by its pixels; "" if nobody's."""
    said = page.component("trace")
    if said is None:
        return ""
    pixels = _pixels(said["picture"])
    if np.array_equal(pixels, known.seen):
        return ""
    return next((each.name for each in everybody if np.array_equal(each.seen, pixels)), "")
