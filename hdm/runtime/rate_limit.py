"""Limits how many rows and bytes per second are read from a source (``limits:`` in the manifest)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

CREDIT = 1.0
"""Seconds of idle time, at most, that may be made up for by reading faster afterwards."""
SLICE = 0.2
"""Longest single sleep, in seconds, so that a waiting worker soon notices that it must stop."""


class Pace:
    """Rate limit of one source, shared by all links and workers of the process: a token bucket.

    Each batch reserves ``rows / rate`` (and ``bytes / rate``) seconds; the thread that read it sleeps until
    its reservation is due.
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
        """True if the source has a limit of rows or of bytes a second."""
        return any(self._rates)

    def keep(self, rows: int, size: int, check: Callable[[], None]) -> None:
        """Sleep until a batch that was just read may pass; without a limit, return at once.

        ``rows`` and ``size`` (in bytes) are the batch's. ``check`` is called repeatedly and may end the wait
        by raising; the batch still counts.
        """
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
