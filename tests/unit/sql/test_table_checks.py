"""Each system answers the questions about whole tables, whatever case its names are in."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hdm.connectors.duckdb import DuckDBSink
from hdm.connectors.mysql import MariaDBSink
from hdm.connectors.postgres import PostgresSink
from hdm.connectors.sqlite import SQLiteSink
from hdm.errors import UsageError
from hdm.model import Table
from hdm.sql.sink import SqlSink
from hdm.sql.table_checks import Freshness, InTable, RowCount, TableCheck, Unique, asked
from tests.servers.process import Database

FACTS = """CREATE TABLE facts (id INTEGER PRIMARY KEY, code VARCHAR(9), day DATE, seen TIMESTAMP NULL)"""
ROWS = """INSERT INTO facts VALUES (1, 'a', '2001-01-01', '2001-01-01 10:00:00'), (2, 'a', NULL, NULL),
 (3, NULL, '2001-01-02', '2001-01-01 11:00:00'), (4, NULL, NULL, NULL), (5, 'b', NULL, NULL)"""


SERVERS = [pytest.param(name, marks=pytest.mark.server) for name in ("postgres", "mariadb")]


@pytest.fixture(params=["sqlite", "duckdb", *SERVERS])
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> SqlSink:
    kinds: dict[str, tuple[type[SqlSink], Callable[[], dict[str, Any]]]] = {
        "sqlite": (SQLiteSink, lambda: {"path": str(tmp_path / "a.db")}),
        "duckdb": (DuckDBSink, lambda: {"path": str(tmp_path / "a.duckdb")}),
        "postgres": (PostgresSink, lambda: fresh(request, "fresh_postgres")),
        "mariadb": (MariaDBSink, lambda: fresh(request, "fresh_mariadb")),
    }
    kind, profile = kinds[request.param]
    assert kind.Profile is not None
    made = kind(kind.Config.model_validate({"table_name": "facts"}), kind.Profile.model_validate(profile()))
    with closing(made.database.connect("test", write=True)) as connection:
        made.database.begin(connection, write=True)
        for statement in (
            FACTS,
            ROWS,
            "CREATE TABLE codes (code VARCHAR(9))",
            "INSERT INTO codes VALUES ('a')",
        ):
            made.database.change(connection, statement)
        made.database.commit(connection)
    return made


def fresh(request: pytest.FixtureRequest, name: str) -> dict[str, Any]:
    database: Database = request.getfixturevalue(name)()
    return dict(database.profile)


def said(sink: SqlSink, kind: type[TableCheck], **conf: Any) -> str | None:
    table = sink.database.look(sink.database.default_path(("facts",)))
    assert table is not None
    check = kind(kind.Config.model_validate(conf), table)
    (found,) = asked(sink.database, sink.target(table), [check])
    return found


def test_what_a_table_breaks_is_counted(sink: SqlSink) -> None:
    far, near = "40000d", "1h"
    assert [
        said(sink, Unique, column="id"),
        said(sink, Unique, column="code"),
        said(sink, Unique, column="code", also=["id"]),
        said(sink, RowCount, over="table", min=5, max=5),
        said(sink, RowCount, over="table", min=6),
        said(sink, InTable, column="code", table="codes"),
        said(sink, InTable, column="id", table="facts", field="id"),
        said(sink, Freshness, column="day", max_age=far),
        said(sink, Freshness, column="day", max_age=near),
        said(sink, Freshness, column="seen", max_age=far),
        said(sink, Freshness, column="seen", max_age=near),
    ] == [
        None,
        "1 values of code stand in 2 rows of the table",
        None,
        None,
        "5 rows, expected 6 to any",
        "1 rows have a code that codes does not have",
        None,
        None,
        "no value of day is younger than 1h",
        None,
        "no value of seen is younger than 1h",
    ]


def test_a_table_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    sink = SQLiteSink(SQLiteSink.Config(table_name="gone"), SQLiteSink.Profile(path=str(tmp_path / "a.db")))
    (tmp_path / "a.db").touch()
    table = Table(sink.database.dataset(("gone",)), ("gone",), ())
    with pytest.raises(UsageError, match="there is no table gone"):
        asked(sink.database, table, [])
