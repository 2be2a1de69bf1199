"""Two sources into one table of a target: found however the names are spelled, refused unless declared."""

from __future__ import annotations

import shutil
import sqlite3
import unicodedata
from pathlib import Path

import pytest

from tests.flows.kit import Place


def link(
    number: int, table: str, into: str | None = None, env: str = "src", **more: object
) -> dict[str, object]:
    conf: dict[str, object] = {"env": "dst"}
    if into is not None:
        conf["table_name"] = [into]
    if "key" in more:
        conf["key"] = more.pop("key")
    source = {"name": f"from {number}", "type": "SQLiteSource", "conf": {"env": env, "table_name": [table]}}
    return {
        "source": source, "sink": {"name": f"to {number}", "type": "SQLiteSink", "conf": conf}, **more
    }  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.profiles["other"] = {"path": str(tmp_path / "other.db")}
    for file, words in (("source.db", ("a", "b")), ("other.db", ("c", "d"))):
        with sqlite3.connect(tmp_path / file) as one:
            one.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, word TEXT)")
            one.execute("CREATE TABLE Kunden (id INTEGER PRIMARY KEY, word TEXT)")
            one.executemany("INSERT INTO orders VALUES (?, ?)", enumerate(words))
    return place


def run(place: Place, *links: dict[str, object], verb: str = "run"):
    place.manifest = {"version": 1, "declared_data_links": {"stages": list(links)}}
    return place.write().hdm(verb)


def test_two_tables_of_one_name_are_refused_with_both_lines_before_anything_is_made(place: Place) -> None:
    for mode in ("append", "merge", "replace"):
        done = run(place, link(1, "orders", mode=mode), link(2, "orders", env="other", mode=mode))
        assert done.code == 2, done.said
        assert "orders (line 8) and orders (line 21)" in done.said
        assert "would both be written to orders" in done.said
        assert "union: true" in done.said
    assert not place.target.exists()
    assert run(place, link(1, "orders"), link(2, "orders", env="other"), verb="plan").code == 2


def test_names_that_the_target_folds_are_one(place: Place) -> None:
    done = run(place, link(1, "orders", "Sales"), link(2, "Kunden", "SALES"))
    assert done.code == 2, done.said
    assert "Sales and SALES, which are one name there" in done.said


@pytest.mark.slow
def test_names_that_only_look_alike_are_two(place: Place) -> None:
    first, second = (unicodedata.normalize(form, "Bestellungen é") for form in ("NFC", "NFD"))
    done = run(place, link(1, "orders", first), link(2, "orders", second, env="other"))
    assert done.code == 0, done.said
    with sqlite3.connect(place.target) as made:
        assert made.execute(f'SELECT word FROM "{first}"').fetchall() == [("a",), ("b",)]
        assert made.execute(f'SELECT word FROM "{second}"').fetchall() == [("c",), ("d",)]


def origin(name: str) -> str:
    return f"SELECT '{name}' AS origin, * FROM batch"


@pytest.mark.parametrize("mode", ["append", "merge"])
@pytest.mark.slow
def test_a_declared_union_holds_the_rows_of_both(place: Place, mode: str) -> None:
    links = [
        link(n, "orders", env=env, mode=mode, union=True, transform=origin(env), key=["origin", "id"])
        for n, env in enumerate(("src", "other"))
    ]
    assert run(place, *links).code == 0
    assert run(place, *links).code == 0
    with sqlite3.connect(place.target) as made:
        rows = made.execute("SELECT origin, id, word FROM orders ORDER BY 1, 2").fetchall()
    assert rows == [("other", 0, "c"), ("other", 1, "d"), ("src", 0, "a"), ("src", 1, "b")]


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ({"union": True}, {}, "would both be written"),
        ({"union": True}, {"union": True}, "no column tells their rows apart"),
        ({"union": True, "transform": origin("x")}, {"union": True, "transform": origin("x")}, "no column tells"),  # noqa: E501
        (
            {"union": True, "transform": origin("x"), "mode": "replace"},
            {"union": True, "transform": origin("y"), "mode": "replace"},
            "keeps the rows of the last one only",
        ),
        (
            {"union": True, "transform": origin("x"), "mode": "merge", "key": ["id"]},
            {"union": True, "transform": origin("y"), "mode": "merge", "key": ["id"]},
            "the key of the merge, id, does not tell",
        ),
        ({"union": ["tenant"]}, {"union": ["tenant"]}, "has no column tenant"),
    ],
)  # fmt: skip
@pytest.mark.slow
def test_a_union_that_mixes_rows_is_refused(place: Place, first, second, said) -> None:
    done = run(place, link(1, "orders", **first), link(2, "orders", env="other", **second))
    assert done.code == 2, done.said
    assert said in done.said
    assert not place.target.exists()


