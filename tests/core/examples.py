"""How property tests draw their examples."""

from hypothesis import HealthCheck, settings


def some(count: int) -> settings:
    """The same examples in every run, no time limit: the machine may be busy."""
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
