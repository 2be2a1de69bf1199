"""A table that is truncated or replaced while it is read is not called complete, and is read anew after."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from hdm.connectors.postgres import PostgresDatabase
from hdm.connectors.sqlite import SQLiteSink
from tests.flows.kit import Place
from tests.servers.process import Database

ROWS = 900


class Source:
    """One server's table ``t`` of 900 rows; ``change`` does what a nightly load does to it."""

    def __init__(self, kind: str, database: Database) -> None:
        self.kind, self.database = kind, database
        self.run("CREATE TABLE t (id int PRIMARY KEY, v varchar(9))")
        self.fill("old", 1, ROWS)

    @property
    def type(self) -> str:
        return "PostgresSource" if self.kind == "postgres" else "MariaDBSource"

    @property
    def name(self) -> str:
        return "public.t" if self.kind == "postgres" else "t"

    def fill(self, v: str, first: int, last: int) -> None:
        numbers = f"generate_series({first}, {last}) n"
        if self.kind != "postgres":
            numbers = f"(SELECT seq AS n FROM seq_{first}_to_{last}) q"
        self.run(f"INSERT INTO t SELECT n, '{v}' FROM {numbers}")

    def run(self, sql: str) -> None:
        given: Mapping[str, Any] = self.database.profile
        with (
            psycopg.connect(self.database.dsn, autocommit=True)
            if self.kind == "postgres"
            else pymysql.connect(**given, autocommit=True)
        ) as connection:
            connection.cursor().execute(sql)


@pytest.fixture(params=["postgres", "mariadb"])
def source(
    request: pytest.FixtureRequest,
    fresh_postgres: Callable[..., Database],
    fresh_mariadb: Callable[..., Database],
) -> Source:
    return Source(request.param, (fresh_postgres if request.param == "postgres" else fresh_mariadb)())


def place_of(folder: Path, source: Source, mode: str, **conf: Any) -> Place:
    place = Place(folder)
    place.profiles["srv"] = {**source.database.profile, "insecure": True}
    place.manifest = {
        "version": 1,
        "orchestrator": {"type": "DeclaredOrchestrator", "conf": {"workers": 1}},
        "declared_data_links": {
            "stages": [
                {
                    "source": {
                        "name": "s",
                        "type": source.type,
                        "conf": {"env": "srv", "table_name": source.name, "chunk": {"rows": 100}, **conf},
                    },
                    "sink": {
                        "name": "d",
                        "type": "SQLiteSink",
                        "conf": {"env": "dst", "table_name": "t", "mode": mode},
                    },
                }
            ]
        },
    }
    return place.write()


@pytest.fixture
def after_three(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Have something happen at the source once three chunks are written."""

    def arrange(act: Callable[[], None]) -> None:
        plain, done = SQLiteSink.write, []

        def write(self: Any, *args: Any, **more: Any) -> Any:
            receipt = plain(self, *args, **more)
            done.append(receipt)
            if len(done) == 3:
                act()
            return receipt

        monkeypatch.setattr(SQLiteSink, "write", write)

    return arrange


@pytest.mark.parametrize("how", ["truncated", "replaced"])
@pytest.mark.parametrize("mode", ["replace", "merge", "append"])
def test_what_changes_under_its_reading_dies_by_name(
    tmp_path: Path, source: Source, mode: str, how: str, after_three: Callable[[Callable[[], None]], None]
) -> None:
    place = place_of(tmp_path, source, mode)
    if mode == "replace":
        with sqlite3.connect(place.target) as target:
            target.execute("CREATE TABLE t (id int PRIMARY KEY, v varchar(9))")
            target.execute("INSERT INTO t VALUES (1, 'kept')")

    def change() -> None:
        source.run("TRUNCATE TABLE t" if how == "truncated" else "ALTER TABLE t RENAME TO u")
        if how == "replaced":
            source.run("CREATE TABLE t (id int PRIMARY KEY, v varchar(9))")
        source.fill("new", 1, ROWS)

    after_three(change)
    done = place.hdm("run")
    assert done.code == 1, done.said
    assert "t was truncated, rewritten, replaced" in done.said
    assert "not all committed" in done.said
    if mode == "replace":
        assert place.rows("t") == [(1, "kept")]
    again = place.hdm("run")
    if mode == "append":
        assert again.code == 1, again.said
        return
    assert again.code == 0 and "read anew" in again.said, again.said
    assert sorted(place.rows("t")) == [(n, "new") for n in range(1, ROWS + 1)]


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_rows_that_no_chunk_gave_are_missed(
    tmp_path: Path, fresh_postgres: Callable[..., Database], mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever lost them: here the reader's own codec."""
    source = Source("postgres", fresh_postgres())
    place = place_of(tmp_path, source, mode)
    plain = PostgresDatabase.stream

    def stream(self: Any, *args: Any) -> Any:
        yield from (batch.slice(1) for batch in plain(self, *args))

    with monkeypatch.context() as broken:
        broken.setattr(PostgresDatabase, "stream", stream)
        done = place.hdm("run")
    assert done.code == 1, done.said
    assert "900 rows were counted when it was planned, 891 were read" in done.said
    if mode == "replace":
        again = place.hdm("run")
        assert again.code == 0 and "read anew" in again.said, again.said
        assert len(place.rows("t")) == ROWS
    else:
        assert place.hdm("run").code == 1


def test_rows_that_came_meanwhile_are_said_where_no_snapshot_is_shared(
    tmp_path: Path, fresh_mariadb: Callable[..., Database], after_three: Callable[[Callable[[], None]], None]
) -> None:
    source = Source("mariadb", fresh_mariadb())
    place = place_of(tmp_path, source, "append")
    after_three(lambda: source.fill("new", ROWS + 1, ROWS + 7))
    done = place.hdm("run")
    assert done.code == 0, done.said
    assert "900 rows were counted when it was planned, 907 were read: rows came or went" in done.said


def test_a_reading_whose_server_was_restarted_goes_on_or_begins_anew(
    tmp_path: Path,
    fresh_postgres: Callable[..., Database],
    after_three: Callable[[Callable[[], None]], None],
) -> None:
    """The snapshot's session is ended, as a restart does, and keys change."""
    source = Source("postgres", fresh_postgres())
    place = place_of(tmp_path, source, "merge")

    def change() -> None:
        source.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hdm:snapshot' "
            "AND datname = current_database()"
        )
        source.run("UPDATE t SET id = id + 10000 WHERE id > 600")

    after_three(change)
    done = place.hdm("run")
    assert done.code == 1 and "not all committed" in done.said, done.said
    again = place.hdm("run")
    assert again.code == 0 and "read anew" in again.said, again.said
    assert {key for key, _ in place.rows("t")} >= {*range(1, 601), *range(10601, 10901)}
