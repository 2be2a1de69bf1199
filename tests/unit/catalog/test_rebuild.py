"""DuckDB builds a table anew to give it a foreign key: everything else of the table is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hdm.catalog.apply import apply
from hdm.catalog.ddl_files import ordered
from hdm.catalog.diff import unfinished
from hdm.catalog.mapper import map_schema
from hdm.catalog.model import Relation, Schema
from hdm.catalog.rules import MapOptions
from hdm.catalog.writers import AFTER_LOAD, BEFORE_LOAD
from tests.flows.catalog_targets import (  # noqa: F401 -- fixture
    Opened,
    Target,
    found,
    of_duckdb,
    opened_connections,
)

PARENT = "CREATE TABLE dag (id INTEGER PRIMARY KEY, name TEXT NOT NULL, UNIQUE (name))"
RUN = (
    "CREATE TABLE run (id INTEGER PRIMARY KEY, dag TEXT NOT NULL REFERENCES dag (name), run TEXT NOT NULL,"
    " owner INTEGER REFERENCES dag (id), UNIQUE (dag, run), CHECK (run <> ''))"
)
TASK = (
    "CREATE TABLE task (id INTEGER PRIMARY KEY, dag TEXT, run TEXT,"
    " FOREIGN KEY (dag, run) REFERENCES run (dag, run))"
)
ROWS = (
    "INSERT INTO dag VALUES (1, 'a')",
    "INSERT INTO run VALUES (1, 'a', 'r', 1)",
    "INSERT INTO task VALUES (1, 'a', 'r')",
)


def wanted() -> Schema:
    import sqlite3
    from contextlib import closing

    from hdm.catalog.crawlers import crawler_for

    with closing(sqlite3.connect(":memory:")) as connection:
        for sql in (PARENT, RUN, TASK, "CREATE INDEX run_run ON run (run)"):
            connection.execute(sql)
        crawled = crawler_for("sqlite", lambda sql: connection.execute(sql).fetchall()).crawl()
    made = map_schema(crawled, "duckdb", MapOptions(into="main")).schema
    return replace(made, relations=tuple(replace(one, comment="as told") for one in made.relations))


def finish(schema: Schema, target: Target) -> Schema:
    rest = unfinished(schema, found(target, "duckdb", ["main.*"]))
    applied = apply([one for one in ordered(rest) if one.phase in AFTER_LOAD], target)
    assert [one.error for one in applied if one.error] == []
    return found(target, "duckdb", ["main.*"])


def shape(schema: Schema) -> dict[str, tuple[object, ...]]:
    def parts(one: Relation) -> tuple[object, ...]:
        uniques = {key.columns for key in one.uniques}
        foreign = {(key.columns, key.target) for key in one.foreign_keys}
        return uniques, foreign, len(one.checks), [index.name for index in one.indexes], one.comment

    return {one.path[-1]: parts(one) for one in schema.relations}


@pytest.mark.slow
def test_nothing_of_the_table_is_lost_when_foreign_keys_come(opened: Opened) -> None:
    target, schema = of_duckdb(opened), wanted()
    apply([one for one in ordered(schema) if one.phase in BEFORE_LOAD], target)
    for sql in ROWS:
        target.execute(sql)
    there = finish(schema, target)
    assert shape(there) == shape(schema)
    assert shape(schema)["run"][0] == {("dag", "run")}
    assert len(shape(schema)["run"][1]) == 2  # type: ignore[arg-type]
    assert target.query("SELECT COUNT(*) FROM run") == [(1,)]


@pytest.mark.slow
def test_a_foreign_key_that_comes_later_leaves_those_that_are_there(opened: Opened) -> None:
    target, schema = of_duckdb(opened), wanted()
    first = [
        replace(one, foreign_keys=one.foreign_keys[:1]) if one.path[-1] == "run" else one
        for one in schema.relations
        if one.path[-1] != "task"
    ]
    early = replace(schema, relations=tuple(first))
    apply([one for one in ordered(early) if one.phase in BEFORE_LOAD], target)
    for sql in ROWS[:2]:
        target.execute(sql)
    finish(early, target)
    late = replace(schema, relations=tuple(one for one in schema.relations if one.path[-1] != "task"))
    assert shape(finish(late, target)) == shape(late)
    assert target.query("SELECT COUNT(*) FROM run") == [(1,)]
