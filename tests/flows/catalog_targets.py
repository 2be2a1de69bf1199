"""Raw connections that take DDL and are crawled, for the tests of catalogues."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pymysql
import pytest

from hdm.catalogs.crawlers import Named, crawler_for
from hdm.catalogs.model import ForeignKey, Relation, Schema
from hdm.catalogs.patterns import select
from hdm.dialects import dialect
from hdm.errors import PermanentError
from tests.servers import fakesnow
from tests.servers.process import Database

COUNTS: list[str] = []
"""What became of the objects of each crossing; shown when a module is done."""


@pytest.fixture(scope="module", autouse=True)
def counts_are_shown(request: pytest.FixtureRequest) -> Iterator[None]:
    """Past the capture, so that a run of the tests says it."""
    yield
    capture = request.config.pluginmanager.getplugin("capturemanager")
    assert capture is not None
    with capture.global_and_fixture_disabled():
        print("", *COUNTS, sep="\n")
    COUNTS.clear()


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
        self.dialect = dialect("snowflake") if named else None

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


def of_duckdb(opened: Opened) -> Target:
    import duckdb

    connection = duckdb.connect()
    opened.append(connection)
    return Target(lambda sql: connection.execute(sql).fetchall())


def found(target: Target, system: str, include: Iterable[str]) -> Schema:
    return crawler_for(system, target.query, target.named).crawl(select(include))


def keys(schema: Schema) -> set[tuple[str, tuple[str, ...], str]]:
    return {(one.path[-1], k.columns, k.target[-1]) for one in schema.relations for k in one.foreign_keys}


def orphans(target: Target, one: Relation, key: ForeignKey) -> str:
    """How many rows refer to none."""
    assert target.dialect is not None
    quote, qualify = target.dialect.quote, target.dialect.qualify
    on = " AND ".join(
        f"p.{quote(theirs)} = c.{quote(mine)}"
        for mine, theirs in zip(key.columns, key.target_columns, strict=True)
    )
    given = " AND ".join(f"c.{quote(mine)} IS NOT NULL" for mine in key.columns)
    return (
        f"SELECT COUNT(*) FROM {qualify(one.path)} c LEFT JOIN {qualify(key.target)} p ON {on} "
        f"WHERE {given} AND p.{quote(key.target_columns[0])} IS NULL"
    )
