"""The servers that the other tests stand on are real, private and empty at first."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pymysql
import pytest

from tests.servers import postgres
from tests.servers.process import Database


def test_postgres_gives_fresh_databases(fresh_postgres: Callable[..., Database]) -> None:
    one, two = fresh_postgres(), fresh_postgres()
    with psycopg.connect(one.dsn) as connection:
        connection.execute("CREATE TABLE t (x int)")
    with psycopg.connect(two.dsn) as connection:
        row = connection.execute("SELECT to_regclass('t'), current_setting('server_encoding')").fetchone()
    assert row == (None, "UTF8")


def test_postgres_asks_the_role_for_its_password(postgres_server: postgres.Postgres) -> None:
    place = {"host": "127.0.0.1", "port": postgres_server.port, "dbname": "postgres", "user": postgres.ROLE}
    psycopg.connect(**place, password=postgres.ROLE_PASSWORD).close()
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(**place, password="wrong")


def test_mariadb_gives_fresh_databases(fresh_mariadb: Callable[..., Database]) -> None:
    one, two = fresh_mariadb(), fresh_mariadb()
    with pymysql.connect(**one.profile) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (x int)")
    with pymysql.connect(**two.profile) as connection, connection.cursor() as cursor:
        assert cursor.execute("SHOW TABLES") == 0
        cursor.execute("SELECT @@version, @@character_set_database")
        version, charset = cursor.fetchone()
    assert "MariaDB" in version
    assert charset == "utf8mb4"