@pytest.mark.slow
def test_columns_may_be_named_that_tell_rows_apart(place: Place) -> None:
    with sqlite3.connect(place.folder / "other.db") as other:
        other.execute("UPDATE orders SET id = id + 10")
    links = [link(n, "orders", env=env, union=["id"], mode="merge") for n, env in enumerate(("src", "other"))]
    assert run(place, *links).code == 0
    with sqlite3.connect(place.target) as made:
        assert made.execute("SELECT id FROM orders ORDER BY 1").fetchall() == [(0,), (1,), (10,), (11,)]


def test_a_name_that_the_target_would_cut_is_refused(place: Place) -> None:
    place.profiles["dst"] = {"host": "127.0.0.1", "port": 1, "database": "x", "user": "x"}
    one = link(1, "orders", "x" * 64)
    one["sink"]["type"] = "PostgresSink"  # type: ignore[index]
    done = run(place, one, verb="plan")
    assert done.code == 2, done.said
    assert "would cut the name" in done.said


@pytest.mark.slow
def test_an_existing_table_keeps_the_spelling_of_its_columns(place: Place) -> None:
    with sqlite3.connect(place.target) as made:
        made.execute("CREATE TABLE orders (ID INTEGER PRIMARY KEY, Word TEXT)")
    for mode in ("append", "merge", "replace"):
        assert run(place, link(1, "orders", mode=mode, key=["id"])).code == 0
        with sqlite3.connect(place.target) as made:
            assert made.execute("SELECT ID, Word FROM orders").fetchall() == [(0, "a"), (1, "b")]
            made.execute("DELETE FROM orders")
        shutil.rmtree(place.home)  # or what is gone from the target would be missed


@pytest.mark.server
def test_columns_of_another_case_keep_bytes_and_bits(place: Place, fresh_mariadb, fresh_postgres) -> None:
    target, exact = fresh_mariadb(), fresh_postgres()
    import psycopg
    import pymysql

    place.profiles |= {"dst": target.profile, "exact": exact.profile}
    with sqlite3.connect(place.source) as one:
        one.execute("CREATE TABLE raw (id INTEGER PRIMARY KEY, body BLOB)")
        one.execute("INSERT INTO raw VALUES (1, x'00ff41')")
    with pymysql.connect(**_mysql(target)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE raw (ID bigint PRIMARY KEY, Body longblob)")
        into = link(1, "raw")
        into["sink"]["type"] = "MariaDBSink"  # type: ignore[index]
        done = run(place, into)
        assert done.code == 0, done.said
        cursor.execute("SELECT ID, HEX(Body) FROM raw")
        assert cursor.fetchall() == ((1, "00FF41"),)
    with psycopg.connect(exact.dsn) as connection:
        connection.execute('CREATE TABLE raw ("ID" bigint PRIMARY KEY, body bytea)')
    into = link(2, "raw")
    into["sink"] = {"name": "to 2", "type": "PostgresSink", "conf": {"env": "exact"}}
    done = run(place, into)
    assert done.code == 1, done.said
    assert "id: not there (ID is, which is another name to postgres)" in done.said


@pytest.mark.server
def test_a_server_is_asked_how_it_compares_names(place: Place, fresh_mariadb, monkeypatch) -> None:
    from hdm.connectors.mysql.writing import MySQLDatabase

    place.profiles["dst"] = fresh_mariadb().profile
    links = [link(1, "orders", "Sales"), link(2, "Kunden", "sales")]
    for one in links:
        one["sink"]["type"] = "MariaDBSink"  # type: ignore[index]
    assert run(place, *links).code == 0
    asked = MySQLDatabase.run

    def folding(self, connection, sql, values=()):
        return [(1,)] if "lower_case_table_names" in sql else asked(self, connection, sql, values)

    monkeypatch.setattr(MySQLDatabase, "run", folding)
    done = run(place, *links, verb="plan")
    assert done.code == 2, done.said
    assert "Sales" in done.said and "which are one name there" in done.said


def _mysql(target) -> dict[str, object]:
    given = target.profile
    names = ("host", "port", "user", "password", "database")
    return {**{name: given[name] for name in names if name in given}, "autocommit": True}
