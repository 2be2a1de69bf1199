"""Source = target, value by value: psycopg reads the one, Snowflake's own connector the other.

Nothing of hdm is used here. Values are compared with their types, so that 1, 1.0, '1' and true differ.
"""

from __future__ import annotations

import datetime as dt
import json
import struct
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any

import psycopg

from tests.servers.process import Database

Row = tuple[Any, ...]
_EXACT = Context(prec=200)


@dataclass(frozen=True)
class Verdict:
    """One table's: ``lost`` are rows of the source alone, ``extra`` of the target alone."""

    table: str
    rows: int
    values: int
    lost: list[Row]
    extra: list[Row]

    @property
    def equal(self) -> bool:
        return not self.lost and not self.extra


def prove(database: Database, account: Any, tables: Iterable[str]) -> Iterator[Verdict]:
    """Compare each ``schema.table`` with the table of that name in the connection's schema."""
    with psycopg.connect(database.dsn) as source:
        source.execute("SET TIME ZONE 'UTC'")
        for table in tables:
            columns = _columns(source, table)
            expected = Counter(_source_rows(source, table, columns))
            found = Counter(_target_rows(account, table.rpartition(".")[2].strip('"'), columns))
            rows = expected.total()
            yield Verdict(
                table,
                rows,
                rows * len(columns),
                list((expected - found).elements()),
                list((found - expected).elements()),
            )


def _columns(source: psycopg.Connection, table: str) -> dict[str, str]:
    found = source.execute(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        [table],
    )
    return dict(found.fetchall())


def _source_rows(source: psycopg.Connection, table: str, columns: dict[str, str]) -> Iterator[Row]:
    names = ", ".join(f'"{name}"' for name in columns)
    kinds = list(columns.values())
    with source.cursor(name="proof") as cursor:
        cursor.itersize = 10_000
        cursor.execute(f"SELECT {names} FROM {table}".encode())
        for row in cursor:
            yield tuple(plain(_as_stored(value, kind)) for value, kind in zip(row, kinds, strict=True))


def _target_rows(account: Any, table: str, columns: dict[str, str]) -> Iterator[Row]:
    names = ", ".join(f'"{name}"' for name in columns)
    kinds = list(columns.values())
    with account.cursor() as cursor:
        cursor.execute(f'SELECT {names} FROM "{table}"')
        for row in cursor:
            yield tuple(plain(_as_declared(value, kind)) for value, kind in zip(row, kinds, strict=True))


def _as_stored(value: Any, kind: str) -> Any:
    """psycopg gives a ``real`` as its shortest text says, not as the number that is stored."""
    if kind == "real" and value is not None:
        return struct.unpack("f", struct.pack("f", value))[0]
    return value


def _as_declared(value: Any, kind: str) -> Any:
    """What Snowflake has no type of its own for, by what it stands for in the source."""
    if value is None:
        return None
    if kind == "uuid":
        return uuid.UUID(value)
    if kind == "jsonb":
        return json.loads(value)
    if kind.startswith("numeric") and isinstance(value, int):
        return Decimal(value)
    return value


def plain(value: Any) -> Any:
    """A hashable form that keeps the type."""
    if isinstance(value, bool) or value is None:
        return ("flag", value)
    if isinstance(value, int):
        return ("int", value)
    if isinstance(value, float):
        return ("float", struct.pack(">d", value))
    if isinstance(value, Decimal):
        return ("decimal", _EXACT.normalize(value).as_tuple())
    if isinstance(value, (bytes, bytearray, memoryview)):
        return ("bytes", bytes(value))
    if isinstance(value, dt.datetime):
        if value.tzinfo is not None:
            return ("instant", value.astimezone(dt.UTC).isoformat())
        return ("moment", value.isoformat())
    if isinstance(value, (dict, list)):
        return ("json", json.dumps(value, sort_keys=True))
    return (type(value).__name__, str(value))
