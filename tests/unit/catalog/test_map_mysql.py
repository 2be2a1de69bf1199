"""Keys of MySQL and MariaDB are as wide as InnoDB's sorted indexes can be, on both sides alike."""

from __future__ import annotations

from collections.abc import Callable

import pymysql
import pytest

from hdm.catalog.apply import apply
from hdm.catalog.crawlers import crawler_for
from hdm.catalog.ddl_files import ordered
from hdm.catalog.mapper import MappedSchema, map_schema
from hdm.catalog.report import Status
from hdm.catalog.rules import MapOptions
from tests.flows.catalog_targets import Opened, of_mariadb, opened_connections  # noqa: F401 -- fixture
from tests.servers.process import Database

TABLES = (
    "CREATE TABLE asset (id INTEGER PRIMARY KEY, name VARCHAR(1500) NOT NULL, uri VARCHAR(1500) NOT NULL,"
    " UNIQUE (name, uri))",
    "CREATE TABLE active (name VARCHAR(1500) NOT NULL, uri VARCHAR(1500) NOT NULL, since TIMESTAMP,"
    " PRIMARY KEY (name, uri), FOREIGN KEY (name, uri) REFERENCES asset (name, uri))",
    "CREATE TABLE run (dag VARCHAR(250), run VARCHAR(250), nr INTEGER, note VARCHAR(40), word TEXT,"
    " PRIMARY KEY (dag, run, nr, note), UNIQUE (nr, word))",
    "CREATE TABLE alone (url VARCHAR(2000) UNIQUE, short VARCHAR(10) UNIQUE)",
)


def mapped(flavour: str, into: str = "d") -> MappedSchema:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(":memory:")) as connection:
        for statement in TABLES:
            connection.execute(statement)
        crawled = crawler_for("sqlite", lambda sql: connection.execute(sql).fetchall()).crawl()
    return map_schema(crawled, "mysql", MapOptions(into=into), flavour)


def natives(made: MappedSchema) -> dict[str, str]:
    return {
        f"{one.path[-1]}.{column.name}": column.native
        for one in made.schema.relations
        for column in one.table.columns
    }


@pytest.mark.parametrize(("flavour", "url"), [("mariadb", "varchar(2000)"), ("mysql", "varchar(768)")])
def test_keys_share_the_bytes_that_an_index_may_have(flavour: str, url: str) -> None:
    made = mapped(flavour)
    found = natives(made)
    assert {found[f"{table}.{name}"] for table in ("asset", "active") for name in ("name", "uri")} == {
        "varchar(384)"
    }
    assert found["alone.url"] == url, "MariaDB hashes a UNIQUE key that is too long to be sorted"
    assert found["alone.short"] == "varchar(10)"
    assert [found[f"run.{name}"] for name in ("dag", "run", "note")] == [
        "varchar(250)", "varchar(250)", "varchar(40)",
    ]  # fmt: skip
    assert found["run.word"] == "varchar(760)"
    told = {one.name for one in made.report.findings if one.status is Status.APPROXIMATED}
    assert {"d.asset.name", "d.asset.uri", "d.active.name", "d.active.uri", "d.run.word"} <= told
    assert "d.alone.short" not in told


def test_mariadb_takes_them(fresh_mariadb: Callable[..., Database], opened: Opened) -> None:
    place = fresh_mariadb()
    made = mapped("mariadb", place.database)
    applied = apply(ordered(made.schema), of_mariadb(place, opened), made.report)
    assert [one.error for one in applied if one.error] == []
    with pymysql.connect(**place.profile) as connection, connection.cursor() as cursor:  # type: ignore[call-overload]
        cursor.execute("INSERT INTO alone (url) VALUES (REPEAT('x', 2000))")
        with pytest.raises(pymysql.err.IntegrityError):
            cursor.execute("INSERT INTO alone (url) VALUES (REPEAT('x', 2000))")
