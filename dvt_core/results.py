"""What comes out of the cascade for one image: NumPy on the CPU, frozen, picklable.

Tensors end in `inference`; the app, the command line and the figures see only these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class ExitRecord:
    """What one computed exit said about one image.

    Attributes:
        exit_index: 0-based; shown to people as `exit_index + 1`.
        probs: (num_classes,) float32, softmax of the exit's logits.
        macs: multiply-accumulates spent on this image up to and including this exit.
        milliseconds: wall time up to and including this exit, of the whole batch the image was
            in; with one image it is that image's own time.
        relations: (depth, num_heads, N, N) float32 attention logits before softmax, reused part
            included, N tokens with the class token first; None unless asked for.
        reused_relations: same shape, the part that came from the stage before; None where there
            is none or it was not asked for.
    """

    exit_index: int
    probs: np.ndarray
    macs: int
    milliseconds: float
    relations: np.ndarray | None = None
    reused_relations: np.ndarray | None = None

    @property
    def confidence(self) -> float:
        """Largest probability, in [0, 1]; the exit rule compares it with a threshold."""
        return float(self.probs.max())

    @property
    def label(self) -> int:
        """Index of the most probable class."""
        return int(self.probs.argmax())

    def top(self, count: int = 5) -> tuple[tuple[int, float], ...]:
        """The `count` most probable classes as (class index, probability), best first."""
        order = np.argsort(-self.probs, kind="stable")[:count]
        return tuple((int(i), float(self.probs[i])) for i in order)


@dataclass(frozen=True, eq=False)
class Prediction:
    """The answer for one image and the trace of how it was reached.

    Attributes:
        exit_index: 0-based exit at which the rule stopped.
        records: one `ExitRecord` per computed exit. It is `exit_index + 1` long when inference
            really stopped there, `num_exits` long when all exits were asked for.
        thresholds: the `num_exits - 1` thresholds that were in force.
    """

    exit_index: int
    records: tuple[ExitRecord, ...]
    thresholds: tuple[float, ...]

    @property
    def visited(self) -> tuple[ExitRecord, ...]:
        """The exits the rule looked at, up to and including the one that fired."""
        return self.records[: self.exit_index + 1]

    @property
    def fired(self) -> ExitRecord:
        """The record of the exit that answered."""
        return self.records[self.exit_index]

    @property
    def probs(self) -> np.ndarray:
        """(num_classes,) probabilities of the exit that answered."""
        return self.fired.probs

    @property
    def label(self) -> int:
        """Predicted class index."""
        return self.fired.label

    @property
    def confidence(self) -> float:
        """Confidence of the exit that answered."""
        return self.fired.confidence

    @property
    def confidences(self) -> tuple[float, ...]:
        """Confidence of every visited exit, in order."""
        return tuple(record.confidence for record in self.visited)

    @property
    def macs(self) -> int:
        """Multiply-accumulates the adaptive run needs for this image."""
        return self.fired.macs
