"""Loads staged files through a temporary table, for targets that COPY alone would fill wrongly.

COPY by column names gives NULL to columns that the files lack, even if they have a default, and stores a JSON
text in a VARIANT as one string (https://docs.snowflake.com/en/sql-reference/sql/copy-into-table). For such
tables the files go into a temporary table first, and INSERT ... SELECT fills the target from it.
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
    """How to load a table through a temporary one.

    ``types`` are the types of its columns, ``values`` is what is selected from it.
    """

    types: dict[str, str]
    values: dict[str, str]


def base(native: str) -> str:
    """Return a type's name without its parentheses and what is in them."""
    return native.upper().partition("(")[0].strip()


def from_json(value: str, native: str) -> str:
    """Return SQL that turns a JSON text into a value of a semi-structured, structured or vector type."""
    parsed = f"PARSE_JSON({value})"
    if base(native) == "VARIANT":
        return parsed
    return f"{parsed}::ARRAY::{native}" if base(native) == "VECTOR" else f"{parsed}::{native}"


def is_parsed(column: Column, native: str) -> bool:
    """Return True if a column's text is JSON that must be parsed for the target's type ``native``.

    A plain text stays a text in a VARIANT.
    """
    if base(native) not in SEMI_STRUCTURED:
        return False
    return base(native) != "VARIANT" or column.kind in (Kind.JSON, Kind.ARRAY)


def detour(
    database: Database, described: Sequence[dict[str, Any]], columns: Sequence[Column]
) -> Detour | None:
    """Return how to load a table through a temporary one; None if COPY alone suffices.

    ``described`` is the target's table, ``columns`` are those of the files.
    """
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
    """Copy files into a temporary table; return the function that inserts this table's rows into ``into``.

    ``way`` describes the temporary table; ``copy`` copies the files into a table of a given name. The
    function returns how many rows it inserted.
    """
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
    """Return ``taken``; raise ``RejectedRows`` if a table stored another number of rows than ``wanted``."""
    if taken != wanted:
        raise RejectedRows(
            f"{'.'.join(into)} took {taken} of {wanted} rows", hint="nothing was committed; run again"
        )
    return taken
