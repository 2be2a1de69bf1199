"""Rows that lie on a stage, on their way into a table that COPY alone would fill wrongly.

COPY by column names gives NULL to columns that the files lack, whatever their default, and stores a JSON
text in a VARIANT as one string (https://docs.snowflake.com/en/sql-reference/sql/copy-into-table). For such
tables the files go into a temporary table first, and come in by INSERT ... SELECT.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hdm.errors import RejectedRows
from hdm.model import Column, Kind
from hdm.sql import Database

SEMI_STRUCTURED = ("VARIANT", "OBJECT", "ARRAY", "MAP", "VECTOR")
_LONGEST = "VARCHAR(134217728)"


@dataclass(frozen=True, slots=True)
class Detour:
    """What a table needs beyond COPY: ``types`` are those of the temporary table, ``values`` what is
    selected from it."""

    types: dict[str, str]
    values: dict[str, str]


def base(native: str) -> str:
    """A type's name without what stands in its parentheses."""
    return native.upper().partition("(")[0].strip()


def from_json(value: str, native: str) -> str:
    """A JSON text as a value of a semi-structured, structured or vector type."""
    parsed = f"PARSE_JSON({value})"
    if base(native) == "VARIANT":
        return parsed
    return f"{parsed}::ARRAY::{native}" if base(native) == "VECTOR" else f"{parsed}::{native}"


def is_parsed(column: Column, native: str) -> bool:
    """Whether the column's text is JSON that the type ``native`` takes apart. A plain text stays one in a
    VARIANT."""
    if base(native) not in SEMI_STRUCTURED:
        return False
    return base(native) != "VARIANT" or column.kind in (Kind.JSON, Kind.ARRAY)


def detour(
    database: Database, described: Sequence[dict[str, Any]], columns: Sequence[Column]
) -> Detour | None:
    """What DESCRIBE says of the table, held against the columns that come; None if COPY does."""
    quote = database.dialect.quote
    given = {column.name: column for column in columns}
    types: dict[str, str] = {}
    values: dict[str, str] = {}
    needed = False
    for row in described:
        name, native = str(row["name"]), str(row["type"])
        column = given.get(name)
        if column is None:
            needed |= row.get("kind", "COLUMN") == "COLUMN" and row.get("default") is not None
        elif is_parsed(column, native):
            types[name], values[name], needed = _LONGEST, from_json(quote(name), native), True
        else:
            types[name], values[name] = native, quote(name)
    return Detour(types, values) if needed and len(types) == len(given) else None


def through(
    database: Database,
    connection: Any,
    into: Sequence[str],
    way: Detour,
    copy: Callable[[Sequence[str]], None],
) -> Callable[[], int]:
    """Copies into a temporary table now; what it gives inserts the rows from there."""
    dialect = database.dialect
    beside = (*into[:-1], f"_hdm_arriving_{uuid.uuid4().hex[:12]}")
    shown = ", ".join(f"{dialect.quote(name)} {native}" for name, native in way.types.items())
    database.change(connection, f"CREATE TEMPORARY TABLE {dialect.qualify(beside)} ({shown})")
    database.begin(connection, write=True)
    copy(beside)
    database.commit(connection)

    def insert() -> int:
        return database.change(
            connection,
            f"INSERT INTO {dialect.qualify(into)} ({dialect.names(way.values)}) "
            f"SELECT {', '.join(way.values.values())} FROM {dialect.qualify(beside)}",
        )

    return insert


def must_be(taken: int, wanted: int, into: Sequence[str]) -> int:
    """``RejectedRows`` if the table took another number of rows than was staged."""
    if taken != wanted:
        raise RejectedRows(
            f"{'.'.join(into)} took {taken} of {wanted} rows", hint="nothing was committed; run again"
        )
    return taken
