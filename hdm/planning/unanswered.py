"""Reports which system a planner waits for, once the wait has lasted a few seconds."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Self

log = logging.getLogger("hdm.planning")

PATIENCE = 3.0
"""Seconds without an answer after which people are told, once for each system."""


class Asking:
    """Logs a warning for each system that has not answered one thread for ``PATIENCE`` seconds.

    It does so within its ``with`` block. Each question to a system stands in a ``with`` block of ``of``.
    """

    def __init__(self) -> None:
        self._now: tuple[str, str, float] | None = None
        self._over = threading.Event()
        self._told: set[str] = set()

    def __enter__(self) -> Self:
        threading.Thread(target=self._watch, name="hdm-unanswered", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._over.set()

    @contextmanager
    def of(self, who: str, system: str) -> Iterator[None]:
        """Mark the ``with`` block as a question to ``system``, asked for ``who`` (``sink warehouse``)."""
        self._now = (who, system, time.monotonic())
        try:
            yield
        finally:
            self._now = None

    def _watch(self) -> None:
        while not self._over.wait(PATIENCE / 4):
            now = self._now
            if now is None or now[1] in self._told or time.monotonic() - now[2] < PATIENCE:
                continue
            self._told.add(now[1])
            clock = datetime.now().astimezone()
            log.warning(
                "%s at %s has not answered for %.0f s (it is %s): waiting until the driver gives up",
                now[0], now[1], time.monotonic() - now[2], f"{clock:%H:%M:%S %Z}",
            )  # fmt: skip
