"""Foreign keys, unique values, triggers and collations of real servers: a sync makes them equal, or says why
not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.flows.kit import Done, Place, direct, only, run, shop
from tests.flows.test_proof import Target
from tests.servers import sqlserver

pytestmark = pytest.mark.server
LONG = pytest.mark.long


class Server(Target):
    """A server with a table to be synced from the SQLite file of a place."""

    place: Place

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        connection = self.database.connect("test", write=True)
        found: list[tuple[Any, ...]] = []
        try:
            for sql in statements:
                self.database.begin(connection, write=True)
                found = self.database.run(connection, sql)
                self.database.commit(connection)
        finally:
            connection.close()
        return found

    def rows(self, columns: str = "*", table: str = "t") -> list[tuple[Any, ...]]:
        return sorted(map(tuple, self.run(f"SELECT {columns} FROM {table}")), key=repr)

    def sync(self, *words: str) -> Done:
        system = self.system.lower()
        options = ["-e", "dev", "--profiles", str(self.place.folder / "p.yml")]
        return run(["sync", "sqlite:src.t", f"{system}:dst.t", *options, *words], self.place.env)


def source(server: Server, ddl: str, rows: Sequence[tuple[Any, ...]]) -> None:
    server.place.sql(ddl)
    server.place.sql(f"INSERT INTO t VALUES ({', '.join('?' * len(rows[0]))})", rows)


@pytest.fixture(params=["Postgres", "MySQL"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    fresh: Callable[[], Any] = request.getfixturevalue(
        "fresh_postgres" if request.param == "Postgres" else "fresh_mariadb"
    )
    made = Server(request.param, fresh().profile, "t")
    made.place = shop(tmp_path, orders=1)
    made.place.profiles["dst"] = made.profile
    made.place.write()
    yield made


PARENTS = "CREATE TABLE t (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES t (id))"


def test_rows_that_refer_to_each_other_in_their_own_table(server: Server) -> None:
    """A child may come before its parent, and a parent that goes may have children that go or move."""
    source(server, PARENTS, [(1, 9), (2, 1), (3, 2), (9, None), (10, 3)])
    server.run(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, parent INTEGER, FOREIGN KEY (parent) REFERENCES t (id))",
        "INSERT INTO t VALUES (20, NULL), (21, 20), (22, 21), (30, NULL)",
        "INSERT INTO t VALUES (10, 22)",
    )
    done = server.sync("--max-deletes", "4")
    assert done.code == 0 and "done: 4 new, 1 changed, 4 deleted" in done.out, done.said
    assert server.rows() == [(1, 9), (10, 3), (2, 1), (3, 2), (9, None)]


def test_a_row_whose_parent_is_nowhere_is_left_and_the_rest_is_done(server: Server) -> None:
    source(server, "CREATE TABLE t (id INTEGER PRIMARY KEY, parent INTEGER)", [(1, None), (2, 77), (3, 1)])
    server.run(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, parent INTEGER, FOREIGN KEY (parent) REFERENCES t (id))"
    )
    done = server.sync()
    assert done.code == 1 and "1 rows could not be changed" in done.out, done.said
    assert "done: 2 new" in done.out and "1 missing" in done.out
    assert "77" not in next(line for line in done.out.splitlines() if "not done" in line)
    assert server.rows() == [(1, None), (3, 1)]


@pytest.mark.parametrize("rule", ["CASCADE", "SET NULL", "RESTRICT"])
def test_rows_of_other_tables_keep_a_row_from_being_deleted(server: Server, rule: str) -> None:
    source(server, "CREATE TABLE t (id INTEGER PRIMARY KEY, x INTEGER)", [(1, 1)])
    server.run(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, x INTEGER)",
        f"CREATE TABLE c (n INTEGER, t_id INTEGER, FOREIGN KEY (t_id) REFERENCES t (id) ON DELETE {rule})",
        "INSERT INTO t VALUES (1, 1), (2, 2)",
        "INSERT INTO c VALUES (1, 2), (2, 1), (3, NULL)",
    )
    done = server.sync("--max-deletes", "1")
    assert done.code == 1 and "refer to rows that would be deleted" in done.out, done.said
    assert "1 rows of " in done.out and "1 extra" in done.out
    assert len(server.rows()) == 2 and len(server.rows(table="c")) == 3


def test_unique_values_that_move_from_row_to_row(server: Server) -> None:
    """Also from one that goes to one that comes; two that exchange theirs are refused."""
    source(server, "CREATE TABLE t (id INTEGER PRIMARY KEY, mail VARCHAR(20))",
           [(1, "b"), (2, "c"), (3, "d"), (4, "gone")])  # fmt: skip
    server.run(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, mail VARCHAR(20) UNIQUE)",
        "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c'), (9, 'gone')",
    )
    done = server.sync("--max-deletes", "1")
    assert done.code == 0 and "done: 1 new, 3 changed, 1 deleted" in done.out, done.said
    server.place.sql("UPDATE t SET mail = CASE id WHEN 1 THEN 'c' WHEN 2 THEN 'b' ELSE mail END")
    done = server.sync()
    assert done.code == 1 and "2 rows could not be changed" in done.out, done.said
    assert "2 changed" in done.out and server.rows()[:2] == [(1, "b"), (2, "c")]


def test_texts_that_a_collation_takes_for_one_are_two_keys(server: Server) -> None:
    rows = [("A", 1), ("a", 2), ("b", 3), ("b ", 4), ("\u00e9", 5), ("e", 6)]
    source(server, "CREATE TABLE t (k VARCHAR(20), x INTEGER)", rows)
    server.run(
        "CREATE TABLE t (k VARCHAR(20), x INTEGER)", "INSERT INTO t VALUES ('a', 7), ('B', 3), ('E', 1)"
    )
    done = server.sync("--key", "k", "--max-deletes", "2")
    assert done.code == 0 and "done: 5 new, 1 changed, 2 deleted" in done.out, done.said
    assert server.rows() == sorted(rows, key=repr)


def test_two_tables_of_one_database_and_a_key_beyond_32_bits(server: Server) -> None:
    server.run(
        "CREATE TABLE a (id BIGINT PRIMARY KEY, x INTEGER)",
        "CREATE TABLE t (id BIGINT PRIMARY KEY, x INTEGER)",
        "INSERT INTO a VALUES (-9223372036854775808, 1), (9223372036854775807, 2), (0, NULL)",
        "INSERT INTO t VALUES (0, 5)",
    )  # fmt: skip
    system = server.system.lower()
    options = ["-e", "dev", "--profiles", str(server.place.folder / "p.yml")]
    done = run(["sync", f"{system}:dst.a", f"{system}:dst.t", *options], server.place.env)
    assert done.code == 0 and "done: 2 new, 1 changed, 0 deleted" in done.out, done.said
    assert server.rows() == server.rows(table="a")


def test_an_identity_and_a_trigger_of_postgresql(fresh_postgres: Callable[[], Any], tmp_path: Path) -> None:
    made = Server("Postgres", fresh_postgres().profile, "t")
    made.place = shop(tmp_path, orders=1)
    made.place.profiles["dst"] = made.profile
    made.place.write()
    source(made, "CREATE TABLE t (id INTEGER PRIMARY KEY, x INTEGER)", [(1, 1), (2, 2), (50, 3)])
    made.run(
        "CREATE TABLE t (id INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY, x INTEGER, "
        "y INTEGER GENERATED ALWAYS AS (x + 1) STORED)",
        "INSERT INTO t (x) VALUES (7)",
    )
    done = made.sync("--exclude", "y")
    assert done.code == 0 and made.rows() == [(1, 1, 2), (2, 2, 3), (50, 3, 4)], done.said
    made.run(
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.x := NEW.x + 1; RETURN NEW; END'",
        "CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()",
    )
    made.place.sql("UPDATE t SET x = 5 WHERE id = 2")
    done = made.sync("--exclude", "y")
    assert done.code == 1 and "stored other values than it was given in x" in done.out, done.said
    assert made.rows() == [(1, 1, 2), (2, 2, 3), (50, 3, 4)]
    made.run("DROP TRIGGER g ON t", "CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING")
    made.place.sql("DELETE FROM t WHERE id = 50")
    done = made.sync("--exclude", "y", "--max-deletes", "1")
    assert done.code == 1 and "0 rows went when 1 were deleted" in done.out, done.said


@pytest.mark.parametrize(
    "dialect", ["postgres", *(pytest.param(one, marks=LONG) for one in ("mysql", "sqlite"))]
)
def test_through_odbc_by_sql_that_every_system_has(
    request: pytest.FixtureRequest, odbc_drivers: None, tmp_path: Path, dialect: str
) -> None:
    """ODBC reads on a session of its own, so that the rows are only counted before the commit."""
    driver = {"postgres": "PostgreSQL Unicode", "mysql": "MariaDB Unicode", "sqlite": "SQLite3"}[dialect]
    if dialect == "sqlite":
        profile: dict[str, Any] = {"database": str(tmp_path / "odbc.db")}
        (tmp_path / "odbc.db").touch()
    else:
        fixture = {"postgres": "fresh_postgres", "mysql": "fresh_mariadb"}[dialect]
        profile = dict(request.getfixturevalue(fixture)().profile)
    made = Server("ODBC", {"dialect": dialect, "driver": driver, **profile}, "t")
    made.place = shop(tmp_path, orders=1)
    made.place.profiles["dst"] = made.profile
    made.place.write()
    rows = [(n, f"n {n}") for n in range(50)]
    source(made, "CREATE TABLE t (id INTEGER PRIMARY KEY, x VARCHAR(20))", rows)
    made.run("CREATE TABLE t (id INTEGER PRIMARY KEY, x VARCHAR(20))")
    made.run("INSERT INTO t VALUES (3, 'other'), (4, 'n 4'), (99, 'x')")
    done = made.sync("--max-deletes", "1")
    assert done.code == 0 and "done: 48 new, 1 changed, 1 deleted" in done.out, done.said
    assert made.rows() == sorted(rows, key=repr)


@LONG
def test_through_the_stand_in_for_sql_server(fresh_sqlserver: Callable[[], Any], tmp_path: Path) -> None:
    """Real drivers and hdm's own statements; the rows lie in PostgreSQL, which is kinder than SQL Server."""
    profile = {**fresh_sqlserver().profile, "driver": sqlserver.microsoft_driver()}
    made = Server("SQLServer", profile, "t")
    made.place = shop(tmp_path, orders=1)
    made.place.profiles["dst"] = made.profile
    made.place.write()
    rows = [(n, f"n {n}") for n in range(50)]
    source(made, "CREATE TABLE t (id INTEGER PRIMARY KEY, x VARCHAR(20))", rows)
    made.run("CREATE TABLE t (id INTEGER PRIMARY KEY, x VARCHAR(20))")
    made.run("INSERT INTO t VALUES (3, 'other'), (4, 'n 4'), (99, 'x')")
    done = made.sync("--max-deletes", "1")
    assert done.code == 0 and "done: 48 new, 1 changed, 1 deleted" in done.out, done.said
    assert made.rows() == sorted(rows, key=repr)


