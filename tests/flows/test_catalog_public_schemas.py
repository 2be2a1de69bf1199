"""Public schemas that none of us wrote cross from system to system, with keys, views and rows."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest
import yaml

from hdm.catalogs.apply import apply
from hdm.catalogs.crawlers import Named, crawler_for
from hdm.catalogs.files import ordered
from hdm.catalogs.mapper import MappedSchema, map_schema
from hdm.catalogs.model import ForeignKey, Relation, Schema
from hdm.catalogs.patterns import select
from hdm.catalogs.rules import MapOptions
from hdm.cli import main
from hdm.dialects import dialect
from hdm.errors import PermanentError
from tests.flows import schemas
from tests.servers import fakesnow
from tests.servers.process import Database

OWN = ["_hdm*", "hdm_*"]
"""hdm's own ledger in a target that is the next leg's source."""
pytestmark = pytest.mark.slow


# -- rows and all: Wagtail through four systems ------------------------------------------


@pytest.fixture(scope="module")
def journey(
    tmp_path_factory: pytest.TempPathFactory,
    fresh_postgres: Callable[..., Database],
    fresh_mariadb: Callable[..., Database],
    snowflake_server: fakesnow.Snowflake,
) -> Journey:
    """With the first leg done: SQLite to PostgreSQL."""
    folder = tmp_path_factory.mktemp("wagtail")
    schemas.wagtail(folder / "site.db")
    made = Journey(folder, fresh_postgres(), fresh_mariadb(), snowflake_server)
    assert made.go(("SQLiteSource", "site"), ("PostgresSink", "pg"), "*") == 0
    return made


class Journey:
    """Wagtail's site on its way: SQLite, PostgreSQL, then MariaDB and DuckDB, and Snowflake."""

    def __init__(
        self, folder: Path, postgres: Database, mariadb: Database, snowflake: fakesnow.Snowflake
    ) -> None:
        self.folder, self.postgres, self.mariadb = folder, postgres, mariadb
        self.snowflake = snowflake.fresh()
        entries = {
            "site": {"path": str(folder / "site.db")},
            "pg": postgres.profile,
            "maria": mariadb.profile,
            "duck": {"path": str(folder / "site.duckdb")},
            "snow": self.snowflake,
            "state": {"path": str(folder / "state.db")},
        }
        self.profiles = folder / "profiles.yml"
        self.profiles.write_text(yaml.safe_dump({"test": entries}))
        self.profiles.chmod(0o600)

    def go(self, source: tuple[str, str], sink: tuple[str, str], include: str, **orchestrator: Any) -> int:
        """Carry everything over one leg; the exit code."""
        manifest = self.folder / f"{source[1]}_{sink[1]}.yml"
        body = {
            "version": 1,
            "state_manager": {"type": "SQLiteStateManager", "conf": {"env": "state"}},
            "orchestrator": {"type": "AutoBatchOrchestrator", "conf": {"workers": 3, **orchestrator}},
            "template_data_links": {
                "templates": [
                    {
                        "source": {
                            "name": source[1], "type": source[0],
                            "conf": {"env": source[1], "include": [include]},
                        },
                        "sink": {"name": sink[1] + " ", "type": sink[0], "conf": {"env": sink[1]}},
                    }
                ]
            },
        }  # fmt: skip
        manifest.write_text(yaml.safe_dump(body))
        return self.hdm("run", str(manifest))

    def hdm(self, verb: str, *arguments: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main([verb, *arguments, "-e", "test", "--profiles", str(self.profiles)])
        return int(ended.value.code or 0)

    def counts(self) -> dict[str, int]:
        """Rows by table in the file that everything began with."""
        with sqlite3.connect(self.folder / "site.db") as connection:
            names = [
                row[0]
                for row in connection.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' "
                    "AND sql NOT LIKE 'CREATE VIRTUAL%' AND name NOT LIKE '%_fts%'"
                )
            ]
            return {
                name: connection.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()[0] for name in names
            }


