"""Backends for the crash suite: each state database together with another target."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.harness import Hdm, zygote
from tests.crash.shop import Shop, State, Target
from tests.servers.process import Database

Query = Callable[[str], list[tuple[Any, ...]]]
PAIRS = {"sqlite": "postgres", "postgres": "mariadb", "mariadb": "sqlite"}
"""State database -> target of the pipelines that are killed with it."""


@pytest.fixture(scope="session")
def hdm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hdm]:
    with zygote(tmp_path_factory.mktemp("zygote")) as running:
        yield running


@pytest.fixture
def make_shop(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Shop]:
    """``make_shop(state, workers=2, target=None)``: a shop of its own, with databases of its own."""
    count = 0

    def make(state: str, workers: int = 2, target: str | None = None) -> Shop:
        nonlocal count
        count += 1
        folder = tmp_path / f"shop{count}"
        folder.mkdir()
        fresh = Fresh(request, folder)
        return Shop(folder, fresh.state(state), fresh.target(target or PAIRS[state]), workers)

    return make


class Fresh:
    """New databases of each kind in one folder or server."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        self._request = request
        self._folder = folder

    def state(self, kind: str) -> State:
        if kind == "sqlite":
            path = self._folder / "state.db"
            return State(kind, "SQLiteStateManager", {"path": str(path)}, in_sqlite(path))
        manager = {"postgres": "PostgresStateManager", "mariadb": "MySQLStateManager"}[kind]
        database = self._server(kind)
        return State(kind, manager, dict(database.profile), on_server(kind, database))

    def target(self, kind: str) -> Target:
        if kind == "sqlite":
            path = self._folder / "target.db"
            return Target(kind, "SQLiteSink", {"path": str(path)}, in_sqlite(path))
        if kind == "duckdb":
            path = self._folder / "target.duckdb"
            return Target(kind, "DuckDBSink", {"path": str(path)}, in_duckdb(path))
        sink = {"postgres": "PostgresSink", "mariadb": "MariaDBSink"}[kind]
        database = self._server(kind)
        return Target(kind, sink, dict(database.profile), on_server(kind, database))

    def _server(self, kind: str) -> Database:
        fresh: Callable[..., Database] = self._request.getfixturevalue(f"fresh_{kind}")
        return fresh()


def in_sqlite(path: Path) -> Query:
    def query(sql: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(path, timeout=30)) as connection:
            connection.create_function("CONCAT", -1, lambda *parts: "".join(map(str, parts)))
            return connection.execute(sql).fetchall()

    return query


def in_duckdb(path: Path) -> Query:
    def query(sql: str) -> list[tuple[Any, ...]]:
        import duckdb

        with duckdb.connect(str(path), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    return query


def on_server(kind: str, database: Database) -> Query:
    def query(sql: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(_connect(kind, database)) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    return query


def _connect(kind: str, database: Database) -> Any:
    profile = dict(database.profile)
    if kind == "postgres":
        import psycopg

        return psycopg.connect(dbname=profile.pop("database"), **profile)  # type: ignore[arg-type]
    import pymysql

    return pymysql.connect(**profile)  # type: ignore[arg-type]
