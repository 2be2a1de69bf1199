"""What SQLite declares BLOB and fills with text is text; what holds both stays as it is declared."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from hdm.catalog.crawlers import crawler_for
from hdm.catalog.mapper import map_schema
from hdm.catalog.measure_storage import classed, classes, unsaid_columns
from hdm.catalog.measure_types import declared

TABLE = '''
CREATE TABLE page (
  id INTEGER PRIMARY KEY, title BLOB NOT NULL DEFAULT '', picture BLOB, mixed BLOB, none BLOB,
  bare, counted, "odd ""name""" BLOB, twice BLOB AS (title || title));
INSERT INTO page (id, title, picture, mixed, none, bare, counted, "odd ""name""") VALUES
  (1, 'Handbuch', x'00ff', 'text', NULL, 'a', 1, NULL),
  (2, '', NULL, x'01', NULL, 'b', 9007199254740993, 'ünïcode');
'''


def test_a_class_that_all_values_share_becomes_the_type() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(TABLE)

        def ask(sql: str) -> list[tuple[object, ...]]:
            return connection.execute(sql).fetchall()

        crawled = crawler_for("sqlite", ask).crawl()
        found = classes(crawled, ask)
    (before,) = crawled.relations
    assert [column.name for column in unsaid_columns(before)] == [
        "title", "picture", "mixed", "none", "bare", "counted", 'odd "name"',
    ]  # fmt: skip
    assert found == {
        ("page",): {
            "title": "text", "picture": "blob", "bare": "text", "counted": "integer", 'odd "name"': "text",
        }
    }  # fmt: skip
    made = classed(crawled, found)
    (after,) = made.relations
    assert declared(before, after, "sqlite") == {
        "title": "TEXT", "bare": "TEXT", "counted": "BIGINT", 'odd "name"': "TEXT",
    }  # fmt: skip
    assert [c.native for c in map_schema(made, "postgres").schema.relations[0].table.columns][:7] == [
        "bigint", "text", "bytea", "bytea", "bytea", "text", "bigint",
    ]  # fmt: skip
    assert after.table.column("title").default == before.table.column("title").default
    assert not after.table.column("title").nullable


def test_other_systems_are_not_asked() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(TABLE)
        crawled = crawler_for("sqlite", lambda sql: connection.execute(sql).fetchall()).crawl()
    mapped = map_schema(crawled, "postgres").schema

    def ask(sql: str) -> list[tuple[object, ...]]:
        raise AssertionError(sql)

    assert classes(mapped, ask) == {}
