"""How long to wait before something is tried again."""

from __future__ import annotations

from tenacity import RetryCallState, wait_random_exponential

FIRST = 0.5
"""Seconds that the wait after the first failure is at most; each further one may be twice as long."""


def seconds(times: int, most: float) -> float:
    """How long to wait after the ``times``-th failure in a row, in seconds: full jitter, ``most`` at most."""
    call = RetryCallState(None, None, (), {})  # type: ignore[arg-type]  # only the number is read
    call.attempt_number = times
    return float(wait_random_exponential(multiplier=FIRST, max=most)(call))
