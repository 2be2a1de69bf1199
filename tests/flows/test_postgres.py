"""From a real PostgreSQL: nothing read twice, rows that commit late arrive once, examples run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
import yaml

from tests.flows.kit import ROOT, Place, run
from tests.servers.process import Database


@pytest.fixture
def shop(fresh_postgres: Callable[..., Database]) -> Database:
    database = fresh_postgres()
    with psycopg.connect(database.dsn) as connection:
        connection.execute("CREATE TABLE orders (id bigint PRIMARY KEY, note text, changed_at timestamptz)")
        connection.execute(
            "INSERT INTO orders SELECT n, 'note ' || n, CASE WHEN n % 40 > 0 THEN"
            " timestamptz '2024-01-01 00:00:00+00' + (n / 3) * interval '1 second' END"
            " FROM generate_series(1, 400) n"
        )
        connection.execute(
            "CREATE TABLE order_lines (order_id bigint, line int, changed_at timestamptz NOT NULL,"
            " PRIMARY KEY (order_id, line))"
        )
        connection.execute(
            "INSERT INTO order_lines SELECT n / 3, n % 3, timestamptz '2024-02-01 00:00:00+00'"
            " FROM generate_series(1, 300) n"
        )
        connection.execute("CREATE TABLE countries (code text PRIMARY KEY, name text)")
        connection.execute("INSERT INTO countries VALUES ('de', 'Germany'), ('fr', 'France')")
    return database


def profile(database: Database) -> dict[str, Any]:
    return {
        "host": database.host, "port": database.port, "database": database.database,
        "user": database.user, "password": database.password, "insecure": True,
    }  # fmt: skip


def moving(folder: Path, database: Database, watermark: str, table: str = "orders") -> Place:
    place = Place(folder)
    place.profiles["shop"] = profile(database)
    conf = {
        "env": "shop",
        "table_name": f"public.{table}",
        "watermark": {"column": watermark},
        "chunk": {"rows": 60},
    }
    place.manifest = {
        "version": 1,
        "orchestrator": {"type": "DeclaredOrchestrator"},
        "declared_data_links": {
            "stages": [
                {
                    "source": {
                        "name": "shop",
                        "type": "PostgresSource",
                        "conf": conf,
                    },
                    "sink": {"name": "files", "type": "FSSink", "conf": {"directory": str(place.stage)}},
                },
                {
                    "source": {"name": "files", "type": "FSSource", "conf": {"directory": str(place.stage)}},
                    "sink": {"name": "dst", "type": "SQLiteSink", "conf": {"env": "dst"}},
                },
            ]
        },
    }
    return place.write()


def ids(place: Place) -> list[int]:
    return sorted(row[0] for row in place.rows("orders", "id"))


def test_a_second_run_plans_no_chunk(tmp_path: Path, shop: Database) -> None:
    place = moving(tmp_path, shop, "changed_at")
    assert place.hdm("run").code == 0
    assert ids(place) == list(range(1, 401))
    again = place.hdm("run")
    assert "up to date, nothing moved" in again.err
    assert place.state(
        "SELECT count(*) FROM hdm_chunk c JOIN hdm_job j USING (job_id) WHERE j.epoch > 1"
    ) == [(0,)]


@pytest.mark.parametrize("watermark", ["changed_at", "id"])
def test_rows_that_commit_late_arrive_once(tmp_path: Path, shop: Database, watermark: str) -> None:
    place = moving(tmp_path, shop, watermark)
    insert = (
        "INSERT INTO orders VALUES (%s, 'late', '2025-01-01 00:00:00+00'::timestamptz + %s * interval '1 s')"
    )
    first, second = psycopg.connect(shop.dsn), psycopg.connect(shop.dsn)
    try:
        first.execute(insert, [1001, 1])
        second.execute(insert, [1002, 2])
        second.commit()
        assert place.hdm("run").code == 0
        first.commit()
        assert place.hdm("run").code == 0
        assert place.hdm("run").code == 0
    finally:
        first.close()
        second.close()
    assert ids(place) == [*range(1, 401), 1001, 1002]


@pytest.mark.parametrize(("name", "tables"), [
    ("declared", {"orders": 400}), ("batch", {"orders": 400, "order_lines": 300, "countries": 2}),
])  # fmt: skip
def test_an_example_manifest_runs_as_it_stands(
    tmp_path: Path, shop: Database, name: str, tables: dict[str, int]
) -> None:
    profiles = tmp_path / "p.yml"
    warehouse = tmp_path / "warehouse.duckdb"
    entries = {
        "shop": profile(shop),
        "warehouse": {"path": str(warehouse)},
        "state_manager": {"dbpath": str(tmp_path), "database": "hdm"},
    }
    profiles.write_text(yaml.safe_dump({"dev": entries}))
    profiles.chmod(0o600)
    args = [str(ROOT / f"manifests/{name}.yml"), "-e", "dev", "--profiles", str(profiles)]
    env = {"HDM_HOME": str(tmp_path / "home"), "HDM_DATA_STAGING": str(tmp_path / "stage")}
    for _ in range(2):
        done = run(args, env)
        assert done.code == 0, done.said
    assert "up to date, nothing moved" in done.err
    with duckdb.connect(str(warehouse)) as connection:
        for table, rows in tables.items():
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (rows,)
