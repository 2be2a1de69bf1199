"""Connections to write with, kept at hand: a pool would reset each on its way back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

RECYCLE, MAX_IDLE = 1800, 8
"""Seconds after which a connection is made anew, should it stand idle: others may cut it; how many
are kept at hand."""


class ConnectionCache:
    """The idle connections of one engine. Safe for threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._closed = False
        self._idle: list[tuple[float, Connection]] = []

    def __len__(self) -> int:
        return len(self._idle)

    @contextmanager
    def borrow(self) -> Iterator[Connection]:
        """A connection, kept for the next one who asks unless it was left by an error."""
        conn = self._newest() or self._engine.connect()
        try:
            yield conn
        except BaseException as error:
            conn.close()
            if isinstance(error, DBAPIError) and error.connection_invalidated:
                # So are the others, most likely: the pool, which knows of it by now, replaces them.
                self._give_back()
            raise
        if len(self._idle) < MAX_IDLE:
            self._idle.append((time.monotonic(), conn))
        else:
            conn.close()
        if self._closed:
            self._give_back()

    def close(self) -> None:
        """Return all to the pool, and those that are lent as soon as they come back."""
        self._closed = True
        self._give_back()

    def _newest(self) -> Connection | None:
        """The one that was returned last, unless it has stood idle for so long that it may be cut off."""
        try:
            since, conn = self._idle.pop()
        except IndexError:
            return None
        if time.monotonic() - since < RECYCLE:
            return conn
        conn.close()
        return None

    def _give_back(self) -> None:
        while self._idle:
            with suppress(IndexError):
                self._idle.pop()[1].close()
