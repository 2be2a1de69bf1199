"""Ten sources whose catalogues try to run something on the target, and what they must not reach.

Each is made on a real system, crawled, written as DDL for every target and applied to a fresh one of its
own kind. Nothing that could run is in any DDL, and every object that held it is manual, by name.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import duckdb
import pytest

from hdm.catalog.apply import apply
from hdm.catalog.base import Catalog
from hdm.catalog.ddl_files import ordered, script
from hdm.catalog.mapper import map_schema
from hdm.catalog.patterns import select
from hdm.catalog.rules import MapOptions
from hdm.errors import UsageError
from tests.conformance.test_catalogs import catalog_of
from tests.servers.process import Database

TARGETS = ("postgres", "sqlite", "duckdb", "mysql", "sqlserver", "snowflake")


@dataclass(frozen=True)
class Hostile:
    """``make`` is the source's own DDL ({canary}: a file that must not come to be), ``evil`` what no DDL for
    a target may hold, ``manual`` how many objects a person must look at on a target of the same kind."""

    system: str
    make: tuple[str, ...]
    evil: tuple[str, ...]
    manual: int
    refused: str = ""


CATALOGUES = {
    "large objects written to files": Hostile(
        "postgres",
        (
            """CREATE TABLE t (id int PRIMARY KEY,
                CHECK (lo_from_bytea(4711, 'x') > 0), CHECK (lo_export(4711, '{canary}') > 0))""",
            "ALTER TABLE t ADD b int DEFAULT lo_export(4711, '{canary}')",
        ),
        ("lo_from_bytea", "lo_export"),
        3,
    ),
    "files read by views and defaults": Hostile(
        "postgres",
        (
            "CREATE TABLE t (id int, a text DEFAULT pg_read_file('/etc/passwd'))",
            "CREATE VIEW v AS SELECT id, pg_read_file('/etc/passwd') AS p FROM t",
            "CREATE VIEW w AS SELECT * FROM pg_ls_dir('/etc') d(n)",
            "CREATE VIEW x AS SELECT rolname, rolpassword FROM pg_authid",
            "CREATE VIEW y AS SELECT query_to_xml('SELECT 1', true, true, '') AS q",
            "CREATE MATERIALIZED VIEW z AS SELECT set_config('a.b', 'c', false) AS s",
        ),
        ("pg_read_file", "pg_ls_dir", "pg_authid", "query_to_xml", "set_config"),
        6,
    ),
    "a function named like another system's": Hostile(
        "postgres",
        (
            "CREATE FUNCTION read_csv(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1'",
            "CREATE FUNCTION load_file(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1'",
            "CREATE FUNCTION readfile(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1'",
            "CREATE TABLE t (a text CHECK (read_csv(a) <> ''), b text DEFAULT load_file('/etc/passwd'))",
            "CREATE VIEW v AS SELECT read_csv('/etc/passwd') AS a, readfile('/etc/passwd') AS b FROM t",
            "CREATE VIEW w AS SELECT * FROM read_csv('/etc/passwd') q(a)",
        ),
        ("read_csv", "load_file", "readfile"),
        4,
    ),
    "functions of the source under known names": Hostile(
        "postgres",
        (
            "CREATE FUNCTION upper(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1'",
            "CREATE SCHEMA other",
            "CREATE FUNCTION other.lower(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1'",
            "CREATE TABLE t (id int CHECK (upper(id) > 0), a text CHECK (other.lower(a) <> ''))",
            "ALTER TABLE t ADD g text GENERATED ALWAYS AS (other.lower(a)) STORED",
            "CREATE INDEX i ON t (other.lower(a))",
            "CREATE INDEX j ON t (id) WHERE upper(id) > 0",
        ),
        ("upper(", "other", "UPPER("),
        4,
    ),
    "partitions cut by code": Hostile(
        "postgres",
        (
            "CREATE SCHEMA other",
            "CREATE FUNCTION other.f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1'",
            "CREATE TABLE t (id int) PARTITION BY RANGE (other.f(id))",
        ),
        ("other",),
        0,
        "public.t: its partitions are not taken over: function f of a schema",
    ),
    "names and comments that break out": Hostile(
        "postgres",
        (
            """CREATE TABLE "a""; DROP TABLE victim; --\n" (
                "x""y'z\n--" text DEFAULT E'\\'; DROP TABLE victim; --')""",
            """COMMENT ON TABLE "a""; DROP TABLE victim; --\n" IS '''; DROP TABLE victim; --\n*/'""",
            "CREATE TABLE victim (id int, c text COLLATE \"C\" CHECK (c <> 'it''s; DROP TABLE victim; --'))",
            "CREATE TYPE \"e'\"\"\" AS ENUM ('a''; DROP TABLE victim; --', '\\')",
        ),
        (),
        0,
    ),
    "a type that is more than a type": Hostile(
        "sqlite",
        ("""CREATE TABLE t (a "TEXT DEFAULT (1) CHECK (1=1), evil TEXT DEFAULT 'x'")""",),
        ("evil",),
        0,
        'column a: "TEXT DEFAULT',
    ),
    "SQLite's functions of files and extensions": Hostile(
        "sqlite",
        (
            """CREATE TABLE t (a TEXT CHECK (length(/* ' */ a) < 9),
                b TEXT DEFAULT (writefile('{canary}', 'x')))""",
            "CREATE TABLE u (a TEXT CHECK (load_extension('x') IS NULL), b AS (edit(a)))",
            "CREATE VIEW v AS SELECT readfile('/etc/passwd') AS p, a FROM t",
            "CREATE VIEW w AS SELECT sql FROM sqlite_master",
            "CREATE INDEX i ON t (a) WHERE a <> 'x' -- '); DROP TABLE t\n AND a > ''",
        ),
        ("writefile", "load_extension", "edit(", "readfile", "sqlite_master", "/*", "DROP"),
        4,
    ),
    "files that DuckDB reads as tables": Hostile(
        "duckdb",
        (
            "CREATE TABLE t (a VARCHAR, b VARCHAR DEFAULT current_setting('access_mode'))",
            "CREATE VIEW v AS SELECT content FROM read_text('/etc/passwd')",
            "COPY (SELECT 1 AS one) TO '{folder}/secret.csv'",
            "CREATE VIEW w AS SELECT * FROM '{folder}/secret.csv'",
            """CREATE VIEW x AS SELECT * FROM "{folder}/secret.csv"
                WHERE EXISTS (WITH "{folder}/secret.csv" AS (SELECT 1) SELECT 1)""",
            "CREATE VIEW y AS SELECT * FROM query('SELECT 1')",
            "CREATE MACRO mine(x) AS x + 1",
            "CREATE VIEW z AS SELECT mine(1) AS m FROM t",
        ),
        ("current_setting", "read_text", "secret.csv", "query(", "mine("),
        6,
    ),
    "MariaDB's functions of files, folders and sleep": Hostile(
        "mysql",
        (
            "CREATE TABLE t (id int, a varchar(9) DEFAULT concat('a', user()))",
            "CREATE VIEW v AS SELECT load_file('/etc/passwd') AS p, id FROM t",
            "CREATE FUNCTION f(a int) RETURNS int DETERMINISTIC RETURN a",
            "CREATE VIEW w AS SELECT f(id) AS q FROM t",
            "CREATE VIEW x AS SELECT sleep(9) AS s, benchmark(9, md5('a')) AS b FROM t",
            "CREATE VIEW y AS SELECT user, host FROM mysql.user",
        ),
        ("load_file", "user()", "`f`(", "sleep", "benchmark", "`mysql`"),
        5,
    ),
}


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Catalog]:
    """A catalogue over an empty database of that system."""
    numbers = count()

    def made(system: str) -> Catalog:
        if system in ("sqlite", "duckdb"):
            kind = {"sqlite": "SQLiteCatalog", "duckdb": "DuckDBCatalog"}[system]
            return catalog_of(kind, {"path": str(tmp_path / f"{next(numbers)}.{system}")})
        kind, fixture = {
            "postgres": ("PostgresCatalog", "fresh_postgres"), "mysql": ("MySQLCatalog", "fresh_mariadb"),
        }[system]  # fmt: skip
        place: Database = request.getfixturevalue(fixture)()
        return catalog_of(kind, place.profile)

    return made


