"""Finds the column whose text cannot be decoded, when the database's error does not name one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hdm.errors import HdmError, UnrepresentableValue
from hdm.model import Chunk, Column, Kind, Table

if TYPE_CHECKING:
    from hdm.sql.source import SqlSource

_TEXTS = (Kind.TEXT, Kind.JSON)


def named(error: UnrepresentableValue, columns: Sequence[str]) -> None:
    """Add the names of ``columns`` to an error's message, unless it has the word ``column`` already."""
    if columns and "column" not in error.message:
        known = ", ".join(columns)
        error.message += f" in column {known}" if len(columns) == 1 else f" in one of the columns {known}"


def of_text(columns: Sequence[Column]) -> list[str]:
    """Return the names of the columns that contain text or JSON."""
    return [column.name for column in columns if column.kind in _TEXTS]


def unreadable(source: SqlSource, table: Table, chunk: Chunk) -> list[str]:
    """Return the text columns of a chunk that have values which cannot be decoded.

    Reads each text column alone, in a database session of its own. Empty if a reading fails for another
    reason.
    """
    found = []
    for column in table.columns:
        if column.kind not in _TEXTS:
            continue
        sql = source.selecting(table, chunk, [column])
        try:
            connection = source.database.connect("hdm:blame")
            try:
                source.database.begin(connection)
                for _ in source.database.stream(connection, sql, [column]):
                    pass
            finally:
                connection.close()
        except UnrepresentableValue:
            found.append(column.name)
        except HdmError:
            return []
    return found
