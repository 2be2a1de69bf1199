"""Names in fakesnow as Snowflake reads them: bare ones in upper case, quoted ones as they stand.

DuckDB, which fakesnow runs on, finds a name whatever its case, so a statement that the real system
refuses (``SELECT loads`` of a column made as ``"loads"``) would pass. Comes around ``fakesnow_objects``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import fakesnow.cursor as cursor
import objects  # noqa: F401 (first: this comes around it)
import snowflake.connector.errors as errors
import sqlglot
from sqlglot import exp

_LOOKS = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|MERGE|WITH)\b", re.IGNORECASE)
_execute = cursor.FakeSnowflakeCursor.execute


def execute(self: Any, command: str, *args: Any, **kwargs: Any) -> Any:
    """Refuses a name that the real system would not find."""
    if _LOOKS.match(command):
        statement = _parsed(command)
        if statement is not None:
            _check(self, statement)
    return _execute(self, command, *args, **kwargs)


@lru_cache(maxsize=512)
def _parsed(command: str) -> Any:
    try:
        return sqlglot.parse_one(command, read="snowflake")
    except sqlglot.errors.SqlglotError:
        return None


def _check(self: Any, statement: Any) -> None:
    known: set[str] = set()
    for table in statement.find_all(exp.Table):
        home, schema = table.catalog or str(self._conn.database), table.db or str(self._conn.schema)
        if schema.lower() == "information_schema" or not isinstance(table.this, exp.Identifier):
            continue
        found = _columns(self, home, schema, table.name)
        if found and (name := _read(table.this)) not in found:
            raise errors.ProgrammingError(f"Object '{name}' does not exist", errno=2003, sqlstate="02000")
        known.update(*found.values())
    folded = {name.lower() for name in known}
    for identifier in _named(statement):
        name = _read(identifier)
        if name not in known and name.lower() in folded:
            raise errors.ProgrammingError(f"invalid identifier '{name}'", errno=904, sqlstate="42000")


def _named(statement: Any) -> Iterator[Any]:
    for column in statement.find_all(exp.Column):
        if isinstance(column.this, exp.Identifier):
            yield column.this
    for listed in statement.find_all(exp.Schema):
        yield from (one for one in listed.expressions if isinstance(one, exp.Identifier))


def _read(identifier: Any) -> str:
    return str(identifier.this if identifier.args.get("quoted") else identifier.this.upper())


def _columns(self: Any, home: str, schema: str, table: str) -> dict[str, set[str]]:
    """Tables of that name in any case, and their columns."""
    sql = (
        "SELECT table_name, column_name FROM duckdb_columns() WHERE lower(database_name) = lower(?) "
        "AND lower(schema_name) = lower(?) AND lower(table_name) = lower(?)"
    )
    found: dict[str, set[str]] = {}
    for name, column in self._duck_conn.cursor().execute(sql, [home, schema, table]).fetchall():
        found.setdefault(name, set()).add(column)
    return found


cursor.FakeSnowflakeCursor.execute = execute
