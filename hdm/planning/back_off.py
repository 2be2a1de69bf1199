"""Computes how long to wait before a failed action is tried again."""

from __future__ import annotations

from tenacity import RetryCallState, wait_random_exponential

FIRST = 0.5
"""Upper bound, in seconds, of the wait after the first failure; it doubles with each further failure."""


def seconds(times: int, most: float) -> float:
    """Return a random wait in seconds after the ``times``-th failure in a row, at most ``most``.

    Exponential back-off with full jitter:
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    call = RetryCallState(None, None, (), {})  # type: ignore[arg-type]  # only the number is read
    call.attempt_number = times
    return float(wait_random_exponential(multiplier=FIRST, max=most)(call))
