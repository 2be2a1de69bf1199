"""A user made by exactly a part of the grants script can do that part, and without one line of it cannot.

``hdm doctor`` names what is missing, and the statement that it shows is what gives it. On PostgreSQL and
MariaDB, where it can be tried; the other systems' scripts are checked in ``tests/unit``.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from hdm.api.health import findings
from hdm.components import registry
from hdm.dialects import grants
from hdm.model import Mode
from hdm.project import open_project
from tests.flows.kit import Done, Place, only, shop
from tests.runner.sample import Sample
from tests.servers.process import Database

pytestmark = pytest.mark.server
_FRESH = count()
ROWS = [(n, f"row {n}") for n in range(6)]


class Server(ABC):
    """A database with a table of a stranger's, ``origin``, and a user who may nothing."""

    script, source, sink, state = "", "", "", ""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.user = f"mover_{database.database}"
        self.prepare()

    @abstractmethod
    def prepare(self) -> None:
        """Make ``origin`` and the user."""

    @abstractmethod
    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement as the owner of everything."""

    @abstractmethod
    def wipe(self) -> None:
        """Drop what was made before a right was missed, and take the rows out of ``origin``."""

    @property
    def names(self) -> dict[str, str]:
        return {"user": self.user, "database": self.database.database, "schema": "shop"}

    def lines(self, part: str, table: str, **more: str) -> dict[str, str]:
        """Right -> statement of one part of the script, with the names of this server."""
        names = {**self.names, "table": table, **more}
        found = grants.rights(self.script, part)
        return {right: grants.statement(self.script, part, right, names) for right in found}

    def revoke(self, statement: str) -> None:
        self.run(re.sub(r"^GRANT (.*) TO ", r"REVOKE \1 FROM ", statement))


class PostgresServer(Server):
    script, source, sink = "postgres", "PostgresSource", "PostgresSink"
    state = "PostgresStateManager"

    def prepare(self) -> None:
        name = self.database.database
        self.run(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
        self.run("CREATE SCHEMA shop")
        self.run(f"CREATE ROLE {self.user} LOGIN")
        self.run("CREATE TABLE shop.origin (id bigint PRIMARY KEY, what text)")

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database.dsn, autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def wipe(self) -> None:
        self.run("DELETE FROM shop.origin")
        made = "SELECT schemaname, tablename FROM pg_tables WHERE tablename LIKE '%hdm_%'"
        for schema, table in self.run(made):
            self.run(f'DROP TABLE IF EXISTS {schema}."{table}" CASCADE')

    @property
    def profile(self) -> dict[str, Any]:
        return {
            "host": self.database.host, "port": self.database.port, "database": self.database.database,
            "user": self.user, "insecure": True, "schema": "shop",
        }  # fmt: skip


class MariaServer(Server):
    script, source, sink = "mysql", "MariaDBSource", "MariaDBSink"
    state = "MySQLStateManager"

    def prepare(self) -> None:
        self.run(f"CREATE USER {self.user} IDENTIFIED BY 'pass'")
        self.run("CREATE TABLE origin (id bigint PRIMARY KEY, what text) COMMENT 'is refilled, not renamed'")

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        of = self.database
        with pymysql.connect(
            host=of.host, port=of.port, user=of.user, password=of.password, database=of.database
        ) as connection:
            cursor = connection.cursor()
            cursor.execute(sql)
            connection.commit()
            return list(cursor.fetchall())

    def wipe(self) -> None:
        self.run("DELETE FROM origin")
        for table, kind in self.run("SHOW FULL TABLES"):
            if table != "origin":
                sql = f"DROP {'VIEW' if kind == 'VIEW' else 'TABLE'} {table}"
                self.run(f"SET STATEMENT foreign_key_checks = 0 FOR {sql}")

    @property
    def profile(self) -> dict[str, Any]:
        return {
            "host": self.database.host, "port": self.database.port, "database": self.database.database,
            "user": self.user, "password": "pass", "insecure": True,
        }  # fmt: skip


@pytest.fixture(params=["postgres", "mariadb"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    fresh: Callable[[], Database] = request.getfixturevalue(f"fresh_{request.param}")
    made = {"postgres": PostgresServer, "mariadb": MariaServer}[request.param](fresh())
    yield made
    made.run(f"DROP {'OWNED BY' if request.param == 'postgres' else 'USER'} {made.user}")
    if request.param == "postgres":
        made.run(f"DROP ROLE {made.user}")


def component(kind: str, server: Server, **conf: Any) -> Any:
    cls = registry.find(kind, getattr(server, kind))
    return cls(cls.Config.model_validate(conf), cls.Profile.model_validate(server.profile), name="x")


def wrong(place: Place) -> list[tuple[str, str]]:
    """What and detail of each line of ``hdm doctor`` that is not in order."""
    done = place.hdm("doctor", "--json")
    found = [(row["what"], row["detail"]) for row in done.json if not row["ok"]]
    assert done.code == (1 if found else 0)
    return found


def looked(one: Any, mode: str) -> list[str]:
    """What a component tells the doctor that is not in order."""
    found = one.probe()
    if mode and all(ok for _, ok, _ in found):
        found += one.probe_mode(Mode(mode))
    return [detail for _, ok, detail in found if not ok and detail.startswith("lacks ")]


def each_line_is_told(server: Server, one: Any, lines: dict[str, str], mode: str = "") -> None:
    """Take each right away: it alone is named, with the very statement that gives it."""
    assert looked(one, mode) == []
    for right, statement in lines.items():
        server.revoke(statement)
        (said,) = looked(one, mode)
        assert said.startswith(f"lacks {right}: ")
        server.run(said.partition(": ")[2])
        assert looked(one, mode) == [], right


def run(place: Place) -> Done:
    """A run that remembers no other."""
    place.home = place.folder / f"home{next(_FRESH)}"
    return place.hdm("run", "--max-wait", "0")


def a_line_is_needed(server: Server, place: Place, right: str, statement: str) -> None:
    """Without it the doctor says so, and no run ends well."""
    server.revoke(statement)
    told = [detail for what, detail in wrong(place) if what == "grants"]
    assert [one.partition(": ")[0] for one in told] == [f"lacks {right}"]
    assert run(place).code != 0, f"{right} is not needed"
    server.run(statement)


def test_a_source_reads_by_exactly_what_its_script_grants(
    server: Server, tmp_path: Path, sample: Sample
) -> None:
    for number, what in ROWS:
        server.run(
            f"INSERT INTO {'shop.' if server.script == 'postgres' else ''}origin VALUES ({number}, '{what}')"
        )
    lines = server.lines("source", "origin")
    for statement in lines.values():
        server.run(statement)
    place = shop(tmp_path, 1, 1)
    place.profiles["src"] = server.profile
    only(
        place,
        {
            "source": {"name": "src", "type": server.source, "conf": {"env": "src", "table_name": "origin"}},
            "sink": {"name": "dst", "type": "SQLiteSink", "conf": {"env": "dst"}},
        },
    )
    each_line_is_told(server, component("source", server, table_name="origin"), lines)
    for right in sample.of(f"rights to read {server.script}", list(lines)):
        a_line_is_needed(server, place, right, lines[right])
    assert run(place).code == 0
    assert place.rows("origin") == ROWS


@pytest.mark.draw("mode", ("append", "merge", "replace"), 1)
def test_a_sink_fills_a_table_of_another_by_exactly_what_its_script_grants(
    server: Server, tmp_path: Path, mode: str, sample: Sample
) -> None:
    lines = server.lines("sink", "origin") | server.lines(mode, "origin")
    for statement in lines.values():
        server.run(statement)
    place = shop(tmp_path, 1, 1)
    place.sql("CREATE TABLE origin (id INTEGER PRIMARY KEY, what TEXT)")
    place.sql("INSERT INTO origin VALUES (?, ?)", ROWS)
    place.profiles["dst"] = server.profile
    link = {
        "mode": mode,
        "source": {"name": "src", "type": "SQLiteSource", "conf": {"env": "src", "table_name": "origin"}},
        "sink": {
            "name": "dst",
            "type": server.sink,
            "conf": {"env": "dst", "table_name": "origin", "key": ["id"]},
        },
    }
    only(place, link)
    each_line_is_told(server, component("sink", server, table_name="origin"), lines, mode)
    home = "shop." if server.script == "postgres" else ""
    for right in sample.of(f"rights to {mode} {server.script}", list(lines)):
        a_line_is_needed(server, place, right, lines[right])
        server.wipe()
    assert run(place).code == 0
    assert server.run(f"SELECT id, what FROM {home}origin ORDER BY id") == ROWS


def of_state(place: Place) -> list[tuple[str, bool, str]]:
    """What ``hdm doctor`` finds of the state database."""
    made = open_project(place.args[0], "dev", place.args[-1])
    return [(one.what, one.ok, one.detail) for one in findings(made) if one.about == "state"]


def test_the_state_is_kept_by_exactly_what_its_script_grants(
    server: Server, tmp_path: Path, sample: Sample
) -> None:
    lines = server.lines("state", "origin", schema="public")
    if server.script == "postgres":
        server.run("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    for statement in lines.values():
        server.run(statement)
    place = shop(tmp_path, 10, 4)
    place.profiles["state"] = {key: value for key, value in server.profile.items() if key != "schema"}
    place.manifest["state_manager"] = {"type": server.state, "connection": "state"}
    place.write()
    assert ("grants", True, "may make its tables") in of_state(place)
    for right in sample.of(f"rights of the state {server.script}", list(lines)):
        server.revoke(lines[right])
        said = [line for what, ok, line in of_state(place) if not ok]
        assert right == "CONNECT on the database" or any(f"lacks {right}: GRANT" in line for line in said), (
            said
        )
        assert run(place).code == 3, f"{right} is not needed"
        server.run(lines[right])
        server.wipe()
    assert run(place).code == 0
    assert ("grants", True, "may fill its tables") in of_state(place)
    assert place.rows("orders") == place.source_rows("orders")
