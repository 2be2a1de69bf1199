"""Finds out which table a name stands for on its server, and whether it is a table at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hdm.errors import HdmError
from hdm.sql.sessions import looking

if TYPE_CHECKING:
    from hdm.sql.database import Database


def no_table(database: Database, connection: Any, path: Sequence[str]) -> str | None:
    """Return what the object at ``path`` is if it is no table, such as ``a view``; else None.

    None also where the dialect has no query for it.
    """
    query = database.dialect.relation_kind
    if query is None:
        return None
    found = database.run(connection, _filled(database, query, path))
    return str(found[0][0]) if found and found[0][0] else None


def whereabouts(database: Database, path: Sequence[str]) -> tuple[str, ...] | None:
    """Return what is equal for two names of one table, whatever address leads to its server.

    It is the system, what the server says of itself and the database, and the table's folded name. Of a
    database file, it is the file itself, whichever of its links was named. None if that cannot be told: the
    dialect has no query for it, or the server refuses it.
    """
    query = database.dialect.server_identity
    if query is None:
        return None
    try:
        with looking(database, "hdm:whereabouts") as connection:
            said = database.run(connection, query)
    except HdmError:
        return None
    who = [_as_file(value) for value in said[0]] if said else []
    if not who or not all(who):
        return None
    schema, name = _schema(database, path), database.landing(path)[-1]
    return (database.dialect.name, *who, database.dialect.folded_table(schema), name)


def _as_file(value: Any) -> str:
    """Return device and number of a file that a server names as its database; any other text as it is."""
    text = "" if value is None else str(value)
    if not os.path.isabs(text) or not os.path.isfile(text):
        return text
    held = os.stat(text)
    return f"file {held.st_dev}:{held.st_ino}"


def _schema(database: Database, path: Sequence[str]) -> str:
    known = database.default_path(tuple(path))
    queries = database.dialect.catalog_queries
    return str(known[-2]) if len(known) > 1 and known[-2] else (queries.schema or "" if queries else "")


def _filled(database: Database, query: str, path: Sequence[str]) -> str:
    text = database.dialect.string
    return query.format(schema=text(_schema(database, path)), table=text(path[-1]))
