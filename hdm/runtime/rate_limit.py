"""Keeps what a link reads below its ``limits:`` of rows and bytes a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

CREDIT = 1.0
"""Seconds of idle time, at most, that may be made up for by going faster afterwards."""
SLICE = 0.2
"""Longest sleep in seconds: a waiting worker must learn that it is to stop."""


class Pace:
    """One link's limits, held by all workers of the process together.

    Each batch puts off, for each limit, the moment at which the next one may go by as long as the
    batch may take at that rate; who has read it waits until then.
    """

    def __init__(self, limits: Mapping[str, Any]) -> None:
        self._rates: tuple[float | None, ...] = (
            limits.get("rows_per_second"),
            limits.get("bytes_per_second"),
        )
        self._due: list[float | None] = [None, None]
        self._lock = threading.Lock()

    @property
    def is_set(self) -> bool:
        """Whether there is anything to keep to."""
        return any(self._rates)

    def keep(self, rows: int, size: int, check: Callable[[], None]) -> None:
        """Wait until a batch that was just read is due. ``check`` is called all the while, and ends
        the wait by what it raises; the batch counts all the same."""
        if not self.is_set:
            return
        due = self._put_off(rows, size)
        while (left := due - time.monotonic()) > 0:
            check()
            time.sleep(min(left, SLICE))

    def _put_off(self, rows: int, size: int) -> float:
        with self._lock:
            now = latest = time.monotonic()
            for n, (rate, amount) in enumerate(zip(self._rates, (rows, size), strict=True)):
                if rate:
                    before = self._due[n]
                    begin = now if before is None else max(before, now - CREDIT)
                    self._due[n] = due = begin + amount / rate
                    latest = max(latest, due)
            return latest
