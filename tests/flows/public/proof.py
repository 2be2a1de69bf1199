"""Source = target, value by value, read by each system's own driver; nothing of hdm is used here.

What a value is, is said by PostgreSQL's catalogue: SQLite has few types and MariaDB and DuckDB spell some
their own way. Values are compared with their types, so that 1, 1.0, '1' and true differ.
"""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pymysql
from psycopg.types.string import TextLoader

from tests.flows.chain.proof import Row, Verdict, plain
from tests.servers import fakesnow
from tests.servers.process import Database

Read = Callable[[str], Iterable[Row]]
"""Runs a SELECT, whose names stand in double quotes."""
Kinds = Mapping[str, str]
"""Column -> PostgreSQL's type."""


def kinds(database: Database, table: str) -> dict[str, str]:
    """The columns of a table or view that came to PostgreSQL."""
    with psycopg.connect(database.dsn) as connection:
        found = connection.execute(
            "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute "
            "WHERE attrelid = format('public.%%I', %s::text)::regclass AND attnum > 0 AND NOT attisdropped "
            "ORDER BY attnum",
            [table],
        )
        return dict(found.fetchall())


def rows(read: Read, name: str, columns: Kinds) -> Counter[Row]:
    """All rows of a table or view, in a form that keeps the values' types."""
    names = ", ".join(f'"{column}"' for column in columns)
    known = list(columns.values())
    return Counter(
        tuple(plain(_as_declared(value, kind)) for value, kind in zip(row, known, strict=True))
        for row in read(f'SELECT {names} FROM "{name}"')
    )


def compare(name: str, columns: Kinds, expected: Counter[Row], found: Counter[Row]) -> Verdict:
    """What is on one side alone."""
    number = expected.total()
    lost, extra = list((expected - found).elements()), list((found - expected).elements())
    return Verdict(name, number, number * len(columns), lost, extra)


def of_sqlite(path: Path) -> Read:
    def read(sql: str) -> Iterable[Row]:
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute(sql).fetchall()

    return read


def of_postgres(database: Database) -> Read:
    def read(sql: str) -> Iterable[Row]:
        with psycopg.connect(database.dsn) as connection:
            for name in ("json", "jsonb"):  # else JSON's null would be as the column's
                connection.adapters.register_loader(name, TextLoader)
            return connection.execute(sql.encode()).fetchall()

    return read


def of_mariadb(database: Database) -> Read:
    def read(sql: str) -> Iterable[Row]:
        settings = {**database.profile, "init_command": "SET sql_mode = 'ANSI_QUOTES', time_zone = '+00:00'"}
        with pymysql.connect(**settings) as connection, connection.cursor() as cursor:  # type: ignore[call-overload]
            cursor.execute(sql)
            return list(cursor.fetchall())

    return read


def of_duckdb(path: Path) -> Read:
    def read(sql: str) -> Iterable[Row]:
        import duckdb

        with duckdb.connect(str(path)) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            arrow = connection.sql(sql).to_arrow_table()
        columns = [column.to_pylist() for column in arrow.columns]
        return list(zip(*columns, strict=True))

    return read


def of_snowflake(server: fakesnow.Snowflake, profile: Mapping[str, Any]) -> Read:
    def read(sql: str) -> Iterable[Row]:
        with closing(server.connect(dict(profile))) as connection, connection.cursor() as cursor:
            return list(cursor.execute(sql).fetchall())

    return read


def _as_declared(value: Any, kind: str) -> Any:
    """A driver's value as what the column's type makes of it; as it is where it is none of that."""
    if value is None:
        return None
    made = _MAKERS.get(kind)
    try:
        return value if made is None else made(value)
    except (ValueError, TypeError, ArithmeticError):
        return value


def _bytes(value: Any) -> Any:
    return value if isinstance(value, str) else bytes(value)


def _flag(value: Any) -> Any:
    return bool(value) if value in (0, 1) else value


def _moment(value: Any) -> dt.datetime:
    return value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(value)


def _instant(value: Any) -> dt.datetime:
    made = _moment(value)
    return made.replace(tzinfo=dt.UTC) if made.tzinfo is None else made.astimezone(dt.UTC)


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, int | Decimal) and value == int(value) else value


def _document(value: Any) -> Any:
    """As text, in which 1 and 1.0 differ and a text that looks like a number is one."""
    found = json.loads(value) if isinstance(value, str | bytes) else value
    return "json " + json.dumps(found, sort_keys=True, ensure_ascii=False)


_MAKERS: dict[str, Callable[[Any], Any]] = {
    "boolean": _flag, "smallint": _whole, "integer": _whole, "bigint": _whole,
    "numeric": lambda value: Decimal(str(value)), "double precision": float,
    "bytea": _bytes, "uuid": lambda value: uuid.UUID(str(value)), "jsonb": _document, "json": _document,
    "timestamp without time zone": _moment, "timestamp with time zone": _instant,
}  # fmt: skip