@LONG
@pytest.mark.parametrize("kind", ["sqlserver", "postgres", "mysql", "sqlite"])
def test_a_link_in_mode_sync_by_odbc(
    request: pytest.FixtureRequest, odbc_drivers: None, tmp_path: Path, kind: str
) -> None:
    driver = {"postgres": "PostgreSQL Unicode", "mysql": "MariaDB Unicode", "sqlite": "SQLite3"}.get(kind)
    system = "ODBC" if driver else "SQLServer"
    if kind == "sqlite":
        profile: dict[str, Any] = {"database": str(tmp_path / "odbc.db")}
        (tmp_path / "odbc.db").touch()
    else:
        fixture = {"postgres": "fresh_postgres", "mysql": "fresh_mariadb"}.get(kind, "fresh_sqlserver")
        profile = dict(request.getfixturevalue(fixture)().profile)
    own = {"dialect": kind, "driver": driver} if driver else {"driver": sqlserver.microsoft_driver()}
    made = Server(system, {**own, **profile}, "t")
    made.place = shop(tmp_path, orders=1)
    made.place.profiles["dst"] = made.profile
    made.place.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, x VARCHAR(20))")
    made.place.sql("INSERT INTO t VALUES (?, ?)", [(n, f"n {n}") for n in range(50)])
    link = direct(made.place, "t", f"{system}Sink")
    only(made.place, {**link, "mode": "sync", "max_deletes": 1})
    assert made.place.hdm("run").code == 0
    made.run("UPDATE t SET x = 'other' WHERE id = 3", "DELETE FROM t WHERE id = 4")
    made.run("INSERT INTO t VALUES (99, 'x')")
    done = made.place.hdm("run")
    assert done.code == 0 and "1 rows that its source has not were deleted" in done.err, done.said
    assert made.rows() == sorted(made.place.source_rows("t"), key=repr)
    assert made.place.hdm("validate").code == 0
