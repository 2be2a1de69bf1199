"""Decides how long hdm waits before it repeats a failed action, and repeats the action, by tenacity.

Every wait is drawn between 0 and a bound that doubles with each failure in a row (exponential back-off with
full jitter, https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). The caller decides
how often something is tried, and which failures count. The drivers of S3, Azure and Snowflake try again by
themselves below this. Code that waits for an event or polls for work does not use this, since nothing has
failed there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    retry_if_result,
    sleep_using_event,
    stop_after_attempt,
    wait_random_exponential,
)

T = TypeVar("T")
E = TypeVar("E", bound=Exception)


@dataclass(frozen=True, slots=True)
class BackOff:
    """Waits of at most ``first`` seconds after the first failure, doubled each time up to ``most``."""

    first: float
    most: float

    def seconds(self, times: int) -> float:
        """Return a random wait in seconds, to be kept after the ``times``-th failure in a row.

        It lies between 0 and the bound: ``first`` doubled with each failure, at most ``most``.
        """
        call = RetryCallState(None, None, (), {})  # type: ignore[arg-type]  # only the number is read
        call.attempt_number = times
        return float(self._wait(call))

    def run(
        self, act: Callable[[], T], on: type[E], tries: int, passes: Callable[[E], bool] = lambda error: True
    ) -> T:
        """Call ``act`` until it returns, at most ``tries`` times, with waits between; return its result.

        ``act`` is called again only after an error of class ``on`` for which ``passes`` returns True, which
        says that the error may go away. Any other error, and the last one, is raised.
        """
        try:
            return act()  # by itself: tenacity's bookkeeping would cost the state a twentieth of its time
        except on as error:
            failed: E | None = error

        def turn() -> T:
            nonlocal failed
            if failed is not None:
                first, failed = failed, None
                raise first
            return act()

        return Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, on) and passes(error)),
            wait=self._wait,
            stop=stop_after_attempt(tries),
            reraise=True,
        )(turn)

    def until(self, done: Callable[[], bool], over: threading.Event) -> None:
        """Call ``done`` until it returns True, with waits between, or until ``over`` is set.

        Setting ``over`` ends a wait at once.
        """
        Retrying(
            retry=retry_if_result(lambda is_done: not is_done),
            wait=self._wait,
            stop=lambda call: over.is_set(),
            sleep=sleep_using_event(over),
            retry_error_callback=lambda call: None,
        )(lambda: over.is_set() or done())

    @property
    def _wait(self) -> wait_random_exponential:
        return wait_random_exponential(multiplier=self.first, max=self.most)


CHUNK = BackOff(0.5, 60.0)
"""Between two attempts at a chunk."""
PLAN = BackOff(1.0, 60.0)
"""Between two tries to plan or close a job."""
PROBE = BackOff(0.25, 15.0)
"""Between two probes of a system that is away."""
THROTTLED = BackOff(0.5, 15.0)
"""Of a link whose system asks to slow down."""
DOWNLOAD = BackOff(0.2, 60.0)
"""Before a download reconnects."""
STATE = BackOff(0.01, 1.0)
"""Between two tries of a transaction of the state: long enough to let another go first."""
REQUEST = BackOff(0.2, 2.0)
"""Before a request to a service is sent again that got no answer."""
TURN = BackOff(0.1, 5.0)
"""Before a transaction begins anew that another one was in the way of."""
