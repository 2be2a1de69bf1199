"""Raw connections that take DDL and are crawled, for the tests of catalogues."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from hdm.catalog.crawlers import Named, crawler_for
from hdm.catalog.model import Schema
from hdm.catalog.patterns import select
from hdm.errors import PermanentError
from tests.servers import fakesnow
from tests.servers.process import Database

Opened = list[Any]


@pytest.fixture(name="opened")
def opened_connections() -> Iterator[Opened]:
    """Connections that the test leaves to be closed."""
    kept: Opened = []
    yield kept
    for one in kept:
        one.close()


class Target:
    """A raw connection as a session that takes DDL and answers queries."""

    def __init__(self, run: Callable[[str], list[Any]], named: Named | None = None) -> None:
        self.query, self.named = run, named

    def execute(self, sql: str) -> None:
        try:
            self.query(sql)
        except Exception as error:
            raise PermanentError(f"{type(error).__name__}: {str(error)[:200]}") from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        yield


def of_postgres(database: Database, opened: Opened) -> Target:
    connection = psycopg.connect(database.dsn, autocommit=True)
    opened.append(connection)
    connection.execute("SET search_path TO pg_catalog")

    def run(sql: str) -> list[Any]:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []

    return Target(run)


def of_mariadb(database: Database, opened: Opened) -> Target:
    connection = pymysql.connect(**database.profile, autocommit=True)  # type: ignore[call-overload]
    opened.append(connection)

    def run(sql: str) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    return Target(run)


def of_snowflake(server: fakesnow.Snowflake, profile: dict[str, Any], opened: Opened) -> Target:
    from snowflake.connector import DictCursor, Error
    from snowflake.connector.cursor import SnowflakeCursor

    connection = server.connect(profile)
    opened.append(connection)

    def run(sql: str, kind: type[Any] = SnowflakeCursor) -> list[Any]:
        try:
            return list(connection.cursor(kind).execute(sql).fetchall())
        except Error as error:
            raise PermanentError(str(error)[:200]) from error

    return Target(run, lambda sql: run(sql, DictCursor))


def of_duckdb(opened: Opened, file: Path | None = None) -> Target:
    import duckdb

    connection = duckdb.connect(str(file or ":memory:"))
    opened.append(connection)
    return Target(lambda sql: connection.execute(sql).fetchall())


def of_sqlite(opened: Opened, file: Path) -> Target:
    connection = sqlite3.connect(file)
    opened.append(connection)
    return Target(lambda sql: connection.execute(sql).fetchall())


def found(target: Target, system: str, include: Iterable[str]) -> Schema:
    return crawler_for(system, target.query, target.named).crawl(select(include))


def keys(schema: Schema) -> set[tuple[str, tuple[str, ...], str]]:
    return {(one.path[-1], k.columns, k.target[-1]) for one in schema.relations for k in one.foreign_keys}
