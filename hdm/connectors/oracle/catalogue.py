"""Describes Oracle's tables, once for as long as the dictionary shows no change of them.

The ALL_ views are slow where a schema is large, and each chunk has to know that its table is the one that
was planned. One look at ALL_OBJECTS tells that: LAST_DDL_TIME changes with every DDL statement on a table,
and the object numbers with every new storage of its rows
(https://docs.oracle.com/en/database/oracle/oracle-database/19/refrn/ALL_OBJECTS.html).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hdm.dialects.catalog_queries import catalogue_sql
from hdm.model import Column, Table, digest
from hdm.sql import Database
from hdm.sql.describe import described

_SETTLED = 10
"""Seconds that must have passed since a table's last change before its description is kept.

LAST_DDL_TIME has whole seconds, so a second change within one would not be seen.
"""
_OBJECTS = (
    f"SELECT CASE WHEN last_ddl_time < SYSDATE - {_SETTLED} / 86400 "
    "THEN TO_CHAR(last_ddl_time, 'YYYYMMDDHH24MISS') END, "
    "object_type, subobject_name, object_id, data_object_id FROM all_objects "
    "WHERE owner = :1 AND object_name = :2 AND object_type LIKE 'TABLE%' ORDER BY 2, 3"
)

_Objects = list[tuple[Any, ...]]


class OracleCatalogue(Database):
    """The part of ``OracleDatabase`` that describes tables and tells their storage."""

    dialect_name = "oracle"

    def __init__(self, profile: Any = None) -> None:
        super().__init__(profile)
        self.described: dict[tuple[str, ...], tuple[str, Table]] = {}
        """Path of a table -> the state of its objects when it was described, and the description."""
        self._looked: tuple[Any, tuple[str, ...], _Objects] | None = None

    def find(self, connection: Any, path: Sequence[str]) -> Table | None:
        """Return a table as ALL_TAB_COLS and ALL_CONSTRAINTS describe it; None if there is none."""
        return self._found(connection, path, self._objects(connection, path))

    def columns_of(self, connection: Any, path: Sequence[str]) -> tuple[Column, ...] | None:
        """Return the columns of the table of exactly this name as they are now; None if there is none.

        What is read of ALL_OBJECTS serves the next ``relation`` of the same session, too.
        """
        objects = self._objects(connection, path)
        self._looked = connection, tuple(path), objects
        found = self._found(connection, path, objects)
        return found.columns if found is not None and found.path == tuple(path) else None

    def relation(self, connection: Any, origin: str, path: Sequence[str] | None) -> str | None:
        """Return a digest that identifies the storage of a table's rows; None for a view or a query.

        It is made of the data object ids of the table and its partitions, which TRUNCATE and MOVE change.
        """
        looked, self._looked = self._looked, None
        if path is None:
            return None
        if looked is not None and looked[0] is connection and looked[1] == tuple(path):
            objects = looked[2]
        else:
            objects = self._objects(connection, path)
        if not objects:
            return None
        return digest("relation", *(str(value) for row in objects for value in row[1:]))[:32]

    def is_steady(self, connection: Any, path: Sequence[str]) -> bool:
        """Return True if the name is that of a table, not of a view.

        AS OF one SCN, every session reads the same rows of a table.
        """
        return self.relation(connection, "", path) is not None

    def _objects(self, connection: Any, path: Sequence[str]) -> _Objects:
        """Return the rows of ALL_OBJECTS for a table and its partitions; empty for a view."""
        return self.run(connection, _OBJECTS, (path[-2] if len(path) > 1 else "", path[-1]))

    def _found(self, connection: Any, path: Sequence[str], objects: _Objects) -> Table | None:
        settled = bool(objects) and all(row[0] is not None for row in objects)
        state = digest("objects", *(str(value) for row in objects for value in row)) if settled else ""
        held = self.described.get(tuple(path))
        if state and held is not None and held[0] == state:
            return held[1]
        table = described(self, connection, path, catalogue_sql("oracle"))
        if state and table is not None and table.path == tuple(path):
            self.described[table.path] = state, table
        return table
