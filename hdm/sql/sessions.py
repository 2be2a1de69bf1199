"""Sessions that only look, used again while somebody plans.

Planning asks each table's source several short questions. Some systems make a session dear: SQLite reads
its whole schema for each, others log in. Within ``kept`` such a session is handed on, rolled back, to the
next question of the same thread to the same system; outside it ends with its question.
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
"""Class of the database, its profile, and a session that nobody uses just now."""


@contextmanager
def kept() -> Iterator[None]:
    """Keep sessions that only look until the end of the block. Blocks may lie in each other."""
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
    """A session with an open transaction that reads; it ends with the block. ``label`` names the session
    where the server shows it, if it is a new one."""
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
