"""Keeps idle connections for writing, because a pool would reset each one when it is returned."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

RECYCLE, MAX_IDLE = 1800, 8
"""Seconds after which an idle connection is replaced, as others may have cut it; and how many are kept."""


class ConnectionCache:
    """The idle connections of one engine, for use by any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._closed = False
        self._idle: list[tuple[float, Connection]] = []

    def __len__(self) -> int:
        return len(self._idle)

    @contextmanager
    def borrow(self) -> Iterator[Connection]:
        """Lend a connection to the ``with`` block, an idle one if there is one.

        Afterwards the connection is kept for the next borrower, unless the block raises or ``MAX_IDLE`` are
        kept already.
        """
        conn = self._newest() or self._engine.connect()
        try:
            yield conn
        except BaseException as error:
            conn.close()
            if isinstance(error, DBAPIError) and error.connection_invalidated:
                # The other idle connections are most likely broken, too: the pool replaces them.
                self._give_back()
            raise
        if len(self._idle) < MAX_IDLE:
            self._idle.append((time.monotonic(), conn))
        else:
            conn.close()
        if self._closed:
            self._give_back()

    def close(self) -> None:
        """Give all connections back to the pool, and borrowed ones as soon as they are returned."""
        self._closed = True
        self._give_back()

    def _newest(self) -> Connection | None:
        """Return the connection that was kept last; None if there is none or it has been idle too long."""
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
