"""The four relational systems behind one small face, spoken to by their own drivers."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pymysql

from hdm.components import registry
from hdm.dialects import dialect
from hdm.dialects.base import Dialect
from hdm.model import Column, Kind, Table
from hdm.testing.rows import sorted_rows
from tests.servers.process import Database
from tests.servers.redshift import Redshift
from tests.servers.sqlserver import SQLServerDatabase

_MIDNIGHT = datetime(2000, 1, 1, tzinfo=UTC)
CANARY = "canary-4711"


@dataclass
class System:
    """One empty database. ``run`` executes on a session of its own, by the driver alone."""

    name: str
    connect: Callable[[], Any]
    profile_words: dict[str, Any]
    gone_words: dict[str, Any]
    prefix: str
    sink_name: str = ""

    @property
    def dialect(self) -> Dialect:
        return dialect(self.name)

    def run(self, sql: str, rows: list[tuple[Any, ...]] | None = None) -> list[tuple[Any, ...]]:
        connection = self.connect()
        try:
            cursor = connection.cursor()
            if rows is not None:
                cursor.executemany(sql, rows)
            elif self.name in ("postgres", "mysql"):
                cursor.execute(sql, None)
            else:
                cursor.execute(sql)
            found = [tuple(row) for row in cursor.fetchall()] if rows is None and cursor.description else []
            connection.commit()
            return found
        finally:
            connection.close()

    def make(self, kind: str, conf: dict[str, Any], words: dict[str, Any] | None = None) -> Any:
        named = self.sink_name if kind == "sink" else ""
        cls = registry.find(kind, named or self.prefix + kind.capitalize())
        profile = cls.Profile.model_validate(self.profile_words if words is None else words)
        return cls(cls.Config.model_validate(conf), profile, name=f"a_{kind}")

    def source(self, table: str = "t", **conf: Any) -> Any:
        return self.make("source", {"table_name": table, **conf})

    def sink(self, **conf: Any) -> Any:
        return self.make("sink", conf)

    def gone(self, kind: str) -> Any:
        """A component whose other side is not there."""
        return self.make(kind, {"table_name": "t"}, self.gone_words)

    def read_back(self, sink: Any, table: Table) -> list[tuple[Any, ...]]:
        """What a user of the database sees now, as Python values of the columns' kinds."""
        quoted = self.dialect.names(column.name for column in table.columns)
        found = self.run(f"SELECT {quoted} FROM {self.dialect.qualify(sink.target(table).path)}")
        pairs = [zip(row, table.columns, strict=True) for row in found]
        return sorted_rows([tuple(plain(value, column) for value, column in pair) for pair in pairs])


def plain(value: Any, column: Column) -> Any:
    """A driver's value as the one Python type that the kind has."""
    kind = column.kind
    if value is None or kind in (Kind.TEXT, Kind.INT64):
        return value
    if kind is Kind.BINARY and isinstance(value, str):
        return bytes.fromhex(value.removeprefix("\\x"))
    if kind is Kind.BOOLEAN:
        return {0: False, 1: True}[value]
    if kind is Kind.DECIMAL:
        return Decimal(str(value)).quantize(Decimal(1).scaleb(-(column.scale or 0)), context=Context(prec=80))
    if kind is Kind.DATE and isinstance(value, str):
        return date.fromisoformat(value)
    if kind is Kind.TIME and not isinstance(value, time):
        clock = str(value) if isinstance(value, str) else str(datetime(1, 1, 1) + value).split()[1]
        return time.fromisoformat(clock)
    if kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        if kind is Kind.TIMESTAMPTZ:
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        return moment
    return value


def sqlite_system(folder: Path) -> System:
    path = folder / "there.db"
    sqlite3.connect(path).close()
    (folder / "file").touch()
    missing = {"path": str(folder / "file" / "x.db")}
    return System("sqlite", lambda: sqlite3.connect(path), {"path": str(path)}, missing, "SQLite")


def duckdb_system(folder: Path) -> System:
    path = folder / "there.duckdb"
    duckdb.connect(str(path)).close()
    (folder / "file").touch()

    def connect() -> Any:
        connection = duckdb.connect(str(path))
        connection.execute("SET TimeZone = 'UTC'")
        return connection

    return System(
        "duckdb", connect, {"path": str(path)}, {"path": str(folder / "file" / "x.duckdb")}, "DuckDB"
    )


def postgres_system(made: Database) -> System:
    gone = {**made.profile, "port": 1, "password": CANARY}
    return System(
        "postgres",
        lambda: psycopg.connect(made.dsn, options="-c timezone=UTC"),
        made.profile,
        gone,
        "Postgres",
    )


def redshift_system(made: Redshift) -> System:
    """Redshift's stand-in, by the real driver; values come as the kinds' own Python types."""
    gone = {**made.profile, "port": 1, "password": CANARY}
    return System("redshift", made.connect, made.profile, gone, "Redshift", "RedshiftCopySink")


def mariadb_system(made: Database) -> System:
    p = made.profile
    gone = {**p, "port": 1, "password": CANARY}

    def connect() -> Any:
        return pymysql.connect(
            host=p["host"], port=p["port"], user=p["user"], password=p["password"], database=p["database"],
            charset="utf8mb4", init_command="SET SESSION time_zone = '+00:00', sql_mode = ''",
        )  # fmt: skip

    return System("mysql", connect, dict(p), gone, "MariaDB")


def sqlserver_system(made: SQLServerDatabase, driver: str) -> System:
    """SQL Server's stand-in; the tests themselves look at it by ``driver``, too."""
    words = {**made.profile, "driver": driver}

    def connect() -> Any:
        connection = made.connect(driver)
        connection.add_output_converter(_DATETIMEOFFSET, _instant)
        return connection

    return System("sqlserver", connect, words, {**words, "password": CANARY}, "SQLServer")


_DATETIMEOFFSET = -155
"""The driver's own number for the type: pyodbc knows none."""


def _instant(raw: bytes) -> datetime:
    year, month, day, hour, minute, second, fraction, hours, minutes = struct.unpack("<6hI2h", raw)
    here = datetime(year, month, day, hour, minute, second, fraction // 1000, UTC)
    return here - timedelta(hours=hours, minutes=minutes)
