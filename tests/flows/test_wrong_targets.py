"""What is wrong with a target or an address is said before anything is made: exit code 2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from tests.flows.kit import Place, direct, only, shop
from tests.servers.postgres import ROLE, ROLE_PASSWORD
from tests.servers.process import Database

pytestmark = pytest.mark.server


def profile(of: Database, **changes: Any) -> dict[str, Any]:
    return {
        "host": of.host, "port": of.port, "database": of.database,
        "user": of.user, "password": of.password, "insecure": True, **changes,
    }  # fmt: skip


@pytest.fixture(params=["postgres", "mariadb"])
def target(request: pytest.FixtureRequest) -> tuple[str, Database]:
    made: Callable[..., Database] = request.getfixturevalue(f"fresh_{request.param}")
    return request.param, made()


def to_server(folder: Path, kind: str, entry: dict[str, Any], **conf: Any) -> Place:
    place = shop(folder, 20, 6)
    link = direct(place, "orders", {"postgres": "PostgresSink", "mariadb": "MariaDBSink"}[kind])
    link["sink"]["conf"].update(conf)
    place.profiles["dst"] = entry
    return only(place, link)


@pytest.mark.parametrize(
    ("change", "conf", "said"),
    [
        ({"user": "nobody", "password": "wrong"}, {}, "refuse"),
        ({"database": "nosuch"}, {}, "no such database"),
        ({"port": 99999}, {}, "'port' must be less than or equal to 65535"),
        ({"url": "env:SHOP_URL"}, {}, "give url, or host and port, not both"),
        ({}, {"table_name": "elsewhere.public.orders"}, "elsewhere.public.orders"),
    ],
    ids=["login", "database", "port", "two addresses", "another database's table"],
)
def test_is_refused_and_makes_nothing(
    tmp_path: Path, target: tuple[str, Database], change: dict[str, Any], conf: dict[str, Any], said: str
) -> None:
    kind, database = target
    place = to_server(tmp_path, kind, profile(database, **change), **conf)
    before = place.files()
    for verb in ("run", "plan"):
        done = place.hdm(verb)
        assert (done.code, done.out) == (2, ""), done.said
        assert said in done.err
        assert "hint: " in done.err
    assert place.files() == before


def test_a_target_that_is_away_is_tried_again_and_the_rest_goes_on(tmp_path: Path) -> None:
    place = to_server(tmp_path, "mariadb", {"host": "127.0.0.1", "port": 1, "database": "x", "user": "u"})
    place.profiles["lite"] = {"path": str(place.target)}
    away = place.manifest["declared_data_links"]["stages"][0]
    there = direct(place, "items")
    there["sink"] = {"name": "lite", "type": "SQLiteSink", "conf": {"env": "lite"}}
    done = only(place, away, there).hdm("run")
    assert done.code == 1
    status = place.hdm("status")
    assert status.code == 1
    assert "failed: orders: MySQL 2003: the server cannot be reached" in status.out
    assert [row["problem"] is not None for row in place.hdm("status", "--json").json] == [False, True]
    assert "the server cannot be reached" in done.err
    assert place.rows("items") == place.source_rows("items")


def test_a_key_that_is_there_already_is_named_as_that(tmp_path: Path, target: tuple[str, Database]) -> None:
    kind, database = target
    place = to_server(tmp_path, kind, profile(database))
    assert place.hdm("run").code == 0
    place.manifest["declared_data_links"]["stages"][0]["source"]["name"] = "another"
    done = place.write().hdm("run")
    assert done.code == 1
    assert "a row with this key is there already: use mode merge, or remove it" in done.err


def test_a_table_with_its_own_database_in_front_is_found(
    tmp_path: Path, fresh_postgres: Callable[..., Database]
) -> None:
    database = fresh_postgres()
    place = to_server(
        tmp_path, "postgres", profile(database), table_name=f"{database.database}.public.orders"
    )
    assert place.hdm("run").code == 0
    with psycopg.connect(database.dsn) as connection:
        assert connection.execute("SELECT count(*) FROM public.orders").fetchone() == (20,)


@pytest.fixture
def stranger(target: tuple[str, Database]) -> tuple[str, Database, dict[str, Any]]:
    """A user that may log in and little else."""
    kind, database = target
    if kind == "postgres":
        return kind, database, profile(database, user=ROLE, password=ROLE_PASSWORD)
    name = f"s_{database.database}"
    on_mariadb(database, f"CREATE USER {name} IDENTIFIED BY 'pass'")
    on_mariadb(database, f"GRANT SELECT ON {database.database}.* TO {name}")
    return kind, database, profile(database, user=name, password="pass")


def on_mariadb(database: Database, statement: str) -> None:
    with pymysql.connect(
        host=database.host, port=database.port, user=database.user, password=database.password
    ) as connection:
        connection.cursor().execute(statement)


def test_the_doctor_sees_what_a_target_does_not_grant(
    tmp_path: Path, stranger: tuple[str, Database, dict[str, Any]]
) -> None:
    kind, database, entry = stranger
    place = to_server(tmp_path, kind, entry)
    rows = {(row["about"], row["what"]): row for row in place.hdm("doctor", "--json").json}
    assert rows["dst", "connection"]["ok"]
    assert not rows["dst", "grants"]["ok"]
    assert "CREATE on " in rows["dst", "grants"]["detail"]
    assert rows["src", "grants"]["ok"]
    done = place.hdm("run")
    assert done.code == 1
    assert "orders: " in done.err and "grant" in done.err
    place.profiles["dst"] = profile(database)
    done = place.write().hdm("doctor", "--json")
    assert (done.code, [row["ok"] for row in done.json if row["what"] == "grants"]) == (0, [True, True])


def test_a_table_that_may_not_be_read_is_said_before_anything_is_made(
    tmp_path: Path, fresh_postgres: Callable[..., Database]
) -> None:
    database = fresh_postgres()
    with psycopg.connect(database.dsn) as connection:
        connection.execute("CREATE TABLE orders (id int, secret text)")
        connection.execute(f"GRANT SELECT (id) ON orders TO {ROLE}".encode())
    place = shop(tmp_path, 20, 6)
    place.profiles["src"] = profile(database, user=ROLE, password=ROLE_PASSWORD)
    link = direct(place, "orders")
    link["source"]["type"] = "PostgresSource"
    before = only(place, link).files()
    done = place.hdm("run")
    assert (done.code, done.out) == (2, "")
    assert (
        "source src: PostgreSQL 42501 InsufficientPrivilege: permission denied for table orders" in done.err
    )
    wrong = [row for row in place.hdm("doctor", "--json").json if not row["ok"]]
    assert [(row["about"], row["what"]) for row in wrong] == [("src", "table")]
    assert place.files() == before
    link["source"]["conf"]["columns"] = ["id"]
    assert only(place, link).hdm("run").code == 0


def test_a_table_without_columns_or_with_too_many(
    tmp_path: Path, fresh_postgres: Callable[..., Database], fresh_mariadb: Callable[..., Database]
) -> None:
    database = fresh_postgres()
    with psycopg.connect(database.dsn) as connection:
        connection.execute("CREATE TABLE nothing ()")
        connection.execute(f"CREATE TABLE wide ({', '.join(f'c{n} int' for n in range(1100))})".encode())
    place = to_server(tmp_path, "mariadb", profile(fresh_mariadb()))
    place.profiles["src"] = profile(database)
    link = direct(place, "nothing", "MariaDBSink")
    link["source"]["type"] = "PostgresSource"
    done = only(place, link).hdm("run")
    assert (done.code, done.out) == (2, "")
    assert "nothing has no columns" in done.err
    link["source"]["conf"]["table_name"] = "wide"
    done = only(place, link).hdm("run")
    assert done.code == 1
    assert "at most 1,017 columns" in done.err
