"""Numbers without precision are measured in the source; none is guessed, rounded or made a float."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import psycopg
import pytest

from hdm.catalog.crawlers import crawler_for
from hdm.catalog.mapper import map_schema
from hdm.catalog.measure_types import measure, measured, measuring_sql, open_columns
from hdm.catalog.model import Schema
from hdm.catalog.patterns import select
from tests.servers.process import Database
from tests.unit.catalog.zoo import ORDERS


def test_oracle_is_asked_in_its_own_words() -> None:
    sql = measuring_sql("oracle", ("S", "T"), [ORDERS.table.column("amount")])
    assert sql is not None
    assert "TO_CHAR(TRUNC(ABS(\"amount\")), 'TM9'" in sql
    assert sql.endswith('FROM "S"."T"')
    assert measuring_sql("snowflake", ("S", "T"), [ORDERS.table.column("amount")]) is None


def test_postgres_measures_the_last_value_too(fresh_postgres: Callable[..., Database]) -> None:
    with psycopg.connect(fresh_postgres().dsn, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA m")
        connection.execute("CREATE TABLE m.t (a numeric, b numeric, c numeric, d numeric(5,1), e numeric)")
        connection.execute(
            "INSERT INTO m.t SELECT g, 1.50, 'NaN'::numeric, 1.5, NULL::numeric"
            " FROM generate_series(1, 100) g"
            " UNION ALL SELECT 123456789012345678.000123, -7, 1, 1, NULL"
        )
        connection.execute("SET search_path TO pg_catalog")

        def ask(sql: str) -> list[tuple[object, ...]]:
            return list(connection.execute(sql.encode()).fetchall())

        crawled = crawler_for("postgres", ask).crawl(select(["m.*"]))
        found = measure(crawled, ask)["m", "t"]
    assert (found["a"].whole, found["a"].scale) == (18, 6)
    assert (found["b"].whole, found["b"].scale) == (1, 1)
    assert found["c"].odd == 100
    assert "d" not in found
    assert "e" not in found
    target = natives(measured(crawled, {("m", "t"): found}), "mysql")
    assert target == ["decimal(26,6)", "decimal(4,1)", "longtext", "decimal(5,1)", "longtext"]


def natives(schema: Schema, target: str) -> list[str]:
    return [column.native for column in map_schema(schema, target).schema.relations[0].table.columns]


@pytest.mark.parametrize(
    ("values", "digits"),
    [(["1", "22.125"], (2, 3)), (["-0.5"], (1, 1)), (["7"], (1, 0)), (["9007199254740993"], (16, 0))],
)
def test_sqlite_measures_what_it_stored(values: list[str], digits: tuple[int, int]) -> None:
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n NUMERIC)")
        connection.executemany("INSERT INTO t (n) VALUES (?)", [(value,) for value in values])

        def ask(sql: str) -> list[tuple[object, ...]]:
            return connection.execute(sql).fetchall()

        crawled = crawler_for("sqlite", ask).crawl()
        assert [c.name for c in open_columns(crawled.relations[0])] == ["n"]
        found = measure(crawled, ask)[("t",)]["n"]
    finally:
        connection.close()
    assert (found.whole, found.scale, found.odd) == (*digits, 0)
