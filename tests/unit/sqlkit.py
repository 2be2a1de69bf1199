"""Real SQLite and PostgreSQL databases behind one small face, for the tests of the SQL core."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

from hdm.config.secrets import Secret
from hdm.connectors.postgres import PostgresProfile, PostgresSink, PostgresSource
from hdm.connectors.sqlite import SQLiteProfile, SQLiteSink, SQLiteSource
from hdm.model import Attempt, Chunk, Mode, Receipt, Table, Window

JOB = "0123456789abcdef" * 2


@dataclass
class System:
    """One database; ``run`` executes on a session of its own and commits."""

    name: str
    profile: Any
    Source: type[Any]
    Sink: type[Any]
    connect: Callable[[], Any]

    def run(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        connection = self.connect()
        try:
            cursor = connection.cursor()
            mark = "%s" if self.name == "postgres" else "?"
            cursor.execute(sql.replace("?", mark), values) if values else cursor.execute(sql)
            rows = [tuple(row) for row in cursor.fetchall()] if cursor.description else []
            connection.commit()
            return rows
        finally:
            connection.close()

    def source(self, table: str | None = None, **conf: Any) -> Any:
        if table is not None:
            conf["table_name"] = table
        return self.Source(self.Source.Config.model_validate(conf), self.profile, name="src")

    def sink(self, table: str | None = None, **conf: Any) -> Any:
        if table is not None:
            conf["table_name"] = table
        return self.Sink(self.Sink.Config.model_validate(conf), self.profile, name="snk")


def sqlite_system(path: str) -> System:
    sqlite3.connect(path).close()
    return System(
        "sqlite",
        SQLiteProfile(path=path),
        SQLiteSource,
        SQLiteSink,
        lambda: sqlite3.connect(path, timeout=30),
    )


def postgres_system(dsn: str) -> System:
    profile = PostgresProfile.model_validate({"url": Secret(dsn)})
    return System("postgres", profile, PostgresSource, PostgresSink, lambda: psycopg.connect(dsn))


def rows_of(source: Any, table: Table, chunk: Chunk) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for batch in source.read(table, chunk).batches() for row in batch.to_pylist()]


def plan(source: Any, window: Window | None = None, snapshot: str | None = None) -> tuple[Table, list[Chunk]]:
    table = source.describe()
    return table, list(source.split(table, window or source.window(), JOB, snapshot))


def all_rows(source: Any, window: Window | None = None) -> Counter[tuple[Any, ...]]:
    table, chunks = plan(source, window)
    return Counter(row for chunk in chunks for row in rows_of(source, table, chunk))


def move(
    source: Any,
    sink: Any,
    mode: Mode = Mode.APPEND,
    job: str = JOB,
    window: Window | None = None,
    epoch: int = 1,
) -> list[Receipt]:
    table = source.describe()
    sink.prepare(table, job, epoch, mode)
    chunks = [c.at(epoch=epoch) for c in source.split(table, window or source.window(), job, None)]
    receipts = [sink.write(table, c, Attempt(1), source.read(table, c), mode) for c in chunks]
    sink.finish(table, job, epoch, mode)
    return receipts


def taken(iterator: Iterator[Any], count: int) -> list[Any]:
    return [next(iterator) for _ in range(count)]
