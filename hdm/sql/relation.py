"""Checks that all chunks are read from the storage (relation) for which they were planned.

A relation is what contains a table's rows now; a table that is truncated or replaced gets another one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from hdm.errors import SourceChanged, TransientError
from hdm.model import Chunk, Table
from hdm.sql.database import Database

ANEW = (
    "run again: modes replace and merge then read it anew; in mode append, empty the target's table and "
    "give the source another name first"
)
"""Hint for a table that was replaced while it was read."""
_CALL = re.compile(r"(\w+)\s*\(|\b(current_\w+|localtime\w*|sysdate\w*|systimestamp|sessiontimezone)\b", re.I)
_NO_CALLS = frozenset({"in", "and", "or", "not", "exists", "any", "all", "some", "where", "select", "from"})


def asks_something(where: str) -> bool:
    """Return True if a SQL condition may give another result in another database session.

    It may if it calls a function or asks a clock.
    """
    plain = re.sub(r"'(?:[^']|'')*'", "''", where)
    return any(found[2] or found[1].lower() not in _NO_CALLS for found in _CALL.finditer(plain))


def is_steady(
    database: Database, connection: Any, table: Table, path: Sequence[str] | None, where: str
) -> bool:
    """Return True if rows counted in a snapshot are the rows that other database sessions read in it.

    False for a query, and for a filter ``where`` that calls a function or asks a clock.
    """
    return path is not None and not asks_something(where) and database.is_steady(connection, table.path)


def planned(
    database: Database,
    connection: Any,
    table: Table,
    origin: str,
    path: Sequence[str] | None,
    snapshot: str | None,
) -> str | None:
    """Return the identifier of the storage that contains the rows to be planned; None if there is none.

    Raises ``TransientError`` if the table was replaced since the snapshot was taken, so that the caller tries
    again with a new snapshot.
    """
    found = database.relation(connection, origin, path and table.path)
    seen = database.relation_in(snapshot) if snapshot is not None else None
    if seen is not None and found != seen:
        raise TransientError(f"{table.dataset.name} was replaced or rewritten while it was planned")
    return found


def hold(
    database: Database, connection: Any, table: Table, origin: str, path: Sequence[str] | None, chunk: Chunk
) -> None:
    """Raise ``SourceChanged`` if a table's rows are not in the storage for which ``chunk`` was planned.

    Nothing is compared if no storage was recorded with the chunk.
    """
    if chunk.relation is None:
        return
    if database.relation(connection, origin, path and table.path) != chunk.relation:
        raise SourceChanged(
            f"{table.dataset.name} was truncated, rewritten, replaced or cut into other partitions after its "
            "reading began: its chunks do not belong together any more",
            hint=ANEW,
        )
