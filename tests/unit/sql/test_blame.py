"""Text that cannot be read or kept is refused with the column's name, though the database does not say it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from hdm.errors import UnrepresentableValue
from tests.servers.process import Database
from tests.unit.sqlkit import move, plan, postgres_system, rows_of, sqlite_system


def test_postgres_bytes_that_are_no_text_are_named_by_their_column(
    fresh_postgres: Callable[..., Database],
) -> None:
    database = fresh_postgres("ENCODING 'SQL_ASCII'")
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute("SET client_encoding TO 'SQL_ASCII'")
        connection.execute("CREATE TABLE s (id int PRIMARY KEY, good text, bad text)")
        connection.execute(rb"INSERT INTO s VALUES (1, 'a', 'b'), (2, 'c', E'caf\xe9')")
    source = postgres_system(database.dsn).source("s")
    table, chunks = plan(source)
    with pytest.raises(UnrepresentableValue, match=r" in column bad\n"):
        rows_of(source, table, chunks[0])


def test_sqlite_bytes_that_are_no_text_are_named_by_their_column(tmp_path: Path) -> None:
    system = sqlite_system(str(tmp_path / "a.db"))
    system.run("CREATE TABLE s (id INTEGER PRIMARY KEY, good TEXT, bad TEXT)")
    system.run("INSERT INTO s VALUES (1, 'a', CAST(x'636166e9' AS TEXT))")
    source = system.source("s")
    table, chunks = plan(source)
    with pytest.raises(UnrepresentableValue, match=r"^a TEXT value is not UTF-8 in column bad\n") as raised:
        rows_of(source, table, chunks[0])
    assert "caf" not in raised.value.message


def test_what_a_targets_encoding_lacks_is_said_with_the_columns_of_text(
    fresh_postgres: Callable[..., Database], tmp_path: Path
) -> None:
    lite = sqlite_system(str(tmp_path / "a.db"))
    lite.run("CREATE TABLE s (id INTEGER PRIMARY KEY, one TEXT, two TEXT)")
    lite.run("INSERT INTO s VALUES (1, 'a', '€')")
    target = postgres_system(fresh_postgres("ENCODING 'LATIN1'").dsn)
    source = lite.source("s")
    with pytest.raises(UnrepresentableValue, match=r"in one of the columns one, two\n") as raised:
        move(source, target.sink("s"))
    assert "ENCODING 'UTF8'" in (raised.value.hint or "")
