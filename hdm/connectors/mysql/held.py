"""Identifies the storage of a MySQL table's rows, to notice that another table took its place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from hdm.dialects import mysql_catalog
from hdm.errors import HdmError
from hdm.model import digest
from hdm.sql import Database

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_]+\Z")
"""Names that InnoDB does not encode: https://dev.mysql.com/doc/refman/8.4/en/identifier-mapping.html."""
WORKS = """
SELECT command <> 'Sleep' AND COALESCE(state, '') NOT IN
  ('Reading from net', 'Receiving from client', 'Writing to net', 'Sending to client')
FROM information_schema.processlist WHERE id = %s
"""
"""Whether the server is working for a database session, rather than waiting for its client."""


def relation(database: Database, connection: Any, origin: str, path: Sequence[str]) -> str | None:
    """Return a digest that identifies the storage of the table's rows; None if there is no such table.

    The digest is made of InnoDB's table ids, which TRUNCATE, RENAME and a rebuild change. To see them takes
    the privilege PROCESS; without it, the digest is made of the time of creation, which MariaDB's TRUNCATE
    does not change. If that time is less than a second ago, this waits, so that a table made later has
    another one. The first statement takes a metadata lock, which keeps the table as it is until the
    transaction ends.
    """
    database.run(connection, f"SELECT 1 FROM {origin} LIMIT 0")
    schema, name = path[-2:]
    if _PLAIN_NAME.match(schema) and _PLAIN_NAME.match(name):
        full = f"{schema}/{name}"
        ids = _ids(database, connection, full, full.replace("_", r"\_") + "#p#%")
        if ids:
            return digest("relation", *ids)[:32]
    made = database.run(connection, mysql_catalog.CREATED, (schema, name))
    if any(int(young) for *_, young in made):
        # creation times are whole seconds: wait until a table made from now on has another one
        database.run(connection, "DO SLEEP(1.1)")
    return digest("relation", *(f"{part}:{moment}" for part, moment, _ in made))[:32] if made else None


def told(database: Database, connection: Any) -> str:
    """Return a sentence for ``hdm doctor``: whether hdm notices a table that is replaced while it is read."""
    if _ids(database, connection, "", "%"):
        return "a table that is truncated or replaced while it is read is noticed"
    return "PROCESS is not granted: a TRUNCATE while a table is read shows in its count of rows only"


def _ids(database: Database, connection: Any, name: str, like: str) -> list[str]:
    """Return ``name:id`` of InnoDB's tables called ``name`` or matching ``like``; none without PROCESS."""
    maria = "mariadb" in connection.get_server_info().lower()
    sql = mysql_catalog.TABLE_IDS.format("INNODB_SYS_TABLES" if maria else "INNODB_TABLES")
    try:
        return [f"{part}:{number}" for part, number in database.run(connection, sql, (name, like))]
    except HdmError:
        return []