def _database(catalog: Catalog) -> str:
    """MariaDB's database, which is a schema; empty elsewhere."""
    database = catalog.database  # type: ignore[attr-defined]
    return str(database.where["database"]) if database.dialect_name == "mysql" else ""


def _make(source: Catalog, statements: list[str]) -> None:
    """In the source's own client, in which its owner has functions that hdm's sessions lack."""
    file = getattr(source.database, "file", None)  # type: ignore[attr-defined]
    if source.database.dialect_name == "sqlite":  # type: ignore[attr-defined]
        with closing(sqlite3.connect(file)) as connection:
            for name in ("writefile", "readfile", "load_extension", "edit"):
                connection.create_function(name, -1, lambda *_: None, deterministic=True)
            for sql in statements:
                connection.execute(sql)
    elif file is not None:
        with duckdb.connect(file) as connection:
            for sql in statements:
                connection.execute(sql)
    else:
        with source.session() as session:
            for sql in statements:
                session.execute(sql)


@pytest.mark.server
@pytest.mark.parametrize("name", CATALOGUES)
def test_a_hostile_catalogue_moves_nothing_that_runs(
    name: str, make: Callable[[str], Catalog], tmp_path: Path
) -> None:
    hostile, canary = CATALOGUES[name], tmp_path / "canary"
    source, other = make(hostile.system), make(hostile.system)
    _make(
        source,
        [sql.replace("{canary}", str(canary)).replace("{folder}", str(tmp_path)) for sql in hostile.make],
    )
    canary.unlink(missing_ok=True)
    here, there = (select([f"{name}.*"] if name else []) for name in (_database(source), _database(other)))
    moved = {_database(source): _database(other)} if _database(source) else {}
    crawled = source.crawl(here)
    for target in TARGETS:
        if hostile.refused and target == hostile.system:
            with pytest.raises(UsageError) as refused:
                map_schema(crawled, target)
            assert hostile.refused in str(refused.value)
            continue
        same = target == hostile.system
        options = MapOptions(schemas=moved) if same else None
        mapped = map_schema(crawled, target, options, crawled.flavour if same else "")
        text = script(ordered(mapped.schema))
        assert [word for word in hostile.evil if word in text] == [], f"on {target}: {text}"
        if not same:
            continue
        manual = [one for one in mapped.report.findings if one.status == "manual" and one.kind != "routine"]
        assert len(manual) == hostile.manual, [f"{one.kind} {one.name}: {one.reason}" for one in manual]
        with other.session() as session:
            applied = apply(ordered(mapped.schema), session, mapped.report)
        assert [one.error for one in applied if one.error] == []
        again = other.crawl(there)
        assert {one.path[-1] for one in crawled.relations} <= {one.path[-1] for one in again.relations}
    assert not canary.exists()
