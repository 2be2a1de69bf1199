"""A site that none of us wrote moves through five systems, every row of it, by AutoBatch."""

from __future__ import annotations

import io
import re
import sqlite3
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest
import yaml

from hdm.cli import main
from tests.flows import schemas
from tests.flows.catalog_targets import (  # noqa: F401 -- fixtures
    COUNTS,
    Opened,
    counts_are_shown,
    found,
    keys,
    of_postgres,
    of_snowflake,
    opened_connections,
    orphans,
)  # fmt: skip
from tests.servers import fakesnow
from tests.servers.process import Database

OWN = ["_hdm*", "hdm_*"]
"""hdm's own ledger in a target that is the next leg's source."""
pytestmark = pytest.mark.slow


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
    assert made.go(("SQLiteSource", "site"), ("PostgresSink", "pg"), "*") == 0, made.said
    return made


class Journey:
    """Wagtail's site on its way: SQLite, PostgreSQL, then MariaDB and DuckDB, and Snowflake."""

    def __init__(
        self, folder: Path, postgres: Database, mariadb: Database, snowflake: fakesnow.Snowflake
    ) -> None:
        self.folder, self.postgres, self.mariadb = folder, postgres, mariadb
        self.snowflake, self.said = snowflake.fresh(), ""
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
        said = io.StringIO()
        with redirect_stdout(said), redirect_stderr(said), pytest.raises(SystemExit) as ended:
            main([verb, *arguments, "-e", "test", "--profiles", str(self.profiles)])
        self.said = said.getvalue()
        COUNTS.extend(re.findall(r"note: (\S+ -> \S+: \d+ converted.*)", self.said))
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
    journey: Journey,
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
    assert code == 0, journey.said
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
    assert code == 0, journey.said
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
) -> None:
    """Snowflake keeps foreign keys without enforcing them: every one is held against the rows."""
    leg = (("PostgresSource", "pg"), ("SnowflakeCopySink", "snow"), "public.*")
    code = journey.go(*leg, into="PUBLIC", exclude=OWN)
    assert code == 0, journey.said
    assert re.search(r"pg -> snow: \d+ converted, \d+ approximated, \d+ manual", journey.said)
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
    assert journey.go(*leg, into="PUBLIC", exclude=OWN) == 0, journey.said
