"""Each hint is followed, word for word, and what it was given for then succeeds."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import duckdb
import psycopg
import pymysql
import pytest

from tests.flows.kit import Place, on_sqlite
from tests.servers.process import Database


@pytest.fixture
def place(tmp_path) -> Place:
    made = Place(tmp_path)
    made.profiles["duck"] = {"path": str(tmp_path / "target.duckdb")}
    return made


@pytest.fixture
def postgres(place: Place, fresh_postgres) -> Database:
    made = fresh_postgres()
    place.profiles["pg"] = {**made.profile, "insecure": True}
    return made


@pytest.fixture
def mariadb(place: Place, fresh_mariadb) -> Database:
    made = fresh_mariadb()
    place.profiles["my"] = {**made.profile, "insecure": True}
    return made


def on_postgres(database: Database, *statements: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        for one in statements:
            found = connection.execute(one)
        return found.fetchall() if found.description else []


def on_mariadb(database: Database, *statements: str) -> list[tuple[Any, ...]]:
    opened = pymysql.connect(
        host=database.host, port=database.port, user=database.user, password=database.password,
        database=database.database, autocommit=True,
    )  # fmt: skip
    with contextlib.closing(opened) as connection, connection.cursor() as cursor:
        for one in statements:
            cursor.execute(one)
        return list(cursor.fetchall())


def link(place: Place, source: dict[str, Any], sink: dict[str, Any], **more: Any) -> Place:
    both = {"source": {"name": "src", **source}, "sink": {"name": "dst", **sink}, **more}
    place.manifest = {"version": 1, "declared_data_links": {"stages": [both]}}
    return place.write()


def hint(place: Place, *words: str) -> str:
    """The hint that the run gives as it fails; each of ``words`` is said."""
    done = place.hdm("run")
    assert done.code in (1, 2), done.said
    for word in words:
        assert word in done.said
    return " ".join(done.said.split("hint: ", 1)[1].split("\n", 1)[0].split())


SINKS = {
    "pg": ("PostgresSink", {"env": "pg", "table_name": "public.told"}),
    "duck": ("DuckDBSink", {"env": "duck", "table_name": "told"}),
    "dst": ("SQLiteSink", {"env": "dst", "table_name": "told"}),
}


def held(place: Place, env: str, postgres: Database) -> list[tuple[Any, ...]]:
    query = "SELECT id, v FROM told ORDER BY id"
    if env == "pg":
        return on_postgres(postgres, query)
    if env == "duck":
        with contextlib.closing(duckdb.connect(str(place.folder / "target.duckdb"))) as connection:
            return connection.execute(query).fetchall()
    return on_sqlite(place.target, query)


@pytest.mark.parametrize("env", SINKS)
@pytest.mark.parametrize(
    ("native", "values", "told", "wanted"),
    [
        ("time", ("838:59:59", "-00:00:01"), {"times": "text"}, ("838:59:59", "-00:00:01")),
        ("date", ("2022-11-00", "0000-00-00"), {"zero_dates": "text"}, ("2022-11-00", "0000-00-00")),
        ("datetime", ("0000-00-00", "2022-11-01"), {"zero_dates": "text"}, None),
    ],
)
def test_dates_and_times_that_no_calendar_has_travel_as_text(
    place, postgres, mariadb, env, native, values, told, wanted
):
    rows = ", ".join(f"({n}, '{value}')" for n, value in enumerate(values))
    on_mariadb(
        mariadb, "SET sql_mode = ''", f"CREATE TABLE s (id INT PRIMARY KEY, v {native})",
        f"INSERT INTO s VALUES {rows}",
    )  # fmt: skip
    kind, conf = SINKS[env]
    source = {"type": "MariaDBSource", "conf": {"env": "my", "table_name": "s"}}
    sink = {"type": kind, "conf": {**conf, "table_name": conf["table_name"].replace("told", "first")}}
    link(place, source, sink)
    ((key, value),) = told.items()
    assert f"{key}: {value}" in hint(place)
    source["conf"] |= told
    link(place, source, {"type": kind, "conf": conf})
    done = place.hdm("run")
    assert done.code == 0, done.said
    expected = wanted or ("0000-00-00 00:00:00", "2022-11-01 00:00:00")
    assert held(place, env, postgres) == list(enumerate(expected))


def test_bytes_of_postgres_that_are_no_utf_8_are_read_as_bytes(place, fresh_postgres):
    database = fresh_postgres()
    locale = "LC_COLLATE 'C' LC_CTYPE 'C'"
    on_postgres(database, f"CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0 {locale}")
    with psycopg.connect(database.dsn.replace(f"/{database.database}", "/ascii"), autocommit=True) as one:
        one.execute("SET client_encoding TO 'SQL_ASCII'")
        one.execute(b"CREATE TABLE s (id int PRIMARY KEY, t text)")
        one.execute(b"INSERT INTO s VALUES (1, 'ok'), (2, E'caf\\xe9')")
    place.profiles["pg"] = {**database.profile, "database": "ascii", "insecure": True}
    source = {"type": "PostgresSource", "conf": {"env": "pg", "table_name": "public.s"}}
    link(place, source, {"type": "SQLiteSink", "conf": {"env": "dst", "table_name": "first"}})
    said = hint(place)
    assert "NUL" not in said
    assert "convert_to(column, 'SQL_ASCII')" in said
    query = "SELECT id, convert_to(t, 'SQL_ASCII') AS t FROM s"
    source = {"name": "again", "type": "PostgresSource", "conf": {"env": "pg", "query": query}}
    link(place, source, {"type": "SQLiteSink", "conf": {"env": "dst", "table_name": "told"}})
    assert place.hdm("run").code == 0
    assert on_sqlite(place.target, "SELECT t FROM told ORDER BY id") == [(b"ok",), (b"caf\xe9",)]
    on_postgres(database, "DROP DATABASE ascii")


def test_a_nul_on_its_way_into_postgres_is_taken_out(place, postgres):
    place.sql("CREATE TABLE s (id INTEGER PRIMARY KEY, t TEXT)")
    place.sql("INSERT INTO s VALUES (1, 'a' || char(0) || 'b')")
    source = {"type": "SQLiteSource", "conf": {"env": "src", "table_name": "s"}}
    sink = {"type": "PostgresSink", "conf": {"env": "pg", "table_name": "public.told"}}
    link(place, source, sink)
    said = hint(place, "NUL")
    found = re.search(r"replace\(column, chr\(0\), ''\)", said)
    assert found, said
    link(place, source, sink, transform="SELECT id, replace(t, chr(0), '') AS t FROM batch")
    assert place.hdm("retry").code == 0
    done = place.hdm("run")
    assert (done.code, on_postgres(postgres, "SELECT t FROM told")) == (0, [("ab",)]), done.said


def test_text_of_sqlite_that_is_no_utf_8_is_read_as_bytes(place):
    place.sql("CREATE TABLE s (id INTEGER PRIMARY KEY, t TEXT)")
    place.sql("INSERT INTO s VALUES (1, CAST(x'636166e9' AS TEXT))")
    source = {"type": "SQLiteSource", "conf": {"env": "src", "table_name": "s"}}
    link(place, source, {"type": "SQLiteSink", "conf": {"env": "dst", "table_name": "first"}})
    assert "CAST(column AS BLOB)" in hint(place)
    query = "SELECT id, CAST(t AS BLOB) AS t FROM s"
    types = {"id": "INTEGER", "t": "BLOB"}
    source = {"name": "again", "type": "SQLiteSource", "conf": {"env": "src", "query": query, "types": types}}
    link(place, source, {"type": "SQLiteSink", "conf": {"env": "dst", "table_name": "told"}})
    done = place.hdm("run")
    assert (done.code, on_sqlite(place.target, "SELECT t FROM told")) == (0, [(b"caf\xe9",)]), done.said


@pytest.mark.parametrize("env", ["my", "pg"])
def test_a_row_without_its_parent_is_loaded_after_it(place, postgres, mariadb, env):
    ddl = (
        "CREATE TABLE parents (id BIGINT PRIMARY KEY)",
        "CREATE TABLE told (id BIGINT PRIMARY KEY, parent BIGINT,"
        " FOREIGN KEY (parent) REFERENCES parents (id))",
    )
    on_mariadb(mariadb, *ddl) if env == "my" else on_postgres(postgres, *ddl)
    place.sql("CREATE TABLE s (id INTEGER PRIMARY KEY, parent INTEGER)")
    place.sql("INSERT INTO s VALUES (1, 7)")
    source = {"type": "SQLiteSource", "conf": {"env": "src", "table_name": "s"}}
    kind, name = ("MariaDBSink", "told") if env == "my" else ("PostgresSink", "public.told")
    link(place, source, {"type": kind, "conf": {"env": env, "table_name": name}})
    said = hint(place)
    assert "widen" not in said
    assert "load the table that the key refers to" in said
    add = "INSERT INTO parents VALUES (7)"
    on_mariadb(mariadb, add) if env == "my" else on_postgres(postgres, add)
    assert place.hdm("retry").code == 0
    done = place.hdm("run")
    assert done.code == 0, done.said


def test_a_merge_into_a_column_of_another_collation_needs_no_hint(place, mariadb):
    on_mariadb(
        mariadb,
        "CREATE TABLE told (id VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY, n BIGINT)",
        "INSERT INTO told VALUES ('a', 1), ('A', 2)",
    )
    place.sql("CREATE TABLE s (id VARCHAR(20) PRIMARY KEY, n INTEGER)")
    place.sql("INSERT INTO s VALUES ('a', 10), ('b', 30)")
    source = {"type": "SQLiteSource", "conf": {"env": "src", "table_name": "s"}}
    sink = {"type": "MariaDBSink", "conf": {"env": "my", "table_name": "told", "key": ["id"]}}
    link(place, source, sink, mode="merge", allow_loss=True)
    done = place.hdm("run")
    assert done.code == 0, done.said
    assert on_mariadb(mariadb, "SELECT id, n FROM told ORDER BY n") == [("A", 2), ("a", 10), ("b", 30)]