def test_a_site_crosses_from_sqlite_to_postgres_to_mariadb_to_duckdb(
    journey: Journey, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = journey.counts()
    assert len(expected) > 40
    assert sum(expected.values()) > 100
    with psycopg.connect(journey.postgres.dsn) as pg:
        for name, rows in expected.items():
            assert pg.execute(f'SELECT COUNT(*) FROM public."{name}"').fetchone() == (rows,), name
        keys = pg.execute(
            "SELECT COUNT(*), BOOL_AND(convalidated) FROM pg_constraint WHERE contype = 'f'"
        ).fetchone()
        assert keys is not None
        assert keys[0] > 50
        assert keys[1]
    schema_of = {"public": journey.mariadb.database}
    code = journey.go(
        ("PostgresSource", "pg"), ("MariaDBSink", "maria"), "public.*", schemas=schema_of, exclude=OWN
    )
    assert code == 0, capsys.readouterr()
    with pymysql.connect(**journey.mariadb.profile) as connection, connection.cursor() as cursor:  # type: ignore[call-overload]
        for name, rows in expected.items():
            cursor.execute(f"SELECT COUNT(*) FROM `{name}`")
            assert cursor.fetchone() == (rows,), name
        cursor.execute(
            "SELECT COUNT(*) FROM information_schema.REFERENTIAL_CONSTRAINTS "
            "WHERE CONSTRAINT_SCHEMA = DATABASE()"
        )
        assert cursor.fetchone() == (keys[0],)
    code = journey.go(
        ("MariaDBSource", "maria"), ("DuckDBSink", "duck"), f"{journey.mariadb.database}.*",
        into="main", exclude=OWN,
    )  # fmt: skip
    said = capsys.readouterr()
    assert code == 0, said
    import duckdb

    with duckdb.connect(str(journey.folder / "site.duckdb")) as duck:
        for name, rows in expected.items():
            assert duck.execute(f'SELECT COUNT(*) FROM main."{name}"').fetchone() == (rows,), name
        made = duck.execute(
            "SELECT COUNT(*) FROM duckdb_constraints() "
            "WHERE constraint_type = 'FOREIGN KEY' AND schema_name = 'main'"
        ).fetchone()
        assert made is not None
        assert made[0] >= keys[0] * 0.8, "all but those to the same table and those that close cycles"


def test_a_site_crosses_from_postgres_to_snowflake(
    journey: Journey,
    snowflake_server: fakesnow.Snowflake,
    opened: Opened,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Snowflake keeps foreign keys without enforcing them: every one is held against the rows."""
    leg = (("PostgresSource", "pg"), ("SnowflakeCopySink", "snow"), "public.*")
    code = journey.go(*leg, into="PUBLIC", exclude=OWN)
    said = capsys.readouterr()
    assert code == 0, said
    assert re.search(r"pg -> snow: \d+ converted, \d+ approximated, \d+ manual", said.err)
    snow = of_snowflake(snowflake_server, journey.snowflake, opened)
    expected = journey.counts()
    for name, rows in expected.items():
        assert snow.query(f'SELECT COUNT(*) FROM PUBLIC."{name}"') == [(rows,)], name
    there = found(snow, "snowflake", ["PUBLIC.*"])
    source = found(of_postgres(journey.postgres, opened), "postgres", ["public.*"])
    assert {(o.path[-1], o.table.key) for o in source.relations if o.path[-1] in expected} <= {
        (o.path[-1], o.table.key) for o in there.relations
    }
    assert keys(there) == keys(source)
    assert len(keys(there)) > 50
    for one in there.relations:
        for key in one.foreign_keys:
            assert snow.query(orphans(snow, one, key)) == [(0,)], (one.path, key.columns)
    assert journey.go(*leg, into="PUBLIC", exclude=OWN) == 0, capsys.readouterr()


def orphans(target: Target, one: Relation, key: ForeignKey) -> str:
    """How many rows refer to none."""
    assert target.dialect is not None
    quote, qualify = target.dialect.quote, target.dialect.qualify
    on = " AND ".join(
        f"p.{quote(theirs)} = c.{quote(mine)}"
        for mine, theirs in zip(key.columns, key.target_columns, strict=True)
    )
    given = " AND ".join(f"c.{quote(mine)} IS NOT NULL" for mine in key.columns)
    return (
        f"SELECT COUNT(*) FROM {qualify(one.path)} c LEFT JOIN {qualify(key.target)} p ON {on} "
        f"WHERE {given} AND p.{quote(key.target_columns[0])} IS NULL"
    )


# -- structure alone ---------------------------------------------------------------------


class Target:
    """A raw connection as a session that takes DDL and answers queries."""

    def __init__(self, run: Callable[[str], list[Any]], named: Named | None = None) -> None:
        self.query, self.named = run, named
        self.dialect = dialect("snowflake") if named else None

    def execute(self, sql: str) -> None:
        try:
            self.query(sql)
        except Exception as error:
            raise PermanentError(f"{type(error).__name__}: {str(error)[:200]}") from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        yield


Opened = list[Any]


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Connections that the test leaves to be closed."""
    kept: Opened = []
    yield kept
    for one in kept:
        one.close()


def of_postgres(database: Database, opened: Opened) -> Target:
    connection = psycopg.connect(database.dsn, autocommit=True)
    opened.append(connection)
    connection.execute("SET search_path TO pg_catalog")

    def run(sql: str) -> list[Any]:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []

    return Target(run)


def of_mariadb(database: Database, opened: Opened) -> Target:
    connection = pymysql.connect(**database.profile, autocommit=True)  # type: ignore[call-overload]
    opened.append(connection)

    def run(sql: str) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    return Target(run)


def of_snowflake(server: fakesnow.Snowflake, profile: dict[str, Any], opened: Opened) -> Target:
    from snowflake.connector import DictCursor, Error
    from snowflake.connector.cursor import SnowflakeCursor

    connection = server.connect(profile)
    opened.append(connection)

    def run(sql: str, kind: type[Any] = SnowflakeCursor) -> list[Any]:
        try:
            return list(connection.cursor(kind).execute(sql).fetchall())
        except Error as error:
            raise PermanentError(str(error)[:200]) from error

    return Target(run, lambda sql: run(sql, DictCursor))


def of_duckdb(opened: Opened) -> Target:
    import duckdb

    connection = duckdb.connect()
    opened.append(connection)
    return Target(lambda sql: connection.execute(sql).fetchall())


def cross(
    source: Schema,
    target: Target,
    system: str,
    without: Iterable[str] = (),
    flavour: str = "",
    **options: Any,
) -> MappedSchema:
    """Map, apply, say the counts; nothing that was called converted may be refused."""
    mapped = map_schema(source, system, MapOptions(**options), flavour)
    before = mapped.report.counts
    statements = [one for one in ordered(mapped.schema) if one.phase not in without]
    refused = [one for one in apply(statements, target, mapped.report) if one.error]
    print(f"{source.flavour or source.system} -> {flavour or system}: {before}, refused {len(refused)}")
    unforeseen = [one for one in refused if not _known(one.statement.sql)]
    assert [(one.statement.kind, one.statement.name, one.error) for one in unforeseen] == []
    return mapped


def _known(sql: str) -> bool:
    """Aggregates with FILTER, which sqlglot writes for a system that lacks them: refused when
    compiled on the target, and so reported."""
    return "FILTER(WHERE" in sql


def found(target: Target, system: str, include: Iterable[str]) -> Schema:
    return crawler_for(system, target.query, target.named).crawl(select(include))


def test_musicbrainz_crosses_to_mariadb_to_duckdb_and_to_snowflake(
    fresh_postgres: Callable[..., Database],
    fresh_mariadb: Callable[..., Database],
    snowflake_server: fakesnow.Snowflake,
    opened: Opened,
) -> None:
    database = fresh_postgres()
    schemas.musicbrainz(database)
    source = found(of_postgres(database, opened), "postgres", ["musicbrainz.*"])
    assert len(source.relations) > 350
    place = fresh_mariadb()
    maria = of_mariadb(place, opened)
    mapped = cross(source, maria, "mysql", flavour="mariadb", into=place.database)
    there = found(maria, "mysql", [f"{place.database}.*"])
    assert len(there.relations) == len(mapped.schema.relations)
    assert keys(there) == keys(mapped.schema)
    assert len(there.views) >= 8
    duck = of_duckdb(opened)
    onward = cross(there, duck, "duckdb", into="main")
    again = found(duck, "duckdb", ["main.*"])
    assert len(again.relations) == len(onward.schema.relations)
    assert len(again.views) == len(onward.schema.views)
    snow = of_snowflake(snowflake_server, snowflake_server.fresh(), opened)
    few = {
        "artist",
        "artist_type",
        "area",
        "area_type",
        "gender",
        "artist_credit",
        "label",
        "label_type",
        "series",
    }
    part = replace(
        source,
        relations=tuple(one for one in source.relations if one.path[-1] in few),
        views=tuple(one for one in source.views if {path[-1] for path in one.uses} <= few),
    )
    last = cross(part, snow, "snowflake", into="PUBLIC")
    arrived = found(snow, "snowflake", ["PUBLIC.*"])
    assert {one.path[-1] for one in arrived.relations} == few
    assert keys(arrived) == keys(last.schema)
    assert len(keys(arrived)) >= 8
    assert {one.path[-1]: one.comment for one in arrived.relations} == {
        one.path[-1]: one.comment for one in last.schema.relations
    }
    assert {one.path for one in arrived.views} == {one.path for one in last.schema.views}


def keys(schema: Schema) -> set[tuple[str, tuple[str, ...], str]]:
    return {(one.path[-1], k.columns, k.target[-1]) for one in schema.relations for k in one.foreign_keys}


def test_kea_crosses_from_mariadb_to_duckdb_and_to_postgres(
    fresh_mariadb: Callable[..., Database], fresh_postgres: Callable[..., Database], opened: Opened
) -> None:
    place = fresh_mariadb()
    schemas.kea(place)
    source = found(of_mariadb(place, opened), "mysql", [f"{place.database}.*"])
    assert len(source.relations) > 50
    cross(source, of_duckdb(opened), "duckdb", into="main")
    target = of_postgres(fresh_postgres(), opened)
    mapped = cross(source, target, "postgres", into="kea")
    there = found(target, "postgres", ["kea.*"])
    assert keys(there) == keys(mapped.schema)
