"""A job's calls of the model: in slices, behind the pictures that people look at."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from app.work.jobs import Cancelled, Job
from app.work.turns import DRAWING
from app.work.worker import Busy, Withdrawn

RETRY_S, PATIENCE_S = 0.2, 20.0  # between two tries of a busy worker; after the first refusal
LONGEST_REST_S = 0.5  # a cancel is noticed afterwards


def patient_run(
    job: Job, run: Callable[..., Any], is_crowded: Callable[[], bool] = lambda: False
) -> Callable[..., Any]:
    """The worker's `run` for a job: pages that people wait for go first, the job tries again.

    A cancel ends the job at once, also while it waits for its turn or its answer. After
    `PATIENCE_S` of refusals the job fails, so that a worker that hangs does not hold the queue for
    ever. Errors of the function are passed on.

    Args:
        job: asked while it waits and before every new try.
        run: `Worker.run_while`.
        is_crowded: whether others use the app. Then the job rests after each call for as long as
            that took, so that at least half of the time is theirs.
    """

    def patiently(function: Callable[..., Any], *args: Any) -> Any:
        until = None
        while True:
            DRAWING.wait_until_free(LONGEST_REST_S)
            began = time.monotonic()
            try:
                result = run(job.goes_on, function, *args)
            except Withdrawn:
                raise Cancelled from None
            except Busy:
                now = time.monotonic()
                until = until or now + PATIENCE_S
                if now >= until:
                    raise
            else:
                if is_crowded():
                    time.sleep(min(time.monotonic() - began, LONGEST_REST_S))
                return result
            time.sleep(RETRY_S)
            job.step(job.fraction)

    return patiently
