"""The tables behind a virtual table are no tables of the schema; one that is only named alike is."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from hdm.catalog.crawlers import crawler_for


def test_a_table_that_is_named_after_a_virtual_one_is_not_lost() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(
            "CREATE VIRTUAL TABLE search USING fts4(words); INSERT INTO search VALUES ('a b');"
            "CREATE TABLE search_terms (id INTEGER PRIMARY KEY); CREATE TABLE page (id INTEGER);"
        )
        found = crawler_for("sqlite", lambda sql: connection.execute(sql).fetchall()).crawl()
    assert [one.path for one in found.relations] == [("page",), ("search_terms",)]
    assert found.unread == (("virtual table", "search"),)
