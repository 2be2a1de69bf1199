"""Keeps read-only database sessions open while a plan is made, so that several queries share them.

Planning sends several short queries for each table, and a new database session is expensive: SQLite reads its
whole schema, other systems log in. Within ``kept``, a database session is rolled back and used for the next
query to the same database in the same context. Outside, each is closed after use.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hdm.sql.database import Database

_Free = list[tuple[type, Any, Any]]
_FREE: ContextVar[_Free | None] = ContextVar("hdm_free_sessions", default=None)
"""Idle connections, each with the class of its database and its profile; None outside of ``kept``."""


@contextmanager
def kept() -> Iterator[None]:
    """Keep database sessions open, for reuse by ``looking``, until the ``with`` block ends.

    Such blocks may be nested: the outer one decides.
    """
    if _FREE.get() is not None:
        yield
        return
    free: _Free = []
    token = _FREE.set(free)
    try:
        yield
    finally:
        _FREE.reset(token)
        for _, _, connection in free:
            with suppress(Exception):
                connection.close()


@contextmanager
def looking(database: Database, label: str) -> Iterator[Any]:
    """Give the ``with`` block a connection with an open read transaction, which ends with the block.

    ``label`` names a new database session where the server shows it; a reused one keeps its first label.
    """
    free = _FREE.get() if database.sessions_stand_alone else None
    connection = _take(database)
    if connection is None:
        connection = database.connect(label)
    try:
        database.begin(connection)
        yield connection
        if free is not None:
            database.rollback(connection)
    except BaseException:
        with suppress(Exception):
            connection.close()
        raise
    if free is None or free is not _FREE.get():
        connection.close()
    else:
        free.append((type(database), database.profile, connection))


def _take(database: Database) -> Any | None:
    for number, (kind, profile, connection) in enumerate(_FREE.get() or ()):
        if kind is type(database) and profile is database.profile:
            del (_FREE.get() or [])[number]
            return connection
    return None
